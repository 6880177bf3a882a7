"""*Connect mail*: the form, the search for the servers of an address, and the test that follows.

With htmx all of it happens on one page; without, each step is a page of its own.
"""

import uuid
from typing import Any

from flask import Response, request, url_for
from flask.typing import ResponseReturnValue

from blueprints.profile.area import blueprint
from blueprints.profile.connect_form import OTHER, ConnectForm
from domain import company, connecting, connection_tests, proposals, searching, services
from domain.errors import RefusedError
from domain.proposals import Proposal
from mail.errors import RuleError
from mail.server_string import Protocol
from models import db
from models.mailboxes import (
    ConnectionPurpose,
    ConnectionTest,
    ConnectionTestState,
    SettingsSearch,
)
from web import connection_report, found_settings
from web.access import signed_in
from web.connection_steps import shown_steps
from web.fragments import fragment, go, is_fragment, page
from web.house import ring, tasks
from web.viewer import now, person


@blueprint.route("/mail/connect", methods=["GET", "POST"])
@signed_in
def connect() -> ResponseReturnValue:
    """*Save*, or *Test connection*, from which no mailbox comes."""
    tried = _tried()
    form = _form(tried)
    if request.method != "POST":
        return _ask(form)
    _complete(form)
    if form.validate():
        try:
            test = _begin(form, tried)
        except RuleError as error:
            form.refuse(error)
        else:
            db.session.commit()
            tasks().connection_test(test.id)
            if is_fragment():
                return fragment("profile/_steps.html", **_watched(test, in_form=True))
            return go(url_for("profile.watch", test_uuid=test.uuid))
    return _ask_again(form, tried)


@blueprint.post("/mail/find")
@signed_in
def find() -> ResponseReturnValue:
    """Looks for the servers of the address; asked again without htmx, fills in what was found."""
    tried = _tried()
    form = _form(tried)
    begun = _uuid(request.form.get("look", ""))
    if begun is not None:
        search = searching.find(db.session(), person(), begun)
        return _keeping(form, tried, 200, **_searched(form, search))
    try:
        domain = (form.address.data or "").rpartition("@")[2]
        search = searching.begin(db.session(), person(), domain, now())
    except RuleError as error:
        form.refuse(RefusedError("address", error.code, **error.parameters))
        if is_fragment():
            return fragment("profile/_find.html", 422, form=form, refused=form.address.errors)
        return _ask_again(form, tried)
    db.session.commit()
    tasks().search(search.id)
    if is_fragment():
        return fragment("profile/_find.html", form=form, search=search)
    return _keeping(form, tried, 200, search=search)


@blueprint.get("/mail/searches/<uuid:search_uuid>")
@signed_in
def watch_search(search_uuid: uuid.UUID) -> ResponseReturnValue:
    search = searching.find(db.session(), person(), search_uuid)
    if search.state in (ConnectionTestState.WAITING, ConnectionTestState.RUNNING):
        return Response(status=204)
    form = ConnectForm(formdata=None)
    return fragment("profile/_found.html", form=form, **_searched(form, search))


@blueprint.get("/mail/connect/<uuid:test_uuid>")
@signed_in
def watch(test_uuid: uuid.UUID) -> ResponseReturnValue:
    """The page that waits while the worker tries; asked by htmx, only its steps."""
    test = connection_tests.find(db.session(), person(), test_uuid)
    earned = test.purpose is not ConnectionPurpose.CHECK
    if is_fragment() and request.args.get("shown") == _version(test):
        return Response(status=204)
    if test.state is ConnectionTestState.SUCCEEDED and earned and test.mailbox_id is not None:
        return go(url_for("messages.mailbox", mailbox_id=test.mailbox_id))
    if is_fragment():
        in_form = request.args.get("form") == "yes"
        return fragment("profile/_steps.html", **_watched(test, in_form=in_form))
    return page("profile/watch.html", **_watched(test))


def _form(tried: ConnectionTest | None) -> ConnectForm:
    return ConnectForm(data=_typed(tried) if tried else {"address": request.args.get("address")})


def _complete(form: ConnectForm) -> None:
    """What the address says of service and login, where nothing was chosen or typed."""
    address = form.address.data or ""
    if not form.service.data:
        suggested = proposals.service_for(db.session(), address)
        form.service.data = str(suggested.id) if suggested else ""
    if form.login.data:
        return
    for service in services.choosable(db.session()):
        if str(service.id) == form.service.data:
            form.login.data = connecting.login_for(service.imap_login_form, address)


def _begin(form: ConnectForm, tried: ConnectionTest | None) -> ConnectionTest:
    """Raises RuleError."""
    return connecting.begin_test(
        db.session(),
        person(),
        servers=form.own_servers if form.is_other else _number(form.service.data),
        address=form.address.data,
        login=form.login.data,
        smtp_login=form.smtp_login.data,
        password=form.password.data or "",
        tried=tried,
        connects=request.form.get("do") != "check",
        ring=ring(),
        now=now(),
    )


def _ask(form: ConnectForm, status: int = 200, **context: Any) -> ResponseReturnValue:
    known: dict[str, Any] = {
        "form": form,
        "services": services.choosable(db.session()),
        "other_allowed": company.settings(db.session()).other_allowed,
        **context,
    }
    if not is_fragment():
        return page("profile/connect.html", status, **known)
    response = fragment("profile/_connect_again.html", status, **known)
    response.headers["HX-Retarget"] = "#connect"
    response.headers["HX-Reswap"] = "outerHTML"
    return response


def _ask_again(form: ConnectForm, tried: ConnectionTest | None) -> ResponseReturnValue:
    return _keeping(form, tried, 422)


def _keeping(
    form: ConnectForm, tried: ConnectionTest | None, status: int, **context: Any
) -> ResponseReturnValue:
    """Shows the form with all that was typed; the password is kept here, not in the page."""
    kept = connecting.keep_password(
        db.session(), person(), form.password.data or "", tried=tried, ring=ring(), now=now()
    )
    db.session.commit()
    form.tried.data = str(kept.uuid) if kept else ""
    return _ask(form, status, **context)


def _searched(form: ConnectForm, search: SettingsSearch) -> dict[str, Any]:
    """Fills in what the search proposes, once it has ended."""
    if search.state in (ConnectionTestState.WAITING, ConnectionTestState.RUNNING):
        return {"search": search}
    found: Proposal = proposals.proposal(db.session(), search)
    if found.service is not None:
        form.service.data = str(found.service.id)
    elif found.other is not None:
        form.fill_in(found.other)
    return {"search": search, "proposal": found, "search_words": found_settings.words(search)}


def _watched(test: ConnectionTest, *, in_form: bool = False) -> dict[str, Any]:
    watched = {"test": test, "steps": shown_steps(test), "version": _version(test)}
    if test.state is ConnectionTestState.FAILED:
        watched["report"] = connection_report.report(test)
    return {**watched, "in_form": in_form}


def _version(test: ConnectionTest) -> str:
    return f"{test.state.value}-{len(test.steps)}"


def _tried() -> ConnectionTest | None:
    name = _uuid(request.values.get("tried", ""))
    if name is None:
        return None
    return connection_tests.earlier_try(db.session(), person(), name, now())


def _typed(tried: ConnectionTest) -> dict[str, object]:
    typed: dict[str, object] = {"tried": str(tried.uuid)}
    if tried.purpose is ConnectionPurpose.KEPT:
        return typed
    typed |= {
        "address": tried.address,
        "service": str(tried.service_id),
        "login": tried.login,
        "smtp_login": tried.smtp_login,
    }
    if tried.own_servers is None:
        return typed
    typed["service"] = OTHER
    for protocol in Protocol:
        typed[f"{protocol}_server"] = tried.own_servers.address(protocol).shown
        typed[f"{protocol}_security"] = tried.own_servers.security(protocol).name
        typed[f"{protocol}_non_standard"] = tried.own_servers.non_standard(protocol)
    return typed


def _uuid(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None


def _number(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise RefusedError("service", "service_not_choosable")
    return int(text)
