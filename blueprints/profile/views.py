"""The profile: language and appearance, password, sessions, and the connected mailboxes."""

import uuid
from typing import Any

from flask import Blueprint, Response, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from blueprints.profile.forms import (
    OTHER,
    ConnectForm,
    NewPasswordForm,
    PasswordForm,
    PreferencesForm,
)
from domain import (
    company,
    connecting,
    mailboxes,
    notices,
    people,
    service_deletion,
    services,
    sessions,
)
from domain.errors import RefusedError
from domain.passwords import SHORTEST
from mail.errors import RuleError
from mail.server_string import Protocol
from models import db
from models.mailboxes import ConnectionTest, ConnectionTestState
from models.people import Language, Theme
from web.access import signed_in
from web.connection_steps import shown_steps
from web.fragments import fragment, go, is_fragment, page, toast
from web.house import ring, tasks
from web.notices import notices_of
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
    if form.validate_on_submit():
        try:
            test = connecting.begin_test(
                db.session(),
                person(),
                servers=form.own_servers if form.is_other else _number(form.service.data),
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
    return page(
        "profile/connect.html",
        status,
        form=form,
        services=services.choosable(db.session()),
        other_allowed=company.settings(db.session()).other_allowed,
        tried=tried,
    )


@blueprint.route("/mail/<int:mailbox_id>/password", methods=["GET", "POST"])
@signed_in
def new_password(mailbox_id: int) -> ResponseReturnValue:
    """Tries another password; the mailbox keeps its own until both servers took the new one."""
    mailbox = mailboxes.find(db.session(), person(), mailbox_id)
    form = NewPasswordForm()
    if form.validate_on_submit():
        try:
            test = connecting.begin_password(
                db.session(), mailbox, form.password.data, ring=ring(), now=now()
            )
        except RuleError as error:
            form.refuse(error)
        else:
            db.session.commit()
            tasks().connection_test(test.id)
            return go(url_for("profile.watch", test_uuid=test.uuid))
    status = 422 if form.is_submitted() else 200
    return page("profile/new_password.html", status, form=form, mailbox=mailbox)


@blueprint.post("/mail/<int:mailbox_id>/agree")
@signed_in
def agree(mailbox_id: int) -> ResponseReturnValue:
    """The password may be used at the servers that an administrator moved the mailbox to."""
    mailbox = mailboxes.find(db.session(), person(), mailbox_id)
    service_deletion.agree(db.session(), mailbox, now())
    db.session.commit()
    tasks().mailbox(mailbox.id)
    return _notices(_("%(address)s is being connected.", address=mailbox.address))


@blueprint.post("/notices/<int:notice_id>/dismiss")
@signed_in
def dismiss(notice_id: int) -> ResponseReturnValue:
    notices.dismiss(db.session(), person(), notice_id)
    db.session.commit()
    return _notices("")


@blueprint.get("/mail/connect/<uuid:test_uuid>")
@signed_in
def watch(test_uuid: uuid.UUID) -> ResponseReturnValue:
    """The page that waits while the worker tries; asked by htmx, only its steps."""
    test = connecting.find_test(db.session(), person(), test_uuid)
    if is_fragment():
        if request.args.get("shown") == _version(test):
            return Response(status=204)
        if test.state is not ConnectionTestState.SUCCEEDED:
            return fragment("profile/_steps.html", **_watched(test))
    if test.state is ConnectionTestState.SUCCEEDED and test.mailbox_id is not None:
        return go(url_for("messages.mailbox", mailbox_id=test.mailbox_id))
    return page("profile/watch.html", **_watched(test))


def _notices(words: str) -> ResponseReturnValue:
    if not is_fragment():
        return go(url_for("messages.index"), words)
    if words:
        toast(words)
    return fragment("shared/_notices.html", notices=notices_of(person()))


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


def _typed(tried: ConnectionTest) -> dict[str, object]:
    typed: dict[str, object] = {
        "address": tried.address,
        "service": str(tried.service_id),
        "login": tried.login,
        "tried": str(tried.uuid),
    }
    if tried.own_servers is None:
        return typed
    typed["service"] = OTHER
    for protocol in Protocol:
        typed[f"{protocol}_server"] = tried.own_servers.address(protocol).shown
        typed[f"{protocol}_security"] = tried.own_servers.security(protocol).name
        typed[f"{protocol}_non_standard"] = tried.own_servers.non_standard(protocol)
    return typed


def _number(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise RefusedError("service", "service_not_choosable")
    return int(text)
