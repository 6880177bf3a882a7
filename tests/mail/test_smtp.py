"""Sending, against servers that play a script: what they say, what they hear, when they break."""

import base64
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from mail import smtp
from mail.connection import Credentials, Network, Server, UnsendableError
from mail.security import Security
from mail.server_errors import Cause, MailServerError, Step
from mail.server_string import Protocol
from mail.smtp import Reply, SmtpSession, dot_stuffed, open_smtp
from tests.servers.scripted import (
    Script,
    ScriptedServer,
    Talk,
    greet_smtp,
    identity,
    offer_smtp,
    serving,
    welcome_smtp,
)

NAME = "smtp.firm.test"
NETWORK = Network(hosts={NAME: "127.0.0.1"}, connect_seconds=5, command_seconds=5)
QUICK = replace(NETWORK, command_seconds=0.3)
BOB = Credentials("bob", "geheim")
PLAIN = base64.b64encode(BOB.plain).decode()
HELLO = b"EHLO [127.0.0.1]\r\n"
SENDER, RECIPIENT = "bob@firm.test", "carol@firm.test"
LETTER = b"Subject: x\r\n\r\nHello\r\n"


def open_at(
    server: ScriptedServer,
    security: Security = Security.NONE,
    *,
    credentials: Credentials = BOB,
    network: Network = NETWORK,
    **options: Any,
) -> SmtpSession:
    ca_pem = identity().ca_pem
    wanted = Server(Protocol.SMTP, NAME, server.port, security, ca_pem=ca_pem)
    return open_smtp(wanted, credentials, network, **options)


def fails(step: Step, cause: Cause, action: Callable[[], object]) -> MailServerError:
    with pytest.raises(MailServerError) as caught:
        action()
    assert (caught.value.step, caught.value.cause) == (step, cause)
    return caught.value


@contextmanager
def signed_in(
    script: Script, *extensions: str, network: Network = NETWORK
) -> Iterator[tuple[SmtpSession, ScriptedServer]]:
    """A session, and the server that goes on with the script."""

    def whole(talk: Talk) -> None:
        welcome_smtp(talk, *extensions)
        script(talk)

    with serving(whole) as server:
        session = open_at(server, network=network)
        try:
            yield session, server
        finally:
            session.close()


def silence(talk: Talk) -> None:
    """Says nothing until the client hangs up."""


def accept_envelope(talk: Talk) -> None:
    talk.reply("MAIL FROM", "250 ok")
    talk.reply("RCPT TO", "250 ok")


def nothing() -> None:
    """Nobody wants to know that content begins."""


# ---- The greeting ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "greeting",
    [
        b"* OK [CAPABILITY IMAP4rev1] ready\r\n",
        b"HTTP/1.1 400 Bad Request\r\n",
        b"\r\n",
        b"354 go ahead\r\n",
        b"199 ready\r\n",
        b"220ready\r\n",
        b"220-two codes\r\n221 in one reply\r\n",
        b"\xff\xfe\x00\r\n",
        b"220 " + b"x" * 100_000,
    ],
)
def test_what_does_not_greet_like_smtp_is_told_and_shown_nothing(greeting: bytes) -> None:
    with serving(lambda talk: talk.send(greeting)) as server:
        error = fails(Step.GREETING, Cause.BAD_GREETING, lambda: open_at(server))
        assert error.server_words == ""
        assert server.heard == b""


@pytest.mark.parametrize(
    ("greeting", "cause", "words"),
    [
        ("554 5.3.2 no mail \x1btoday", Cause.UNAVAILABLE, "5.3.2 no mail today"),
        ("421 too many connections", Cause.THROTTLED, "too many connections"),
    ],
)
def test_a_server_may_refuse_to_talk(greeting: str, cause: Cause, words: str) -> None:
    with serving(lambda talk: talk.say(greeting)) as server:
        error = fails(Step.GREETING, cause, lambda: open_at(server))
        assert error.server_words == words
        assert server.heard == b""


def test_a_server_that_does_not_greet() -> None:
    started = time.monotonic()
    with serving(silence) as server:
        fails(Step.GREETING, Cause.TIMED_OUT, lambda: open_at(server, network=QUICK))
        assert server.heard == b""
    assert 0.3 <= time.monotonic() - started < 2


def test_a_greeting_that_drips_meets_the_deadline() -> None:
    started = time.monotonic()
    with serving(lambda talk: talk.drip(b"220-" + b"x" * 1000)) as server:
        fails(Step.GREETING, Cause.TIMED_OUT, lambda: open_at(server, network=QUICK))
    assert 0.3 <= time.monotonic() - started < 2


def test_a_server_that_hangs_up_instead_of_a_greeting() -> None:
    with serving(Talk.cut) as server:
        fails(Step.GREETING, Cause.CLOSED, lambda: open_at(server))


def test_greeting_and_answers_may_have_many_lines() -> None:
    def script(talk: Talk) -> None:
        talk.say("220-welcome", "220-", "220")
        offer_smtp(talk, "PIPELINING", "auth=plain login", "AUTH XOAUTH2", "SIZE 1000")
        talk.reply(f"AUTH PLAIN {PLAIN}", "235-2.7.0 welcome", "235 back")
        talk.reply("MAIL FROM:<bob@firm.test> SIZE=7", "250 ok")

    with serving(script) as server:
        session = open_at(server)
        assert session.envelope(SENDER, [], size=7) == {}
        session.close()
        assert server.heard.endswith(b"SIZE=7\r\n")


@pytest.mark.parametrize(
    ("answer", "cause"),
    [("502 unknown", Cause.BAD_GREETING), ("421 later", Cause.UNAVAILABLE)],
)
def test_a_server_that_refuses_ehlo(answer: str, cause: Cause) -> None:
    def script(talk: Talk) -> None:
        talk.say("220 (vsFTPd 3.0.3)")
        talk.reply("EHLO", answer)

    with serving(script) as server:
        error = fails(Step.GREETING, cause, lambda: open_at(server))
        assert error.server_words == answer[4:]
        assert server.heard == HELLO


def test_the_name_said_with_ehlo_can_be_chosen_and_is_one_line() -> None:
    with serving(welcome_smtp) as server:
        open_at(server, ehlo_name="post.firm.test").close()
        assert server.heard.startswith(b"EHLO post.firm.test\r\n")
    with serving(welcome_smtp) as server:
        with pytest.raises(UnsendableError):
            open_at(server, ehlo_name="x\r\nMAIL FROM:<>")
        assert server.heard == b""


# ---- Encryption ------------------------------------------------------------------------------


def agree(talk: Talk, *injected: str) -> None:
    """As far as the handshake."""
    greet_smtp(talk, "STARTTLS", "AUTH PLAIN")
    talk.reply("STARTTLS", "220 go on", *injected)
    talk.start_tls(identity())


def test_nothing_secret_is_said_before_starttls() -> None:
    def script(talk: Talk) -> None:
        agree(talk)
        offer_smtp(talk, "AUTH PLAIN")
        talk.reply("AUTH", "235 welcome")

    steps = list[Step]()
    with serving(script) as server:
        open_at(server, Security.STARTTLS, on_step=steps.append).close()
        assert server.in_clear == HELLO + b"STARTTLS\r\n"
        assert server.encrypted == HELLO + f"AUTH PLAIN {PLAIN}\r\n".encode()
    assert steps == [
        Step.NAME, Step.PORT, Step.GREETING, Step.ENCRYPTION, Step.CERTIFICATE, Step.LOGIN
    ]  # fmt: skip


def test_with_tls_everything_is_encrypted() -> None:
    def script(talk: Talk) -> None:
        talk.start_tls(identity())
        welcome_smtp(talk)

    with serving(script) as server:
        open_at(server, Security.TLS).close()
        assert server.in_clear == b""
        assert server.encrypted == HELLO + f"AUTH PLAIN {PLAIN}\r\n".encode()


def test_starttls_that_is_not_offered_is_an_error() -> None:
    with serving(lambda talk: greet_smtp(talk, "AUTH PLAIN")) as server:
        fails(Step.ENCRYPTION, Cause.STARTTLS_MISSING, lambda: open_at(server, Security.STARTTLS))
        assert server.heard == HELLO


def test_starttls_that_is_refused_is_an_error() -> None:
    def script(talk: Talk) -> None:
        greet_smtp(talk, "STARTTLS", "AUTH PLAIN")
        talk.reply("STARTTLS", "454 4.7.0 not now")

    with serving(script) as server:
        error = fails(Step.ENCRYPTION, Cause.TLS_FAILED, lambda: open_at(server, Security.STARTTLS))
        assert error.server_words == "4.7.0 not now"
        assert server.heard == HELLO + b"STARTTLS\r\n"


def test_what_is_injected_before_the_handshake_is_an_attack() -> None:
    with serving(lambda talk: agree(talk, "250 AUTH PLAIN")) as server:
        fails(Step.ENCRYPTION, Cause.STARTTLS_INJECTED, lambda: open_at(server, Security.STARTTLS))
        assert server.heard == HELLO + b"STARTTLS\r\n"


def test_a_certificate_nobody_trusts_hears_no_password() -> None:
    def script(talk: Talk) -> None:
        greet_smtp(talk, "STARTTLS", "AUTH PLAIN")
        talk.reply("STARTTLS", "220 go on")
        talk.start_tls(identity("others"))

    with serving(script) as server:
        fails(
            Step.CERTIFICATE,
            Cause.CERTIFICATE_UNTRUSTED,
            lambda: open_at(server, Security.STARTTLS),
        )
        assert server.heard == HELLO + b"STARTTLS\r\n"


def test_what_was_offered_before_starttls_is_forgotten() -> None:
    def script(talk: Talk) -> None:
        agree(talk)
        offer_smtp(talk, "SIZE 1000")

    with serving(script) as server:
        fails(Step.LOGIN, Cause.AUTH_MISSING, lambda: open_at(server, Security.STARTTLS))
        assert server.encrypted == HELLO


# ---- Signing in ------------------------------------------------------------------------------


@pytest.mark.parametrize("letter", ["\r", "\n", "\0"])
@pytest.mark.parametrize("field", ["login", "password"])
def test_a_line_break_in_a_credential_reaches_nobody(letter: str, field: str) -> None:
    with serving(silence) as server:
        given = replace(BOB, **{field: f"bob{letter}QUIT"})
        with pytest.raises(UnsendableError):
            open_at(server, credentials=given)
        assert not server.called


def test_a_password_of_any_letters_goes_out_in_utf_8() -> None:
    given = Credentials("боб@firm.test", "пароль ✓")
    with serving(welcome_smtp) as server:
        open_at(server, credentials=given).close()
        sent = server.heard.removeprefix(HELLO + b"AUTH PLAIN ")
    assert base64.b64decode(sent) == "\0боб@firm.test\0пароль ✓".encode()


def test_auth_login_where_plain_is_not_offered() -> None:
    def script(talk: Talk) -> None:
        greet_smtp(talk, "AUTH CRAM-MD5 LOGIN")
        talk.reply("AUTH LOGIN", "334 VXNlcm5hbWU6")
        talk.reply(base64.b64encode("боб".encode()).decode(), "334 UGFzc3dvcmQ6")
        talk.reply(base64.b64encode(b"geheim").decode(), "235 welcome")

    with serving(script) as server:
        open_at(server, credentials=Credentials("боб", "geheim")).close()
        assert len(server.heard.splitlines()) == 4


def test_auth_login_stops_at_a_refusal() -> None:
    def script(talk: Talk) -> None:
        greet_smtp(talk, "AUTH LOGIN")
        talk.reply("AUTH LOGIN", "535 5.7.8 no")

    with serving(script) as server:
        fails(Step.LOGIN, Cause.LOGIN_REFUSED, lambda: open_at(server))
        assert server.heard == HELLO + b"AUTH LOGIN\r\n"


@pytest.mark.parametrize(
    ("extension", "cause"),
    [
        ("AUTH", Cause.AUTH_MISSING),
        ("SIZE", Cause.AUTH_MISSING),
        ("XAUTH PLAIN", Cause.AUTH_MISSING),
        ("AUTH CRAM-MD5 XOAUTH2", Cause.LOGIN_DISABLED),
        ("AUTH XOAUTH2", Cause.OAUTH_WANTED),
    ],
)
def test_no_way_to_sign_in_with_a_password(extension: str, cause: Cause) -> None:
    with serving(lambda talk: greet_smtp(talk, extension)) as server:
        fails(Step.LOGIN, cause, lambda: open_at(server))
        assert server.heard == HELLO


@pytest.mark.parametrize(
    ("answer", "cause", "temporary"),
    [
        ("535 5.7.8 wrong", Cause.LOGIN_REFUSED, False),
        ("535 5.7.0 Application password is required", Cause.APP_PASSWORD_WANTED, False),
        ("534 5.7.9 see the web", Cause.APP_PASSWORD_WANTED, False),
        ("534 5.7.14 see the web", Cause.LOGIN_REFUSED, False),
        ("535 5.7.139 basic authentication is disabled", Cause.OAUTH_WANTED, False),
        ("504 5.5.4 not this mechanism", Cause.LOGIN_DISABLED, False),
        ("538 5.7.11 encryption required", Cause.LOGIN_DISABLED, False),
        ("454 4.7.0 later", Cause.UNAVAILABLE, True),
        ("454 4.7.0 too many logins", Cause.THROTTLED, True),
        ("421 4.7.0 bye", Cause.UNAVAILABLE, True),
        ("334 more", Cause.PROTOCOL_ERROR, True),
        ("250 ok", Cause.PROTOCOL_ERROR, True),
        ("welcome", Cause.PROTOCOL_ERROR, True),
    ],
)
def test_why_a_login_fails(answer: str, cause: Cause, temporary: bool) -> None:
    def script(talk: Talk) -> None:
        greet_smtp(talk, "AUTH PLAIN")
        talk.reply("AUTH", answer)

    with serving(script) as server:
        error = fails(Step.LOGIN, cause, lambda: open_at(server))
        assert server.heard.endswith(f"AUTH PLAIN {PLAIN}\r\n".encode())
    assert (error.temporary, error.started) == (temporary, False)


def test_a_server_that_repeats_the_password_is_not_quoted() -> None:
    def script(talk: Talk) -> None:
        greet_smtp(talk, "AUTH PLAIN")
        talk.reply("AUTH", f"535-no {PLAIN}", "535 and not geheim")

    with serving(script) as server:
        error = fails(Step.LOGIN, Cause.LOGIN_REFUSED, lambda: open_at(server))
    assert error.server_words == "no *** and not ***"


# ---- The envelope ----------------------------------------------------------------------------


def test_each_recipient_has_an_answer() -> None:
    def script(talk: Talk) -> None:
        talk.reply("MAIL FROM:<bob@firm.test>", "250 ok")
        talk.reply("RCPT TO:<carol@firm.test>", "250-fine", "250 indeed")
        talk.reply("RCPT TO:<dave@firm.test>", "550 5.1.1 nobody")
        talk.reply("RCPT TO:<alice@firm.test>", "451 4.2.0 later")

    with signed_in(script) as (session, _):
        recipients = [RECIPIENT, "dave@firm.test", RECIPIENT, "alice@firm.test"]
        results = session.envelope(SENDER, recipients)
    assert {key: (one.code, one.words, one.accepted) for key, one in results.items()} == {
        RECIPIENT: (250, "fine indeed", True),
        "dave@firm.test": (550, "5.1.1 nobody", False),
        "alice@firm.test": (451, "4.2.0 later", False),
    }


def test_the_words_of_an_answer_are_cleaned_and_cut() -> None:
    def script(talk: Talk) -> None:
        talk.reply("MAIL", "250 ok")
        talk.reply("RCPT", f"550-\x1b[31mno\u202e {'x' * 1000}", f"550 {'y' * 1000}")

    with signed_in(script) as (session, _):
        result = session.envelope(SENDER, [RECIPIENT])[RECIPIENT]
    assert result.words == f"[31mno {'x' * 493}"


@pytest.mark.parametrize(
    ("extensions", "options"),
    [
        ([], ""),
        (["SIZE"], " SIZE=77"),
        (["8BITMIME"], " BODY=8BITMIME"),
        (["size 1000", "8bitmime", "SMTPUTF8"], " SIZE=77 BODY=8BITMIME"),
    ],
)
def test_what_a_server_offers_is_used(extensions: list[str], options: str) -> None:
    with signed_in(accept_envelope, *extensions) as (session, server):
        session.envelope(SENDER, [RECIPIENT], size=77)
        session.close()
        assert f"MAIL FROM:<bob@firm.test>{options}\r\n".encode() in server.heard


def test_a_domain_goes_out_in_ascii() -> None:
    with signed_in(accept_envelope) as (session, server):
        results = session.envelope(SENDER, ["carol@Bücher.example"])
        assert results["carol@Bücher.example"].accepted
        session.close()
        assert b"RCPT TO:<carol@xn--bcher-kva.example>\r\n" in server.heard


def test_a_name_that_is_not_ascii_goes_out_with_smtputf8() -> None:
    with signed_in(accept_envelope, "SMTPUTF8") as (session, server):
        assert session.envelope(SENDER, ["кэрол@firm.test"])["кэрол@firm.test"].accepted
        session.close()
        assert b"MAIL FROM:<bob@firm.test> SMTPUTF8\r\n" in server.heard
        assert "RCPT TO:<кэрол@firm.test>\r\n".encode() in server.heard


def test_a_name_that_is_not_ascii_is_refused_here_without_smtputf8() -> None:
    with signed_in(accept_envelope) as (session, server):
        results = session.envelope(SENDER, ["кэрол@firm.test", RECIPIENT])
        assert not results["кэрол@firm.test"].accepted
        assert results["кэрол@firm.test"].code == 553
        assert results["кэрол@firm.test"].words.startswith("5.6.7 ")
        assert results[RECIPIENT].accepted
        session.close()
        assert server.heard.count(b"RCPT") == 1


def test_a_sender_that_is_not_ascii_is_refused_here_without_smtputf8() -> None:
    with signed_in(silence) as (session, server):
        error = fails(
            Step.LOGIN, Cause.REFUSED, lambda: session.envelope("боб@firm.test", [RECIPIENT])
        )
        assert not error.temporary
        session.close()
        assert b"MAIL" not in server.heard


@pytest.mark.parametrize(
    "address",
    [
        "carol@firm.test\r\nDATA",
        "carol\n@firm.test",
        "carol@firm.test\0",
        "carol@firm.test> SIZE=1",
        "<carol@firm.test",
        "carol\x7f@firm.test",
        "carol\u2028@firm.test",
        "\ud800@firm.test",
    ],
)
@pytest.mark.parametrize("place", ["sender", "recipient"])
def test_an_address_that_would_be_a_command_is_not_sent(address: str, place: str) -> None:
    sender, recipients = (
        (address, [RECIPIENT]) if place == "sender" else (SENDER, [RECIPIENT, address])
    )
    with signed_in(silence, "SMTPUTF8") as (session, server):
        with pytest.raises(UnsendableError) as caught:
            session.envelope(sender, recipients)
        assert "carol" not in str(caught.value)
        session.close()
        assert b"MAIL" not in server.heard


@pytest.mark.parametrize(
    ("answer", "cause", "temporary"),
    [
        ("550 5.7.1 not you", Cause.REFUSED, False),
        ("552 5.3.4 too large", Cause.REFUSED, False),
        ("451 4.3.0 later", Cause.REFUSED, True),
        ("450 4.7.0 too many messages", Cause.THROTTLED, True),
        ("550 5.7.0 too many messages", Cause.REFUSED, False),
        ("421 4.3.2 bye", Cause.UNAVAILABLE, True),
        ("354 go on", Cause.PROTOCOL_ERROR, True),
    ],
)
def test_why_a_sender_is_refused(answer: str, cause: Cause, temporary: bool) -> None:
    with signed_in(lambda talk: talk.reply("MAIL", answer)) as (session, _):
        error = fails(Step.LOGIN, cause, lambda: session.envelope(SENDER, [RECIPIENT]))
    assert (error.temporary, error.started) == (temporary, False)
    assert error.server_words == answer[4:]


def test_a_server_that_leaves_between_recipients() -> None:
    def script(talk: Talk) -> None:
        accept_envelope(talk)
        talk.reply("RCPT", "421 4.3.2 bye")

    with signed_in(script) as (session, server):
        error = fails(
            Step.LOGIN,
            Cause.UNAVAILABLE,
            lambda: session.envelope(SENDER, [RECIPIENT, "dave@firm.test", "alice@firm.test"]),
        )
        assert (error.temporary, error.started) == (True, False)
        session.close()
        assert b"alice" not in server.heard


def test_an_envelope_that_was_not_used_is_forgotten() -> None:
    def script(talk: Talk) -> None:
        accept_envelope(talk)
        talk.reply("RSET", "250 ok")
        accept_envelope(talk)
        talk.reply("DATA", "354 go on")
        talk.hear_bytes(len(dot_stuffed(LETTER)))
        talk.say("250 queued")
        accept_envelope(talk)

    with signed_in(script) as (session, server):
        session.envelope(SENDER, ["dave@firm.test"])
        session.envelope(SENDER, [RECIPIENT])
        session.data(LETTER, nothing)
        session.envelope(SENDER, [RECIPIENT])
        session.close()
        assert server.heard.count(b"RSET") == 1


# ---- The content -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "sent"),
    [
        (b"", b".\r\n"),
        (b"a\r\n", b"a\r\n.\r\n"),
        (b"a", b"a\r\n.\r\n"),
        (b".", b"..\r\n.\r\n"),
        (b".a\r\n..b\r\nc.\r\n", b"..a\r\n...b\r\nc.\r\n.\r\n"),
        (b"a\r\n.\r\nb", b"a\r\n..\r\nb\r\n.\r\n"),
        (b"a\n.\nb", b"a\r\n..\r\nb\r\n.\r\n"),
        (b"a\r.\rb", b"a\r\n..\r\nb\r\n.\r\n"),
        (b"a\r\n.\rb", b"a\r\n..\r\nb\r\n.\r\n"),
        (b"a\n\r\n\rb", b"a\r\n\r\n\r\nb\r\n.\r\n"),
        (b"\n", b"\r\n.\r\n"),
        (b"a\r", b"a\r\n.\r\n"),
        (b"\0\xff", b"\0\xff\r\n.\r\n"),
    ],
)
def test_a_dot_at_the_beginning_of_a_line_is_doubled(raw: bytes, sent: bytes) -> None:
    assert dot_stuffed(raw) == sent


@contextmanager
def ready_for_data(
    script: Script, network: Network = NETWORK
) -> Iterator[tuple[SmtpSession, ScriptedServer]]:
    """An envelope that was accepted."""

    def whole(talk: Talk) -> None:
        accept_envelope(talk)
        script(talk)

    with signed_in(whole, network=network) as (session, server):
        session.envelope(SENDER, [RECIPIENT])
        yield session, server


def test_a_message_goes_out_to_the_byte() -> None:
    raw = b"Subject: x\r\n\r\n.dot\nbare\r\n" + bytes(range(14, 256)) + b"x" * 300_000
    sent = dot_stuffed(raw)

    def script(talk: Talk) -> None:
        talk.reply("DATA", "354-please", "354 go on")
        talk.hear_bytes(len(sent))
        talk.say("250-2.0.0 Ok:", "250 queued")

    with ready_for_data(script) as (session, server):
        reply = session.data(raw, nothing)
        assert reply == Reply(250, "2.0.0 Ok: queued")
        assert (reply.accepted, reply.temporary) == (True, False)
        session.close()
        assert server.heard.endswith(b"DATA\r\n" + sent)


def test_what_happens_before_the_content_can_stop_it() -> None:
    said = threading.Event()

    def script(talk: Talk) -> None:
        talk.hear("DATA")
        said.set()
        talk.say("354 go on")

    def refuse() -> None:
        assert said.is_set(), "called before the server was asked"
        raise KeyError("full disk")

    with ready_for_data(script) as (session, server):
        with pytest.raises(KeyError):
            session.data(LETTER, refuse)
        assert server.heard.endswith(b"\r\nDATA\r\n"), "and the connection is closed"


@pytest.mark.parametrize(
    ("answer", "cause", "temporary"),
    [
        ("554 5.5.1 no valid recipients", Cause.REFUSED, False),
        ("451 4.3.0 later", Cause.REFUSED, True),
        ("421 4.3.2 bye", Cause.UNAVAILABLE, True),
        ("250 ok", Cause.PROTOCOL_ERROR, True),
        ("ok", Cause.PROTOCOL_ERROR, True),
    ],
)
def test_content_that_is_refused_beforehand_did_not_begin(
    answer: str, cause: Cause, temporary: bool
) -> None:
    called = list[str]()
    with ready_for_data(lambda talk: talk.reply("DATA", answer)) as (session, server):
        error = fails(
            Step.LOGIN, cause, lambda: session.data(LETTER, lambda: called.append("content"))
        )
        session.close()
        assert server.heard.endswith(b"\r\nDATA\r\n")
    assert (error.started, error.temporary, called) == (False, temporary, [])


def test_a_connection_that_breaks_before_the_content() -> None:
    def script(talk: Talk) -> None:
        talk.hear("DATA")
        talk.cut()

    with ready_for_data(script) as (session, _):
        error = fails(Step.LOGIN, Cause.CLOSED, lambda: session.data(LETTER, nothing))
    assert not error.started


def test_a_server_that_does_not_get_ready_for_content() -> None:
    with ready_for_data(lambda talk: talk.hear("DATA") and None, QUICK) as (session, _):
        error = fails(Step.LOGIN, Cause.TIMED_OUT, lambda: session.data(LETTER, nothing))
    assert not error.started


def test_a_connection_that_breaks_within_the_content() -> None:
    def script(talk: Talk) -> None:
        talk.reply("DATA", "354 go on")
        talk.hear_bytes(1000)
        talk.cut()

    with ready_for_data(script) as (session, _):
        raw = b"x" * 5_000_000
        error = fails(Step.LOGIN, Cause.CLOSED, lambda: session.data(raw, nothing))
    assert error.started


@pytest.mark.parametrize(
    ("end", "cause"),
    [
        (Talk.cut, Cause.CLOSED),
        (lambda talk: talk.say("ok"), Cause.PROTOCOL_ERROR),
        (lambda talk: talk.say("354 go on"), Cause.PROTOCOL_ERROR),
        (lambda talk: talk.say("250-two", "251 codes"), Cause.PROTOCOL_ERROR),
        (lambda talk: talk.send(b"250-" + b"x" * 100_000), Cause.PROTOCOL_ERROR),
        (lambda talk: talk.flood(b"250-and so on\r\n" * 1000), Cause.PROTOCOL_ERROR),
    ],
    ids=["cut", "no reply", "no answer", "two codes", "a line without end", "lines without end"],
)
def test_without_an_answer_to_the_content_nobody_knows(end: Script, cause: Cause) -> None:
    def script(talk: Talk) -> None:
        talk.reply("DATA", "354 go on")
        talk.hear_bytes(len(dot_stuffed(LETTER)))
        end(talk)

    with ready_for_data(script) as (session, server):
        error = fails(Step.LOGIN, cause, lambda: session.data(LETTER, nothing))
        assert error.started
        assert server.heard.endswith(dot_stuffed(LETTER)), "and the connection is closed"


@pytest.mark.parametrize("drips", [False, True])
def test_the_answer_to_the_content_has_ten_times_as_long_and_then_nobody_knows(
    drips: bool,
) -> None:
    def script(talk: Talk) -> None:
        talk.reply("DATA", "354 go on")
        talk.hear_bytes(len(dot_stuffed(LETTER)))
        if drips:
            talk.drip(b"250-" + b"x" * 1000)

    with ready_for_data(script, replace(NETWORK, command_seconds=0.05)) as (session, server):
        started = time.monotonic()
        error = fails(Step.LOGIN, Cause.TIMED_OUT, lambda: session.data(LETTER, nothing))
        assert 0.5 <= time.monotonic() - started < 2
        assert error.started
        assert server.heard.endswith(dot_stuffed(LETTER)), "and the connection is closed"


@pytest.mark.parametrize("answer", ["550 5.7.1 looks like spam", "452 4.3.1 no room", "421 bye"])
def test_content_may_be_refused_afterwards(answer: str) -> None:
    def script(talk: Talk) -> None:
        talk.reply("DATA", "354 go on")
        talk.hear_bytes(len(dot_stuffed(LETTER)))
        talk.say(answer)

    with ready_for_data(script) as (session, _):
        reply = session.data(LETTER, nothing)
    assert reply == Reply(int(answer[:3]), answer[4:])
    assert (reply.accepted, reply.temporary) == (False, answer[0] == "4")


def test_a_refusal_in_the_middle_of_the_content_is_an_answer() -> None:
    def script(talk: Talk) -> None:
        talk.reply("DATA", "354 go on")
        talk.say("552 5.3.4 too large")
        stopped.wait(5)

    stopped = threading.Event()
    with ready_for_data(script, QUICK) as (session, server):
        reply = session.data(b"x" * 20_000_000, nothing)
        assert reply == Reply(552, "5.3.4 too large")
        # What comes next would stand in the middle of a message.
        fails(Step.LOGIN, Cause.CLOSED, lambda: session.envelope(SENDER, [RECIPIENT]))
        stopped.set()
        assert b"MAIL FROM:<bob@firm.test>\r\nRCPT TO" in server.heard
        assert server.heard.count(b"MAIL FROM") == 1


def test_anything_else_in_the_middle_of_the_content_is_no_answer() -> None:
    def script(talk: Talk) -> None:
        talk.reply("DATA", "354 go on")
        talk.say("250 queued")
        stopped.wait(5)

    stopped = threading.Event()
    with ready_for_data(script, QUICK) as (session, _):
        raw = b"x" * 20_000_000
        error = fails(Step.LOGIN, Cause.TIMED_OUT, lambda: session.data(raw, nothing))
        stopped.set()
    assert error.started


# ---- The end ---------------------------------------------------------------------------------


def test_a_session_says_quit_and_after_an_exception_only_leaves() -> None:
    with signed_in(lambda talk: talk.reply("QUIT", "221 bye")) as (session, server):
        with session:
            pass
        assert server.heard.endswith(b"\r\nQUIT\r\n")
    with signed_in(silence) as (session, server):
        with pytest.raises(KeyError), session:
            raise KeyError
        assert not server.heard.endswith(b"QUIT\r\n")


@pytest.mark.parametrize(
    "script",
    [
        Talk.cut,
        silence,
        lambda talk: talk.reply("QUIT", "ok"),
        lambda talk: talk.reply("QUIT", "500 stay"),
        lambda talk: talk.flood(b"x" * 1000),
    ],
    ids=["cut", "silent", "no reply", "refused", "flood"],
)
def test_quit_never_raises_and_does_not_wait_long(
    script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smtp, "_QUIT_SECONDS", 0.2)
    started = time.monotonic()
    with signed_in(script) as (session, server):
        session.quit()
        assert server.heard.startswith(HELLO), "closed"
        session.quit()
    assert time.monotonic() - started < 2


def test_an_answer_that_has_no_end_is_not_collected() -> None:
    started = time.monotonic()
    with signed_in(lambda talk: talk.flood(b"250-x\r\n" * 1000)) as (session, _):
        fails(Step.LOGIN, Cause.PROTOCOL_ERROR, lambda: session.envelope(SENDER, [RECIPIENT]))
    assert time.monotonic() - started < 2
