"""What an employee learns who types a server: whether a mail server answers, and nothing else.

Loopback stands for both sides here: 127.0.0.1 is where employees may go, 127.0.0.2 is not.
"""

import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from mail.connection import Credentials, Network, Server
from mail.diagnosis import probe, try_imap, try_smtp
from mail.imap.client import open_session
from mail.security import Security
from mail.server_errors import Cause, MailServerError, Step
from mail.server_string import Protocol
from mail.smtp import open_smtp
from tests.mail.test_connection import stuck_port
from tests.mail.test_diagnosis import (
    ftp,
    old_tls,
    open_house,
    over_tls,
    refusing_starttls,
    saying,
    silence,
    smtp,
    smtp_of_many_lines,
)
from tests.servers.scripted import (
    Script,
    Talk,
    closed_port,
    greet_imap,
    greet_smtp,
    identity,
    offer_smtp,
    serving,
)

ALLOWED, FORBIDDEN, NOWHERE = "127.0.0.1", "127.0.0.2", "255.255.255.255"
NETWORKS = (f"{ALLOWED}/32", f"{NOWHERE}/32")
TABLE = {
    f"{protocol}.{where}.test": address
    for protocol in Protocol
    for where, address in (("firm", ALLOWED), ("inside", FORBIDDEN), ("nowhere", NOWHERE))
}
LASTS = 1.5  # seconds that a test lasts where no mail server answers
LATE = 0.7  # that it may be late, on a machine that does much else
NETWORK = Network(hosts=TABLE, connect_seconds=5, command_seconds=5, typed_seconds=LASTS)
# For what does not wait for its end, on a slow machine too.
PATIENT = replace(NETWORK, typed_seconds=6)
BOB = Credentials("bob", "geheim")
TRY = {Protocol.IMAP: try_imap, Protocol.SMTP: try_smtp}
IMAP, SMTP = Protocol.IMAP, Protocol.SMTP
NONE, STARTTLS, TLS = Security
Place = AbstractContextManager[tuple[str, int]]


def typed(
    protocol: Protocol, security: Security, port: int, *, where: str = "firm", **changed: Any
) -> Server:
    server = Server(
        protocol, f"{protocol}.{where}.test", port, security, identity().ca_pem, NETWORKS
    )
    return replace(server, **changed)


def failure(action: Callable[[], object]) -> MailServerError:
    with pytest.raises(MailServerError) as caught:
        action()
    return caught.value


def is_told_nothing(error: MailServerError) -> bool:
    told = (error.step, error.cause, error.server_words, str(error), error.temporary)
    return told == (Step.PORT, Cause.NO_MAIL_SERVER, "", "port: no_mail_server", True)


# ---- What is no mail server --------------------------------------------------------------------


@contextmanager
def refused() -> Iterator[tuple[str, int]]:
    with closed_port() as port:
        yield "firm", port


@contextmanager
def filtered() -> Iterator[tuple[str, int]]:
    with stuck_port() as port:
        yield "firm", port


@contextmanager
def forbidden() -> Iterator[tuple[str, int]]:
    with Trap(FORBIDDEN) as trap:
        yield "inside", trap.port
        assert trap.callers == 0


@contextmanager
def without_a_way() -> Iterator[tuple[str, int]]:
    yield "nowhere", 993  # no connection goes to everybody


@contextmanager
def answering(script: Script) -> Iterator[tuple[str, int]]:
    with open_house(script) as house:
        yield "firm", house.port
        assert house.talks
        assert b"HEAD" not in house.heard, "nobody is asked on an employee's behalf"


class Trap:
    """Listens, lets nobody in, and counts who knocked: they wait until they are counted."""

    def __init__(self, address: str, port: int = 0) -> None:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._listener = socket.create_server(
            (address, port), family=family, dualstack_ipv6=address == "::"
        )
        self._listener.setblocking(False)
        self.port: int = self._listener.getsockname()[1]
        self._callers = 0

    def __enter__(self) -> "Trap":
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    @property
    def callers(self) -> int:
        while True:
            try:
                self._listener.accept()[0].close()
            except BlockingIOError:
                return self._callers
            self._callers += 1


PLACES: dict[str, Callable[[], Place]] = {
    "refused": refused,
    "filtered": filtered,
    "forbidden": forbidden,
    "without a way": without_a_way,
    "closed": partial(answering, Talk.cut),
    "silent": partial(answering, silence),
    "web server": partial(answering, saying("HTTP/1.1 400 Bad Request", "")),
    "SSH": partial(answering, saying("SSH-2.0-OpenSSH_9.2")),
    "FTP": partial(answering, ftp),
    "too many for FTP": partial(answering, saying("421 Too many users")),
    "not today": partial(answering, saying("554 No service here")),
    "a number and no more": partial(answering, saying("220 ready", "500 What?")),
    "garbage": partial(answering, lambda talk: talk.send(b"\x00\xff" * 50_000)),
    "drips": partial(answering, lambda talk: talk.drip(b"* OK ")),
    "TLS of yesterday": partial(answering, old_tls),
    "silent over TLS": partial(answering, over_tls(silence)),
    "web server over TLS": partial(answering, over_tls(saying("HTTP/1.1 400 Bad Request", ""))),
    "POP3 over TLS": partial(answering, over_tls(saying("+OK POP3 ready"))),
}


@pytest.mark.parametrize("security", Security)
@pytest.mark.parametrize("protocol", Protocol)
@pytest.mark.parametrize("login", [True, False], ids=["login", "no login"])
def test_whatever_is_no_mail_server_sounds_and_lasts_the_same(
    protocol: Protocol, security: Security, login: bool
) -> None:
    def test_of(place: tuple[str, int]) -> tuple[MailServerError, list[Step], float]:
        where, port = place
        server, steps = typed(protocol, security, port, where=where), list[Step]()
        began = time.monotonic()
        if login:
            error = failure(lambda: TRY[protocol](server, BOB, NETWORK, steps.append))
        else:
            error = failure(lambda: probe(server, NETWORK, steps.append))
        return error, steps, time.monotonic() - began

    with ExitStack() as stack, ThreadPoolExecutor(len(PLACES)) as threads:
        places = [stack.enter_context(place()) for place in PLACES.values()]
        found = dict(zip(PLACES, threads.map(test_of, places), strict=True))
    told_more = {name for name, (error, _, _) in found.items() if not is_told_nothing(error)}
    assert told_more == set()
    lasted = {name: seconds for name, (_, _, seconds) in found.items()}
    assert min(lasted.values()) >= LASTS, lasted
    assert max(lasted.values()) < LASTS + LATE, lasted
    assert {error.started for error, _, _ in found.values()} == {False}


def test_what_it_really_was_is_kept_for_the_log_alone() -> None:
    quick = replace(NETWORK, typed_seconds=0.1)
    with closed_port() as port:
        error = failure(lambda: probe(typed(IMAP, TLS, port), quick))
    assert str(error.beneath) == "port: connection_refused"
    assert "refused" not in str(error)
    assert "refused" not in repr(error)


@pytest.mark.parametrize("name", ["closed", "SSH", "silent over TLS", "forbidden"])
def test_no_step_after_the_name_is_done_where_the_port_cannot_be_connected_to(name: str) -> None:
    steps = list[Step]()
    quick = replace(NETWORK, typed_seconds=0.3)
    with PLACES[name]() as (where, port):
        failure(lambda: probe(typed(IMAP, TLS, port, where=where), quick, steps.append))
    assert steps[0] is Step.NAME
    assert Step.GREETING not in steps


def test_a_name_that_is_not_found_is_told_at_once() -> None:
    began = time.monotonic()
    server = typed(IMAP, TLS, 993, host="a..b")
    error = failure(lambda: probe(server, PATIENT))
    assert (error.step, error.cause) == (Step.NAME, Cause.NAME_NOT_FOUND)
    assert time.monotonic() - began < 2


def test_of_what_an_administrator_chose_every_cause_stays() -> None:
    began = time.monotonic()
    for name, cause in (
        ("refused", Cause.CONNECTION_REFUSED),
        ("without a way", Cause.UNREACHABLE),
        ("closed", Cause.TLS_FAILED),
        ("SSH", Cause.NOT_TLS),
        ("web server", Cause.HTTP_ANSWERS),
    ):
        with PLACES[name]() as (where, port):
            server = typed(IMAP, TLS, port, where=where, networks=None)
            assert failure(partial(probe, server, PATIENT)).cause is cause
    assert time.monotonic() - began < PATIENT.typed_seconds


@pytest.mark.parametrize("security", Security)
@pytest.mark.parametrize("protocol", Protocol)
@pytest.mark.parametrize("name", PLACES)
def test_a_mailbox_that_is_used_is_told_no_more_and_does_not_wait(
    name: str, protocol: Protocol, security: Security
) -> None:
    quick = replace(NETWORK, typed_seconds=0.4)
    opening = open_session if protocol is IMAP else open_smtp
    with PLACES[name]() as (where, port):
        server = typed(protocol, security, port, where=where)
        assert is_told_nothing(failure(lambda: opening(server, BOB, quick)))


# ---- What is a mail server ---------------------------------------------------------------------


def refusing_login(talk: Talk) -> None:
    greet_imap(talk)
    talk.answer("AUTHENTICATE", end="NO Not you")


def refusing_smtp_login(talk: Talk) -> None:
    greet_smtp(talk, "AUTH PLAIN")
    talk.reply("AUTH PLAIN", "535 Not you")


def hanging_up(talk: Talk) -> None:
    greet_smtp(talk, "AUTH PLAIN")
    talk.hear("AUTH PLAIN")
    talk.cut()


def late_fault(talk: Talk) -> None:
    """Encrypts after the greeting, with a certificate of somebody else."""
    talk.say("220 ready")
    offer_smtp(talk, "STARTTLS")
    talk.reply("STARTTLS", "220 go on")
    talk.start_tls(identity("others"))


@pytest.mark.parametrize(
    ("script", "protocol", "security", "step", "cause", "words"),
    [
        # The other protocol's server.
        (smtp, IMAP, NONE, Step.GREETING, Cause.SMTP_ANSWERS, ""),
        (smtp_of_many_lines, IMAP, TLS, Step.ENCRYPTION, Cause.SMTP_ANSWERS, ""),
        (over_tls(smtp), IMAP, TLS, Step.GREETING, Cause.SMTP_ANSWERS, ""),
        (greet_imap, SMTP, NONE, Step.GREETING, Cause.IMAP_ANSWERS, ""),
        (saying("* BYE no more"), SMTP, TLS, Step.ENCRYPTION, Cause.IMAP_ANSWERS, ""),
        (over_tls(greet_imap), SMTP, STARTTLS, Step.GREETING, Cause.IMAP_ANSWERS, ""),
        # Another connection security, with which it greets.
        (greet_imap, IMAP, TLS, Step.ENCRYPTION, Cause.NOT_TLS, ""),
        (smtp, SMTP, TLS, Step.ENCRYPTION, Cause.NOT_TLS, ""),
        (over_tls(greet_imap), IMAP, NONE, Step.GREETING, Cause.TLS_WANTED, ""),
        (over_tls(smtp), SMTP, STARTTLS, Step.GREETING, Cause.TLS_WANTED, ""),
        # One that greets as it should.
        (saying("* BYE [UNAVAILABLE] later"), IMAP, NONE, Step.GREETING, Cause.UNAVAILABLE,
         "[UNAVAILABLE] later"),
        (saying("* PREAUTH hello"), IMAP, NONE, Step.GREETING, Cause.PREAUTH, "hello"),
        (greet_imap, IMAP, STARTTLS, Step.ENCRYPTION, Cause.STARTTLS_MISSING, ""),
        (refusing_starttls, IMAP, STARTTLS, Step.ENCRYPTION, Cause.TLS_FAILED, "not now"),
        (late_fault, SMTP, STARTTLS, Step.CERTIFICATE, Cause.CERTIFICATE_UNTRUSTED, ""),
        (refusing_login, IMAP, NONE, Step.LOGIN, Cause.LOGIN_REFUSED, "Not you"),
        (over_tls(refusing_login), IMAP, TLS, Step.LOGIN, Cause.LOGIN_REFUSED, "Not you"),
        (refusing_smtp_login, SMTP, NONE, Step.LOGIN, Cause.LOGIN_REFUSED, "Not you"),
        (hanging_up, SMTP, NONE, Step.LOGIN, Cause.CLOSED, ""),
        # One whose certificate is not as it should be.
        (over_tls(silence, identity("others")), SMTP, TLS, Step.CERTIFICATE,
         Cause.CERTIFICATE_UNTRUSTED, ""),
    ],
)  # fmt: skip
def test_what_a_mail_server_says_of_itself_is_told(
    script: Script, protocol: Protocol, security: Security, step: Step, cause: Cause, words: str
) -> None:
    began = time.monotonic()
    with open_house(script) as house:
        error = failure(lambda: TRY[protocol](typed(protocol, security, house.port), BOB, PATIENT))
    assert (error.step, error.cause, error.server_words) == (step, cause, words)
    assert error.beneath is None
    assert time.monotonic() - began < PATIENT.typed_seconds, "it need not wait"


def test_that_tls_is_wanted_is_told_only_where_a_mail_server_greets_over_it() -> None:
    with open_house(over_tls(greet_imap, identity("others"))) as house:
        assert is_told_nothing(failure(lambda: probe(typed(IMAP, NONE, house.port), NETWORK)))
        anywhere = typed(IMAP, NONE, house.port, networks=None)
        quick = replace(NETWORK, command_seconds=0.3)
        assert failure(lambda: probe(anywhere, quick)).cause is Cause.TLS_WANTED


def test_a_greeting_has_one_deadline_with_what_comes_before_it() -> None:
    def late(talk: Talk) -> None:
        """Each piece comes in time; all together do not."""
        if not talk._stop.wait(0.4):
            talk.say("220 ready")
        if not talk._stop.wait(0.4):
            talk.say("250 smtp.firm.test")

    began = time.monotonic()
    with serving(late) as server:
        wanted = typed(SMTP, NONE, server.port)
        quick = replace(NETWORK, typed_seconds=1.2)
        assert is_told_nothing(failure(lambda: open_smtp(wanted, BOB, quick)))
    assert time.monotonic() - began < 1
