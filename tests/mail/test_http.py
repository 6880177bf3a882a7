"""Fetching a file from web servers, the usual ones and the hostile ones."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest

from mail.connection import Network, open_tcp
from mail.http import FILE_LARGEST, Web, _Line, fetch
from mail.server_errors import Cause, MailServerError
from tests.servers.autoconfig_server import (
    HOSTS,
    NAMES,
    WebServers,
    answer,
    redirect,
    serving_web,
)
from tests.servers.scripted import PATIENCE, Script, Talk, closed_port, serving

FILE = b"<clientConfig/>"
PAGE = answer(FILE)
NETWORK = Network(hosts=HOSTS)
QUICK = 0.4  # seconds


@pytest.fixture
def servers() -> Iterator[WebServers]:
    with serving_web() as started:
        yield started


@pytest.fixture(autouse=True)
def no_names(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names that the resolver was asked for; it knows none."""
    asked: list[str] = []
    real = socket.getaddrinfo

    def lookup(host: str, *arguments: Any, **named: Any) -> Any:
        if host.replace(".", "").isdigit():
            return real(host, *arguments, **named)
        asked.append(host)
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    return asked


def fetched(script: Script) -> bytes | None:
    """What comes of http://firm.test/ when a script answers. It ends in time."""
    started = time.monotonic()
    with serving(script) as server:
        found = fetch("http://firm.test/", NETWORK, Web(http_port=server.port, seconds=QUICK))
        assert time.monotonic() - started < 4 * QUICK
    return found


def said(*lines: str, body: bytes = b"") -> Script:
    """Hears a request, and answers so."""

    def script(talk: Talk) -> None:
        while talk.hear():
            pass
        talk.send("".join(f"{line}\r\n" for line in lines).encode() + b"\r\n" + body)

    return script


def silence(talk: Talk) -> None:
    """Says nothing until the client hangs up."""


def said_and_closed(*lines: str, body: bytes = b"") -> Script:
    def script(talk: Talk) -> None:
        said(*lines, body=body)(talk)
        talk.cut()

    return script


# ---- What is asked ---------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["https", "http"])
def test_a_file_is_fetched(servers: WebServers, scheme: str) -> None:
    server = servers.https if scheme == "https" else servers.http
    server.pages["firm.test/mail/file.xml?a=b%40c"] = PAGE
    started = time.monotonic()
    assert fetch(f"{scheme}://firm.test/mail/file.xml?a=b%40c", NETWORK, servers.web) == FILE
    assert time.monotonic() - started < 2, "what was announced is there: nothing is waited for"
    assert server.requests[0].split("\r\n") == [
        "GET /mail/file.xml?a=b%40c HTTP/1.1",
        f"Host: firm.test:{server.port}",
        "User-Agent: Postroom",
        "Accept: application/xml, text/xml, */*",
        "Accept-Encoding: identity",
        "Connection: close",
        "",
        "",
    ]


def test_a_usual_port_is_not_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(said("HTTP/1.1 200 OK", "Content-Length: 1", body=b"x")) as server:

        def opened(host: str, port: int, *_: Any, **__: Any) -> socket.socket:
            assert (host, port) == ("firm.test", 80)
            return socket.create_connection(("127.0.0.1", server.port))

        monkeypatch.setattr("mail.http.open_tcp", opened)
        assert fetch("http://firm.test", NETWORK, Web()) == b"x"
        assert b"GET / HTTP/1.1\r\nHost: firm.test\r\n" in server.heard


def test_ports_are_the_usual_ones() -> None:
    assert (Web().https_port, Web().http_port, Web().seconds) == (443, 80, 5)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://firm.test/",
        "file:///etc/passwd",
        "//firm.test/",
        "/mail/file.xml",
        "",
        "http://",
        "http://firm.test:22/",
        "http://firm.test:x/",
        "http://bob@firm.test/",
        "http://[::1]/",
        "http://[::1/",
        "http://.firm.test/",
        "http://fi_rm.test/",
        "http://почта.рф/",
        "http://firm.test%0d%0a/",
        "http://firm.test/a b",
        "http://firm.test/\x7f",
        "http://firm.test/é",
        "http://firm.test/?\u2028",
        "http://firm.test/" + "x" * 2000,
    ],
)
def test_what_is_no_plain_url_is_not_asked_for(
    url: str, servers: WebServers, no_names: list[str]
) -> None:
    for page in ("firm.test/", "firm.test/a", "firm.test/ab"):
        servers.http.pages[page] = PAGE
    assert fetch(url, NETWORK, servers.web) is None
    assert not servers.http.asked
    assert not no_names


def test_a_line_break_in_a_url_does_not_reach_the_server(servers: WebServers) -> None:
    servers.http.pages["firm.test/ab"] = PAGE
    assert fetch("http://firm.test\r\n/a\r\nb", NETWORK, servers.web) == FILE


# ---- Who is asked ----------------------------------------------------------------------------


def test_a_certificate_that_nobody_vouches_for_is_refused(servers: WebServers) -> None:
    servers.https.pages["firm.test/"] = PAGE
    untrusted = replace(servers.web, ca_pem=None)
    assert fetch("https://firm.test/", NETWORK, untrusted) is None
    assert not servers.https.asked


def test_a_certificate_for_another_name_is_refused(servers: WebServers) -> None:
    servers.https.pages["elsewhere.test/"] = PAGE
    assert fetch("https://elsewhere.test/", NETWORK, servers.web) is None
    assert not servers.https.asked


def test_what_is_to_be_trusted_may_be_rubbish(servers: WebServers) -> None:
    servers.https.pages["firm.test/"] = PAGE
    assert fetch("https://firm.test/", NETWORK, replace(servers.web, ca_pem="PEM")) is None


def test_a_private_address_is_not_reached(
    servers: WebServers, monkeypatch: pytest.MonkeyPatch
) -> None:
    servers.https.pages["firm.test/"] = servers.http.pages["firm.test/"] = PAGE
    place = (socket.AF_INET, socket.SOCK_STREAM, 0, "")
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda _host, port, **_: [(*place, ("127.0.0.1", port))]
    )
    connected: list[object] = []
    monkeypatch.setattr("mail.connection._connect_to", lambda *given: connected.append(given))
    assert fetch("http://firm.test/", Network(), servers.web) is None
    assert fetch("https://firm.test/", Network(), servers.web) is None
    assert fetch("http://127.0.0.1/", Network(), servers.web) is None
    assert not connected


def test_a_connection_goes_only_where_it_may(
    servers: WebServers, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = (socket.AF_INET, socket.SOCK_STREAM, 0, "")
    addresses = [(*place, (host, servers.http.port)) for host in ("127.0.0.2", "127.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: addresses)
    port = servers.http.port
    with open_tcp("firm.test", port, Network(), lambda address: address == "127.0.0.1") as opened:
        assert opened.getpeername()[0] == "127.0.0.1"
    with pytest.raises(MailServerError) as caught:
        open_tcp("firm.test", port, Network(), lambda _: False)
    assert caught.value.cause is Cause.UNREACHABLE


def test_without_a_rule_a_connection_goes_anywhere(servers: WebServers) -> None:
    open_tcp("127.0.0.1", servers.http.port, Network()).close()


def test_the_table_of_hosts_may_name_a_private_address(servers: WebServers) -> None:
    open_tcp("FIRM.test", servers.http.port, NETWORK, lambda _: False).close()


def test_a_resolver_that_does_not_answer_costs_its_time_and_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    end = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: end.wait(PATIENCE) and [])
    started = time.monotonic()
    assert fetch("http://firm.test/", NETWORK, Web(seconds=QUICK)) is None
    assert QUICK <= time.monotonic() - started < 4 * QUICK
    end.set()


def test_an_unknown_name_and_a_closed_port_give_nothing(no_names: list[str]) -> None:
    assert fetch("http://unknown.test/", NETWORK, Web()) is None
    assert no_names == ["unknown.test"]
    with closed_port() as port:
        assert fetch("http://firm.test/", NETWORK, Web(http_port=port)) is None


# ---- Redirects -------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_followed(servers: WebServers, status: int) -> None:
    servers.http.pages["firm.test/"] = redirect("/there?x", f"{status} Moved")
    servers.http.pages["firm.test/there?x"] = PAGE
    assert fetch("http://firm.test/", NETWORK, servers.web) == FILE


@pytest.mark.parametrize("status", [201, 204, 300, 304, 305, 401, 404, 500])
def test_other_answers_are_no_files(servers: WebServers, status: int) -> None:
    servers.http.pages["firm.test/"] = answer(FILE, f"{status} So", "Location: /there")
    servers.http.pages["firm.test/there"] = PAGE
    assert fetch("http://firm.test/", NETWORK, servers.web) is None
    assert servers.http.asked == ["firm.test/"]


def test_three_redirects_are_followed_and_no_fourth(servers: WebServers) -> None:
    servers.http.pages |= {f"firm.test/{n}": redirect(f"/{n + 1}") for n in range(4)}
    servers.http.pages["firm.test/4"] = PAGE
    assert fetch("http://firm.test/1", NETWORK, servers.web) == FILE
    servers.http.asked.clear()
    assert fetch("http://firm.test/0", NETWORK, servers.web) is None
    assert servers.http.asked == [f"firm.test/{n}" for n in range(4)]


def test_a_redirect_may_lead_from_http_to_https_and_not_back(servers: WebServers) -> None:
    servers.http.pages["firm.test/"] = redirect(f"https://{NAMES[0]}/")
    servers.https.pages[f"{NAMES[0]}/"] = PAGE
    assert fetch("http://firm.test/", NETWORK, servers.web) == FILE
    servers.https.pages["firm.test/"] = redirect(f"http://{NAMES[0]}/")
    servers.http.pages[f"{NAMES[0]}/"] = PAGE
    assert fetch("https://firm.test/", NETWORK, servers.web) is None
    assert servers.http.asked == ["firm.test/"]


def test_a_redirect_stays_encrypted_when_it_names_no_scheme(servers: WebServers) -> None:
    servers.https.pages["firm.test/"] = redirect(f"//{NAMES[0]}/there")
    servers.https.pages[f"{NAMES[0]}/there"] = PAGE
    assert fetch("https://firm.test/", NETWORK, servers.web) == FILE


@pytest.mark.parametrize(
    "location",
    [
        "",
        "/",
        "http://firm.test:22/there",
        "http://127.0.0.1/there",
        "http://127.1/there",
        "http://[::1]/there",
        "http://[::1/there",
        "http://bob@firm.test/there",
        "ftp://firm.test/there",
        "file:///there",
        "/the re",
        "/there\x01",
        "/\xff",
    ],
)
def test_no_other_redirect_is_followed(servers: WebServers, location: str) -> None:
    servers.http.pages["firm.test/"] = redirect(location)
    servers.http.pages["firm.test/there"] = servers.http.pages["127.0.0.1/there"] = PAGE
    assert fetch("http://firm.test/", NETWORK, servers.web) is None
    assert set(servers.http.asked) == {"firm.test/"}


def test_redirects_share_the_time(servers: WebServers) -> None:
    servers.http.pages |= {f"firm.test/{n}": redirect(f"/{n + 1}") for n in range(3)}
    servers.http.pages["firm.test/3"] = PAGE
    servers.http.slowness = 0.6 * QUICK
    started = time.monotonic()
    assert fetch("http://firm.test/0", NETWORK, replace(servers.web, seconds=QUICK)) is None
    assert QUICK <= time.monotonic() - started < 2 * QUICK
    assert fetch("http://firm.test/0", NETWORK, replace(servers.web, seconds=10 * QUICK)) == FILE


# ---- Answers ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "script",
    [
        said("HTTP/1.1 200 OK", "Content-Length: 4", body=b"file"),
        said(
            "HTTP/1.1 200 OK", "Transfer-Encoding: chunked", body=b"2\r\nfi\r\n2\r\nle\r\n0\r\n\r\n"
        ),
        said_and_closed("HTTP/1.0 200 OK", body=b"file"),
        said("HTTP/1.1 100 Continue", "", "HTTP/1.1 200 OK", "Content-Length: 4", body=b"file"),
        said("HTTP/1.1 200", "content-length: 4", "Content-Encoding: identity", body=b"file"),
    ],
)
def test_the_ways_in_which_a_file_is_sent(script: Script) -> None:
    assert fetched(script) == b"file"


@pytest.mark.parametrize(
    "script",
    [
        said("HTTP/1.1 200 OK", "Content-Encoding: gzip", "Content-Length: 4", body=b"file"),
        said("HTTP/1.1 200 OK", "Transfer-Encoding: chunked", body=b"x\r\nfile"),
        said("HTTP/1.1 200 OK", "Transfer-Encoding: chunked", body=b"-5\r\nfile\r\n0\r\n\r\n"),
        said_and_closed("HTTP/1.1 200 OK", "Content-Length: 5", body=b"file"),
        said("220 smtp.firm.test ESMTP"),
        said("HTTP/1.1 999999 OK", body=b"file"),
        said("HTTP/1.1 OK", body=b"file"),
        said_and_closed(),
        lambda talk: talk.cut(),
    ],
)
def test_what_is_no_answer_gives_nothing(script: Script) -> None:
    assert fetched(script) is None


def test_a_file_may_have_256_kib_and_no_byte_more(servers: WebServers) -> None:
    assert FILE_LARGEST == 256 * 1024
    servers.http.pages["firm.test/"] = answer(b"x" * FILE_LARGEST)
    assert fetch("http://firm.test/", NETWORK, servers.web) == b"x" * FILE_LARGEST
    servers.http.pages["firm.test/"] = answer(b"x" * (FILE_LARGEST + 1))
    assert fetch("http://firm.test/", NETWORK, servers.web) is None


def floods(*lines: str, raw: bytes, body: bytes = b"") -> Script:
    def script(talk: Talk) -> None:
        said(*lines, body=body)(talk)
        talk.flood(raw)

    return script


def drips(*lines: str, raw: bytes) -> Script:
    def script(talk: Talk) -> None:
        said(*lines)(talk)
        talk.drip(raw)

    return script


CHUNKED = ("HTTP/1.1 200 OK", "Transfer-Encoding: chunked")


@pytest.mark.parametrize(
    "script",
    [
        lambda talk: talk.flood(b"x" * 1000),
        lambda talk: talk.flood(b"HTTP/1.1 100 Continue\r\n\r\n"),
        lambda talk: talk.flood(b"HTTP/1.1 200 OK\r\n"),
        floods("HTTP/1.1 200 OK", raw=b"x" * 1000),
        floods("HTTP/1.1 200 OK", f"Content-Length: {10**15}", raw=b"x" * 1000),
        floods(*CHUNKED, raw=b"1\r\nx\r\n"),
        floods(*CHUNKED, raw=b"7fffffffffffffff\r\n"),
        floods(*CHUNKED, raw=b"1;" + b"x" * 60_000 + b"\r\nx\r\n"),
        floods(*CHUNKED, body=b"0\r\n", raw=b"X: x\r\n"),
    ],
)
def test_an_endless_answer_gives_nothing_long_before_its_time(script: Script) -> None:
    started = time.monotonic()
    with serving(script) as server:
        assert fetch("http://firm.test/", NETWORK, Web(http_port=server.port)) is None
        assert time.monotonic() - started < 2.5


@pytest.mark.parametrize(
    "script",
    [
        silence,
        lambda talk: talk.drip(b"HTTP/1.1 100 Continue\r\n\r\n"),
        drips("HTTP/1.1 200 OK", "Content-Length: 100000", raw=b"x"),
        drips("HTTP/1.1 200 OK", raw=b"x"),
        drips(*CHUNKED, raw=b"1\r\nx\r\n"),
    ],
)
def test_a_slow_answer_gives_nothing(script: Script) -> None:
    started = time.monotonic()
    assert fetched(script) is None
    assert time.monotonic() - started >= QUICK


@pytest.mark.parametrize(
    "script", [silence, lambda talk: talk.drip(b"\x16\x03\x03\x40\x00" + b"\x02" * 99)]
)
def test_a_slow_handshake_gives_nothing(script: Callable[[Talk], None]) -> None:
    started = time.monotonic()
    with serving(script) as server:
        web = Web(https_port=server.port, seconds=QUICK)
        assert fetch("https://firm.test/", NETWORK, web) is None
    assert QUICK <= time.monotonic() - started < 4 * QUICK


@pytest.mark.parametrize(
    "action",
    [
        lambda line: line.encrypt("firm.test", None),
        lambda line: line.send(b"x" * 10_000_000),
        lambda line: line.read(1),
    ],
)
@pytest.mark.parametrize("seconds", [-1, QUICK])
def test_nothing_is_waited_for_beyond_the_deadline(
    action: Callable[[_Line], object], seconds: float
) -> None:
    ours, theirs = socket.socketpair()
    ours.settimeout(PATIENCE)
    started = time.monotonic()
    with theirs, closing(_Line(ours, started + seconds)) as line:
        with pytest.raises(TimeoutError):
            action(line)
        assert time.monotonic() - started < 4 * QUICK
