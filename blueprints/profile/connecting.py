"""*Connect mail*: the form, and the page that watches the test which follows."""

import uuid
from typing import Any

from flask import Response, request, url_for
from flask.typing import ResponseReturnValue

from blueprints.profile.area import blueprint
from blueprints.profile.forms import OTHER, ConnectForm
from domain import company, connecting, services
from domain.errors import RefusedError
from mail.errors import RuleError
from mail.server_string import Protocol
from models import db
from models.mailboxes import ConnectionTest, ConnectionTestState
from web.access import signed_in
from web.connection_steps import shown_steps
from web.fragments import fragment, go, is_fragment, page
from web.house import ring, tasks
from web.viewer import now, person


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


def _watched(test: ConnectionTest) -> dict[str, Any]:
    return {"test": test, "steps": shown_steps(test), "version": _version(test)}


def _version(test: ConnectionTest) -> str:
    return f"{test.state.value}-{len(test.steps)}"


def _tried(text: str) -> ConnectionTest | None:
    try:
        name = uuid.UUID(text)
    except ValueError:
        return None
    return connecting.earlier_try(db.session(), person(), name, now())


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
