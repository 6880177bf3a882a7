"""What real servers say to *Test connection*, to a new password, and to who typed them."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from domain import connecting, connection_tests, services
from domain.secrets import KeyRing
from domain.services import ServerSettings
from jobs.connecting import run_test
from jobs.context import Job
from mail import diagnosis
from mail.security import Security
from mail.server_string import ServerAddress
from models import (
    ConnectionTest,
    ConnectionTestState,
    LoginForm,
    Mailbox,
    MailService,
    OwnServers,
    User,
)
from tests.jobs.conftest import Connect
from tests.servers.mail_system import PASSWORD, MailSystem

pytestmark = [pytest.mark.dovecot, pytest.mark.postfix, pytest.mark.xdist_group("servers")]

BOTH = (LoginForm.ADDRESS, LoginForm.ADDRESS)
LOOPBACK = "127.0.0.0/8"
OPENED = ["name", "port", "encryption", "certificate", "greeting"]
NONE, STARTTLS, TLS = Security.NONE, Security.STARTTLS, Security.TLS


def at(protocol: str, port: int, security: Security = TLS) -> ServerSettings:
    return ServerSettings(ServerAddress(f"{protocol}.firm.test", port), security)


@dataclass(frozen=True)
class Servers:
    """What somebody types: the firm's own servers, but for what is named."""

    firm: MailSystem

    def typed(
        self,
        imap: ServerSettings | None = None,
        smtp: ServerSettings | None = None,
        ca_pem: str | None = None,
    ) -> OwnServers:
        return services.own_servers(
            imap or at("imap", self.firm.imaps_port),
            smtp or at("smtp", self.firm.smtps_port),
            self.firm.ca_pem if ca_pem is None else ca_pem,
        )


@pytest.fixture
def job(job: Job) -> Job:
    """Loses patience sooner with a server that says nothing."""
    return replace(job, network=replace(job.network, command_seconds=2))


@pytest.fixture
def servers(firm: MailSystem) -> Servers:
    return Servers(firm)


Try = Callable[..., ConnectionTest]


@pytest.fixture
def tries(job: Job, alice: User, servers: Servers) -> Try:
    """Alice's *Test connection*, to its end."""

    def tries(login: str = "", password: str = "", **typed: object) -> ConnectionTest:
        test = begun(job, alice, servers.typed(**typed), login, password)  # type: ignore[arg-type]
        assert run_test(job, test.id) is None
        return now_is(job, test)

    return tries


def begun(
    job: Job, person: User, servers: MailService | OwnServers, login: str, password: str
) -> ConnectionTest:
    with job.step() as session:
        return connecting.begin_try(
            session,
            person,
            servers,
            login=login,
            password=password,
            login_forms=BOTH,
            ring=job.ring,
            now=job.clock(),
        )


def now_is(job: Job, test: ConnectionTest) -> ConnectionTest:
    with job.step() as session:
        return session.get_one(ConnectionTest, test.id)


def steps(test: ConnectionTest, protocol: str) -> list[str]:
    return [one["step"] for one in test.steps if one["protocol"] == protocol]


def mailboxes(job: Job) -> list[Mailbox]:
    with job.step() as session:
        return list(session.scalars(select(Mailbox)))


# --- Test connection ------------------------------------------------------------------------------


def test_without_a_login_it_ends_with_what_the_servers_offer_and_nobody_signs_in(
    job: Job, firm: MailSystem, tries: Try
) -> None:
    logs = [firm.folder / "log" / name for name in ("dovecot.log", "postfix.log")]
    before = [len(log.read_text()) for log in logs]
    test = tries()
    assert test.state is ConnectionTestState.SUCCEEDED
    for protocol in ("imap", "smtp"):
        assert steps(test, protocol) == [*OPENED, "capabilities"]
        assert sorted(test.findings[protocol]["mechanisms"]) == ["LOGIN", "PLAIN"]
    assert "IDLE" in test.findings["imap"]["extensions"]
    assert test.findings["smtp"]["extensions"] == ["SMTPUTF8"]
    assert test.findings["smtp"]["size_limit"] > 1_000_000
    said = "".join(log.read_text()[seen:] for log, seen in zip(logs, before, strict=True))
    assert "Login: user=" not in said
    assert "auth failed" not in said
    assert "sasl_" not in said
    assert mailboxes(job) == []


def test_with_a_login_it_goes_up_to_the_inbox_and_to_the_smtp_login_and_sends_nothing(
    job: Job, firm: MailSystem, tries: Try
) -> None:
    test = tries("bob@firm.test", PASSWORD)
    assert test.state is ConnectionTestState.SUCCEEDED
    assert steps(test, "imap") == [*OPENED, "login", "inbox"]
    assert steps(test, "smtp") == [*OPENED, "login"]
    assert all(one["ms"] >= 0 for one in test.steps)
    assert test.sealed_password == b""
    assert mailboxes(job) == []
    assert firm.messages("bob") == []


@pytest.mark.parametrize(
    ("login", "password", "typed", "cause"),
    [
        ("bob", "wrong", {}, "login_refused"),
        ("bob", PASSWORD, {"ca_pem": ""}, "certificate_untrusted"),
        ("bob", PASSWORD, {"smtp": at("smtp", 1)}, "connection_refused"),
        ("", "", {"imap": at("imap", 1)}, "connection_refused"),
    ],
)
def test_when_it_fails_its_password_is_forgotten(
    tries: Try, login: str, password: str, typed: dict[str, object], cause: str
) -> None:
    test = tries(login, password, **typed)
    assert (test.state, test.cause) == (ConnectionTestState.FAILED, cause)
    assert test.sealed_password == b""


def test_when_it_breaks_here_its_password_is_forgotten(
    job: Job, alice: User, servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(*_: object) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(diagnosis, "try_imap", breaks)
    test = begun(job, alice, servers.typed(), "bob", PASSWORD)
    with pytest.raises(RuntimeError):
        run_test(job, test.id)
    test = now_is(job, test)
    assert (test.state, test.sealed_password) == (ConnectionTestState.FAILED, b"")


def test_when_the_key_is_lost_its_password_is_forgotten(
    job: Job, alice: User, servers: Servers
) -> None:
    test = begun(job, alice, servers.typed(), "bob", PASSWORD)
    lost = KeyRing(current="2", keys={"2": b"s" * 32})
    assert run_test(replace(job, ring=lost), test.id) is None
    test = now_is(job, test)
    assert (test.state, test.cause, test.sealed_password) == (
        ConnectionTestState.FAILED,
        "secret_lost",
        b"",
    )


@pytest.mark.parametrize("taken", [False, True], ids=["waiting", "running"])
def test_one_that_nobody_made_in_ten_minutes_ends_and_its_password_is_forgotten(
    job: Job, alice: User, servers: Servers, taken: bool
) -> None:
    test = begun(job, alice, servers.typed(), "bob", PASSWORD)
    if taken:
        with job.step() as session:
            connection_tests.claim(session, test.id, job.ring)
    for minutes, ended in ((9, False), (10, True)):
        with job.step() as session:
            connection_tests.end_old(session, test.created_at + timedelta(minutes=minutes))
        found = now_is(job, test)
        assert (found.state is ConnectionTestState.FAILED) is ended
        assert (found.sealed_password == b"") is ended
    assert run_test(job, test.id) is None
    assert now_is(job, test).steps == []


def test_a_password_kept_for_a_correction_is_forgotten_after_ten_minutes(
    job: Job, bob: User, connect: Connect
) -> None:
    test = connect(bob, "wrong")
    assert test.sealed_password != b""
    for minutes, gone in ((9, False), (10, True)):
        with job.step() as session:
            connection_tests.forget_old_passwords(
                session, test.created_at + timedelta(minutes=minutes)
            )
        assert (now_is(job, test).sealed_password == b"") is gone


@pytest.mark.parametrize(
    ("protocol", "port", "chosen", "right", "login"),
    [
        ("imap", "imaps_port", STARTTLS, "TLS", "bob"),
        ("imap", "imaps_port", NONE, "TLS", ""),
        ("imap", "imap_port", TLS, "STARTTLS", "bob"),
        ("imap", "imap_port", TLS, "STARTTLS", ""),
        ("smtp", "smtps_port", STARTTLS, "TLS", ""),
        ("smtp", "submission_port", TLS, "STARTTLS", "bob"),
        ("smtp", "submission_port", NONE, "STARTTLS", ""),
        ("smtp", "smtp_port", STARTTLS, "NONE", "bob"),
        ("smtp", "smtp_port", TLS, "NONE", ""),
    ],
)
def test_in_place_of_the_wrong_security_the_right_one_is_proposed(
    firm: MailSystem,
    tries: Try,
    protocol: str,
    port: str,
    chosen: Security,
    right: str,
    login: str,
) -> None:
    def with_security(security: Security) -> ConnectionTest:
        typed = {protocol: at(protocol, getattr(firm, port), security)}
        return tries(login, PASSWORD if login else "", **typed)

    test = with_security(chosen)
    assert (test.state, test.failed_protocol) == (ConnectionTestState.FAILED, protocol)
    assert test.findings[protocol] == {"right_security": right}
    assert with_security(Security[right]).state is ConnectionTestState.SUCCEEDED


def test_of_an_issuer_whom_nobody_knows_the_certificates_are_shown(
    firm: MailSystem, tries: Try
) -> None:
    test = tries("bob", PASSWORD, ca_pem="")
    assert (test.failed_protocol, test.failed_step) == ("imap", "certificate")
    (shown,) = connection_tests.certificates(test.findings["imap"])
    assert "imap.firm.test" in shown.subject
    assert "Firm demo CA" in shown.issuer
    assert shown.not_before < test.created_at < shown.not_after
    assert len(shown.fingerprint.replace(":", "")) == 64


def test_an_employee_who_connects_is_shown_neither(job: Job, bob: User, connect: Connect) -> None:
    test = connect(bob, ca_pem="")
    assert (test.cause, test.findings) == ("certificate_untrusted", {})
