"""The profile: language and appearance, password, sessions, and the connected mailboxes."""

import uuid
from typing import Any

from flask import Blueprint, Response, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from wtforms.fields.choices import SelectChoice

from blueprints.profile.forms import ConnectForm, PasswordForm, PreferencesForm
from domain import connecting, mailboxes, people, services, sessions
from domain.errors import RefusedError
from domain.passwords import SHORTEST
from mail.errors import RuleError
from models import db
from models.mailboxes import ConnectionTest
from models.people import Language, Theme
from web.access import signed_in
from web.connection_steps import shown_steps
from web.fragments import fragment, go, is_fragment, page, toast
from web.house import ring, tasks
from web.viewer import now, person, viewer

blueprint = Blueprint("profile", __name__, url_prefix="/profile")


@blueprint.get("/")
@signed_in
def index() -> ResponseReturnValue:
    return _page()


@blueprint.post("/preferences")
@signed_in
def set_preferences() -> ResponseReturnValue:
    form = PreferencesForm()
    if not form.validate():
        return _page(422, preferences=form)
    people.set_preferences(
        db.session(),
        person(),
        language=Language[form.language.data] if form.language.data else None,
        theme=Theme[form.theme.data],
    )
    db.session.commit()
    return go(url_for("profile.index"), _("Saved."))


@blueprint.post("/password")
@signed_in
def change_password() -> ResponseReturnValue:
    form = PasswordForm()
    if form.validate():
        try:
            people.change_password(
                db.session(), person(), old=form.old.data, new=form.password.data
            )
        except RuleError as error:
            form.refuse(error)
        else:
            sessions.end_all(db.session(), person(), but=viewer().session_id)
            db.session.commit()
            words = _("The password was changed. All other sessions were ended.")
            return go(url_for("profile.index"), words)
    return _page(422, password=form)


@blueprint.post("/sessions/<int:session_id>/end")
@signed_in
def end_session(session_id: int) -> ResponseReturnValue:
    sessions.end(db.session(), person(), session_id)
    db.session.commit()
    if not is_fragment():
        return go(url_for("profile.index"), _("Signed out there."))
    toast(_("Signed out there."))
    return fragment("shared/_nothing.html")


@blueprint.get("/mail")
@signed_in
def mail() -> ResponseReturnValue:
    return page("profile/mail.html", mailboxes=mailboxes.connected(db.session(), person()))


@blueprint.route("/mail/connect", methods=["GET", "POST"])
@signed_in
def connect() -> ResponseReturnValue:
    tried = _tried(request.values.get("tried", ""))
    form = ConnectForm(data=_typed(tried) if tried else None)
    choices = services.choosable(db.session())
    form.service.choices = [SelectChoice(str(one.id), one.name) for one in choices]
    if form.validate_on_submit():
        try:
            test = connecting.begin_test(
                db.session(),
                person(),
                servers=_number(form.service.data),
                address=form.address.data,
                login=form.login.data,
                password=form.password.data,
                tried=tried,
                ring=ring(),
                now=now(),
            )
        except RuleError as error:
            form.refuse(error)
        else:
            db.session.commit()
            tasks().connection_test(test.id)
            return go(url_for("profile.watch", test_uuid=test.uuid))
    status = 422 if form.is_submitted() else 200
    return page("profile/connect.html", status, form=form, services=choices, tried=tried)


@blueprint.get("/mail/connect/<uuid:test_uuid>")
@signed_in
def watch(test_uuid: uuid.UUID) -> ResponseReturnValue:
    """The page that waits while the worker tries; asked by htmx, only its steps."""
    test = connecting.find_test(db.session(), person(), test_uuid)
    if is_fragment():
        if request.args.get("shown") == _version(test):
            return Response(status=204)
        if test.mailbox_id is not None:
            return go(url_for("messages.mailbox", mailbox_id=test.mailbox_id))
        return fragment("profile/_steps.html", **_watched(test))
    if test.mailbox_id is not None:
        return go(url_for("messages.mailbox", mailbox_id=test.mailbox_id))
    return page("profile/watch.html", **_watched(test))


def _watched(test: ConnectionTest) -> dict[str, Any]:
    return {"test": test, "steps": shown_steps(test), "version": _version(test)}


def _version(test: ConnectionTest) -> str:
    return f"{test.state.value}-{len(test.steps)}"


def _page(status: int = 200, **forms: object) -> ResponseReturnValue:
    me = person()
    language = me.language.name if me.language else ""
    context: dict[str, Any] = {
        "preferences": PreferencesForm(
            formdata=None, data={"language": language, "theme": me.theme.name}
        ),
        "password": PasswordForm(formdata=None),
        "sessions": sessions.of_person(db.session(), me),
        "shortest": SHORTEST,
    }
    return page("profile/index.html", status, **{**context, **forms})


def _tried(text: str) -> ConnectionTest | None:
    try:
        name = uuid.UUID(text)
    except ValueError:
        return None
    return connecting.failed_test(db.session(), person(), name, now())


def _typed(tried: ConnectionTest) -> dict[str, str]:
    return {
        "address": tried.address,
        "service": str(tried.service_id),
        "login": tried.login,
        "tried": str(tried.uuid),
    }


def _number(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise RefusedError("service", "service_not_choosable")
    return int(text)
