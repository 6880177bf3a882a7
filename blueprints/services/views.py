"""Administration / Mail / Service settings: which mail services the company uses."""

from dataclasses import replace

from flask import Blueprint, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from blueprints.services.forms import ServiceForm, StandardServiceForm, of_service
from domain import services
from domain.errors import RefusedError
from domain.services import ServerSettings, ServiceSettings
from mail.errors import RuleError
from mail.server_string import Protocol
from models import db
from models.services import MailService
from web.access import administrator
from web.fragments import fragment, go, is_fragment, page, toast
from web.viewer import author

blueprint = Blueprint("services", __name__, url_prefix="/administration/mail/services")


@blueprint.get("/")
@administrator
def index() -> ResponseReturnValue:
    return page("services/index.html", listed=services.listed(db.session()))


@blueprint.route("/add", methods=["GET", "POST"])
@administrator
def add() -> ResponseReturnValue:
    form = ServiceForm()
    if form.validate_on_submit():
        try:
            service = services.add(db.session(), form.settings(), author())
        except RuleError as error:
            form.refuse(error)
        else:
            db.session.commit()
            return _saved(_("%(name)s was added.", name=service.name))
    return _window(form, None)


@blueprint.route("/<int:service_id>/edit", methods=["GET", "POST"])
@administrator
def edit(service_id: int) -> ResponseReturnValue:
    service = services.find(db.session(), service_id)
    shown = of_service(service)
    form = StandardServiceForm(data=shown) if service.standard else ServiceForm(data=shown)
    if form.validate_on_submit():
        if form.version.data != str(service.version):
            form.refuse(RefusedError("name", "service_changed"))
            return _window(form, service, 409)
        try:
            changed = services.edit(db.session(), service, _wanted(form, service), author())
        except RuleError as error:
            form.refuse(error)
        else:
            db.session.commit()
            words = _("%(name)s was saved.") if changed else _("Nothing was changed.")
            return _saved(words % {"name": service.name} if changed else words)
    return _window(form, service)


def _wanted(form: ServiceForm | StandardServiceForm, service: MailService) -> ServiceSettings:
    if isinstance(form, ServiceForm):
        return form.settings()
    present = ServiceSettings(
        name=service.name,
        imap=_present(service, Protocol.IMAP),
        smtp=_present(service, Protocol.SMTP),
    )
    return replace(present, process_default=form.process_default.data == "yes")


def _present(service: MailService, protocol: Protocol) -> ServerSettings:
    return ServerSettings(service.address(protocol), service.security(protocol))


def _window(
    form: ServiceForm | StandardServiceForm, service: MailService | None, status: int = 0
) -> ResponseReturnValue:
    status = status or (422 if form.is_submitted() else 200)
    if is_fragment():
        return fragment("services/_window.html", status, form=form, service=service)
    return page("services/edit.html", status, form=form, service=service)


def _saved(words: str) -> ResponseReturnValue:
    if not is_fragment():
        return go(url_for("services.index"), words)
    toast(words)
    response = fragment("services/_list.html", listed=services.listed(db.session()))
    response.headers["HX-Retarget"] = "#services"
    response.headers["HX-Reswap"] = "outerHTML"
    response.headers["HX-Trigger"] = "postroom:close-window"
    return response
