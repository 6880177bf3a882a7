"""Administration / Mail / Service settings: which mail services the company uses."""

from typing import Any

from flask import request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import ngettext

from blueprints.services.area import blueprint
from blueprints.services.forms import OtherForm
from blueprints.services.rows import RowFace, shown
from blueprints.services.window import ask, form_of, refused, saved
from domain import company, service_deletion, services
from domain.errors import ConflictError
from mail.errors import RuleError
from models import db
from models.services import MailService
from web.access import administrator
from web.fragments import Undo, close_window, fragment, go, is_fragment, page, toast
from web.ids import row_id
from web.viewer import author


@blueprint.get("/")
@administrator
def index() -> ResponseReturnValue:
    return _index()


@blueprint.route("/add", methods=["GET", "POST"])
@administrator
def add() -> ResponseReturnValue:
    form = form_of(None)
    if form.validate_on_submit():
        try:
            service = services.add(db.session(), form.settings(), author())
        except RuleError as error:
            form.refuse(error)
        else:
            db.session.commit()
            return saved(_("%(name)s was added.", name=service.name))
    return ask(form, None)


@blueprint.route("/<int:service_id>/edit", methods=["GET", "POST"])
@administrator
def edit(service_id: int) -> ResponseReturnValue:
    service = services.find(db.session(), service_id)
    form = form_of(service)
    if not form.validate_on_submit():
        return ask(form, service)
    try:
        changed = services.edit(
            db.session(),
            service,
            form.settings_of(service),
            author(),
            version=row_id(form.version.data or ""),
        )
    except ConflictError:
        return refused(form, service)
    except RuleError as error:
        form.refuse(error)
        return ask(form, service)
    db.session.commit()
    words = _("%(name)s was saved.", name=service.name) if changed else _("Nothing was changed.")
    return saved(words)


@blueprint.post("/<int:service_id>/hide")
@administrator
def hide(service_id: int) -> ResponseReturnValue:
    service = services.find(db.session(), service_id)
    services.hide(db.session(), service, author())
    db.session.commit()
    words = _("%(name)s is hidden: nobody can choose it any more.", name=service.name)
    return _row(service, words, "services.show")


@blueprint.post("/<int:service_id>/show")
@administrator
def show(service_id: int) -> ResponseReturnValue:
    service = services.find(db.session(), service_id)
    services.show(db.session(), service, author())
    db.session.commit()
    return _row(service, _("%(name)s is shown again.", name=service.name), "services.hide")


@blueprint.route("/<int:service_id>/delete", methods=["GET", "POST"])
@administrator
def delete(service_id: int) -> ResponseReturnValue:
    """First what would follow, with two ways around it; then the deed."""
    service = services.find_additional(db.session(), service_id)
    if request.method != "POST":
        return _confirmation(service)
    service_deletion.delete(db.session(), service, author())
    db.session.commit()
    words = _("%(name)s was deleted.", name=service.name)
    target = f"#service-{service.id}"
    if not is_fragment():
        undo = Undo(url_for("services.restore", service_id=service.id), target)
        return go(url_for("services.index"), words, undo)
    gone = services.listed_one(db.session(), service)
    return close_window(fragment("services/_gone.html", service=service, gone=gone), target)


@blueprint.post("/<int:service_id>/move")
@administrator
def move(service_id: int) -> ResponseReturnValue:
    """The mailboxes go to another service; this one stays, used by nobody."""
    service = services.find_additional(db.session(), service_id)
    target = row_id(request.form.get("target", ""))
    try:
        moved = service_deletion.move(db.session(), service, target, author())
    except RuleError as error:
        return _confirmation(service, error, 422)
    db.session.commit()
    name = services.find(db.session(), target).name
    return saved(
        ngettext(
            "%(num)s mailbox moved to %(name)s.",
            "%(num)s mailboxes moved to %(name)s.",
            moved,
            name=name,
        )
    )


@blueprint.get("/deleted")
@administrator
def deleted() -> ResponseReturnValue:
    return page("services/deleted.html", listed=service_deletion.deleted(db.session()))


@blueprint.post("/<int:service_id>/restore")
@administrator
def restore(service_id: int) -> ResponseReturnValue:
    service = service_deletion.find_deleted(db.session(), service_id)
    name = request.form.get("name", "")
    try:
        service_deletion.restore(db.session(), service, author(), name=name)
    except RuleError as error:
        context: dict[str, Any] = {"service": service, "typed": name, "error": error}
        if is_fragment():
            gone = services.listed_one(db.session(), service)
            return fragment("services/_gone.html", 422, gone=gone, **context)
        rows = service_deletion.deleted(db.session())
        return page("services/deleted.html", 422, listed=rows, **context)
    db.session.commit()
    words = _("%(name)s is back, and so are its mailboxes.", name=service.name)
    return _row(service, words)


@blueprint.post("/other")
@administrator
def set_other() -> ResponseReturnValue:
    form = OtherForm()
    if not form.validate():
        return _other(form, 422)
    try:
        changed = company.set_other(
            db.session(),
            allowed=form.allowed.data,
            process_default=form.process_default.data == "yes",
            networks=form.networks.data or "",
            version=row_id(form.version.data or ""),
            by=author(),
        )
    except RuleError as error:
        form.refuse(error)
        return _other(form, 422)
    db.session.commit()
    words = _("Saved.") if changed else _("Nothing was changed.")
    if not is_fragment():
        return go(url_for("services.index"), words)
    toast(words)
    return _other(_other_form())


def _other(form: OtherForm, status: int = 200) -> ResponseReturnValue:
    if is_fragment():
        return fragment("services/_other.html", status, other=form)
    return _index(status, form)


def _index(status: int = 200, other: OtherForm | None = None) -> ResponseReturnValue:
    return page(
        "services/index.html",
        status,
        **shown(services.listed(db.session())),
        deleted=service_deletion.count_deleted(db.session()),
        other=other or _other_form(),
    )


def _other_form() -> OtherForm:
    present = company.settings(db.session())
    stored = {
        "version": str(present.version),
        "allowed": present.other_allowed,
        "process_default": "yes" if present.other_process_default else "no",
        "networks": ", ".join(present.employee_networks),
    }
    return OtherForm(formdata=None, data=stored)


def _row(service: MailService, words: str, undo: str = "") -> ResponseReturnValue:
    """The row as it is now, with the way back in a toast."""
    target = f"#service-{service.id}"
    back = Undo(url_for(undo, service_id=service.id), target) if undo else None
    if not is_fragment():
        return go(url_for("services.index"), words, back)
    toast(words, undo=back)
    face = RowFace()
    one = face.row(services.listed_one(db.session(), service))
    # It may have been asked for in the window that warns of deleting.
    return close_window(fragment("services/_row.html", one=one, face=face), target)


def _confirmation(
    service: MailService, error: RuleError | None = None, status: int = 200
) -> ResponseReturnValue:
    search = request.values.get("search", "")
    context: dict[str, Any] = {
        "service": service,
        "search": search,
        "found": service_deletion.consequences(db.session(), service, search),
        "targets": service_deletion.targets(db.session(), service),
        "error": error,
    }
    if not is_fragment():
        return page("services/delete.html", status, **context)
    part = "services/_affected.html" if "search" in request.args else "services/_delete_window.html"
    return fragment(part, status, **context)
