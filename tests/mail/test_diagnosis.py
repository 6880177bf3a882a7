"""The connection test: its steps, and where it stops."""

from collections.abc import Callable

import pytest

from mail.connection import Credentials, Network, Server
from mail.diagnosis import steps_for, try_imap, try_smtp
from mail.security import Security
from mail.server_errors import Cause, MailServerError, Step
from mail.server_string import Protocol
from tests.servers.scripted import (
    IMAP_OFFERS,
    Script,
    ScriptedServer,
    Talk,
    greet_imap,
    greet_smtp,
    identity,
    serving,
    welcome_imap,
    welcome_smtp,
)

HOSTS = {"imap.firm.test": "127.0.0.1", "smtp.firm.test": "127.0.0.1"}
NETWORK = Network(hosts=HOSTS, connect_seconds=5, command_seconds=5)
BOB = Credentials("bob", "geheim")
TRY = {Protocol.IMAP: try_imap, Protocol.SMTP: try_smtp}


def server_for(protocol: Protocol, security: Security, port: int) -> Server:
    return Server(protocol, f"{protocol}.firm.test", port, security, identity().ca_pem)


def attempt(
    server: ScriptedServer, protocol: Protocol, security: Security = Security.NONE
) -> tuple[list[Step], MailServerError | None]:
    """The steps that succeeded, and why the next one did not."""
    steps = list[Step]()
    wanted = server_for(protocol, security, server.port)
    try:
        TRY[protocol](wanted, BOB, NETWORK, steps.append)
    except MailServerError as error:
        return steps, error
    return steps, None


def select(*lines: str, end: str) -> Script:
    def script(talk: Talk) -> None:
        welcome_imap(talk)
        talk.answer("EXAMINE", *lines, end=end)

    return script


FOUND = ("* 0 EXISTS", "* OK [UIDVALIDITY 1] valid")


def imap_script(security: Security) -> Script:
    def script(talk: Talk) -> None:
        if security is Security.TLS:
            talk.start_tls(identity())
        greet_imap(talk, f"{IMAP_OFFERS} STARTTLS")
        if security is Security.STARTTLS:
            talk.answer("STARTTLS")
            talk.start_tls(identity())
            talk.answer("CAPABILITY", f"* CAPABILITY {IMAP_OFFERS}")
        talk.answer("AUTHENTICATE PLAIN")
        talk.answer("CAPABILITY", f"* CAPABILITY {IMAP_OFFERS}")
        talk.answer('EXAMINE "INBOX"', *FOUND, end="OK [READ-ONLY] done")
        talk.answer("LOGOUT", "* BYE")

    return script


def smtp_script(security: Security) -> Script:
    def script(talk: Talk) -> None:
        if security is Security.TLS:
            talk.start_tls(identity())
        greet_smtp(talk, "AUTH PLAIN", "STARTTLS")
        if security is Security.STARTTLS:
            talk.reply("STARTTLS", "220 go on")
            talk.start_tls(identity())
            talk.reply("EHLO", "250-smtp.firm.test", "250 AUTH PLAIN")
        talk.reply("AUTH PLAIN", "235 welcome")
        talk.reply("QUIT", "221 bye")

    return script


@pytest.mark.parametrize("security", Security)
@pytest.mark.parametrize(
    ("protocol", "script_for"),
    [(Protocol.IMAP, imap_script), (Protocol.SMTP, smtp_script)],
    ids=["imap", "smtp"],
)
def test_the_steps_happen_as_they_were_announced(
    protocol: Protocol, script_for: Callable[[Security], Script], security: Security
) -> None:
    with serving(script_for(security)) as server:
        steps, error = attempt(server, protocol, security)
        assert error is None
        assert tuple(steps) == steps_for(server_for(protocol, security, server.port))
        # All was said, the goodbye too, and nothing was changed or sent.
        assert server.heard.splitlines()[-1].split()[-1] in {b"LOGOUT", b"QUIT"}


def test_the_steps_of_each_security() -> None:
    def steps(protocol: Protocol, security: Security) -> str:
        return " ".join(steps_for(server_for(protocol, security, 1)))

    assert steps(Protocol.IMAP, Security.NONE) == "name port greeting login inbox"
    assert (
        steps(Protocol.IMAP, Security.STARTTLS)
        == "name port greeting encryption certificate login inbox"
    )
    assert (
        steps(Protocol.IMAP, Security.TLS)
        == "name port encryption certificate greeting login inbox"
    )
    assert steps(Protocol.SMTP, Security.NONE) == "name port greeting login"
    assert steps(Protocol.SMTP, Security.TLS) == "name port encryption certificate greeting login"


def test_without_an_inbox_the_mailbox_is_of_no_use() -> None:
    with serving(select(end="NO [NONEXISTENT] no such folder")) as server:
        steps, error = attempt(server, Protocol.IMAP)
        assert error is not None
        assert (error.step, error.cause) == (Step.INBOX, Cause.INBOX_MISSING)
        assert error.server_words == "[NONEXISTENT] no such folder"
        assert not error.temporary
        assert server.heard.splitlines()[-1].endswith(b'EXAMINE "INBOX"'), "and it hangs up"
    assert steps[-1] is Step.LOGIN


@pytest.mark.parametrize(
    ("lines", "end", "cause"),
    [
        ((), "NO [UNAVAILABLE] later", Cause.UNAVAILABLE),
        ((), "NO [THROTTLED] slower", Cause.THROTTLED),
        ((), "BAD what", Cause.PROTOCOL_ERROR),
        (("* BYE out",), "OK done", Cause.CLOSED),
        (("* 0 EXISTS",), "OK done", Cause.PROTOCOL_ERROR),
    ],
)
def test_an_inbox_that_cannot_be_opened_now_is_not_missing(
    lines: tuple[str, ...], end: str, cause: Cause
) -> None:
    with serving(select(*lines, end=end)) as server:
        _, error = attempt(server, Protocol.IMAP)
        assert error is not None
        assert (error.step, error.cause) == (Step.INBOX, cause)


@pytest.mark.parametrize(
    ("protocol", "script"),
    [
        (Protocol.IMAP, greet_imap),
        (Protocol.SMTP, lambda talk: greet_smtp(talk, "AUTH PLAIN")),
    ],
    ids=["imap", "smtp"],
)
def test_a_test_stops_where_it_fails(protocol: Protocol, script: Script) -> None:
    def whole(talk: Talk) -> None:
        script(talk)
        talk.hear()
        talk.say(f"{talk.tag} NO wrong" if protocol is Protocol.IMAP else "535 wrong")

    with serving(whole) as server:
        steps, error = attempt(server, protocol)
        assert error is not None
        assert (error.step, error.cause) == (Step.LOGIN, Cause.LOGIN_REFUSED)
        assert b"AUTH" in server.heard.splitlines()[-1]
    assert steps == [Step.NAME, Step.PORT, Step.GREETING]


@pytest.mark.parametrize(
    ("protocol", "script", "last"),
    [
        (Protocol.IMAP, select(*FOUND, end="OK done"), Step.INBOX),
        (Protocol.SMTP, welcome_smtp, Step.LOGIN),
    ],
    ids=["imap", "smtp"],
)
def test_what_a_watcher_of_steps_raises_ends_the_test(
    protocol: Protocol, script: Script, last: Step
) -> None:
    def watch(step: Step) -> None:
        if step is last:
            raise KeyError(step)

    with serving(script) as server:
        wanted = server_for(protocol, Security.NONE, server.port)
        with pytest.raises(KeyError):
            TRY[protocol](wanted, BOB, NETWORK, watch)
        assert b"QUIT" not in server.heard
        assert b"LOGOUT" not in server.heard
