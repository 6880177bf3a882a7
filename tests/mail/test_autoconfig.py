"""Autoconfig files: what is read from them, and what is not."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mail.autoconfig import read_autoconfig
from mail.offers import LoginForm, Offer
from mail.security import Security
from mail.server_string import Protocol

IMAP, SMTP = Protocol.IMAP, Protocol.SMTP
TYPES = {IMAP: "incomingServer", SMTP: "outgoingServer"}
SECONDS = 2.0

# As https://autoconfig.thunderbird.net/v1.1/ has them, with another name.
USUAL = b"""<?xml version="1.0" encoding="UTF-8"?>
<clientConfig version="1.1">
  <emailProvider id="firm.test">
    <domain>firm.test</domain>
    <displayName>Firm Mail</displayName>
    <displayShortName>Firm</displayShortName>
    <incomingServer type="pop3">
      <hostname>pop.firm.test</hostname>
      <port>995</port>
      <socketType>SSL</socketType>
      <username>%EMAILADDRESS%</username>
      <authentication>password-cleartext</authentication>
    </incomingServer>
    <incomingServer type="imap">
      <hostname>imap.firm.test</hostname>
      <port>993</port>
      <socketType>SSL</socketType>
      <authentication>OAuth2</authentication>
      <authentication>password-cleartext</authentication>
      <username>%EMAILADDRESS%</username>
    </incomingServer>
    <outgoingServer type="smtp">
      <hostname>smtp.firm.test</hostname>
      <port>587</port>
      <socketType>STARTTLS</socketType>
      <authentication>password-cleartext</authentication>
      <username>%EMAILLOCALPART%</username>
    </outgoingServer>
    <documentation url="https://firm.test/help"><descr lang="en">Help</descr></documentation>
  </emailProvider>
</clientConfig>
"""


def server(protocol: Protocol = IMAP, **changed: str) -> str:
    """The element of one server; ``name=""`` leaves an element out."""
    usual = {
        "hostname": f"{protocol}.firm.test",
        "port": "993" if protocol is IMAP else "465",
        "socketType": "SSL",
        "username": "%EMAILADDRESS%",
        "authentication": "password-cleartext",
    }
    values = "".join(f"<{name}>{text}</{name}>" for name, text in (usual | changed).items() if text)
    return f'<{TYPES[protocol]} type="{protocol}">{values}</{TYPES[protocol]}>'


def file(*servers: str) -> bytes:
    inside = "".join(servers)
    return f"<clientConfig><emailProvider>{inside}</emailProvider></clientConfig>".encode()


def read(*servers: str) -> list[Offer]:
    return read_autoconfig(file(*servers), "firm.test")


def hosts(*servers: str) -> list[str]:
    return [offer.host for offer in read(*servers)]


def test_a_usual_file() -> None:
    assert read_autoconfig(USUAL, "firm.test") == [
        Offer(SMTP, "smtp.firm.test:587", Security.STARTTLS, LoginForm.LOCAL_PART),
        Offer(IMAP, "imap.firm.test:993", Security.TLS, LoginForm.ADDRESS),
    ]


@pytest.mark.parametrize(
    ("socket_type", "security"),
    [
        ("SSL", Security.TLS),
        ("ssl", Security.TLS),
        (" STARTTLS\n", Security.STARTTLS),
        ("plain", Security.NONE),
    ],
)
def test_the_types_of_sockets(socket_type: str, security: Security) -> None:
    assert read(server(socketType=socket_type))[0].security is security


@pytest.mark.parametrize("socket_type", ["", "TLS?", "none"])
def test_a_server_of_another_socket_type_is_left_out(socket_type: str) -> None:
    assert hosts(server(socketType=socket_type), server(hostname="imap.other.test")) == [
        "imap.other.test"
    ]


@pytest.mark.parametrize(
    ("username", "form"),
    [
        ("%EMAILADDRESS%", LoginForm.ADDRESS),
        ("%EMAILLOCALPART%@%EMAILDOMAIN%", LoginForm.ADDRESS),
        ("%EMAILLOCALPART%@Firm.test", LoginForm.ADDRESS),
        ("postmaster@firm.test", LoginForm.ADDRESS),
        ("%EMAILLOCALPART%", LoginForm.LOCAL_PART),
        ("postmaster", LoginForm.LOCAL_PART),
        ("%EMAILLOCALPART%@mail.firm.test", LoginForm.TYPED),
        ("FIRM\\%EMAILLOCALPART%", LoginForm.TYPED),
        ("office", LoginForm.TYPED),
        ("", None),
    ],
)
def test_the_form_of_the_login(username: str, form: LoginForm | None) -> None:
    assert read(server(username=username))[0].login_form is form


@pytest.mark.parametrize(
    "way", ["password-cleartext", "Password-Encrypted", " plain\n", "secure", ""]
)
def test_a_password_can_be_used(way: str) -> None:
    assert not read(server(authentication=way))[0].oauth2_only


@pytest.mark.parametrize("way", ["NTLM", "GSSAPI", "TLS-client-cert", "client-IP-address", "none"])
def test_a_server_that_takes_no_password_is_left_out(way: str) -> None:
    assert read(server(authentication=way)) == []


def test_oauth2_alone_is_marked_and_comes_last() -> None:
    first = server(hostname="imap.a.test", authentication="OAuth2")
    second = server(hostname="imap.b.test", socketType="plain")
    assert read(first)[0].oauth2_only
    assert hosts(first, second) == ["imap.b.test", "imap.a.test"]


def test_what_encrypts_nothing_comes_after_what_does() -> None:
    plain, tls, starttls = (
        server(hostname=f"imap.{name}.test", socketType=name)
        for name in ("plain", "ssl", "starttls")
    )
    assert hosts(plain, starttls, tls) == ["imap.starttls.test", "imap.ssl.test", "imap.plain.test"]


def test_a_host_may_be_named_by_the_domain_of_the_address() -> None:
    assert hosts(server(hostname="imap.%EMAILDOMAIN%")) == ["imap.firm.test"]


def test_servers_of_other_types_are_left_out() -> None:
    assert read(server().replace('"imap"', '"pop3"'), server(SMTP).replace('"smtp"', '"x"')) == []


def test_the_first_twenty_servers_are_looked_at() -> None:
    many = [server(hostname=f"imap.{n}.test") for n in range(21)]
    assert len(read(*many)) == 20


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0",
        b"<html><body>Not found</body></html>",
        b"<!DOCTYPE html><html><br></html>",
        b"<clientConfig/>",
        b"<clientConfig><emailProvider/></clientConfig>",
        file(server())[:-1],
        file(server()).replace(b"clientConfig", b"config"),
        b'<?xml version="1.0" encoding="none"?>' + file(server()),
        b"\xff\xfe" + file(server()),
        "<clientConfig/>".encode("utf-16"),
    ],
)
def test_what_is_no_such_file_offers_nothing(content: bytes) -> None:
    assert read_autoconfig(content, "firm.test") == []


def bomb(inside: str) -> bytes:
    entities = "".join(f'<!ENTITY e{n + 1} "{f"&e{n};" * 10}">' for n in range(20))
    start = f'<!DOCTYPE c [<!ENTITY e0 "0123456789">{entities}]>'.encode()
    return start + file(server(hostname=inside))


@pytest.mark.parametrize(
    "content",
    [
        bomb("&e20;"),
        bomb("&e0;").replace(b"<emailProvider", b'<emailProvider id="&e20;"'),
        b'<!DOCTYPE c [<!ENTITY e SYSTEM "file:///etc/hostname">]>' + file(server(hostname="&e;")),
        b'<!DOCTYPE c [<!ENTITY e "imap.firm.test">]>' + file(server(hostname="&e;")),
        b'<!DOCTYPE c [<!ENTITY % e SYSTEM "http://127.0.0.1/">%e;]>' + file(server()),
        b'<!DOCTYPE c SYSTEM "http://127.0.0.1/x.dtd">' + file(server()),
        b"<!DOCTYPE clientConfig>" + file(server()),
        b"<clientConfig>" * 15_000,
        b"<clientConfig " + b" ".join(b"a%d=''" % n for n in range(20_000)) + b"/>",
        file(*["<incomingServer/>"] * 12_000),
    ],
)
def test_a_hostile_file_offers_nothing_and_takes_no_time(content: bytes) -> None:
    assert len(content) < 256 * 1024
    started = time.monotonic()
    assert read_autoconfig(content, "firm.test") == []
    assert time.monotonic() - started < SECONDS


@given(st.binary() | st.text().map(str.encode))
def test_no_bytes_make_it_fail(content: bytes) -> None:
    assert read_autoconfig(content, "firm.test") == []


@given(st.binary(min_size=1, max_size=8), st.integers(0, len(USUAL)))
def test_no_damage_makes_it_fail(damage: bytes, position: int) -> None:
    read_autoconfig(USUAL[:position] + damage + USUAL[position + len(damage) :], "firm.test")
