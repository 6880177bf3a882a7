"""Administration / People: who may sign in, and the links with which they come in."""

from typing import Any

from flask import Blueprint, Response, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from blueprints.people.forms import DeleteMailForm, PersonForm
from domain import mailboxes, people, removal
from domain.people import LINK_LASTS
from mail.errors import RuleError
from models import db
from models.people import Role, User
from web.access import administrator
from web.fragments import Undo, close_window, fragment, go, is_fragment, page, toast
from web.house import tasks
from web.sentences import sentence
from web.viewer import author

blueprint = Blueprint("people", __name__, url_prefix="/administration/people")


@blueprint.get("/")
@administrator
def index() -> ResponseReturnValue:
    return _index()


@blueprint.route("/add", methods=["GET", "POST"])
@administrator
def add() -> ResponseReturnValue:
    form = PersonForm()
    if form.validate_on_submit():
        try:
            person, token = people.add_person(
                db.session(),
                name=form.name.data,
                login=form.login.data,
                role=Role[form.role.data],
                by=author(),
            )
        except RuleError as error:
            form.refuse(error)
        else:
            db.session.commit()
            return _link_page(person, token)
    status = 422 if form.is_submitted() else 200
    if is_fragment():
        return fragment("people/_window.html", status, form=form)
    return page("people/add.html", status, form=form)


@blueprint.post("/<int:user_id>/link")
@administrator
def new_link(user_id: int) -> ResponseReturnValue:
    person = people.find(db.session(), user_id)
    try:
        token = people.new_link(db.session(), person, author())
    except RuleError as error:
        return _refused(person, error)
    db.session.commit()
    return _link_page(person, token)


@blueprint.route("/<int:user_id>/disable", methods=["GET", "POST"])
@administrator
def disable(user_id: int) -> ResponseReturnValue:
    """First what would follow; then the deed."""
    person = people.find(db.session(), user_id)
    if request.method != "POST":
        return _confirmation(person)
    try:
        people.disable(db.session(), person, author())
    except RuleError as error:
        return _confirmation(person, error, 422)
    db.session.commit()
    return _changed(person, _("%(name)s is disabled.", name=person.name), "people.enable")


@blueprint.post("/<int:user_id>/enable")
@administrator
def enable(user_id: int) -> ResponseReturnValue:
    person = people.find(db.session(), user_id)
    people.enable(db.session(), person, author())
    db.session.commit()
    return _changed(person, _("%(name)s is enabled.", name=person.name))


@blueprint.post("/<int:user_id>/make-administrator")
@administrator
def make_administrator(user_id: int) -> ResponseReturnValue:
    return _set_role(user_id, Role.ADMINISTRATOR)


@blueprint.post("/<int:user_id>/make-employee")
@administrator
def make_employee(user_id: int) -> ResponseReturnValue:
    return _set_role(user_id, Role.EMPLOYEE)


@blueprint.route("/<int:user_id>/delete-mail", methods=["GET", "POST"])
@administrator
def delete_mail(user_id: int) -> ResponseReturnValue:
    """What there is and the form that deletes it; afterwards, polled, how much is left."""
    person = people.find(db.session(), user_id)
    form = DeleteMailForm()
    if form.validate_on_submit():
        try:
            going = removal.delete_mail(
                db.session(), person, login=form.login.data or "", by=author()
            )
        except RuleError as error:
            form.refuse(error)
        else:
            db.session.commit()
            for mailbox in going:
                tasks().removing(mailbox.id)
            return go(url_for("people.delete_mail", user_id=person.id))
    return _mail_page(person, form)


def _set_role(user_id: int, role: Role) -> ResponseReturnValue:
    person = people.find(db.session(), user_id)
    try:
        people.set_role(db.session(), person, role, author())
    except RuleError as error:
        return _refused(person, error)
    db.session.commit()
    words = {
        Role.ADMINISTRATOR: _("%(name)s is an administrator now.", name=person.name),
        Role.EMPLOYEE: _("%(name)s is an employee now.", name=person.name),
    }
    return _changed(person, words[role])


def _index(status: int = 200) -> ResponseReturnValue:
    return page("people/index.html", status, people=people.listed(db.session()))


def _changed(person: User, words: str, undo: str = "") -> ResponseReturnValue:
    """The row as it is now, with the way back in a toast."""
    back = Undo(url_for(undo, user_id=person.id), f"#person-{person.id}") if undo else None
    if not is_fragment():
        return go(url_for("people.index"), words, back)
    toast(words, undo=back)
    return _row(person)


def _refused(person: User, error: RuleError) -> ResponseReturnValue:
    """Nothing was changed; the row stays, and beside it stands why."""
    toast(sentence(error), "failed")
    return _row(person, 422) if is_fragment() else _index(422)


def _row(person: User, status: int = 200) -> Response:
    one = people.listed_one(db.session(), person)
    response = fragment("people/_row.html", status, one=one)
    # It may have been asked for in a window, or for one.
    return close_window(response, f"#person-{person.id}")


def _confirmation(
    person: User, error: RuleError | None = None, status: int = 200
) -> ResponseReturnValue:
    context: dict[str, Any] = {
        "person": person,
        "mailboxes": mailboxes.senders(db.session(), person),
        "error": error,
    }
    if is_fragment():
        return fragment("people/_disable_window.html", status, **context)
    return page("people/disable.html", status, **context)


def _mail_page(person: User, form: DeleteMailForm) -> ResponseReturnValue:
    """An open page names in ``shown`` what it shows, and is answered once that has changed."""
    filled = removal.of_person(db.session(), person)
    shown = "-".join(str(one.messages) for one in filled if one.is_going)
    if is_fragment() and request.args.get("shown") == shown:
        return Response(status=204)
    context: dict[str, Any] = {"person": person, "form": form, "filled": filled, "shown": shown}
    status = 422 if form.is_submitted() else 200
    if is_fragment():
        return fragment("people/_mail.html", status, **context)
    return page("people/mail.html", status, **context)


def _link_page(person: User, token: str) -> ResponseReturnValue:
    """The one time that the link is shown: only its hash is kept."""
    context: dict[str, Any] = {
        "person": person,
        "link": url_for("auth.invitation", token=token, _external=True),
        "days": LINK_LASTS.days,
    }
    if is_fragment():
        listed = people.listed(db.session())
        return fragment("people/_link_window.html", people=listed, **context)
    return page("people/link.html", **context)
