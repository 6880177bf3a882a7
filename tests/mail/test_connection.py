"""Names, addresses, handshakes and certificates, on loopback."""

import base64
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from mail.connection import (
    Credentials,
    MailSocket,
    Network,
    Server,
    UnsendableError,
    open_socket,
    require_one_line,
    start_tls,
)
from mail.security import Security
from mail.server_errors import Cause, MailServerError, Step
from mail.server_string import Protocol
from tests.servers.scripted import Identity, Talk, closed_port, identity, serving

NAME = "imap.firm.test"
NETWORK = Network(hosts={NAME: "127.0.0.1"}, connect_seconds=5, command_seconds=5)
Addresses = list[tuple[str, int]]


def server_at(port: int, security: Security = Security.NONE, **changed: Any) -> Server:
    return replace(Server(Protocol.IMAP, NAME, port, security), **changed)


def fails(step: Step, cause: Cause, action: Callable[[], object]) -> None:
    with pytest.raises(MailServerError) as caught:
        action()
    assert (caught.value.step, caught.value.cause) == (step, cause)


def silence(talk: Talk) -> None:
    """Says nothing until the client hangs up."""


# ---- Values ----------------------------------------------------------------------------------


def test_a_password_is_not_shown() -> None:
    assert "geheim" not in repr(Credentials("bob", "geheim"))
    assert "PEM" not in repr(server_at(993, ca_pem="PEM"))


@pytest.mark.parametrize("letter", ["\r", "\n", "\0", "\ud800"])
@pytest.mark.parametrize("field", ["login", "password"])
def test_no_command_carries_a_line_break_or_nul(letter: str, field: str) -> None:
    given = replace(Credentials("bob", "geheim"), **{field: f"gehe{letter}im"})
    with pytest.raises(UnsendableError) as caught:
        given.require_sendable()
    assert "gehe" not in str(caught.value)
    Credentials("bøb", "gehe\tim").require_sendable()


def test_the_message_of_plain_is_utf_8() -> None:
    assert Credentials("боб", "пароль").plain == "\0боб\0пароль".encode()


def test_a_password_that_a_server_repeats_is_hidden() -> None:
    bob = Credentials("bob", "geheim")
    plain = base64.b64encode(b"\0bob\0geheim").decode()
    alone = base64.b64encode(b"geheim").decode()
    assert bob.hide_in(f"no {plain}, {alone}, geheim!") == "no ***, ***, ***!"
    assert Credentials("bob", "the").hide_in("there") == "there"


@pytest.mark.parametrize(
    ("text", "hosts"),
    [
        ("", {}),
        (" , ", {}),
        ("IMAP.firm.test = 127.0.0.1 ,", {"imap.firm.test": "127.0.0.1"}),
        ("a.test=::1,b.test=10.0.0.1", {"a.test": "::1", "b.test": "10.0.0.1"}),
    ],
)
def test_tables_of_hosts(text: str, hosts: dict[str, str]) -> None:
    assert Network.parse_hosts(text) == hosts


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a.test", "'a.test' is not a name and its address"),
        ("=127.0.0.1", "is not a name and its address"),
        ("a.test=", "'', given for a.test, is not an IP address"),
        ("a.test=b.test", "'b.test', given for a.test, is not an IP address"),
        ("a.test=127.0.0.1,A.test=127.0.0.2", "A.test has two addresses"),
    ],
)
def test_tables_of_hosts_that_are_none(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Network.parse_hosts(text)


def test_one_line_says_what_it_was_for() -> None:
    require_one_line("Отчёты", "The name")
    with pytest.raises(UnsendableError, match="The name cannot contain a line break"):
        require_one_line("a\nb", "The name")


# ---- Names and addresses ---------------------------------------------------------------------


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Addresses:
    """The addresses that every name has."""
    addresses: Addresses = []

    def lookup(host: str, port: int, **kwargs: object) -> list[tuple[Any, ...]]:
        if not addresses:
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", place) for place in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    return addresses


@contextmanager
def stuck_port() -> Iterator[int]:
    """A port that takes no more connections and refuses none."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(3):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


def test_the_table_of_hosts_comes_before_the_resolver(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    real = socket.getaddrinfo

    def lookup(host: str, *args: Any, **kwargs: Any) -> Any:
        asked.append(host)
        return real(host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    with serving(silence) as server:
        open_socket(server_at(server.port, host="IMAP.Firm.Test"), NETWORK).close()
        assert server.called
    assert asked == ["127.0.0.1"]


def test_an_unknown_name(resolver: Addresses) -> None:
    server = server_at(993, host="nowhere.firm.test")
    fails(Step.NAME, Cause.NAME_NOT_FOUND, lambda: open_socket(server, NETWORK))


@pytest.mark.parametrize("host", ["a..b", "x" * 64 + ".test", "nul\0.test"])
def test_what_is_no_name_is_an_unknown_one(host: str) -> None:
    server = server_at(993, host=host)
    fails(Step.NAME, Cause.NAME_NOT_FOUND, lambda: open_socket(server, NETWORK))


def test_a_resolver_that_does_not_answer_meets_the_deadline(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    end = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: end.wait(5) and [])
    started = time.monotonic()
    quick = replace(NETWORK, connect_seconds=0.2)
    fails(Step.NAME, Cause.NAME_NOT_FOUND, lambda: open_socket(server_at(993), quick))
    assert 0.2 <= time.monotonic() - started < 2
    end.set()


def test_the_addresses_of_a_name_are_tried_in_their_order(resolver: Addresses) -> None:
    with closed_port() as closed, serving(silence) as second, serving(silence) as third:
        resolver += [("127.0.0.1", port) for port in (closed, second.port, third.port)]
        open_socket(server_at(993), NETWORK).close()
        assert second.heard == b""
        assert not third.called


def test_eight_addresses_are_tried_and_no_more(resolver: Addresses) -> None:
    with closed_port() as closed, serving(silence) as eighth, serving(silence) as ninth:
        resolver += [("127.0.0.1", closed)] * 8 + [("127.0.0.1", ninth.port)]
        fails(Step.PORT, Cause.CONNECTION_REFUSED, lambda: open_socket(server_at(993), NETWORK))
        assert not ninth.called
        resolver[7] = ("127.0.0.1", eighth.port)
        open_socket(server_at(993), NETWORK).close()
        assert eighth.called


def test_a_closed_port() -> None:
    with closed_port() as port:
        fails(Step.PORT, Cause.CONNECTION_REFUSED, lambda: open_socket(server_at(port), NETWORK))


def test_no_way_to_an_address_says_the_least(resolver: Addresses) -> None:
    nowhere = ("255.255.255.255", 993)  # no connection goes to everybody
    resolver.append(nowhere)
    fails(Step.PORT, Cause.UNREACHABLE, lambda: open_socket(server_at(993), NETWORK))
    with closed_port() as closed:
        resolver.append(("127.0.0.1", closed))
        fails(Step.PORT, Cause.CONNECTION_REFUSED, lambda: open_socket(server_at(993), NETWORK))


def test_a_connection_has_a_deadline() -> None:
    started = time.monotonic()
    quick = replace(NETWORK, connect_seconds=0.2)
    with stuck_port() as port:
        fails(Step.PORT, Cause.CONNECTION_TIMED_OUT, lambda: open_socket(server_at(port), quick))
    assert 0.2 <= time.monotonic() - started < 2


def test_an_address_that_does_not_answer_leaves_time_for_the_next(resolver: Addresses) -> None:
    with stuck_port() as stuck, serving(silence) as server:
        resolver += [("127.0.0.1", stuck), ("127.0.0.1", server.port)]
        started = time.monotonic()
        open_socket(server_at(993), replace(NETWORK, connect_seconds=1)).close()
        assert 0.5 <= time.monotonic() - started < 0.9, "half of the time for each"
        assert server.called


def test_small_pieces_are_sent_at_once_and_limits_are_kept() -> None:
    def script(talk: Talk) -> None:
        talk.say("123456789")

    limits = replace(NETWORK, line_bytes=10, literal_bytes=20)
    with serving(script) as server:
        line = open_socket(server_at(server.port), limits)
        assert (line.line_bytes, line.literal_bytes, line.step) == (10, 20, Step.GREETING)
        assert line._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        line.begin(5, 1000)
        with pytest.raises(MailServerError):
            line.readline()
        line.close()


# ---- TLS -------------------------------------------------------------------------------------


def encrypted(ours: Identity) -> Callable[[Talk], None]:
    def script(talk: Talk) -> None:
        talk.start_tls(ours)
        talk.say("* OK ready")

    return script


def over_tls(port: int, ca_pem: str | None, **changed: Any) -> Server:
    return server_at(port, Security.TLS, ca_pem=ca_pem, **changed)


@pytest.mark.parametrize("trusted", ["the authority", "the server's own certificate"])
def test_tls_comes_before_the_first_word(trusted: str) -> None:
    ours, steps = identity(), list[Step]()
    ca_pem = ours.ca_pem if trusted == "the authority" else ours.own_pem
    with serving(encrypted(ours)) as server:
        line = open_socket(over_tls(server.port, ca_pem), NETWORK, steps.append)
        line.begin(5, 1000)
        assert line.readline() == b"* OK ready\r\n"
        line.send(b"hello\r\n")
        line.close()
        assert (server.in_clear, server.encrypted) == (b"", b"hello\r\n")
    assert steps == [Step.NAME, Step.PORT, Step.ENCRYPTION, Step.CERTIFICATE]


@pytest.mark.parametrize(
    ("trusted", "days", "host", "cause"),
    [
        (None, 0, NAME, Cause.CERTIFICATE_UNTRUSTED),
        ("others", 0, NAME, Cause.CERTIFICATE_UNTRUSTED),
        ("the firm", 0, "pop.firm.test", Cause.CERTIFICATE_WRONG_NAME),
        ("the firm", 0, "127.0.0.1", Cause.CERTIFICATE_WRONG_NAME),
        ("the firm", -800, NAME, Cause.CERTIFICATE_EXPIRED),
        ("the firm", 8, NAME, Cause.CERTIFICATE_REFUSED),  # not valid yet
    ],
)
def test_a_certificate_is_always_verified(
    trusted: str | None, days: int, host: str, cause: Cause
) -> None:
    made, steps = timedelta(days=days), list[Step]()
    ca_pem = identity(trusted, made=made).ca_pem if trusted else None
    network = replace(NETWORK, hosts={host: "127.0.0.1"})
    with serving(encrypted(identity("the firm", made=made))) as server:
        wanted = over_tls(server.port, ca_pem, host=host)
        fails(Step.CERTIFICATE, cause, lambda: open_socket(wanted, network, steps.append))
        assert server.heard == b""
    assert steps == [Step.NAME, Step.PORT, Step.ENCRYPTION]


def test_an_authority_that_cannot_be_read() -> None:
    with serving(silence) as server:
        wanted = over_tls(server.port, "-----BEGIN CERTIFICATE-----\nMII\n")
        fails(Step.CERTIFICATE, Cause.CERTIFICATE_REFUSED, lambda: open_socket(wanted, NETWORK))
        assert server.heard == b""


def test_a_server_that_speaks_no_tls() -> None:
    with serving(lambda talk: talk.say("* OK ready")) as server:
        wanted = over_tls(server.port, identity().ca_pem)
        fails(Step.ENCRYPTION, Cause.NOT_TLS, lambda: open_socket(wanted, NETWORK))
        assert server.called


def test_a_server_that_hangs_up_instead_of_shaking_hands() -> None:
    with serving(Talk.cut) as server:
        wanted = over_tls(server.port, identity().ca_pem)
        fails(Step.ENCRYPTION, Cause.TLS_FAILED, lambda: open_socket(wanted, NETWORK))
        assert server.called


@pytest.mark.parametrize("drips", [False, True])
def test_a_handshake_has_one_deadline(drips: bool) -> None:
    # The head of a long piece of a handshake, of which one byte comes at a time.
    piece = b"\x16\x03\x03\x3f\xff\x02\x00\x3f\xfb" + b"\x03" * 10_000
    started = time.monotonic()
    quick = replace(NETWORK, connect_seconds=0.3)
    with serving((lambda talk: talk.drip(piece)) if drips else silence) as server:
        wanted = over_tls(server.port, identity().ca_pem)
        fails(Step.ENCRYPTION, Cause.TIMED_OUT, lambda: open_socket(wanted, quick))
    assert 0.3 <= time.monotonic() - started < 2


@pytest.mark.parametrize(
    "where", [Step.NAME, Step.PORT, Step.ENCRYPTION, Step.CERTIFICATE], ids=str
)
def test_what_a_watcher_of_steps_raises_passes_and_closes(where: Step) -> None:
    def watch(step: Step) -> None:
        if step is where:
            raise KeyError(step)

    with serving(encrypted(identity())) as server:
        wanted = over_tls(server.port, identity().ca_pem)
        with pytest.raises(KeyError):
            open_socket(wanted, NETWORK, watch)
        if where is Step.NAME:
            assert not server.called
        else:
            assert server.heard == b""


# ---- STARTTLS, when the server has agreed ----------------------------------------------------


@contextmanager
def agreed(script: Callable[[Talk], None]) -> Iterator[tuple[MailSocket, Server]]:
    """A line over which the server's agreement was read."""
    with serving(script) as server:
        wanted = server_at(server.port, Security.STARTTLS, ca_pem=identity().ca_pem)
        line = open_socket(wanted, NETWORK)
        try:
            line.begin(5, 1000)
            line.readline()
            yield line, wanted
        finally:
            line.close()


def test_starttls_encrypts_the_same_connection() -> None:
    def script(talk: Talk) -> None:
        talk.say("OK, go on")
        talk.start_tls(identity())
        talk.say("in private")

    steps = list[Step]()
    with agreed(script) as (line, wanted):
        start_tls(line, wanted, NETWORK, steps.append)
        assert line.readline() == b"in private\r\n"
    assert steps == [Step.ENCRYPTION, Step.CERTIFICATE]


def test_starttls_verifies_the_certificate_too() -> None:
    def script(talk: Talk) -> None:
        talk.say("OK, go on")
        talk.start_tls(identity("others"))

    with agreed(script) as (line, wanted):
        fails(
            Step.CERTIFICATE,
            Cause.CERTIFICATE_UNTRUSTED,
            lambda: start_tls(line, wanted, NETWORK),
        )


def test_starttls_has_a_deadline() -> None:
    quick = replace(NETWORK, connect_seconds=0.2)
    started = time.monotonic()
    with agreed(lambda talk: talk.say("OK, go on")) as (line, wanted):
        fails(Step.ENCRYPTION, Cause.TIMED_OUT, lambda: start_tls(line, wanted, quick))
    assert 0.2 <= time.monotonic() - started < 2


def test_starttls_over_a_connection_that_broke() -> None:
    def script(talk: Talk) -> None:
        talk.say("OK, go on")
        talk.cut()

    with agreed(script) as (line, wanted):
        fails(Step.ENCRYPTION, Cause.TLS_FAILED, lambda: start_tls(line, wanted, NETWORK))


def test_more_than_the_agreement_is_an_attack() -> None:
    def script(talk: Talk) -> None:
        talk.say("OK, go on", "and more")
        talk.start_tls(identity())

    with agreed(script) as (line, wanted):
        fails(
            Step.ENCRYPTION,
            Cause.STARTTLS_INJECTED,
            lambda: start_tls(line, wanted, NETWORK),
        )
