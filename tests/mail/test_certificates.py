"""What certificates say, which files are taken for some, and what a server shows."""

import ssl
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    pkcs7,
    pkcs12,
)
from cryptography.x509.oid import NameOID

from demo.certificates import company_certificates
from mail.certificates import PEM_LONGEST, CertificateFacts, facts, pem_of, presented
from mail.connection import Network, Server
from mail.errors import RuleError
from mail.security import Security
from mail.server_string import Protocol
from tests.servers.scripted import (
    Identity,
    Script,
    Talk,
    closed_port,
    greet_imap,
    greet_smtp,
    identity,
    serving,
)

BEGUN = datetime(2024, 2, 29, 12, 30, tzinfo=UTC)
ENDED = datetime(2034, 2, 28, 12, 30, tzinfo=UTC)
HOSTS = {"imap.firm.test": "127.0.0.1", "smtp.firm.test": "127.0.0.1"}
NETWORK = Network(hosts=HOSTS, connect_seconds=5, command_seconds=5)
QUICK = replace(NETWORK, connect_seconds=0.3, command_seconds=0.3)


@cache
def key() -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(7, ec.SECP256R1())


def named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)] if name else [])


@cache  # two signatures of the same differ
def certificate(
    subject: str = "imap.firm.test",
    issuer: str = "Firm CA",
    *extensions: x509.ExtensionType,
) -> x509.Certificate:
    builder = (
        x509.CertificateBuilder()
        .subject_name(named(subject))
        .issuer_name(named(issuer))
        .public_key(key().public_key())
        .serial_number(7)
        .not_valid_before(BEGUN)
        .not_valid_after(ENDED)
    )
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    return builder.sign(key(), SHA256())


def pem(*certificates: x509.Certificate) -> str:
    return "".join(one.public_bytes(Encoding.PEM).decode() for one in certificates)


def der(one: x509.Certificate) -> bytes:
    return one.public_bytes(Encoding.DER)


# ---- What a certificate says -----------------------------------------------------------------


def test_the_facts_of_each_certificate_in_their_order() -> None:
    server = certificate()
    ca = certificate("Firm CA", "Firm CA", x509.BasicConstraints(ca=True, path_length=0))
    (of_server, of_ca) = facts(f"Our server:\n{pem(server)}\nand who issued it\n{pem(ca)}")
    # The form in which openssl x509 -fingerprint and browsers write it.
    digest = server.fingerprint(SHA256()).hex().upper()
    colons = ":".join(digest[place : place + 2] for place in range(0, 64, 2))
    assert of_server == CertificateFacts(
        "CN=imap.firm.test", "CN=Firm CA", BEGUN, ENDED, colons, is_ca=False
    )
    assert (of_ca.subject, of_ca.is_ca) == ("CN=Firm CA", True)
    assert len(of_ca.fingerprint) == 95
    assert of_ca.fingerprint != of_server.fingerprint


def test_der_is_read_too_and_nothing_has_no_facts() -> None:
    assert facts(der(certificate())) == facts(pem(certificate()).encode())
    assert facts("") == facts(" \n") == ()
    with pytest.raises(ValueError, match="not a certificate"):
        facts("Firm CA")


def test_no_authority_is_who_says_so_or_says_nothing() -> None:
    (said,) = facts(pem(certificate("a", "b", x509.BasicConstraints(ca=False, path_length=None))))
    (nothing,) = facts(pem(certificate()))
    assert (said.is_ca, nothing.is_ca) == (False, False)


def test_a_server_without_a_subject_has_the_names_that_it_is_for() -> None:
    names = [x509.DNSName(f"mail{number}.firm.test") for number in range(1, 9)]
    (found,) = facts(pem(certificate("", "Firm CA", x509.SubjectAlternativeName(names))))
    assert found.subject == ", ".join(f"mail{number}.firm.test" for number in range(1, 6))
    (nameless,) = facts(pem(certificate("")))
    assert nameless.subject == ""


def test_names_of_certificates_are_one_clean_line() -> None:
    (found,) = facts(pem(certificate("evil\u202etxt.exe\n\x1b[31m", "Почта")))
    assert found.subject.startswith("CN=evil txt.exe")
    assert found.subject.isprintable()
    assert found.issuer == "CN=Почта"


# ---- A file that somebody uploads ------------------------------------------------------------


def test_pem_is_taken_without_what_stands_around_it() -> None:
    one, other = certificate("a"), certificate("b")
    text = f"subject=a\n{pem(one)}\n# and\r\n{pem(other)}bye".replace("\n", "\r\n")
    assert pem_of(text.encode()) == pem(one, other)
    assert pem_of(pem(one, other).encode()) == pem(one, other)


def test_der_becomes_pem() -> None:
    assert pem_of(der(certificate())) == pem(certificate())


def private(form: PrivateFormat, encoding: Encoding = Encoding.PEM) -> bytes:
    return key().private_bytes(encoding, form, NoEncryption())


def encrypted_key() -> bytes:
    return key().private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")
    )


def too_long() -> bytes:
    return pem(certificate()).encode() + b"\n" * PEM_LONGEST


def too_long_as_pem() -> bytes:
    noise = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"x" * 50_000)
    content = der(certificate("a", "b", noise))
    assert len(content) < PEM_LONGEST
    return content


_TWO = (
    x509.BasicConstraints(ca=False, path_length=None),
    x509.SubjectKeyIdentifier(b"x"),
)


@pytest.mark.parametrize(
    "content",
    [
        lambda: b"",
        lambda: b" \r\n",
        lambda: b"Firm CA",
        lambda: b"\xff\xfe\x00",
        lambda: b"-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----\n",
        lambda: b"-----BEGIN CERTIFICATE-----\n",
        lambda: pem(certificate()).encode() + private(PrivateFormat.PKCS8),
        lambda: private(PrivateFormat.TraditionalOpenSSL) + pem(certificate()).encode(),
        lambda: encrypted_key() + pem(certificate()).encode(),
        lambda: private(PrivateFormat.OpenSSH),
        lambda: private(PrivateFormat.PKCS8, Encoding.DER),
        lambda: key().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        lambda: pkcs12.serialize_key_and_certificates(
            b"a", key(), certificate(), None, NoEncryption()
        ),
        lambda: pkcs7.serialize_certificates([certificate()], Encoding.DER),
        lambda: der(certificate()) + b"more",
        # A common name that is a string of bits.
        lambda: der(certificate()).replace(b"\x55\x04\x03\x0c", b"\x55\x04\x03\x03"),
        # An extension that is there twice.
        lambda: der(certificate("a", "b", *_TWO)).replace(b"\x55\x1d\x0e", b"\x55\x1d\x13"),
        lambda: der(certificate())[:-1],
        lambda: der(certificate()).replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x03", 1),
        too_long,
        too_long_as_pem,
    ],
)  # fmt: skip
def test_what_is_not_a_certificate_or_is_more_is_refused(content: Callable[[], bytes]) -> None:
    with pytest.raises(RuleError) as caught:
        pem_of(content())
    assert (caught.value.field, caught.value.code) == ("ca_pem", "ca_not_a_certificate")


def test_whatever_is_done_to_a_certificate_it_is_taken_or_refused() -> None:
    whole = der(certificate("a", "b", x509.BasicConstraints(ca=True, path_length=None)))
    taken = 0
    for place in range(len(whole)):
        broken = bytearray(whole)
        broken[place] ^= 0x15
        try:
            text = pem_of(bytes(broken))
        except RuleError:
            continue
        taken += 1
        assert len(facts(text)) == 1
        assert pem_of(text.encode()) == text
    assert 0 < taken < len(whole)


# ---- What a server shows ---------------------------------------------------------------------


def server_at(port: int, protocol: Protocol, security: Security) -> Server:
    return Server(protocol, f"{protocol}.firm.test", port, security)


def showing(protocol: Protocol, security: Security) -> Script:
    def script(talk: Talk) -> None:
        if security is Security.STARTTLS and protocol is Protocol.IMAP:
            greet_imap(talk, "IMAP4rev1 STARTTLS AUTH=PLAIN")
            talk.answer("STARTTLS")
        elif security is Security.STARTTLS:
            greet_smtp(talk, "STARTTLS", "AUTH PLAIN")
            talk.reply("STARTTLS", "220 go on")
        talk.start_tls(identity("others", made=timedelta(days=-800)))
        talk.say("220 ready", "* OK ready")

    return script


@pytest.mark.parametrize("security", [Security.STARTTLS, Security.TLS])
@pytest.mark.parametrize("protocol", Protocol)
def test_a_certificate_that_nobody_trusts_is_shown_and_the_connection_carries_nothing_else(
    protocol: Protocol, security: Security
) -> None:
    """It has expired, and an authority that nobody knows has issued it."""
    with serving(showing(protocol, security)) as server:
        shown = presented(server_at(server.port, protocol, security), NETWORK)
        assert shown == facts(identity("others", made=timedelta(days=-800)).own_pem)
        assert server.encrypted == b""
        said = server.in_clear.splitlines()
    hello = {Protocol.IMAP: b"P0 CAPABILITY", Protocol.SMTP: b"EHLO [127.0.0.1]"}[protocol]
    starttls = {Protocol.IMAP: b"P1 STARTTLS", Protocol.SMTP: b"STARTTLS"}[protocol]
    assert said == ([hello, starttls] if security is Security.STARTTLS else [])


def test_the_whole_chain_is_shown_with_the_servers_own_first(tmp_path: Path) -> None:
    files = company_certificates(tmp_path / "tls")
    chain = tmp_path / "chain.pem"
    chain.write_text(files.cert_path.read_text() + files.ca_pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, files.key_path)
    ours = Identity(files.ca_pem, chain.read_text(), context)
    with serving(lambda talk: talk.start_tls(ours)) as server:
        shown = presented(server_at(server.port, Protocol.IMAP, Security.TLS), NETWORK)
    assert shown == facts(ours.own_pem)
    assert [one.is_ca for one in shown] == [False, True]


@pytest.mark.parametrize(
    ("script", "protocol", "security"),
    [
        (lambda talk: talk.say("* OK ready"), Protocol.IMAP, Security.TLS),
        (Talk.cut, Protocol.SMTP, Security.TLS),
        (Talk.cut, Protocol.SMTP, Security.STARTTLS),
        (lambda talk: talk.listen_to_the_end(), Protocol.IMAP, Security.TLS),
        (lambda talk: talk.listen_to_the_end(), Protocol.IMAP, Security.STARTTLS),
        (greet_imap, Protocol.IMAP, Security.STARTTLS),
        (greet_smtp, Protocol.SMTP, Security.STARTTLS),
    ],
)
def test_where_no_certificate_can_be_read_there_is_none(
    script: Script, protocol: Protocol, security: Security
) -> None:
    started = time.monotonic()
    with serving(script) as server:
        assert presented(server_at(server.port, protocol, security), QUICK) is None
        assert b"STARTTLS" not in server.heard, "it was not offered"
    assert time.monotonic() - started < 3


def test_without_encryption_nobody_is_asked() -> None:
    with serving(Talk.listen_to_the_end) as server:
        assert presented(server_at(server.port, Protocol.IMAP, Security.NONE), NETWORK) is None
        assert not server.called


def test_a_closed_port_shows_nothing() -> None:
    with closed_port() as port:
        assert presented(server_at(port, Protocol.IMAP, Security.TLS), NETWORK) is None
