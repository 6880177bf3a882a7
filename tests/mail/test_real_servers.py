"""What a real Dovecot and a real Postfix say, hear and keep."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from mail.certificates import facts, presented
from mail.connection import Credentials, Network, Server
from mail.diagnosis import probe, right_security, steps_for, try_imap, try_smtp
from mail.imap import client
from mail.imap.client import ImapSession, open_session
from mail.security import Security
from mail.server_errors import Cause, MailServerError, Step
from mail.server_string import Protocol
from mail.smtp import SmtpSession, open_smtp
from tests.servers.mail_system import PASSWORD, MailSystem
from tests.servers.scripted import closed_port, identity
from tests.waiting import until

pytestmark = [pytest.mark.dovecot, pytest.mark.postfix, pytest.mark.xdist_group("servers")]

ALICE = Credentials("alice", PASSWORD)
CAROL = Credentials("carol", PASSWORD)
WHEN = datetime(2024, 7, 17, 2, 44, 25, tzinfo=UTC)
# Everything that goes wrong when somebody takes a message apart and puts it together again.
LETTER = (
    b"From: Bob <bob@firm.test>\r\nTo: carol@firm.test\r\n"
    b"Date: Wed, 17 Jul 2024 02:44:25 +0000\r\nX-Wide:    spaces \r\n"
    b"Message-ID: <letter-1@firm.test>\r\nSubject: " + b"long " * 190 + b"\r\n\tfolded\r\n"
    b"Content-Type: text/plain; charset=utf-8\r\n\r\n"
    b"From me\r\n.dot\r\n.\r\n..\r\n{3}\r\n)\r\n" + "Привет".encode() + b"\xff\r\n\r\n\r\n"
)
TRY = {Protocol.IMAP: try_imap, Protocol.SMTP: try_smtp}
PORTS = {
    (Protocol.IMAP, Security.NONE): "imap_port",
    (Protocol.IMAP, Security.STARTTLS): "imap_port",
    (Protocol.IMAP, Security.TLS): "imaps_port",
    (Protocol.SMTP, Security.NONE): "smtp_port",
    (Protocol.SMTP, Security.STARTTLS): "submission_port",
    (Protocol.SMTP, Security.TLS): "smtps_port",
}
ENCRYPTED = [pair for pair in PORTS if pair[1] is not Security.NONE]


@pytest.fixture
def network(firm: MailSystem) -> Network:
    hosts = Network.parse_hosts(f"{firm.hosts},pop.firm.test=127.0.0.1")
    return Network(hosts=hosts, connect_seconds=5, command_seconds=5)


def server_of(firm: MailSystem, protocol: Protocol, security: Security, **changed: Any) -> Server:
    port = getattr(firm, PORTS[protocol, security])
    return replace(
        Server(protocol, f"{protocol}.firm.test", port, security, firm.ca_pem), **changed
    )


def attempt(
    server: Server, network: Network, credentials: Credentials = ALICE
) -> tuple[list[Step], MailServerError | None]:
    """The steps that succeeded, and why the next one did not."""
    steps = list[Step]()
    try:
        TRY[server.protocol](server, credentials, network, steps.append)
    except MailServerError as error:
        return steps, error
    return steps, None


def stops_at(
    step: Step,
    cause: Cause,
    server: Server,
    network: Network,
    credentials: Credentials = ALICE,
) -> MailServerError:
    """All steps before it succeed."""
    steps, error = attempt(server, network, credentials)
    assert error is not None
    assert (error.step, error.cause) == (step, cause)
    announced = steps_for(server)
    assert tuple(steps) == announced[: announced.index(step)]
    return error


# ---- Connecting ------------------------------------------------------------------------------


@pytest.mark.parametrize(("protocol", "security"), PORTS)
def test_every_security_works(
    firm: MailSystem, network: Network, protocol: Protocol, security: Security
) -> None:
    server = server_of(firm, protocol, security)
    steps, error = attempt(server, network)
    assert error is None
    assert tuple(steps) == steps_for(server)


@pytest.mark.parametrize(("protocol", "security"), PORTS)
def test_a_wrong_password(
    firm: MailSystem, network: Network, protocol: Protocol, security: Security
) -> None:
    server = server_of(firm, protocol, security)
    wrong = replace(ALICE, password="wrong")
    error = stops_at(Step.LOGIN, Cause.LOGIN_REFUSED, server, network, wrong)
    assert not error.temporary
    assert "wrong" not in error.server_words


@pytest.mark.parametrize(("protocol", "security"), ENCRYPTED)
@pytest.mark.parametrize("trusted", ["nobody", "others"])
def test_a_certificate_of_an_unknown_authority(
    firm: MailSystem, network: Network, protocol: Protocol, security: Security, trusted: str
) -> None:
    ca_pem = identity("others").ca_pem if trusted == "others" else None
    server = server_of(firm, protocol, security, ca_pem=ca_pem)
    stops_at(Step.CERTIFICATE, Cause.CERTIFICATE_UNTRUSTED, server, network)


@pytest.mark.parametrize(("protocol", "security"), ENCRYPTED)
def test_a_certificate_for_another_name(
    firm: MailSystem, network: Network, protocol: Protocol, security: Security
) -> None:
    server = server_of(firm, protocol, security, host="pop.firm.test")
    stops_at(Step.CERTIFICATE, Cause.CERTIFICATE_WRONG_NAME, server, network)


@pytest.mark.parametrize("protocol", Protocol)
def test_a_closed_port_and_an_unknown_name(
    firm: MailSystem, network: Network, protocol: Protocol, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closed_port() as port:
        server = server_of(firm, protocol, Security.TLS, port=port)
        stops_at(Step.PORT, Cause.CONNECTION_REFUSED, server, network)

    def unknown(*args: object, **kwargs: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    server = server_of(firm, protocol, Security.TLS, host="nowhere.firm.test")
    stops_at(Step.NAME, Cause.NAME_NOT_FOUND, server, network)


@pytest.mark.parametrize("protocol", Protocol)
def test_tls_with_a_server_that_speaks_none(
    firm: MailSystem, network: Network, protocol: Protocol
) -> None:
    port = getattr(firm, PORTS[protocol, Security.NONE])
    server = server_of(firm, protocol, Security.TLS, port=port)
    stops_at(Step.ENCRYPTION, Cause.NOT_TLS, server, network)


@pytest.mark.parametrize("protocol", Protocol)
@pytest.mark.parametrize("security", [Security.NONE, Security.STARTTLS])
def test_no_tls_with_a_server_that_waits_for_it(
    firm: MailSystem, network: Network, protocol: Protocol, security: Security
) -> None:
    port = getattr(firm, PORTS[protocol, Security.TLS])
    server = server_of(firm, protocol, security, port=port)
    quick = replace(network, command_seconds=0.3)
    stops_at(Step.GREETING, Cause.TLS_WANTED, server, quick)


def test_starttls_with_a_server_that_does_not_offer_it(firm: MailSystem, network: Network) -> None:
    server = server_of(firm, Protocol.SMTP, Security.STARTTLS, port=firm.smtp_port)
    stops_at(Step.ENCRYPTION, Cause.STARTTLS_MISSING, server, network)


def test_no_encryption_with_a_server_that_wants_it_for_passwords(
    firm: MailSystem, network: Network
) -> None:
    server = server_of(firm, Protocol.SMTP, Security.NONE, port=firm.submission_port)
    stops_at(Step.LOGIN, Cause.AUTH_MISSING, server, network)
    with pytest.raises(MailServerError) as caught:
        probe(server, network)
    assert (caught.value.step, caught.value.cause) == (Step.CAPABILITIES, Cause.AUTH_MISSING)


@pytest.mark.parametrize("security", Security)
@pytest.mark.parametrize("stands_at", Security)
@pytest.mark.parametrize(
    ("protocol", "cause"),
    [(Protocol.IMAP, Cause.SMTP_ANSWERS), (Protocol.SMTP, Cause.IMAP_ANSWERS)],
)
def test_a_server_of_the_other_protocol_is_named(
    firm: MailSystem,
    network: Network,
    protocol: Protocol,
    cause: Cause,
    security: Security,
    stands_at: Security,
) -> None:
    port = getattr(firm, PORTS[protocol.other, stands_at])
    server = server_of(firm, protocol, security, port=port)
    tls = (security is Security.TLS, stands_at is Security.TLS)
    step = Step.ENCRYPTION if tls == (True, False) else Step.GREETING
    error = stops_at(step, cause, server, replace(network, command_seconds=0.5))
    assert error.server_words == ""


@pytest.mark.parametrize(("protocol", "security"), PORTS)
def test_without_a_login_a_server_says_what_it_offers(
    firm: MailSystem, network: Network, protocol: Protocol, security: Security
) -> None:
    server, steps = server_of(firm, protocol, security), list[Step]()
    offers = probe(server, network, steps.append)
    assert tuple(steps) == steps_for(server, login=False)
    assert offers.mechanisms == ("LOGIN", "PLAIN")
    if protocol is Protocol.IMAP:
        assert (offers.extensions, offers.size_limit) == (("IDLE",), None)
    else:
        assert (offers.extensions, offers.size_limit) == (("SMTPUTF8",), 10_240_000)


@pytest.mark.parametrize(
    ("protocol", "stands_at", "tried", "right"),
    [
        (Protocol.IMAP, Security.TLS, Security.NONE, Security.TLS),
        (Protocol.IMAP, Security.TLS, Security.STARTTLS, Security.TLS),
        (Protocol.IMAP, Security.STARTTLS, Security.TLS, Security.STARTTLS),
        (Protocol.IMAP, Security.STARTTLS, Security.NONE, Security.STARTTLS),
        (Protocol.SMTP, Security.TLS, Security.NONE, Security.TLS),
        (Protocol.SMTP, Security.TLS, Security.STARTTLS, Security.TLS),
        (Protocol.SMTP, Security.STARTTLS, Security.TLS, Security.STARTTLS),
        (Protocol.SMTP, Security.STARTTLS, Security.NONE, Security.STARTTLS),
        (Protocol.SMTP, Security.NONE, Security.TLS, Security.NONE),
        (Protocol.SMTP, Security.NONE, Security.STARTTLS, Security.NONE),
        (Protocol.SMTP, Security.NONE, Security.NONE, None),
    ],
)
@pytest.mark.parametrize("trusted", [True, False])
def test_the_right_security_of_a_port_is_found(
    firm: MailSystem,
    network: Network,
    protocol: Protocol,
    stands_at: Security,
    tried: Security,
    right: Security | None,
    trusted: bool,
) -> None:
    port = getattr(firm, PORTS[protocol, stands_at])
    ca_pem = firm.ca_pem if trusted else None
    server = server_of(firm, protocol, tried, port=port, ca_pem=ca_pem)
    assert right_security(server, network) is right


@pytest.mark.parametrize(("protocol", "security"), ENCRYPTED)
def test_a_certificate_is_shown_to_who_does_not_trust_it(
    firm: MailSystem, network: Network, protocol: Protocol, security: Security
) -> None:
    server = server_of(firm, protocol, security, ca_pem=None, host="pop.firm.test")
    own = (firm.folder / "tls/server.pem").read_text()
    assert presented(server, network) == facts(own)


# ---- Sending ---------------------------------------------------------------------------------


@pytest.fixture
def send_as_alice(firm: MailSystem, network: Network) -> Callable[[], SmtpSession]:
    server = server_of(firm, Protocol.SMTP, Security.TLS)
    return lambda: open_smtp(server, ALICE, network)


def nothing() -> None:
    """Nobody wants to know that content begins."""


def delivered(firm: MailSystem, login: str, count: int) -> list[bytes]:
    """What arrived, without what was put on top, and with the ends of lines that were sent."""
    found = until(lambda: many if len(many := firm.messages(login)) >= count else [])
    assert len(found) == count
    return [raw.replace(b"\n", b"\r\n").partition(b"\r\nFrom: ")[2] for raw in found]


def marked(text: bytes) -> bytes:
    return b"From: alice@firm.test\r\nSubject: " + text + b"\r\n\r\n" + text + b"\r\n"


def test_a_letter_arrives_to_the_byte_and_unknown_recipients_are_named(
    firm: MailSystem, send_as_alice: Callable[[], SmtpSession]
) -> None:
    with send_as_alice() as smtp:
        nobody, outside = "nobody@firm.test", "carol@elsewhere.example"
        recipients = [nobody, "carol@firm.test", outside, "кэрол@firm.test"]
        results = smtp.envelope("alice@firm.test", recipients, size=len(LETTER))
        assert results["carol@firm.test"].accepted
        for address, status in ((nobody, "5.1.1"), (outside, "5.1.2"), (recipients[3], "5.1.1")):
            assert (results[address].code, results[address].accepted) == (550, False)
            assert results[address].words.startswith(status)
        reply = smtp.data(LETTER, nothing)
        assert reply.accepted
        assert "queued" in reply.words
    (arrived,) = delivered(firm, "carol", 1)
    assert b"From: " + arrived == LETTER


def test_bare_ends_of_lines_and_dots_end_no_message(
    firm: MailSystem, send_as_alice: Callable[[], SmtpSession]
) -> None:
    raw = b"From: alice@firm.test\r\n\r\n.\na\n.\r\nb\r\n.\nRSET\r\n.\rc"
    with send_as_alice() as smtp:
        smtp.envelope("alice@firm.test", ["carol@firm.test"])
        assert smtp.data(raw, nothing).accepted
        smtp.envelope("alice@firm.test", ["carol@firm.test"])
        assert smtp.data(marked(b"second"), nothing).accepted
    first, second = sorted(delivered(firm, "carol", 2))
    assert first.endswith(b"\r\n\r\n.\r\na\r\n.\r\nb\r\n.\r\nRSET\r\n.\r\nc\r\n")
    assert second.endswith(b"\r\n\r\nsecond\r\n")


def test_what_happens_before_the_content_can_stop_it(
    firm: MailSystem, send_as_alice: Callable[[], SmtpSession]
) -> None:
    seen = list[list[bytes]]()

    def stop() -> None:
        seen.append(firm.messages("carol"))
        raise KeyError("full disk")

    def send() -> None:
        with send_as_alice() as smtp:
            smtp.envelope("alice@firm.test", ["carol@firm.test"])
            smtp.data(marked(b"never"), stop)

    with pytest.raises(KeyError):
        send()
    with send_as_alice() as smtp:
        smtp.envelope("alice@firm.test", ["carol@firm.test"])
        assert smtp.data(marked(b"after"), nothing).accepted
    assert seen == [[]]
    (arrived,) = delivered(firm, "carol", 1)
    assert b"after" in arrived


def test_content_without_a_recipient_does_not_begin(
    send_as_alice: Callable[[], SmtpSession],
) -> None:
    with send_as_alice() as smtp:
        smtp.envelope("alice@firm.test", ["nobody@firm.test"])
        with pytest.raises(MailServerError) as caught:
            smtp.data(LETTER, lambda: pytest.fail("content began"))
        assert (caught.value.cause, caught.value.started) == (Cause.REFUSED, False)
        # The refusal was of this message only.
        smtp.envelope("alice@firm.test", ["carol@firm.test"])
        assert smtp.data(LETTER, nothing).accepted


# ---- Receiving -------------------------------------------------------------------------------


@pytest.fixture
def read_as_carol(firm: MailSystem, network: Network) -> Callable[[], ImapSession]:
    server = server_of(firm, Protocol.IMAP, Security.TLS)
    return lambda: open_session(server, CAROL, network)


@pytest.fixture
def carol(read_as_carol: Callable[[], ImapSession]) -> Iterator[ImapSession]:
    with read_as_carol() as session:
        yield session


@pytest.fixture
def elsewhere(read_as_carol: Callable[[], ImapSession]) -> Iterator[ImapSession]:
    """Carol at another machine."""
    with read_as_carol() as session:
        yield session


def expunge(session: ImapSession, *uids: int) -> None:
    session.add_flags(uids, ["\\Deleted"])
    session._wire.ask("EXPUNGE", "EXPUNGE")


def test_folders_of_any_language_and_what_they_are_for(carol: ImapSession) -> None:
    name = 'Отчёты/Июль & "Август" \\ 100%'
    carol.create(name)
    carol.create(name)
    found = {one.name: one for one in carol.folders()}
    assert {one.role: one.name for one in found.values() if one.role} == {
        "sent": "Sent",
        "drafts": "Drafts",
        "trash": "Trash",
    }
    assert {"INBOX", name} <= found.keys()
    assert (found[name].delimiter, found[name].selectable) == ("/", True)
    assert carol.append(name, LETTER) == 1
    assert carol.select(name, readonly=True).exists == 1
    assert carol.statuses()[name].exists == 1


def test_a_folder_that_is_not_there(carol: ImapSession) -> None:
    for action in (
        lambda: carol.select("Nowhere", readonly=True),
        lambda: carol.status("Nowhere"),
        lambda: carol.append("Nowhere", LETTER),
    ):
        with pytest.raises(MailServerError) as caught:
            action()
        assert caught.value.cause is Cause.REFUSED
    carol.noop()


def test_a_message_comes_back_to_the_byte(carol: ImapSession) -> None:
    large = LETTER + b"x" * 70 * 1000 + b"\r\n"
    assert carol.append("INBOX", LETTER, ["\\Seen", "$Label1"], WHEN) == 1
    assert carol.append("INBOX", large) == 2
    status = carol.select("INBOX", readonly=True)
    assert (status.exists, status.uid_next, status.unseen) == (2, 3, None)
    first, second = sorted(carol.fetch([1, 2, 77]), key=lambda one: one.uid)
    assert (first.uid, first.raw, first.size) == (1, LETTER, len(LETTER))
    assert first.flags == {"\\Seen", "$Label1"}
    assert first.internal_date == WHEN
    assert (second.uid, second.raw, second.flags) == (2, large, frozenset())
    assert abs(second.internal_date - datetime.now(UTC)).total_seconds() < 60
    assert carol.uids() == [1, 2]


def test_reading_marks_nothing_as_read(carol: ImapSession) -> None:
    carol.append("INBOX", LETTER)
    carol.select("INBOX", readonly=False)
    list(carol.fetch([1]))
    assert carol.flags() == {1: frozenset()}


def test_flags_are_changed_and_only_changes_are_told(
    carol: ImapSession, elsewhere: ImapSession
) -> None:
    for _ in range(3):
        carol.append("INBOX", LETTER)
    before = carol.select("INBOX", readonly=False).highest_modseq
    assert before is not None
    assert carol.flags(changed_since=before) == {}
    elsewhere.select("INBOX", readonly=False)
    elsewhere.add_flags([2, 3, 77], ["\\Seen", "$Label1"])
    elsewhere.remove_flags([3], ["\\Seen"])
    carol.noop()
    assert carol.flags(changed_since=before) == {2: {"\\Seen", "$Label1"}, 3: {"$Label1"}}
    assert carol.flags([1, 3, 77]) == {1: frozenset(), 3: {"$Label1"}}
    assert carol.flags().keys() == {1, 2, 3}
    after = carol.select("INBOX", readonly=True).highest_modseq
    assert after is not None
    assert after > before


def test_a_folder_opened_for_reading_is_not_changed(carol: ImapSession) -> None:
    carol.append("INBOX", LETTER)
    carol.select("INBOX", readonly=True)
    carol.add_flags([1], ["\\Seen"])
    assert carol.flags() == {1: frozenset()}


def test_idle_notices_a_message(carol: ImapSession, elsewhere: ImapSession) -> None:
    assert carol.can_idle
    carol.select("INBOX", readonly=True)
    assert not carol.idle(0.1)
    arriving = threading.Thread(target=lambda: elsewhere.append("INBOX", LETTER))
    started = time.monotonic()
    arriving.start()
    assert carol.idle(10)
    assert time.monotonic() - started < 5
    arriving.join()
    assert carol.uids() == [1]


def test_a_message_is_found_by_its_message_id(carol: ImapSession) -> None:
    carol.append("INBOX", LETTER)
    carol.append("INBOX", LETTER.replace(b"letter-1", b"letter-2"))
    carol.append("INBOX", LETTER.replace(b"<letter-1@", b'<"a\\\\b"@'))
    carol.select("INBOX", readonly=True)
    assert carol.search_message_id("<letter-2@firm.test>") == [2]
    assert carol.search_message_id('<"a\\\\b"@firm.test>') == [3]
    assert carol.search_message_id("<letter-3@firm.test>") == []
    assert carol.search_message_id("<письмо@firm.test>") == []


def test_messages_that_are_expunged_meanwhile_are_skipped(
    carol: ImapSession, elsewhere: ImapSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "_PORTION", 1)
    for _ in range(4):
        carol.append("INBOX", LETTER)
    carol.select("INBOX", readonly=False)
    elsewhere.select("INBOX", readonly=False)
    coming = carol.fetch([1, 2, 3, 4])
    assert next(coming).uid == 1
    expunge(elsewhere, 1, 3)
    assert [one.uid for one in coming] == [2, 4]
    carol.noop()
    assert [one.uid for one in carol.fetch([1, 2, 3, 4])] == [2, 4]
    assert carol.flags([1, 2]) == {2: frozenset()}
    assert carol.uids() == [2, 4]


def test_statuses_tell_what_was_read(carol: ImapSession) -> None:
    carol.append("INBOX", LETTER)
    carol.append("INBOX", LETTER, ["\\Seen"])
    statuses = carol.statuses()
    assert statuses.keys() == {one.name for one in carol.folders()}
    inbox = statuses["INBOX"]
    assert (inbox.exists, inbox.unseen, inbox.uid_next) == (2, 1, 3)
    assert inbox == carol.status("INBOX")
    assert inbox.highest_modseq is not None
    assert (statuses["Sent"].exists, statuses["Sent"].unseen) == (0, 0)
