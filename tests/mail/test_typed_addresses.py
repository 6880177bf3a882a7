"""Where a server that an employee typed may be, however it is written, whatever its name becomes.

Loopback stands for both sides here: 127.0.0.1 is where employees may go, 127.0.0.2 is not.
"""

import socket
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import dns.message
import dns.query
import dns.rrset
import pytest

from mail import connection
from mail.address_policy import may_reach
from mail.certificates import presented
from mail.connection import Server, open_socket
from mail.diagnosis import probe, right_security
from mail.imap.client import open_session
from mail.public_address import is_ip_address
from mail.security import Security
from mail.server_errors import Cause
from mail.server_string import Protocol
from mail.smtp import open_smtp
from tests.mail.test_diagnosis import old_tls, open_house, saying, silence
from tests.mail.test_discretion import (
    ALLOWED,
    BOB,
    FORBIDDEN,
    IMAP,
    NETWORK,
    NETWORKS,
    NONE,
    PATIENT,
    SMTP,
    STARTTLS,
    TLS,
    Trap,
    failure,
    is_told_nothing,
    refusing_login,
    refusing_smtp_login,
    typed,
)
from tests.servers.dns_server import DnsServer, serving_dns
from tests.servers.scripted import Script, Talk, serving


@pytest.mark.parametrize(
    "spelled",
    [
        "127.0.0.2",
        "127.2",
        "2130706434",
        "0x7f000002",
        "0x7f.2",
        "0177.0.0.2",
        "017700000002",
        "::ffff:127.0.0.2",
        "::ffff:7f00:2",
        "::1",
        "0.0.0.0",
        "0",
        "::",
        "localhost",
        "LOCALHOST",
        "imap.inside.test",  # by the operator's table of hosts
    ],
)
def test_however_an_address_is_written_nobody_connects_to_it(spelled: str) -> None:
    quick = replace(NETWORK, typed_seconds=0.2)
    with Trap("::") as trap:
        open_socket(typed(IMAP, NONE, trap.port, host=spelled, networks=None), NETWORK).close()
        assert trap.callers == 1, "it leads there"
        for security in Security:
            wanted = typed(IMAP, security, trap.port, host=spelled, networks=("10.0.0.0/8",))
            assert is_told_nothing(failure(partial(probe, wanted, quick)))
        assert trap.callers == 1


def test_a_table_of_hosts_leads_only_where_employees_may_go() -> None:
    with Trap(FORBIDDEN) as trap:
        wanted = typed(IMAP, NONE, trap.port, where="inside")
        assert is_told_nothing(failure(lambda: open_socket(wanted, NETWORK)))
        assert trap.callers == 0
        may_go = replace(wanted, networks=(f"{FORBIDDEN}/32",))
        open_socket(may_go, NETWORK).close()
        assert trap.callers == 1


@pytest.mark.parametrize(
    ("address", "networks", "allowed"),
    [
        ("8.8.8.8", (), True),
        ("2a00:1450:4010::5", (), True),
        ("100.64.0.1", (), False),
        ("100.64.0.1", ("100.64.0.0/10",), True),
        ("10.0.0.1", ("10.0.0.0/24",), True),
        ("10.0.1.1", ("10.0.0.0/24",), False),
        ("10.0.1.1", ("10.0.0.0/24", "10.0.1.1/32"), True),
        ("::ffff:10.0.0.1", (), False),
        ("::ffff:10.0.0.1", ("10.0.0.0/24",), True),
        ("::ffff:127.0.0.1", ("10.0.0.0/24",), False),
        ("64:ff9b::10.0.0.1", ("10.0.0.0/24",), False),
        ("64:ff9b::8.8.8.8", (), False),
        ("64:ff9b::10.0.0.1", ("64:ff9b::/96",), True),
        ("2002:a00:1::1", ("10.0.0.0/24",), False),
        ("fe80::1%eth0", (), False),
        ("fe80::1%eth0", ("fe80::/10",), True),
        ("fd00::1", ("fd00::/8",), True),
        ("0.0.0.0", ("127.0.0.0/8",), False),
        ("::", ("::1/128",), False),
        ("::1", ("127.0.0.0/8",), False),
    ],
)
def test_where_employees_may_go(address: str, networks: tuple[str, ...], allowed: bool) -> None:
    assert may_reach(address, networks) is allowed


# ---- Names that have other addresses the next time ----------------------------------------------


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Iterator[DnsServer]:
    """A name server of our own behind ``getaddrinfo``.

    That is faked: the real one asks whom the machine's own configuration names, on port 53, which
    no test may change. The fake asks this server, over UDP and anew each time, and stands at the
    one place where connections ask for a name (``connection._resolve``).
    """
    real = socket.getaddrinfo
    with serving_dns() as server:

        def lookup(host: str, port: int, **options: Any) -> list[Any]:
            if is_ip_address(host):
                return list(real(host, port, **options))
            query = dns.message.make_query(host, "A")
            answer = dns.query.udp(query, "127.0.0.1", timeout=5, port=server.port)
            addresses = [str(record) for records in answer.answer for record in records]
            if not addresses:
                raise socket.gaierror(socket.EAI_NONAME, "unknown")
            return [found for one in addresses for found in real(one, port, **options)]

        monkeypatch.setattr(socket, "getaddrinfo", lookup)
        yield server


def answers(server: DnsServer, *rounds: Sequence[str]) -> None:
    """Who asks the first time is told the first addresses, and so on; the last ones stay."""

    def answer(query: dns.message.Message) -> bytes:
        addresses = rounds[min(len(server.asked), len(rounds)) - 1]
        response = dns.message.make_response(query)
        name = query.question[0].name
        # One by one: what stands in one set is shuffled.
        response.answer += [dns.rrset.from_text(name, 0, "IN", "A", one) for one in addresses]
        return response.to_wire()

    server.answer = answer


def rebound(
    protocol: Protocol, security: Security, port: int, networks: tuple[str, ...] = NETWORKS
) -> Server:
    """By a name that only the name server knows."""
    return typed(protocol, security, port, host="rebinds.test", networks=networks)


def test_a_name_is_asked_for_once_and_what_was_checked_is_connected_to(names: DnsServer) -> None:
    answers(names, [ALLOWED], [FORBIDDEN])
    with open_house(silence) as house, Trap(FORBIDDEN, house.port) as trap:
        opened = open_socket(rebound(IMAP, NONE, house.port), NETWORK)
        assert opened._socket.getpeername()[0] == ALLOWED
        opened.close()
        assert names.asked == ["rebinds.test A"]
        assert is_told_nothing(
            failure(lambda: open_socket(rebound(IMAP, NONE, house.port), NETWORK))
        )
        assert len(names.asked) == 2
        assert trap.callers == 0


@pytest.mark.parametrize(
    ("script", "protocol", "security"),
    [
        (silence, IMAP, NONE),
        (silence, SMTP, STARTTLS),
        (Talk.cut, SMTP, TLS),
        (saying("SSH-2.0-OpenSSH_9.2"), IMAP, NONE),
        (saying("SSH-2.0-OpenSSH_9.2"), IMAP, TLS),
        (old_tls, IMAP, TLS),
        (saying("220 ready", "500 what?"), SMTP, NONE),
    ],
)
def test_a_second_look_asks_again_and_checks_again(
    names: DnsServer, script: Script, protocol: Protocol, security: Security
) -> None:
    answers(names, [ALLOWED], [FORBIDDEN])
    quick = replace(NETWORK, typed_seconds=1)
    with open_house(script) as house, Trap(FORBIDDEN, house.port) as trap:
        wanted = rebound(protocol, security, house.port)
        assert is_told_nothing(failure(lambda: probe(wanted, quick)))
        assert len(names.asked) > 1, "it was looked at again"
        assert trap.callers == 0


def test_looking_for_the_right_security_or_the_certificate_checks_each_time(
    names: DnsServer,
) -> None:
    answers(names, [FORBIDDEN])
    quick = replace(NETWORK, connect_seconds=0.5)
    with Trap(FORBIDDEN) as trap:
        for protocol in Protocol:
            for security in Security:
                wanted = rebound(protocol, security, trap.port)
                assert right_security(wanted, quick) is None
                assert presented(wanted, quick) is None
        assert len(names.asked) == 6 * 2 + 4, "each of them asked"
        assert trap.callers == 0


@pytest.mark.parametrize("protocol", Protocol)
def test_a_mailbox_that_worked_does_not_follow_its_name_inside(
    names: DnsServer, protocol: Protocol
) -> None:
    answers(names, [ALLOWED], [FORBIDDEN])
    script = refusing_login if protocol is IMAP else refusing_smtp_login
    opening = open_session if protocol is IMAP else open_smtp
    with serving(script) as server, Trap(FORBIDDEN, server.port) as trap:
        wanted = rebound(protocol, NONE, server.port)
        assert failure(lambda: opening(wanted, BOB, PATIENT)).cause is Cause.LOGIN_REFUSED
        for _ in range(3):
            assert is_told_nothing(failure(lambda: opening(wanted, BOB, PATIENT)))
        assert trap.callers == 0


@pytest.mark.parametrize(
    "addresses",
    [
        [ALLOWED, FORBIDDEN],
        [FORBIDDEN, ALLOWED],
        [ALLOWED, *(f"127.1.0.{number}" for number in range(1, 9)), FORBIDDEN],
    ],
    ids=["last", "first", "behind those that are tried"],
)
def test_a_name_with_one_address_that_is_not_allowed_leads_nowhere(
    names: DnsServer, addresses: list[str]
) -> None:
    answers(names, addresses)
    networks = (f"{ALLOWED}/32", "127.1.0.0/24")
    with Trap(ALLOWED) as fine, Trap(FORBIDDEN, fine.port) as trap:
        wanted = rebound(IMAP, NONE, fine.port, networks)
        assert is_told_nothing(failure(lambda: open_socket(wanted, NETWORK)))
        assert (fine.callers, trap.callers) == (0, 0)


def test_a_dot_at_the_end_of_a_name_changes_nothing(names: DnsServer) -> None:
    """It passes by the operator's table, and is asked for like any other name."""
    answers(names, [FORBIDDEN])
    with Trap(FORBIDDEN) as trap:
        for host in ("imap.firm.test.", "imap.inside.test.", "localhost."):
            wanted = typed(IMAP, NONE, trap.port, host=host)
            assert is_told_nothing(failure(partial(open_socket, wanted, NETWORK)))
        assert trap.callers == 0
    assert len(names.asked) == 3


@pytest.mark.parametrize(
    "address",
    [
        "10.0.0.1",
        "100.64.0.1",
        "169.254.169.254",
        "192.168.1.10",
        "224.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::a00:1",
        "64:ff9b:1::a00:1",
        "2002:a00:1::1",
        "2001:0:a00:1::1",
        "fd00::1",
        "fe80::1%lo",
        "ff02::1",
    ],
)
def test_to_what_is_not_public_no_connection_is_even_begun(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    begun: list[object] = []
    monkeypatch.setattr(connection, "_connect_to", lambda *to: begun.append(to))
    for host in (address, "imap.firm.test"):
        network = replace(NETWORK, hosts={"imap.firm.test": address})
        wanted = typed(IMAP, TLS, 993, host=host, networks=())
        assert is_told_nothing(failure(partial(open_socket, wanted, network)))
    assert begun == []
