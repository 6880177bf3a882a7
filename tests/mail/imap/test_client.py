"""Receiving, against servers that play a script: what they say, what they hear, when they break."""

import base64
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from mail.connection import Credentials, Network, Server, UnsendableError
from mail.imap import client, wire
from mail.imap.client import ImapSession, RemoteMessage, open_session
from mail.security import Security
from mail.server_errors import Cause, MailServerError, Step
from mail.server_string import Protocol
from tests.servers.scripted import (
    IMAP_OFFERS,
    Script,
    ScriptedServer,
    Talk,
    greet_imap,
    identity,
    serving,
    welcome_imap,
)

NAME = "imap.firm.test"
NETWORK = Network(hosts={NAME: "127.0.0.1"}, connect_seconds=5, command_seconds=5)
QUICK = replace(NETWORK, command_seconds=0.3)
BOB = Credentials("bob", "geheim")
PLAIN = base64.b64encode(BOB.plain).decode()
FOLDER = ("* 3 EXISTS", "* OK [UIDVALIDITY 7] valid", "* OK [UIDNEXT 9] next")
NEWS = "* 2 FETCH (FLAGS (\\Seen))"  # of a message nobody asked about
DATE = '"01-Jul-2026 12:00:00 +0000"'
WHEN = datetime(2026, 7, 1, 12, tzinfo=UTC)


def open_at(
    server: ScriptedServer,
    security: Security = Security.NONE,
    *,
    credentials: Credentials = BOB,
    network: Network = NETWORK,
    **options: Any,
) -> ImapSession:
    ca_pem = identity().ca_pem
    wanted = Server(Protocol.IMAP, NAME, server.port, security, ca_pem=ca_pem)
    return open_session(wanted, credentials, network, **options)


def close(session: ImapSession) -> None:
    """Without a goodbye."""
    session._wire.line.close()


def fails(step: Step, cause: Cause, action: Callable[[], object]) -> MailServerError:
    with pytest.raises(MailServerError) as caught:
        action()
    assert (caught.value.step, caught.value.cause) == (step, cause)
    return caught.value


@contextmanager
def signed_in(
    script: Script, offers: str = IMAP_OFFERS, *, network: Network = NETWORK
) -> Iterator[tuple[ImapSession, ScriptedServer]]:
    """A session, and the server that goes on with the script."""

    def whole(talk: Talk) -> None:
        welcome_imap(talk, offers)
        if {"CONDSTORE", "ENABLE"} <= set(offers.split()):
            talk.answer("ENABLE CONDSTORE", "* ENABLED CONDSTORE")
        script(talk)

    with serving(whole) as server:
        session = open_at(server, network=network)
        try:
            yield session, server
        finally:
            close(session)


@contextmanager
def selected(
    script: Script, offers: str = IMAP_OFFERS, *, network: Network = NETWORK
) -> Iterator[tuple[ImapSession, ScriptedServer]]:
    """The same with a folder of three messages open."""

    def whole(talk: Talk) -> None:
        talk.answer("SELECT", *FOLDER)
        script(talk)

    with signed_in(whole, offers, network=network) as (session, server):
        session.select("INBOX", readonly=False)
        yield session, server


def silence(talk: Talk) -> None:
    """Says nothing until the client hangs up."""


def answering(expected: str, *lines: str, end: str = "OK done") -> Script:
    return lambda talk: talk.answer(expected, *lines, end=end)


# ---- The greeting ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "greeting",
    [
        b"220 smtp.firm.test ESMTP\r\n",
        b"HTTP/1.1 400 Bad Request\r\n",
        b"\r\n",
        b"* NO not today\r\n",
        b"* OKAY\r\n",
        b"P0 OK ready\r\n",
        b"+ OK ready\r\n",
        b"\xff\xfe\x00\r\n",
        b"* OK " + b"x" * 100_000,
    ],
)
def test_what_does_not_greet_like_imap_is_told_and_shown_nothing(greeting: bytes) -> None:
    with serving(lambda talk: talk.send(greeting)) as server:
        error = fails(Step.GREETING, Cause.BAD_GREETING, lambda: open_at(server))
        assert error.server_words == ""
        assert server.heard == b""


@pytest.mark.parametrize(
    ("greeting", "cause", "words"),
    [
        ("* BYE no mail \x1btoday", Cause.UNAVAILABLE, "no mail today"),
        ("* bye", Cause.UNAVAILABLE, ""),
        ("* BYE [THROTTLED] slower", Cause.THROTTLED, "[THROTTLED] slower"),
        ("* BYE too many connections", Cause.THROTTLED, "too many connections"),
    ],
)
def test_a_server_may_refuse_to_talk(greeting: str, cause: Cause, words: str) -> None:
    with serving(lambda talk: talk.say(greeting)) as server:
        error = fails(Step.GREETING, cause, lambda: open_at(server))
        assert error.server_words == words
        assert server.heard == b""


@pytest.mark.parametrize("security", [Security.NONE, Security.STARTTLS])
def test_nobody_is_signed_in_beforehand(security: Security) -> None:
    with serving(lambda talk: talk.say("* PREAUTH welcome bob")) as server:
        fails(Step.GREETING, Cause.PREAUTH, lambda: open_at(server, security))
        assert server.heard == b""


def test_a_server_that_does_not_greet() -> None:
    started = time.monotonic()
    with serving(silence) as server:
        fails(Step.GREETING, Cause.TIMED_OUT, lambda: open_at(server, network=QUICK))
        assert server.heard == b""
    assert 0.3 <= time.monotonic() - started < 2


def test_a_server_that_hangs_up_instead_of_a_greeting() -> None:
    with serving(Talk.cut) as server:
        fails(Step.GREETING, Cause.CLOSED, lambda: open_at(server))


@pytest.mark.parametrize(
    ("lines", "end", "cause"),
    [
        ((), "OK done", Cause.PROTOCOL_ERROR),
        (("* CAPABILITY ÜBER",), "OK done", Cause.PROTOCOL_ERROR),
        (("* BYE out",), "OK done", Cause.CLOSED),
        ((), "NO [UNAVAILABLE] later", Cause.UNAVAILABLE),
    ],
)
def test_a_server_that_does_not_say_what_it_offers(
    lines: tuple[str, ...], end: str, cause: Cause
) -> None:
    def script(talk: Talk) -> None:
        talk.say("* OK ready")
        talk.answer("CAPABILITY", *lines, end=end)

    with serving(script) as server:
        fails(Step.GREETING, cause, lambda: open_at(server))
        assert server.heard == b"P0 CAPABILITY\r\n"


# ---- Encryption ------------------------------------------------------------------------------


def agree(talk: Talk, *injected: str) -> None:
    """As far as the handshake."""
    greet_imap(talk, f"{IMAP_OFFERS} STARTTLS")
    talk.hear("STARTTLS")
    talk.say("* CAPABILITY LOGINDISABLED", f"{talk.tag} OK go on", *injected)
    talk.start_tls(identity())


def test_nothing_secret_is_said_before_starttls() -> None:
    def script(talk: Talk) -> None:
        agree(talk)
        talk.answer("CAPABILITY", f"* CAPABILITY {IMAP_OFFERS}")
        talk.answer(f"AUTHENTICATE PLAIN {PLAIN}")
        talk.answer("CAPABILITY", f"* CAPABILITY {IMAP_OFFERS}")

    steps = list[Step]()
    with serving(script) as server:
        close(open_at(server, Security.STARTTLS, on_step=steps.append))
        assert server.in_clear == b"P0 CAPABILITY\r\nP1 STARTTLS\r\n"
        assert PLAIN.encode() in server.encrypted
    assert steps == [
        Step.NAME, Step.PORT, Step.GREETING, Step.ENCRYPTION, Step.CERTIFICATE, Step.LOGIN
    ]  # fmt: skip


def test_with_tls_everything_is_encrypted() -> None:
    def script(talk: Talk) -> None:
        talk.start_tls(identity())
        welcome_imap(talk)

    with serving(script) as server:
        close(open_at(server, Security.TLS))
        assert server.in_clear == b""
        assert PLAIN.encode() in server.encrypted


def test_starttls_that_is_not_offered_is_an_error() -> None:
    with serving(greet_imap) as server:
        fails(Step.ENCRYPTION, Cause.STARTTLS_MISSING, lambda: open_at(server, Security.STARTTLS))
        assert server.heard == b"P0 CAPABILITY\r\n"


@pytest.mark.parametrize(
    ("end", "cause"),
    [
        ("NO not now", Cause.TLS_FAILED),
        ("NO [UNAVAILABLE] not now", Cause.UNAVAILABLE),
        ("BAD what", Cause.PROTOCOL_ERROR),
    ],
)
def test_starttls_that_is_refused_is_an_error(end: str, cause: Cause) -> None:
    def script(talk: Talk) -> None:
        greet_imap(talk, f"{IMAP_OFFERS} STARTTLS")
        talk.answer("STARTTLS", end=end)

    with serving(script) as server:
        fails(Step.ENCRYPTION, cause, lambda: open_at(server, Security.STARTTLS))
        assert server.heard == b"P0 CAPABILITY\r\nP1 STARTTLS\r\n"


@pytest.mark.parametrize("injected", ["* CAPABILITY AUTH=PLAIN", "P2 OK done", "+", ""])
def test_what_is_injected_before_the_handshake_is_an_attack(injected: str) -> None:
    with serving(lambda talk: agree(talk, injected)) as server:
        fails(Step.ENCRYPTION, Cause.STARTTLS_INJECTED, lambda: open_at(server, Security.STARTTLS))
        assert server.heard == b"P0 CAPABILITY\r\nP1 STARTTLS\r\n"


def test_a_certificate_nobody_trusts_hears_no_password() -> None:
    def script(talk: Talk) -> None:
        greet_imap(talk, f"{IMAP_OFFERS} STARTTLS")
        talk.answer("STARTTLS")
        talk.start_tls(identity("others"))

    with serving(script) as server:
        fails(
            Step.CERTIFICATE,
            Cause.CERTIFICATE_UNTRUSTED,
            lambda: open_at(server, Security.STARTTLS),
        )
        assert server.heard == b"P0 CAPABILITY\r\nP1 STARTTLS\r\n"


def test_what_was_offered_before_starttls_is_forgotten() -> None:
    def script(talk: Talk) -> None:
        agree(talk)
        talk.answer("CAPABILITY", "* CAPABILITY IMAP4rev1 LOGINDISABLED")

    with serving(script) as server:
        fails(Step.LOGIN, Cause.LOGIN_DISABLED, lambda: open_at(server, Security.STARTTLS))
        assert server.encrypted == b"P2 CAPABILITY\r\n"


# ---- Signing in ------------------------------------------------------------------------------


@pytest.mark.parametrize("letter", ["\r", "\n", "\0"])
@pytest.mark.parametrize("field", ["login", "password"])
def test_a_line_break_in_a_credential_reaches_nobody(letter: str, field: str) -> None:
    with serving(silence) as server:
        given = replace(BOB, **{field: f"bob{letter}P9 LOGOUT"})
        with pytest.raises(UnsendableError):
            open_at(server, credentials=given)
        assert not server.called


def test_a_password_of_any_letters_goes_out_in_utf_8() -> None:
    given = Credentials("боб@firm.test", "пароль ✓")
    with serving(welcome_imap) as server:
        close(open_at(server, credentials=given))
        sent = server.heard.splitlines()[1].removeprefix(b"P1 AUTHENTICATE PLAIN ")
    assert base64.b64decode(sent) == "\0боб@firm.test\0пароль ✓".encode()


def sign_in_later(talk: Talk, *answers: str) -> None:
    """A server that wants the message of PLAIN on a line of its own."""
    offers = "IMAP4rev1 AUTH=PLAIN"
    greet_imap(talk, offers)
    talk.hear("AUTHENTICATE PLAIN")
    tag = talk.tag
    for answer in answers:
        talk.say("+ ")
        talk.hear(answer)
    talk.say(f"{tag} {'OK' if len(answers) == 1 else 'NO'} done")
    talk.answer("CAPABILITY", f"* CAPABILITY {offers}")


def test_plain_waits_for_the_server_without_sasl_ir() -> None:
    with serving(lambda talk: sign_in_later(talk, PLAIN)) as server:
        close(open_at(server))
        assert server.heard.splitlines()[1:3] == [b"P1 AUTHENTICATE PLAIN", PLAIN.encode()]


def test_the_password_is_not_said_twice() -> None:
    with serving(lambda talk: sign_in_later(talk, PLAIN, "*")) as server:
        fails(Step.LOGIN, Cause.LOGIN_REFUSED, lambda: open_at(server))
        assert server.heard.count(PLAIN.encode()) == 1


def test_login_where_plain_is_not_offered() -> None:
    def script(talk: Talk) -> None:
        greet_imap(talk, "IMAP4rev1 AUTH=CRAM-MD5")
        talk.answer(r'LOGIN "bob \"the\" \\ boss" "ge%heim {3}"')
        talk.answer("CAPABILITY", "* CAPABILITY IMAP4rev1")

    given = Credentials(r'bob "the" \ boss', "ge%heim {3}")
    with serving(script) as server:
        close(open_at(server, credentials=given))
        assert len(server.heard.splitlines()) == 3


@pytest.mark.parametrize(
    ("offers", "given"),
    [
        ("IMAP4rev1 LOGINDISABLED", BOB),
        ("IMAP4rev1", Credentials("боб", "geheim")),
        ("IMAP4rev1", Credentials("bob", "пароль")),
    ],
)
def test_no_way_to_sign_in_with_a_password(offers: str, given: Credentials) -> None:
    with serving(lambda talk: greet_imap(talk, offers)) as server:
        fails(Step.LOGIN, Cause.LOGIN_DISABLED, lambda: open_at(server, credentials=given))
        assert server.heard == b"P0 CAPABILITY\r\n"


@pytest.mark.parametrize(
    ("end", "cause", "temporary"),
    [
        ("NO [AUTHENTICATIONFAILED] wrong", Cause.LOGIN_REFUSED, False),
        ("NO wrong", Cause.LOGIN_REFUSED, False),
        ("NO", Cause.LOGIN_REFUSED, False),
        ("NO [EXPIRED] old", Cause.LOGIN_REFUSED, False),
        ("NO [PRIVACYREQUIRED] encrypt", Cause.LOGIN_DISABLED, False),
        ("NO [ALERT] Application-specific password required", Cause.APP_PASSWORD_WANTED, False),
        ("NO [unavailable] later", Cause.UNAVAILABLE, True),
        ("NO [THROTTLED] slower", Cause.THROTTLED, True),
        ("NO [ALERT] too many simultaneous connections", Cause.THROTTLED, True),
        ("BAD what", Cause.PROTOCOL_ERROR, True),
        ("MAYBE", Cause.PROTOCOL_ERROR, True),
    ],
)
def test_why_a_login_fails(end: str, cause: Cause, temporary: bool) -> None:
    def script(talk: Talk) -> None:
        greet_imap(talk)
        talk.answer("AUTHENTICATE", end=end)

    with serving(script) as server:
        error = fails(Step.LOGIN, cause, lambda: open_at(server))
        assert error.temporary == temporary
        assert server.heard.endswith(f"P1 AUTHENTICATE PLAIN {PLAIN}\r\n".encode())


def test_a_server_that_leaves_instead_of_signing_in() -> None:
    def script(talk: Talk) -> None:
        greet_imap(talk)
        talk.answer("AUTHENTICATE", "* BYE [UNAVAILABLE] for today")

    with serving(script) as server:
        error = fails(Step.LOGIN, Cause.UNAVAILABLE, lambda: open_at(server))
        assert error.server_words == "[UNAVAILABLE] for today"


def test_a_server_that_repeats_the_password_is_not_quoted_and_nothing_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def script(talk: Talk) -> None:
        greet_imap(talk)
        talk.answer("AUTHENTICATE", end=f"NO no {PLAIN} and not geheim")

    caplog.set_level(logging.DEBUG)
    with serving(script) as server:
        error = fails(Step.LOGIN, Cause.LOGIN_REFUSED, lambda: open_at(server))
    assert error.server_words == "no *** and not ***"
    with signed_in(answering("NOOP")) as (session, _):
        session.noop()
        assert "NOOP" not in caplog.text
        kept = repr(vars(session._wire)) + repr(vars(session._client))
    for secret in (PLAIN, "geheim"):
        assert secret not in caplog.text
        assert secret not in kept


def test_news_of_flags_are_enabled_where_they_can_be() -> None:
    with signed_in(silence, f"{IMAP_OFFERS} ENABLE CONDSTORE IDLE") as (session, server):
        assert session.can_idle
        close(session)
        assert server.heard.endswith(b"ENABLE CONDSTORE\r\n")
    with signed_in(silence, f"{IMAP_OFFERS} CONDSTORE") as (session, server):
        assert not session.can_idle
        close(session)
        assert b"ENABLE" not in server.heard


# ---- Folders ---------------------------------------------------------------------------------


def test_folders_and_what_they_are_for() -> None:
    def script(talk: Talk) -> None:
        talk.hear('LIST "" "*" RETURN (SPECIAL-USE)')
        talk.say(
            r'* LIST (\HasNoChildren \Sent) "/" "Gesendet"',
            r'* LIST () "/" inbox',
            r'* LIST (\Noselect) NIL "&BB4EQgRHBFEEQgRL-"',
            r'* LIST () "/" 2026',
            r'* LIST (\Trash) "/" {6}',
        )
        talk.say('a"b\\c ', r'* LIST () "/" Gesendet', f"{talk.tag} OK done")

    with signed_in(script, f"{IMAP_OFFERS} SPECIAL-USE LIST-EXTENDED") as (session, _):
        folders = session.folders()
    assert [(one.name, one.delimiter, one.role, one.selectable) for one in folders] == [
        ("Gesendet", "/", "sent", True),
        ("INBOX", "/", None, True),
        ("Отчёты", None, None, False),
        ("2026", "/", None, True),
        ('a"b\\c ', "/", "trash", True),
    ]


def test_a_name_with_control_characters_is_left_out() -> None:
    def script(talk: Talk) -> None:
        talk.hear('LIST "" "*"')
        for raw in (b"a\r\nb", b"a\x07b", "a\x9fb".encode(), b"a&AAo-b", b"kept"):
            talk.send(b'* LIST () "/" {%d}\r\n%b\r\n' % (len(raw), raw))
        talk.say(f"{talk.tag} OK done")

    with signed_in(script) as (session, server):
        assert [one.name for one in session.folders()] == ["kept"]
        with pytest.raises(UnsendableError):
            session.select("a\r\nb", readonly=True)
        close(session)
        assert server.heard.endswith(b'LIST "" "*"\r\n')


@pytest.mark.parametrize("raw", [b"Entw&APw-rfe&", "Entwürfe".encode(), b"\xff", b"&AGE-"])
def test_a_folder_whose_name_is_badly_encoded_is_opened_all_the_same(raw: bytes) -> None:
    def script(talk: Talk) -> None:
        talk.hear("LIST")
        talk.send(b'* LIST () "/" "%b"\r\n' % raw)
        talk.say(f"{talk.tag} OK done")
        assert talk.hear_bytes(len(raw) + 15) == b'P4 EXAMINE "%b"\r\n' % raw
        talk.say(*FOLDER, "P4 OK done")

    with signed_in(script) as (session, _):
        (folder,) = session.folders()
        assert session.select(folder.name, readonly=True).exists == 3


def test_a_server_with_too_many_folders(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "FOLDERS_MOST", 3)
    lists = [f'* LIST () "/" {number}' for number in range(4)]
    for lines, session_lives in ((lists[:3], True), (lists, False)):
        with signed_in(answering("LIST", *lines)) as (session, _):
            if session_lives:
                assert len(session.folders()) == 3
            else:
                fails(Step.INBOX, Cause.PROTOCOL_ERROR, session.folders)


@pytest.mark.parametrize("readonly", [True, False])
def test_a_folder_is_opened(readonly: bool) -> None:
    def script(talk: Talk) -> None:
        command = "EXAMINE" if readonly else "SELECT"
        lines = (*FOLDER, "* OK [HIGHESTMODSEQ 42] changes", "* OK [UNSEEN 2] first")
        talk.answer(f'{command} "&BB4EQgRHBFEEQgRL-/a \\"b\\" &-"', *lines)

    with signed_in(script) as (session, _):
        status = session.select('Отчёты/a "b" &', readonly=readonly)
    assert (status.uid_validity, status.uid_next, status.exists) == (7, 9, 3)
    assert (status.highest_modseq, status.unseen) == (42, None)


def test_after_a_refusal_the_connection_works_on() -> None:
    def script(talk: Talk) -> None:
        talk.answer("SELECT", end="NO [NONEXISTENT] gone")
        talk.answer("SELECT", *FOLDER, end="OK [READ-ONLY] done")
        talk.answer("SELECT", *FOLDER, end="OK [READ-WRITE] done")

    with signed_in(script) as (session, _):
        error = fails(Step.INBOX, Cause.REFUSED, lambda: session.select("x", readonly=False))
        assert error.server_words == "[NONEXISTENT] gone"
        # A folder that can only be read is not one that can be changed.
        fails(Step.INBOX, Cause.REFUSED, lambda: session.select("x", readonly=False))
        assert session.select("y", readonly=False).exists == 3


@pytest.mark.parametrize(
    "lines",
    [
        FOLDER[:1],
        FOLDER[1:],
        ("* 3 EXISTS", "* OK [UIDVALIDITY 0] x"),
        ("* 3 EXISTS", "* OK [UIDVALIDITY many] x"),
        ("* 99999999999 EXISTS", "* OK [UIDVALIDITY 7] x"),
        (*FOLDER[:2], "* OK [UIDNEXT -1] x"),
    ],
)
def test_a_folder_that_is_opened_without_its_numbers(lines: tuple[str, ...]) -> None:
    with signed_in(answering("SELECT", *lines)) as (session, server):
        fails(Step.INBOX, Cause.PROTOCOL_ERROR, lambda: session.select("x", readonly=False))
        assert server.heard, "and the connection is closed"


@pytest.mark.parametrize("letter", ["\r", "\n", "\0", "\ud800"])
@pytest.mark.parametrize(
    "command",
    [
        lambda session, text: session.select(text, readonly=True),
        lambda session, text: session.status(text),
        lambda session, text: session.create(text),
        lambda session, text: session.append(text, b"x"),
        lambda session, text: session.append("INBOX", b"x", [text]),
        lambda session, text: session.search_message_id(text),
        lambda session, text: session.add_flags([1], [text]),
        lambda session, text: session.remove_flags([1], [text]),
    ],
    ids="select status create append append-flags search add-flags remove-flags".split(),
)
def test_what_would_be_a_second_command_is_not_sent(
    command: Callable[[ImapSession, str], object], letter: str
) -> None:
    with selected(answering("NOOP")) as (session, server):
        with pytest.raises(UnsendableError) as caught:
            command(session, f"geheim{letter}P9 LOGOUT")
        assert "geheim" not in str(caught.value)
        session.noop()
        close(session)
        assert server.heard.splitlines()[-2:] == [b'P3 SELECT "INBOX"', b"P4 NOOP"]


@pytest.mark.parametrize("letter", ["\r", "\n", "\0"])
def test_the_wire_itself_lets_no_line_break_pass(letter: str) -> None:
    with selected(answering("NOOP")) as (session, server):
        arguments: list[str | bytes] = [f"a{letter}b", f"a{letter}b".encode(), "ä"]
        for argument in arguments:
            with pytest.raises(UnsendableError):
                session._wire.ask("LIST", "LIST", '""', argument)
        session._wire.literal = b"left behind"  # type: ignore[assignment]  # typeshed is wrong
        with pytest.raises(UnsendableError):
            session._wire.ask("LIST", "LIST", '""', f"a{letter}b")
        session.noop()
        close(session)
        assert server.heard.splitlines()[-1] == b"P4 NOOP"


@pytest.mark.parametrize(
    "flag", ["", "a b", "(a", "a)", 'a"', "a]", "{3}", "*", "%", "\\", "ä", "a\x7f", "\\\\Seen"]
)
def test_a_flag_is_an_atom(flag: str) -> None:
    with selected(silence) as (session, server):
        with pytest.raises(UnsendableError):
            session.add_flags([1], ["\\Seen", flag])
        with pytest.raises(UnsendableError):
            session.append("INBOX", b"x", ["\\Seen", flag])
        close(session)
        assert server.heard.endswith(b'SELECT "INBOX"\r\n')


def test_a_status() -> None:
    line = '* STATUS "&BB4EQgRHBFEEQgRL-" (MESSAGES 3 UIDNEXT 9 UIDVALIDITY 7 UNSEEN 2)'
    with signed_in(answering("STATUS", line)) as (session, server):
        status = session.status("Отчёты")
        close(session)
        assert server.heard.endswith(
            b'STATUS "&BB4EQgRHBFEEQgRL-" (MESSAGES UIDNEXT UIDVALIDITY UNSEEN)\r\n'
        )
    assert (status.exists, status.uid_next, status.uid_validity, status.unseen) == (3, 9, 7, 2)


@pytest.mark.parametrize(
    "lines",
    [
        (),
        ("* STATUS a (MESSAGES 1 UIDVALIDITY 7)", "* STATUS b (MESSAGES 1 UIDVALIDITY 7)"),
        ("* STATUS a (MESSAGES 1)",),
        ("* STATUS a (MESSAGES)",),
        ("* STATUS a 5",),
        ("* STATUS a ((",),
        ("* STATUS",),
        ("* STATUS " + "(" * 5_000,),
    ],
)
def test_a_status_that_is_none(lines: tuple[str, ...]) -> None:
    with signed_in(answering("STATUS", *lines)) as (session, server):
        fails(Step.INBOX, Cause.PROTOCOL_ERROR, lambda: session.status("a"))
        assert server.heard, "and the connection is closed"


def test_all_statuses_in_one_round_trip() -> None:
    offers = f"{IMAP_OFFERS} LIST-STATUS ENABLE CONDSTORE"
    items = "MESSAGES 3 UIDNEXT 9 UIDVALIDITY 7 UNSEEN 2 HIGHESTMODSEQ 5"
    lines = ('* LIST () "/" INBOX', f"* STATUS inbox ({items})", f'* STATUS "2026" ({items})')
    with signed_in(answering("LIST", *lines), offers) as (session, server):
        statuses = session.statuses()
        close(session)
        assert server.heard.endswith(
            b'LIST "" "*" RETURN (STATUS (MESSAGES UIDNEXT UIDVALIDITY UNSEEN HIGHESTMODSEQ))\r\n'
        )
    assert list(statuses) == ["INBOX", "2026"]
    assert statuses["INBOX"].highest_modseq == 5


def test_all_statuses_one_by_one() -> None:
    def script(talk: Talk) -> None:
        folders = ("() NIL INBOX", r"(\Noselect) NIL parent", "() NIL private", "() NIL z")
        talk.answer("LIST", *(f"* LIST {one}" for one in folders))
        talk.answer('STATUS "INBOX"', "* STATUS INBOX (MESSAGES 3 UIDVALIDITY 7)")
        talk.answer('STATUS "private"', end="NO [NOPERM] not yours")
        talk.answer('STATUS "z"', "* STATUS z (MESSAGES 1 UIDVALIDITY 8)")

    with signed_in(script) as (session, _):
        statuses = session.statuses()
    assert {name: one.exists for name, one in statuses.items()} == {"INBOX": 3, "z": 1}


def test_a_server_that_gives_up_between_statuses() -> None:
    def script(talk: Talk) -> None:
        talk.answer("LIST", "* LIST () NIL INBOX")
        talk.answer("STATUS", end="NO [UNAVAILABLE] later")

    with signed_in(script) as (session, _):
        fails(Step.INBOX, Cause.UNAVAILABLE, session.statuses)


@pytest.mark.parametrize("end", ["OK done", "NO [ALREADYEXISTS] there", "NO [alreadyexists] there"])
@pytest.mark.parametrize("subscribed", ["OK done", "NO not here"])
def test_a_folder_is_created_and_subscribed_once(end: str, subscribed: str) -> None:
    def script(talk: Talk) -> None:
        talk.answer('CREATE "Entw&APw-rfe"', end=end)
        talk.answer('SUBSCRIBE "Entw&APw-rfe"', end=subscribed)

    with signed_in(script) as (session, server):
        session.create("Entwürfe")
        close(session)
        assert b"SUBSCRIBE" in server.heard


@pytest.mark.parametrize(
    ("create", "subscribe", "cause"),
    [
        ("NO [CANNOT] never", None, Cause.REFUSED),
        ("OK done", "NO [UNAVAILABLE] later", Cause.UNAVAILABLE),
    ],
)
def test_a_folder_that_cannot_be_created(create: str, subscribe: str | None, cause: Cause) -> None:
    def script(talk: Talk) -> None:
        talk.answer("CREATE", end=create)
        if subscribe is not None:
            talk.answer("SUBSCRIBE", end=subscribe)

    with signed_in(script) as (session, _):
        fails(Step.INBOX, cause, lambda: session.create("x"))


# ---- UIDs and flags --------------------------------------------------------------------------


def test_uids() -> None:
    def script(talk: Talk) -> None:
        talk.answer("UID SEARCH ALL", "* SEARCH 9 3 5", NEWS)
        talk.answer("UID SEARCH ALL", "* SEARCH")
        talk.answer("UID SEARCH ALL")

    with selected(script) as (session, _):
        assert session.uids() == [3, 5, 9]
        assert session.uids() == []
        assert session.uids() == []


def test_a_long_list_of_uids_needs_as_many_messages() -> None:
    uids = range(4_000_000_000, 4_000_001_000)
    line = f"* SEARCH {' '.join(map(str, uids))}"

    def script(talk: Talk) -> None:
        for exists in (1_000, 10):
            talk.answer("SELECT", f"* {exists} EXISTS", *FOLDER[1:])
            talk.answer("SEARCH", line)

    with signed_in(script, network=replace(NETWORK, line_bytes=2_000)) as (session, _):
        session.select("INBOX", readonly=False)
        assert session.uids() == list(uids)
        session.select("INBOX", readonly=False)
        fails(Step.INBOX, Cause.PROTOCOL_ERROR, session.uids)


@pytest.mark.parametrize("line", ["* SEARCH x", "* SEARCH 0", "* SEARCH 1:3", "* SEARCH (1)"])
def test_uids_that_are_none(line: str) -> None:
    with selected(answering("SEARCH", line)) as (session, _):
        fails(Step.INBOX, Cause.PROTOCOL_ERROR, session.uids)


def test_flags_of_all_and_of_some() -> None:
    lines = (
        "* 1 FETCH (UID 3 FLAGS (\\Seen \\Recent $Label1))",
        '* 3 FETCH (UID 9 FLAGS ("odd") MODSEQ (12))',
    )

    def script(talk: Talk) -> None:
        talk.answer("UID FETCH 1:* (UID FLAGS)", *lines, NEWS)
        talk.answer("UID FETCH 3:4,9 (UID FLAGS)", *lines, "* 2 FETCH (UID 5 FLAGS ())", NEWS)

    with selected(script) as (session, _):
        found = {3: {"\\Seen", "$Label1"}, 9: {"odd"}}
        assert session.flags() == found
        assert session.flags([9, 3, 4]) == found
        assert session.flags([]) == {}


def test_flags_that_changed_since() -> None:
    def script(talk: Talk) -> None:
        line = "* 1 FETCH (UID 3 FLAGS () MODSEQ (43))"
        talk.answer("UID FETCH 1:* (UID FLAGS) (CHANGEDSINCE 42)", line)

    with selected(script, f"{IMAP_OFFERS} ENABLE CONDSTORE") as (session, server):
        for wrong in (-1, 2**63):
            with pytest.raises(ValueError, match="bounds"):
                session.flags(changed_since=wrong)
        assert session.flags(changed_since=42) == {3: set()}
        close(session)
        assert server.heard.count(b"UID FETCH") == 1


def test_without_condstore_all_flags_are_told() -> None:
    line = "* 1 FETCH (UID 3 FLAGS ())"
    with selected(answering("UID FETCH 1:* (UID FLAGS)", line)) as (session, server):
        assert session.flags(changed_since=42) == {3: set()}
        close(session)
        assert server.heard.endswith(b"(UID FLAGS)\r\n")


@pytest.mark.parametrize(
    "line",
    [
        "* 1 FETCH (UID 0 FLAGS ())",
        "* 1 FETCH (UID 4294967296 FLAGS ())",
        '* 1 FETCH (UID "3" FLAGS ())',
        "* 1 FETCH (UID 3 FLAGS NIL)",
        "* 1 FETCH (UID 3 FLAGS)",
        "* 1 FETCH 3",
    ],
)
def test_flags_that_are_none(line: str) -> None:
    with selected(answering("FETCH", line)) as (session, server):
        fails(Step.INBOX, Cause.PROTOCOL_ERROR, session.flags)
        assert server.heard, "and the connection is closed"


def test_flags_are_added_and_removed_in_as_many_commands_as_needed() -> None:
    def script(talk: Talk) -> None:
        talk.answer("UID STORE 1:5000 +FLAGS.SILENT (\\Seen $Label1)")
        talk.answer("UID STORE 5001 +FLAGS.SILENT (\\Seen $Label1)")
        talk.answer("UID STORE 7 -FLAGS.SILENT (\\Flagged)", NEWS)

    with selected(script) as (session, server):
        session.add_flags(range(1, 5002), ["\\Seen", "$Label1"])
        session.remove_flags([7], ["\\Flagged"])
        session.remove_flags([], ["\\Flagged"])
        close(session)
        assert server.heard.count(b"STORE") == 3


def test_messages_that_are_gone_do_not_spoil_the_answer() -> None:
    def script(talk: Talk) -> None:
        end = "NO [EXPUNGEISSUED] some are gone"
        talk.answer("FETCH", "* 1 FETCH (UID 3 FLAGS ())", end=end)
        talk.answer("STORE", end=end)

    with selected(script) as (session, _):
        assert session.flags([3, 5]) == {3: set()}
        session.add_flags([3, 5], ["\\Seen"])


# ---- Content ---------------------------------------------------------------------------------


def details(uid: int, size: int, flags: str = "") -> str:
    items = f"UID {uid} FLAGS ({flags}) INTERNALDATE {DATE} RFC822.SIZE {size}"
    return f"* {uid} FETCH ({items})"


def send_content(talk: Talk, *messages: tuple[int, bytes]) -> None:
    for uid, raw in messages:
        talk.send(b"* %d FETCH (UID %d BODY[] {%d}\r\n%b)\r\n" % (uid, uid, len(raw), raw))


def test_messages_come_with_their_content_to_the_byte() -> None:
    raw = b"Subject: x\r\n\r\n" + bytes(range(256)) + b")\r\nP9 OK done\r\n* BYE\r\n{9}\r\n"

    def script(talk: Talk) -> None:
        talk.answer("UID FETCH 3,5 (UID FLAGS INTERNALDATE RFC822.SIZE)",
                    details(3, len(raw), "\\Seen"), NEWS, details(5, 0),
                    details(6, 1))  # fmt: skip
        talk.hear("UID FETCH 3,5 (UID BODY.PEEK[])")
        # In another order, and with news between.
        send_content(talk, (5, b""))
        talk.say(NEWS, "* 2 EXPUNGE")
        send_content(talk, (3, raw))
        talk.say(f"{talk.tag} OK done")

    with selected(script) as (session, _):
        found = {one.uid: one for one in session.fetch([5, 3])}
    assert found == {
        3: RemoteMessage(3, frozenset({"\\Seen"}), WHEN, len(raw), raw),
        5: RemoteMessage(5, frozenset(), WHEN, 0, b""),
    }


@pytest.mark.parametrize("gone", ["before", "between"])
def test_a_message_that_is_expunged_meanwhile_is_skipped(gone: str) -> None:
    def script(talk: Talk) -> None:
        there = [details(3, 1)] if gone == "before" else [details(3, 1), details(5, 1)]
        talk.answer("UID FETCH 3,5", *there, "* 2 EXPUNGE")
        talk.hear("UID FETCH 3")
        send_content(talk, (3, b"x"))
        talk.say("* 2 EXPUNGE", f"{talk.tag} NO [EXPUNGEISSUED] some are gone")

    with selected(script) as (session, _):
        assert [one.uid for one in session.fetch([3, 5])] == [3]


def test_content_that_the_server_has_not() -> None:
    def script(talk: Talk) -> None:
        talk.answer("FETCH", details(3, 1), details(5, 1))
        talk.answer("FETCH", "* 1 FETCH (UID 3 BODY[] NIL)", '* 3 FETCH (UID 5 BODY[] "x")')

    with selected(script) as (session, _):
        assert {one.uid: one.raw for one in session.fetch([3, 5])} == {3: None, 5: b"x"}


def test_a_message_that_is_too_large_is_told_without_its_content() -> None:
    def script(talk: Talk) -> None:
        talk.answer("UID FETCH 3,5", details(3, 1_001), details(5, 1_000))
        talk.hear("UID FETCH 5 (UID BODY.PEEK[])")
        send_content(talk, (5, b"x" * 1_000))
        talk.say(f"{talk.tag} OK done")

    with selected(script, network=replace(NETWORK, literal_bytes=1_000)) as (session, _):
        found = {one.uid: one for one in session.fetch([3, 5])}
    assert (found[3].raw, found[3].size, found[5].raw) == (None, 1_001, b"x" * 1_000)


def test_messages_that_are_too_large_together_are_fetched_apart() -> None:
    def script(talk: Talk) -> None:
        talk.answer("UID FETCH 3,5", details(3, 600), details(5, 600))
        for uid in (3, 5):
            talk.hear(f"UID FETCH {uid} (UID BODY.PEEK[])")
            send_content(talk, (uid, b"x" * 600))
            talk.say(f"{talk.tag} OK done")

    with selected(script, network=replace(NETWORK, literal_bytes=1_000)) as (session, _):
        assert len(list(session.fetch([3, 5]))) == 2


def test_not_more_than_a_hundred_messages_are_held() -> None:
    def script(talk: Talk) -> None:
        talk.answer("UID FETCH 1:101", *(details(uid, 1) for uid in range(1, 102)))
        for uids in (range(1, 101), range(101, 102)):
            talk.hear(f"UID FETCH {'1:100' if len(uids) == 100 else '101'} (UID BODY.PEEK[])")
            send_content(talk, *((uid, b"x") for uid in uids))
            talk.say(f"{talk.tag} OK done")

    with selected(script) as (session, server):
        coming = session.fetch(range(1, 102))
        assert [next(coming).uid for _ in range(100)] == list(range(1, 101))
        coming.close()  # type: ignore[attr-defined]  # a generator
        close(session)
        assert server.heard.count(b"BODY.PEEK") == 1


@pytest.mark.parametrize(
    "lines",
    [
        (b"* 1 FETCH (UID 5 BODY[] {1}\r\nx)\r\n",),
        (b"* 1 FETCH (UID 3 BODY[] {1}\r\nx)\r\n",) * 2,
        (b"* 1 FETCH (BODY[] {1}\r\nx)\r\n",),
        (b"* 1 FETCH (UID 3 BODY[] 5)\r\n",),
        (b"* 1 FETCH (UID 3 BODY[] {1}\r\nx\r\n",),
        (b"* 1 FETCH (UID 3 BODY[] {1}\r\nx) )\r\n* x\r\n",),
        (b"* 1 FETCH (UID 3 BODY[] {10000000000}\r\n",),
        (b"* 1 FETCH (UID 3 BODY[] {600}\r\n" + b"x" * 600 + b" X {600}\r\n",),
        (b"* 1 FETCH (UID 3 BODY[] {%b}\r\n" % (b"9" * 5_000),),
        (b"* 1 FETCH (" + b"x" * 100_000,),
    ],
    ids=[
        "another's", "twice", "nobody's", "no text", "no end", "garbage", "huge", "huge together",
        "no number", "a line without end",
    ],
)  # fmt: skip
def test_content_that_is_none(lines: tuple[bytes, ...]) -> None:
    def script(talk: Talk) -> None:
        talk.answer("FETCH", details(3, 1))
        talk.hear("FETCH")
        talk.send(b"".join(lines) + f"{talk.tag} OK done\r\n".encode())

    with selected(script, network=replace(NETWORK, literal_bytes=1_000)) as (session, server):
        fails(Step.INBOX, Cause.PROTOCOL_ERROR, lambda: list(session.fetch([3])))
        assert server.heard, "and the connection is closed"


@pytest.mark.parametrize(
    "line",
    [
        "* 1 FETCH (UID 3 FLAGS () RFC822.SIZE 1)",
        f"* 1 FETCH (UID 3 INTERNALDATE {DATE} RFC822.SIZE 1)",
        f"* 1 FETCH (UID 3 FLAGS () INTERNALDATE {DATE} RFC822.SIZE -1)",
        f"* 1 FETCH (UID 3 FLAGS () INTERNALDATE {DATE} RFC822.SIZE NIL)",
    ],
)
def test_details_that_are_none(line: str) -> None:
    with selected(answering("FETCH", line)) as (session, _):
        fails(Step.INBOX, Cause.PROTOCOL_ERROR, lambda: list(session.fetch([3])))


@pytest.mark.parametrize("after", [0, 1, 30, 60, 1_000])
def test_a_connection_that_breaks_at_any_byte_gives_nothing_half(after: int) -> None:
    said = b"* 1 FETCH (UID 3 BODY[] {5}\r\nhello)\r\n* 3 FETCH (UID 5 BODY[] {2000}\r\n"

    def script(talk: Talk) -> None:
        talk.answer("FETCH", details(3, 5), details(5, 2_000))
        talk.hear("FETCH")
        talk.send((said + b"x" * 1_999)[:after])
        talk.cut()

    with selected(script) as (session, _):
        coming = session.fetch([3, 5])
        fails(Step.INBOX, Cause.CLOSED, lambda: next(coming))
        fails(Step.INBOX, Cause.CLOSED, session.noop)


# ---- Adding and finding ----------------------------------------------------------------------


def test_a_message_is_added_to_the_byte_with_its_flags_and_date() -> None:
    raw = b"Subject: x\r\n\r\n" + bytes(range(14, 256)) + b"\r\nP9 LOGOUT\r\n"

    def script(talk: Talk) -> None:
        when = '"01-Jul-2026 15:00:00 +0300"'
        talk.hear(f'APPEND "Gesendet" (\\Seen $x) {when} {{{len(raw)}}}')
        talk.say("+ go on")
        assert talk.hear_bytes(len(raw) + 2) == raw + b"\r\n"
        talk.say(f"{talk.tag} OK [APPENDUID 7 4294967295] done")

    date = WHEN.astimezone(timezone(timedelta(hours=3)))
    with signed_in(script) as (session, _):
        assert session.append("Gesendet", raw, ["\\Seen", "$x"], date) == 4_294_967_295


@pytest.mark.parametrize(
    ("end", "uid"),
    [
        ("OK done", None),
        ("OK", None),
        ("OK [appenduid 7 9] done", 9),
        ("OK [APPENDUID 7 8:9] done", None),
        ("OK [APPENDUID 7 x] done", None),
    ],
)
def test_a_server_need_not_tell_the_uid(end: str, uid: int | None) -> None:
    def script(talk: Talk) -> None:
        talk.hear('APPEND "Sent" () {4}')
        tag = talk.tag
        talk.say("+ go on")
        talk.hear_bytes(6)
        talk.say(f"{tag} {end}")

    with signed_in(script) as (session, _):
        assert session.append("Sent", b"a\r\nb") == uid


@pytest.mark.parametrize(
    ("end", "cause"),
    [
        ("NO [OVERQUOTA] full", Cause.OVER_QUOTA),
        ("NO [TRYCREATE] no such folder", Cause.REFUSED),
    ],
)
def test_a_message_that_is_refused_is_not_sent(end: str, cause: Cause) -> None:
    def script(talk: Talk) -> None:
        talk.answer("APPEND", end=end)
        talk.answer("NOOP")

    with signed_in(script) as (session, server):
        fails(Step.INBOX, cause, lambda: session.append("Sent", b"content"))
        session.noop()
        close(session)
        assert b"content" not in server.heard


@pytest.mark.parametrize("uid", ["0", "4294967296"])
def test_a_uid_that_is_none(uid: str) -> None:
    def script(talk: Talk) -> None:
        talk.hear("APPEND")
        talk.say("+ go on")
        talk.hear_bytes(3)
        talk.say(f"{talk.tag} OK [APPENDUID 7 {uid}] done")

    with signed_in(script) as (session, _):
        fails(Step.INBOX, Cause.PROTOCOL_ERROR, lambda: session.append("Sent", b"x"))


def test_a_date_has_a_zone() -> None:
    with signed_in(silence) as (session, server):
        with pytest.raises(ValueError, match="zone"):
            session.append("Sent", b"x", (), WHEN.replace(tzinfo=None))
        close(session)
        assert b"APPEND" not in server.heard


def test_a_message_is_found_by_its_message_id() -> None:
    def script(talk: Talk) -> None:
        talk.answer(r'UID SEARCH HEADER Message-ID "<a\"b\\c@firm.test>"', "* SEARCH 5 3")

    with selected(script) as (session, server):
        assert session.search_message_id(r'<a"b\c@firm.test>') == [3, 5]
        assert session.search_message_id("<кэрол@firm.test>") == []
        close(session)
        assert server.heard.count(b"SEARCH") == 1


# ---- Waiting ---------------------------------------------------------------------------------


def idle(talk: Talk, *news: str, first: str = "", last: str = "") -> None:
    """Answers IDLE with news before it begins, while it lasts, and after its end."""
    talk.hear("IDLE")
    tag = talk.tag
    talk.say(*filter(None, [first, "+ idling", *news]))
    assert talk.hear() == "DONE"
    talk.say(*filter(None, [last, f"{tag} OK done"]))
    talk.answer("NOOP")


@pytest.mark.parametrize(
    "news", ["* 4 EXISTS", "* 1 EXPUNGE", NEWS, "* VANISHED 3", "* OK still here\r\n* 4 EXISTS"]
)
@pytest.mark.parametrize("place", ["first", "news", "last"])
def test_idle_ends_at_once_with_news(news: str, place: str) -> None:
    def script(talk: Talk) -> None:
        if place == "news":
            idle(talk, news)
        else:
            idle(talk, **{place: news})

    started = time.monotonic()
    with selected(script, f"{IMAP_OFFERS} IDLE") as (session, _):
        assert session.idle(0.2 if place == "last" else 10)
        session.noop()
    assert time.monotonic() - started < 2


@pytest.mark.parametrize("said", [[], ["* OK still here"] * 3])
def test_idle_ends_in_time_without_news(said: list[str]) -> None:
    started = time.monotonic()
    with selected(lambda talk: idle(talk, *said), f"{IMAP_OFFERS} IDLE") as (session, _):
        assert not session.idle(0.2)
        kept = session._wire.untagged_responses
        assert len(kept.get("OK", [])) < 2, "for hours, that would be much"
        session.noop()
    assert 0.2 <= time.monotonic() - started < 2


def test_idle_may_last_longer_than_a_command() -> None:
    script: Script = idle
    with selected(script, f"{IMAP_OFFERS} IDLE", network=QUICK) as (session, _):
        assert not session.idle(0.5)
        session.noop()


def test_a_server_that_talks_all_the_time_does_not_prolong_idle() -> None:
    def script(talk: Talk) -> None:
        talk.hear("IDLE")
        tag = talk.tag
        talk.say("+ idling")
        while not talk.heard_something():
            talk.say("* OK still here")
        assert talk.hear() == "DONE"
        talk.say(f"{tag} OK done")

    started = time.monotonic()
    with selected(script, f"{IMAP_OFFERS} IDLE") as (session, _):
        assert not session.idle(0.2)
    assert time.monotonic() - started < 2


@pytest.mark.parametrize(
    ("lines", "cause"),
    [
        (("{tag} NO not here",), Cause.REFUSED),
        (("{tag} BAD what",), Cause.PROTOCOL_ERROR),
        (("+ idling", "* BYE out"), Cause.CLOSED),
        (("+ idling", "* BYE [UNAVAILABLE] out"), Cause.UNAVAILABLE),
        (("+ idling", "garbage"), Cause.PROTOCOL_ERROR),
        (("* BYE out",), Cause.CLOSED),
        (("garbage",), Cause.PROTOCOL_ERROR),
    ],
)
def test_idle_that_does_not_work(lines: tuple[str, ...], cause: Cause) -> None:
    def script(talk: Talk) -> None:
        talk.hear("IDLE")
        talk.say(*(line.format(tag=talk.tag) for line in lines))
        if lines == ("* BYE out",):
            talk.cut()

    with selected(script, f"{IMAP_OFFERS} IDLE") as (session, _):
        fails(Step.INBOX, cause, lambda: session.idle(10))


@pytest.mark.parametrize(
    ("then", "cause"), [(Talk.cut, Cause.CLOSED), (silence, Cause.TIMED_OUT)], ids=["gone", "hangs"]
)
def test_idle_notices_a_server_that_is_gone_or_hangs(then: Script, cause: Cause) -> None:
    def script(talk: Talk) -> None:
        talk.hear("IDLE")
        talk.say("+ idling")
        then(talk)

    with selected(script, f"{IMAP_OFFERS} IDLE", network=QUICK) as (session, _):
        fails(Step.INBOX, cause, lambda: session.idle(0.2))


# ---- Limits, and the end ---------------------------------------------------------------------


@pytest.mark.parametrize("said", [b"", b"* OK " + b"x" * 1000, b"* OK x\r\n" * 1000])
def test_a_command_has_a_deadline_after_which_the_connection_is_gone(said: bytes) -> None:
    def script(talk: Talk) -> None:
        talk.hear("NOOP")
        if said:
            talk.drip(said)

    started = time.monotonic()
    with signed_in(script, network=QUICK) as (session, server):
        fails(Step.INBOX, Cause.TIMED_OUT, session.noop)
        assert server.heard.endswith(b"NOOP\r\n")
        fails(Step.INBOX, Cause.CLOSED, session.noop)
    assert 0.3 <= time.monotonic() - started < 2


@pytest.mark.parametrize(
    "said", [b"* LIST () NIL x\r\n", b"* OK so\r\n", b"* 1 FETCH (FLAGS ())\r\n", b"x"]
)
def test_a_flood_is_not_collected(said: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "_LINES_BYTES", 1_000_000)

    def script(talk: Talk) -> None:
        talk.hear("LIST")
        talk.flood(said * 1_000)

    started = time.monotonic()
    with signed_in(script) as (session, _):
        fails(Step.INBOX, Cause.PROTOCOL_ERROR, session.folders)
    assert time.monotonic() - started < 2


@pytest.mark.parametrize(
    ("said", "cause"),
    [
        ("garbage", Cause.PROTOCOL_ERROR),
        ("P99 OK somebody else's", Cause.PROTOCOL_ERROR),
        ("* BYE [UNAVAILABLE] out", Cause.UNAVAILABLE),
        ("* BYE out", Cause.CLOSED),
        ("* BYE {3}\r\nout", Cause.CLOSED),
    ],
)
def test_a_server_that_says_something_else(said: str, cause: Cause) -> None:
    with signed_in(answering("NOOP", said)) as (session, server):
        fails(Step.INBOX, cause, session.noop)
        if cause is Cause.PROTOCOL_ERROR:
            assert server.heard.endswith(b"NOOP\r\n"), "and the connection is closed"


def test_a_session_signs_out_and_after_an_exception_only_leaves() -> None:
    with signed_in(answering("LOGOUT", "* BYE")) as (session, server):
        with session:
            pass
        assert server.heard.endswith(b"P3 LOGOUT\r\n")
    with signed_in(silence) as (session, server):
        with pytest.raises(KeyError), session:
            raise KeyError
        assert b"LOGOUT" not in server.heard


@pytest.mark.parametrize(
    "script",
    [
        Talk.cut,
        silence,
        answering("LOGOUT", end="NO stay"),
        lambda talk: talk.reply("LOGOUT", "garbage"),
        lambda talk: talk.flood(b"x" * 1_000),
        lambda talk: talk.flood(b"* OK x\r\n" * 1_000),
    ],
    ids=["cut", "silent", "refused", "garbage", "a line without end", "lines without end"],
)
def test_signing_out_never_raises_and_does_not_wait_long(
    script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "_LOGOUT_SECONDS", 0.2)
    monkeypatch.setattr(wire, "_LINES_BYTES", 1_000_000)
    started = time.monotonic()
    with signed_in(script) as (session, server):
        session.logout()
        assert server.heard.startswith(b"P0 CAPABILITY"), "closed"
        session.logout()
    assert time.monotonic() - started < 2
