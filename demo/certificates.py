"""The demo company's own certificate authority, and the certificate of its two mail servers.

Both are made once and kept, so that the CA which a mail service trusts stays the same.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DOMAIN = "firm.test"
SERVER_NAMES = (f"imap.{DOMAIN}", f"smtp.{DOMAIN}")
CA_LIFETIME = timedelta(days=10 * 365)
SERVER_LIFETIME = timedelta(days=2 * 365)
RENEWED_BEFORE_END = timedelta(days=30)
# Clocks on a company's machines differ by a little.
BACKDATED = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Certificates:
    """What a client has to trust, and what the servers present."""

    ca_pem: str
    cert_path: Path
    key_path: Path


@dataclass(frozen=True, slots=True)
class _Pair:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def company_certificates(folder: Path) -> Certificates:
    """Makes what is missing or ends within 30 days in ``folder``, which becomes 0700.

    Safe to call from several processes at once. Raises OSError, and ValueError when the CA's
    files are there and cannot be read: a new CA would silently be one that nobody trusts.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    cert_path, key_path = folder / "server.pem", folder / "server-key.pem"
    with _alone(folder):
        ca = _company_ca(folder)
        if not _serves(cert_path, key_path, ca):
            _write_pair(_issue_server(ca), cert_path, key_path)
    return Certificates(_pem(ca.certificate).decode("ascii"), cert_path, key_path)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """The web process and the mail servers may both come first."""
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _company_ca(folder: Path) -> _Pair:
    cert_path, key_path = folder / "ca.pem", folder / "ca-key.pem"
    if cert_path.exists():
        ca = _read_pair(cert_path, key_path)
        if not _ends_soon(ca.certificate):
            return ca
    ca = _issue_ca()
    _write_pair(ca, cert_path, key_path)
    return ca


def _issue_ca() -> _Pair:
    """RFC 5280, section 4.2. The name constraint keeps whoever takes the key inside the company."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("Firm demo CA")
    builder = (
        _certificate(name, name, key.public_key(), datetime.now(UTC) + CA_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .add_extension(x509.NameConstraints([x509.DNSName(DOMAIN)], None), critical=True)
    )
    return _Pair(builder.sign(key, hashes.SHA256()), key)


def _issue_server(ca: _Pair) -> _Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    end = min(datetime.now(UTC) + SERVER_LIFETIME, ca.certificate.not_valid_after_utc)
    identifier = ca.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    builder = (
        _certificate(_name(SERVER_NAMES[0]), ca.certificate.subject, key.public_key(), end)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName(name) for name in SERVER_NAMES]),
            critical=False,
        )
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier),
            critical=False,
        )
    )
    return _Pair(builder.sign(ca.key, hashes.SHA256()), key)


def _certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, end: datetime
) -> x509.CertificateBuilder:
    """What both kinds have. Strict verification wants the subject key identifier in both."""
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.now(UTC) - BACKDATED)
        .not_valid_after(end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _serves(cert_path: Path, key_path: Path, ca: _Pair) -> bool:
    """Whether the pair on disk is whole, issued by this CA, and good for a while."""
    try:
        server = _read_pair(cert_path, key_path)
        server.certificate.verify_directly_issued_by(ca.certificate)
    except (OSError, ValueError, InvalidSignature):
        return False
    return not _ends_soon(server.certificate)


def _ends_soon(certificate: x509.Certificate) -> bool:
    return certificate.not_valid_after_utc - datetime.now(UTC) <= RENEWED_BEFORE_END


def _read_pair(cert_path: Path, key_path: Path) -> _Pair:
    """Raises OSError, and ValueError when the two are damaged or do not belong together."""
    certificate = x509.load_pem_x509_certificate(cert_path.read_bytes())
    key = serialization.load_pem_private_key(key_path.read_bytes(), password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError(f"{key_path} holds another kind of key")
    if key.public_key() != certificate.public_key():
        raise ValueError(f"{cert_path} and {key_path} do not belong together")
    return _Pair(certificate, key)


def _write_pair(pair: _Pair, cert_path: Path, key_path: Path) -> None:
    """The certificate goes first and comes last: while it is there, so is its key."""
    cert_path.unlink(missing_ok=True)
    key = pair.key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    _write(key_path, key)
    _write(cert_path, _pem(pair.certificate))


def _write(path: Path, content: bytes) -> None:
    """Whole or not at all, and 0600 from its first byte."""
    unfinished = path.with_name(f"{path.name}.new")
    unfinished.unlink(missing_ok=True)
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    unfinished.replace(path)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
