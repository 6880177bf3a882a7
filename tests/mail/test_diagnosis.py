"""The connection test: its steps, where it stops, and what it finds out about the other end."""

import base64
import select as select_module
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from mail.connection import Credentials, Network, Server
from mail.diagnosis import (
    SECURITY_CAUSES,
    Offers,
    probe,
    right_security,
    steps_for,
    try_imap,
    try_smtp,
)
from mail.security import Security
from mail.server_errors import Cause, MailServerError, Step
from mail.server_string import Protocol
from tests.servers.scripted import (
    IMAP_OFFERS,
    Identity,
    Script,
    ScriptedServer,
    Talk,
    greet_imap,
    greet_smtp,
    identity,
    offer_smtp,
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


# ---- Without a login -------------------------------------------------------------------------


def offering(
    protocol: Protocol, security: Security, *offers: str, before: tuple[str, ...] = ()
) -> Script:
    """A server that offers this, and ``before`` in the clear; it waits for the goodbye."""

    def script(talk: Talk) -> None:
        if security is Security.TLS:
            talk.start_tls(identity())
        first = ("STARTTLS", *before) if security is Security.STARTTLS else offers
        if protocol is Protocol.IMAP:
            greet_imap(talk, " ".join(("IMAP4rev1", *first)))
            if security is Security.STARTTLS:
                talk.answer("STARTTLS")
                talk.start_tls(identity())
                talk.answer("CAPABILITY", f"* CAPABILITY {' '.join(('IMAP4rev1', *offers))}")
            talk.answer("LOGOUT", "* BYE")
        else:
            greet_smtp(talk, *first)
            if security is Security.STARTTLS:
                talk.reply("STARTTLS", "220 go on")
                talk.start_tls(identity())
                offer_smtp(talk, *offers)
            talk.reply("QUIT", "221 bye")

    return script


USUAL = {Protocol.IMAP: ("AUTH=PLAIN", "IDLE"), Protocol.SMTP: ("AUTH PLAIN", "SIZE 1000")}


@pytest.mark.parametrize("security", Security)
@pytest.mark.parametrize("protocol", Protocol)
def test_a_test_without_a_login_ends_with_what_is_offered_and_signs_nobody_in(
    protocol: Protocol, security: Security
) -> None:
    steps = list[Step]()
    with serving(offering(protocol, security, *USUAL[protocol])) as server:
        wanted = server_for(protocol, security, server.port)
        offers = probe(wanted, NETWORK, steps.append)
        words = [
            line.decode().removeprefix("EHLO ").split()[-1]
            for line in server.heard.split(b"\r\n")[:-1]
        ]
        hello, goodbye = {
            Protocol.IMAP: ("CAPABILITY", "LOGOUT"),
            Protocol.SMTP: ("[127.0.0.1]", "QUIT"),
        }[protocol]
        middle = ["STARTTLS", hello] if security is Security.STARTTLS else []
        assert words == [hello, *middle, goodbye]
    assert tuple(steps) == steps_for(wanted, login=False)
    assert steps[-1] is Step.CAPABILITIES
    assert not {Step.LOGIN, Step.INBOX} & set(steps)
    assert "PLAIN" in offers.mechanisms


@pytest.mark.parametrize(
    ("protocol", "said", "offers"),
    [
        (
            Protocol.IMAP,
            "MOVE IDLE QRESYNC CONDSTORE SPECIAL-USE NOTIFY AUTH=XOAUTH2 AUTH=PLAIN LOGINDISABLED",
            Offers(("PLAIN", "XOAUTH2"), ("IDLE", "CONDSTORE", "QRESYNC", "MOVE", "SPECIAL-USE")),
        ),
        (Protocol.IMAP, "ID", Offers(("LOGIN",), ())),
        (Protocol.IMAP, "AUTH=PLAIN AUTH=\x1bX AUTH= AUTH=A;B", Offers(("LOGIN", "PLAIN"), ())),
        (
            Protocol.SMTP,
            "AUTH PLAIN LOGIN XOAUTH2|SMTPUTF8|SIZE 35882577|8BITMIME",
            Offers(("LOGIN", "PLAIN", "XOAUTH2"), ("SMTPUTF8",), 35_882_577),
        ),
        (Protocol.SMTP, "SIZE 0|AUTH LOGIN", Offers(("LOGIN",), ())),
        (Protocol.SMTP, "SIZE|AUTH LOGIN", Offers(("LOGIN",), ())),
        (Protocol.SMTP, "SIZE much|AUTH LOGIN", Offers(("LOGIN",), ())),
        (Protocol.SMTP, f"SIZE {'9' * 21}|AUTH LOGIN", Offers(("LOGIN",), ())),
    ],
)
def test_what_a_server_offers(protocol: Protocol, said: str, offers: Offers) -> None:
    lines = said.split("|")
    with serving(offering(protocol, Security.NONE, *lines)) as server:
        assert probe(server_for(protocol, Security.NONE, server.port), NETWORK) == offers


@pytest.mark.parametrize("security", Security)
@pytest.mark.parametrize(
    ("protocol", "offers", "cause"),
    [
        (Protocol.SMTP, "SIZE 1000", Cause.AUTH_MISSING),
        (Protocol.SMTP, "AUTH", Cause.AUTH_MISSING),
        (Protocol.SMTP, "AUTH XOAUTH2 OAUTHBEARER", Cause.OAUTH_WANTED),
        (Protocol.SMTP, "AUTH GSSAPI XOAUTH2", Cause.LOGIN_DISABLED),
        (Protocol.IMAP, "LOGINDISABLED", Cause.LOGIN_DISABLED),
        (Protocol.IMAP, "LOGINDISABLED AUTH=XOAUTH2", Cause.OAUTH_WANTED),
        (Protocol.IMAP, "LOGINDISABLED AUTH=OAUTHBEARER AUTH=XOAUTH2", Cause.OAUTH_WANTED),
        (Protocol.IMAP, "LOGINDISABLED AUTH=GSSAPI AUTH=XOAUTH2", Cause.LOGIN_DISABLED),
    ],
)
def test_where_no_password_is_taken_none_is_said(
    protocol: Protocol, security: Security, offers: str, cause: Cause
) -> None:
    """What was offered in the clear does not count once there is encryption."""
    script = offering(protocol, security, offers, before=("AUTH PLAIN", "AUTH=PLAIN"))
    with serving(script) as server:
        steps, error = attempt(server, protocol, security)
        assert error is not None
        assert (error.step, error.cause, error.temporary) == (Step.LOGIN, cause, False)
        assert b"AUTH" not in server.heard
        assert b"LOGIN" not in server.heard
    assert steps[-1] in {Step.GREETING, Step.CERTIFICATE}
    with serving(script) as server:
        with pytest.raises(MailServerError) as caught:
            probe(server_for(protocol, security, server.port), NETWORK)
        assert (caught.value.step, caught.value.cause) == (Step.CAPABILITIES, cause)


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        ("5.7.8 wrong", Cause.LOGIN_REFUSED),
        ("5.7.8 an application-specific password is required", Cause.APP_PASSWORD_WANTED),
        (
            "5.7.139 Authentication unsuccessful, basic authentication is disabled.",
            Cause.OAUTH_WANTED,
        ),
        ("5.7.139 SmtpClientAuthentication is disabled for the Tenant.", Cause.LOGIN_DISABLED),
    ],
)
@pytest.mark.parametrize("protocol", Protocol)
def test_why_a_login_is_refused(protocol: Protocol, words: str, cause: Cause) -> None:
    def script(talk: Talk) -> None:
        if protocol is Protocol.IMAP:
            greet_imap(talk)
            talk.answer("AUTHENTICATE", end=f"NO {words}")
        else:
            greet_smtp(talk, "AUTH PLAIN")
            talk.reply("AUTH PLAIN", f"535 {words}")

    with serving(script) as server:
        _, error = attempt(server, protocol)
        assert error is not None
        assert (error.step, error.cause, error.server_words) == (Step.LOGIN, cause, words)
        assert not error.temporary


# ---- A second look ---------------------------------------------------------------------------


class OpenHouse:
    """Plays the same script to everybody who comes, one after the other."""

    def __init__(self, script: Script, most: int) -> None:
        self._script = script
        self._most = most
        self._stop = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.talks: list[Talk] = []
        self._thread = threading.Thread(target=self._run, name="open house")
        self._thread.start()

    @property
    def heard(self) -> bytes:
        return b"".join(bytes(talk.in_clear + talk.encrypted) for talk in self.talks)

    def close(self) -> None:
        self._stop.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()

    def _run(self) -> None:
        while len(self.talks) < self._most:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            if len(self.talks) + 1 == self._most:
                self._listener.close()
            talk = Talk(connection, self._stop)
            self.talks.append(talk)
            # Whoever says something else or hangs up is not spoken to any more.
            with suppress(OSError, ValueError, AssertionError):
                self._script(talk)
                talk.listen_to_the_end()
            talk.cut()


@contextmanager
def open_house(script: Script, most: int = 100) -> Iterator[OpenHouse]:
    house = OpenHouse(script, most)
    try:
        yield house
    finally:
        house.close()


def saying(*lines: str) -> Script:
    return lambda talk: talk.say(*lines)


def smtp(talk: Talk) -> None:
    greet_smtp(talk, "AUTH PLAIN")


def smtp_of_many_lines(talk: Talk) -> None:
    talk.say("220-smtp.firm.test", "220 ready")
    offer_smtp(talk, "AUTH PLAIN")


def ftp(talk: Talk) -> None:
    talk.say("220 (vsFTPd 3.0.3)")
    talk.reply("EHLO", "530 Please login with USER and PASS.")


def silence(talk: Talk) -> None:
    """Says nothing until the client hangs up."""


def over_tls(script: Script, ours: Identity | None = None) -> Script:
    def whole(talk: Talk) -> None:
        if talk._connection.recv(1, socket.MSG_PEEK) != b"\x16":
            raise ConnectionError("it speaks TLS only")
        talk.start_tls(ours or identity())
        script(talk)

    return whole


def old_tls(talk: Talk) -> None:
    """The alert protocol_version (RFC 8446, section 6.2)."""
    talk.hear_bytes(5)
    talk.send(b"\x15\x03\x01\x00\x02\x02\x46")


def impatient(talk: Talk) -> None:
    """Waits for TLS, but not for long."""
    if select_module.select([talk._connection], [], [], 0.1)[0]:
        over_tls(greet_imap)(talk)
    else:
        talk.cut()


def refusing_starttls(talk: Talk) -> None:
    greet_imap(talk, f"{IMAP_OFFERS} STARTTLS")
    talk.answer("STARTTLS", end="NO not now")


def cut_before_tls(talk: Talk) -> None:
    greet_smtp(talk, "STARTTLS")
    talk.reply("STARTTLS", "220 go on")
    talk.cut()


IMAP, SMTP = Protocol.IMAP, Protocol.SMTP
NONE, STARTTLS, TLS = Security
QUICK = replace(NETWORK, connect_seconds=1, command_seconds=0.3)
AT_ENCRYPTION, AT_GREETING = Step.ENCRYPTION, Step.GREETING


@pytest.mark.parametrize(
    ("script", "protocol", "security", "step", "cause"),
    [
        # The other protocol, in the clear and over TLS.
        (smtp, IMAP, NONE, AT_GREETING, Cause.SMTP_ANSWERS),
        (smtp, IMAP, STARTTLS, AT_GREETING, Cause.SMTP_ANSWERS),
        (smtp_of_many_lines, IMAP, TLS, AT_ENCRYPTION, Cause.SMTP_ANSWERS),
        (over_tls(smtp), IMAP, NONE, AT_GREETING, Cause.SMTP_ANSWERS),
        (over_tls(smtp), IMAP, TLS, AT_GREETING, Cause.SMTP_ANSWERS),
        (greet_imap, SMTP, NONE, AT_GREETING, Cause.IMAP_ANSWERS),
        (saying("* BYE no more"), SMTP, TLS, AT_ENCRYPTION, Cause.IMAP_ANSWERS),
        (over_tls(greet_imap), SMTP, STARTTLS, AT_GREETING, Cause.IMAP_ANSWERS),
        (over_tls(greet_imap), SMTP, TLS, AT_GREETING, Cause.IMAP_ANSWERS),
        # Neither of them.
        (ftp, IMAP, NONE, AT_GREETING, Cause.BAD_GREETING),
        (ftp, SMTP, NONE, AT_GREETING, Cause.BAD_GREETING),
        (saying("SSH-2.0-OpenSSH_9.2"), IMAP, NONE, AT_GREETING, Cause.BAD_GREETING),
        (over_tls(saying("+OK POP3 ready")), IMAP, TLS, AT_GREETING, Cause.BAD_GREETING),
        # No TLS, or not one that we speak.
        (greet_imap, IMAP, TLS, AT_ENCRYPTION, Cause.NOT_TLS),
        (smtp, SMTP, TLS, AT_ENCRYPTION, Cause.NOT_TLS),
        (saying("SSH-2.0-OpenSSH_9.2"), IMAP, TLS, AT_ENCRYPTION, Cause.NOT_TLS),
        (old_tls, IMAP, TLS, AT_ENCRYPTION, Cause.TLS_FAILED),
        (Talk.cut, SMTP, TLS, AT_ENCRYPTION, Cause.TLS_FAILED),
        (silence, SMTP, TLS, AT_ENCRYPTION, Cause.TIMED_OUT),
        # TLS where it was not expected, whoever issued the certificate.
        (over_tls(greet_imap), IMAP, NONE, AT_GREETING, Cause.TLS_WANTED),
        (over_tls(smtp), SMTP, STARTTLS, AT_GREETING, Cause.TLS_WANTED),
        (over_tls(greet_imap, identity("others")), IMAP, NONE, AT_GREETING, Cause.TLS_WANTED),
        (over_tls(silence), IMAP, STARTTLS, AT_GREETING, Cause.TLS_WANTED),
        (impatient, IMAP, NONE, AT_GREETING, Cause.TLS_WANTED),
        # That there is plain text before STARTTLS says nothing.
        (refusing_starttls, IMAP, STARTTLS, AT_ENCRYPTION, Cause.TLS_FAILED),
        (cut_before_tls, SMTP, STARTTLS, AT_ENCRYPTION, Cause.TLS_FAILED),
        # Nothing more can be known.
        (silence, IMAP, NONE, AT_GREETING, Cause.TIMED_OUT),
        (over_tls(silence), SMTP, TLS, AT_GREETING, Cause.TIMED_OUT),
        (Talk.cut, SMTP, STARTTLS, AT_GREETING, Cause.CLOSED),
    ],
)  # fmt: skip
def test_a_second_look_tells_causes_apart(
    script: Script, protocol: Protocol, security: Security, step: Step, cause: Cause
) -> None:
    with open_house(script) as house, pytest.raises(MailServerError) as caught:
        probe(server_for(protocol, security, house.port), QUICK)
    assert (caught.value.step, caught.value.cause) == (step, cause)


@pytest.mark.parametrize(
    ("script", "protocol", "security", "cause"),
    [
        (smtp, IMAP, NONE, Cause.SMTP_ANSWERS),
        (greet_imap, SMTP, TLS, Cause.IMAP_ANSWERS),
        (over_tls(smtp), SMTP, STARTTLS, Cause.TLS_WANTED),
    ],
)
def test_a_test_with_a_login_looks_again_too_and_shows_nobody_a_password(
    script: Script, protocol: Protocol, security: Security, cause: Cause
) -> None:
    with open_house(script) as house, pytest.raises(MailServerError) as caught:
        TRY[protocol](server_for(protocol, security, house.port), BOB, QUICK)
    assert caught.value.cause is cause
    assert len(house.talks) >= 2
    for secret in (b"bob", b"geheim", base64.b64encode(BOB.plain)):
        assert secret not in house.heard


@pytest.fixture(params=[False, True], ids=["http", "https"])
def web_server(request: pytest.FixtureRequest) -> Iterator[tuple[int, bool]]:
    """The port of a web server, and whether it speaks TLS."""

    class Silent(BaseHTTPRequestHandler):
        timeout = 1

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
            """Says nothing on the console."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Silent) as server:
        if request.param:
            server.socket = identity().context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server.server_address[1], request.param
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("security", Security)
@pytest.mark.parametrize("protocol", Protocol)
def test_a_web_server_is_named(
    web_server: tuple[int, bool], protocol: Protocol, security: Security
) -> None:
    port, speaks_tls = web_server
    with pytest.raises(MailServerError) as caught:
        probe(server_for(protocol, security, port), QUICK)
    fails_early = security is Security.TLS and not speaks_tls
    step = Step.ENCRYPTION if fails_early else Step.GREETING
    assert (caught.value.step, caught.value.cause) == (step, Cause.HTTP_ANSWERS)
    assert caught.value.server_words == ""


def test_a_server_that_is_gone_at_the_second_look_is_judged_by_the_first() -> None:
    with open_house(saying("220 smtp.firm.test"), most=1) as house:
        with pytest.raises(MailServerError) as caught:
            try_imap(server_for(IMAP, NONE, house.port), BOB, NETWORK)
        assert (caught.value.step, caught.value.cause) == (Step.GREETING, Cause.BAD_GREETING)


def test_a_server_that_is_well_again_at_the_second_look_is_judged_by_the_first() -> None:
    greetings = iter(["what?", "* OK ready"])
    with open_house(lambda talk: talk.say(next(greetings))) as house:
        with pytest.raises(MailServerError) as caught:
            try_imap(server_for(IMAP, NONE, house.port), BOB, NETWORK)
        assert caught.value.cause is Cause.BAD_GREETING
        assert len(house.talks) == 2


def test_where_the_first_look_is_clear_there_is_no_second() -> None:
    with open_house(saying("* BYE [UNAVAILABLE] later")) as house:
        with pytest.raises(MailServerError) as caught:
            try_imap(server_for(IMAP, NONE, house.port), BOB, NETWORK)
        assert (caught.value.cause, caught.value.server_words) == (
            Cause.UNAVAILABLE,
            "[UNAVAILABLE] later",
        )
        assert len(house.talks) == 1


def test_a_second_look_has_an_end() -> None:
    started = time.monotonic()
    with open_house(lambda talk: talk.drip(b"* OK ")) as house:
        with pytest.raises(MailServerError) as caught:
            probe(server_for(SMTP, NONE, house.port), QUICK)
        assert caught.value.cause is Cause.TIMED_OUT
    assert time.monotonic() - started < 5


# ---- The right security ----------------------------------------------------------------------


def both(talk: Talk) -> None:
    """TLS from the beginning and STARTTLS on one port, as some proxies have it."""
    if select_module.select([talk._connection], [], [], 0.1)[0]:
        talk.start_tls(identity())
        greet_imap(talk)
    else:
        greet_imap(talk, "STARTTLS")


@pytest.mark.parametrize(
    ("script", "tried", "right"),
    [
        (over_tls(greet_imap), NONE, TLS),
        (over_tls(greet_imap, identity("others")), STARTTLS, TLS),
        (imap_script(STARTTLS), TLS, STARTTLS),
        (greet_imap, TLS, NONE),
        (greet_imap, STARTTLS, NONE),
        (both, NONE, TLS),
        # Not of the security's making.
        (greet_imap, NONE, None),
        (over_tls(greet_imap), TLS, None),
        (smtp, TLS, None),
        (over_tls(smtp), NONE, None),
        (Talk.cut, TLS, None),
    ],
)
def test_the_best_other_security_is_found(
    script: Script, tried: Security, right: Security | None
) -> None:
    with open_house(script) as house:
        assert right_security(server_for(IMAP, tried, house.port), QUICK) is right
    assert b"AUTHENTICATE" not in house.heard


@pytest.mark.parametrize("tried", Security)
def test_the_search_for_the_right_security_has_an_end(tried: Security) -> None:
    started = time.monotonic()
    with open_house(silence) as house:
        quick = replace(NETWORK, connect_seconds=0.4)
        assert right_security(server_for(SMTP, tried, house.port), quick) is None
    assert time.monotonic() - started < 1


def test_causes_that_smell_of_a_wrong_security_are_known() -> None:
    assert {Cause.NOT_TLS, Cause.TLS_WANTED, Cause.STARTTLS_MISSING} <= SECURITY_CAUSES
    assert Cause.LOGIN_REFUSED not in SECURITY_CAUSES
