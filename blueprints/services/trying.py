"""What the window can try out before anything is saved: *Test connection*, *Find settings*.

Both run in the worker and are watched by the window. Without JavaScript the whole form travels
with each look, so that nothing typed is lost.
"""

import uuid
from typing import Any

from flask import Response, make_response, request
from flask.typing import ResponseReturnValue

from blueprints.services.area import blueprint
from blueprints.services.forms import ServiceForm
from blueprints.services.window import Window, ask, form_of
from domain import connecting, connection_tests, searching, services
from domain.errors import NotFoundError
from mail.errors import RuleError
from mail.server_string import Protocol
from models import db
from models.mailboxes import ConnectionTest, ConnectionTestState, SettingsSearch
from models.services import LoginForm, MailService, OwnServers
from web import found_settings
from web.access import administrator
from web.connection_steps import shown_steps
from web.fragments import fragment, is_fragment
from web.house import ring, tasks
from web.ids import row_id
from web.server_fields import server_settings
from web.viewer import now, person


@blueprint.post("/test")
@administrator
def test() -> ResponseReturnValue:
    """Tries what the form holds, saved or not; asked again without htmx, looks how far it is."""
    service = _edited()
    form = form_of(service)
    begun = _uuid(request.form.get("look", ""))
    if begun is not None:
        own = connection_tests.find(db.session(), person(), begun)
        return ask(form, service, 200, **_tested(own))
    try:
        started = _begin(form, service)
    except RuleError as error:
        form.refuse(error)
        started = None
    if started is None:
        return _at_the_fields(form, service)
    db.session.commit()
    tasks().connection_test(started.id)
    if is_fragment():
        return fragment("services/_test.html", **_tested(started))
    return ask(form, service, 200, **_tested(started))


@blueprint.get("/tests/<uuid:test_uuid>")
@administrator
def watch_test(test_uuid: uuid.UUID) -> ResponseReturnValue:
    own = connection_tests.find(db.session(), person(), test_uuid)
    tested = _tested(own)
    if request.args.get("shown") == tested["test_version"]:
        return Response(status=204)
    return fragment("services/_test.html", **tested)


@blueprint.post("/find")
@administrator
def find() -> ResponseReturnValue:
    """Looks for a domain's servers; asked again without htmx, fills in what was found."""
    service = _edited()
    form = form_of(service)
    if not isinstance(form, ServiceForm):
        raise NotFoundError
    begun = _uuid(request.form.get("look", ""))
    if begun is not None:
        own = searching.find(db.session(), person(), begun)
        _fill_in(form, own)
        return ask(form, service, 200, **_searched(own))
    try:
        own = searching.begin(db.session(), person(), form.find_domain.data or "", now())
    except RuleError as error:
        form.find_domain.errors = []
        form.refuse(error)
        if is_fragment():
            return fragment("services/_find.html", 422, form=form)
        return ask(form, service, 422)
    db.session.commit()
    tasks().search(own.id)
    if is_fragment():
        return fragment("services/_find.html", form=form, **_searched(own))
    return ask(form, service, 200, **_searched(own))


@blueprint.get("/searches/<uuid:search_uuid>")
@administrator
def watch_search(search_uuid: uuid.UUID) -> ResponseReturnValue:
    own = searching.find(db.session(), person(), search_uuid)
    if own.state in (ConnectionTestState.WAITING, ConnectionTestState.RUNNING):
        return Response(status=204)
    form = ServiceForm(formdata=None, data={"find_domain": own.domain})
    _fill_in(form, own)
    return fragment("services/_found.html", form=form, **_searched(own))


def _begin(form: Window, service: MailService | None) -> ConnectionTest | None:
    """None when a field is wrong that the test needs. Raises RuleError."""
    servers: MailService | OwnServers
    if isinstance(form, ServiceForm):
        if form.refused_file is not None:
            raise form.refused_file
        names = [f"{one.value}_{kind}" for one in Protocol for kind in ("server", "security")]
        names += ["ca_file", "imap_login_form", "smtp_login_form"]
        if not all([form[name].validate(form) for name in names]):  # noqa: C419 - each
            return None
        servers = services.own_servers(
            server_settings(form, Protocol.IMAP),
            server_settings(form, Protocol.SMTP),
            form.ca_pem.data or "",
        )
        login_forms = (
            LoginForm[form.imap_login_form.data],
            LoginForm[form.smtp_login_form.data],
        )
    elif service is not None:
        servers, login_forms = service, (service.imap_login_form, service.smtp_login_form)
    else:
        raise NotFoundError
    return connecting.begin_try(
        db.session(),
        person(),
        servers,
        login=form.test_login.data or "",
        password=form.test_password.data or "",
        login_forms=login_forms,
        ring=ring(),
        now=now(),
    )


def _at_the_fields(form: Window, service: MailService | None) -> ResponseReturnValue:
    """What is wrong stands at its field, so the window is shown anew."""
    response = make_response(ask(form, service, 422))
    response.headers["HX-Retarget"] = "#window"
    response.headers["HX-Reswap"] = "innerHTML"
    return response


def _edited() -> MailService | None:
    """The service whose window it is; None in that of a new one. Raises NotFoundError."""
    edited = request.form.get("of", "")
    if not edited:
        return None
    return services.find(db.session(), row_id(edited))


def _tested(own: ConnectionTest) -> dict[str, Any]:
    found = own.findings.get(own.failed_protocol, {})
    return {
        "test": own,
        "shown_certificates": connection_tests.certificates(found),
        "steps": shown_steps(own),
        "test_version": f"{own.state.value}-{len(own.steps)}",
    }


def _searched(own: SettingsSearch) -> dict[str, Any]:
    return {"search": own, "search_words": found_settings.words(own)}


def _fill_in(form: ServiceForm, search: SettingsSearch) -> None:
    for protocol, server in search.found.items():
        form[f"{protocol}_server"].data = server["server"]
        form[f"{protocol}_security"].data = server["security"]
        form[f"{protocol}_non_standard"].data = server["non_standard"]
        form[f"{protocol}_login_form"].data = server["login_form"]


def _uuid(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None
