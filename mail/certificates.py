"""What certificates say of themselves: those that are trusted, and those that a server shows."""

import ssl
import sys
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from socket import socket
from time import monotonic
from typing import Final, NoReturn

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from mail.connection import Network, Server, open_socket, shake_hands
from mail.errors import RuleError
from mail.imap.wire import Wire
from mail.mail_socket import MailSocket
from mail.security import Security
from mail.server_errors import Cause, MailServerError, Step, clean_words
from mail.server_string import Protocol
from mail.smtp import EHLO_NAME, SmtpSession

PEM_LONGEST: Final = 65_536  # bytes, of an uploaded file too
_SHOWN_MOST: Final = 10  # certificates of one server that are read
_NAMES_MOST: Final = 5  # names of a server that stand for a subject which is empty
_DER: Final = 2  # _ssl.ENCODING_DER
_UNREADABLE: Final = (
    ValueError,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
    TypeError,
)


@dataclass(frozen=True)
class CertificateFacts:
    """What tells one certificate from another; both names may be anything, in one clean line.

    ``subject`` and ``issuer`` are written as in RFC 4514. Where a server's subject is empty, the
    first of its DNS names stand there. ``fingerprint`` is of the SHA-256 of the certificate, as
    other programs show it: ``AB:01:…``.
    """

    subject: str
    issuer: str
    not_before: datetime
    not_after: datetime
    fingerprint: str
    is_ca: bool


def facts(pem: str | bytes) -> tuple[CertificateFacts, ...]:
    """Of each certificate in a PEM text, or of the one that is given in DER; () for no text.

    Raises ValueError for what is neither, and for a certificate that is not readable.
    """
    content = pem.encode() if isinstance(pem, str) else pem
    return tuple(map(_facts_of, _certificates(content))) if content.strip() else ()


def pem_of(content: bytes) -> str:
    """The certificates alone, as PEM, without what people write around them.

    Takes PEM or DER, of at most 65,536 bytes. Raises RuleError at ``ca_pem`` for anything else, and
    for a file with a private key in it, wherever it stands.
    """
    if len(content) > PEM_LONGEST or b"PRIVATE KEY" in content:
        raise RuleError("ca_pem", "ca_not_a_certificate")
    try:
        found = _certificates(content)
        for one in found:
            _facts_of(one)  # what cannot be shown is not trusted
    except ValueError as error:
        raise RuleError("ca_pem", "ca_not_a_certificate") from error
    pem = "".join(one.public_bytes(Encoding.PEM).decode("ascii") for one in found)
    if len(pem) > PEM_LONGEST:  # DER grows by a third
        raise RuleError("ca_pem", "ca_not_a_certificate")
    return pem


def presented(server: Server, network: Network) -> tuple[CertificateFacts, ...] | None:
    """The certificates that a server shows, its own first; None where none could be read.

    They are not verified: for a person who compares fingerprints, and for nothing else.
    """
    if server.security is Security.NONE:
        return None
    try:
        with closing(open_socket(replace(server, security=Security.NONE), network)) as line:
            if server.security is Security.STARTTLS:
                _agree_on_tls(line, server.protocol, network)
            deadline = monotonic() + network.connect_seconds
            line.change_socket(lambda opened: _read_and_close(opened, server.host, deadline))
    except MailServerError:
        return None
    except _Shown as shown:
        return _facts_of_shown(shown.chain)
    return None


class _Shown(Exception):  # noqa: N818 - nothing went wrong
    """Carries certificates out of a handshake that gives no connection back."""

    def __init__(self, chain: list[bytes]) -> None:
        super().__init__()
        self.chain = chain


def _agree_on_tls(line: MailSocket, protocol: Protocol, network: Network) -> None:
    if protocol is Protocol.SMTP:
        session = SmtpSession(line, network, str)
        session.greet(EHLO_NAME)
        session.agree_on_tls()
        return
    wire = Wire(line, network, str)
    line.step = Step.ENCRYPTION
    if "STARTTLS" not in wire.capabilities:
        raise line.failure(Cause.STARTTLS_MISSING)
    wire.ask("", "STARTTLS")


def _read_and_close(opened: socket, host: str, deadline: float) -> NoReturn:
    """Shakes hands, raises ``_Shown``, and leaves nothing that could be written to.

    The one place that does not verify: somebody has to see a certificate to decide whether it is
    to be trusted, and certificates can be relied on to be there only after a handshake that
    succeeded. So the connection ends here, whatever happens: nothing is sent over it or read from
    it, and neither the socket nor this context reaches anybody.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    opened.setblocking(False)
    try:
        wrapped = context.wrap_socket(opened, server_hostname=host, do_handshake_on_connect=False)
    except OSError:  # closed meanwhile
        raise MailServerError(Step.ENCRYPTION, Cause.TLS_FAILED) from None
    try:
        shake_hands(wrapped, deadline)
        raise _Shown(_chain(wrapped))
    finally:
        wrapped.close()


def _chain(wrapped: ssl.SSLSocket) -> list[bytes]:
    if sys.version_info >= (3, 13):
        return wrapped.get_unverified_chain()
    # Before, only the object beneath has it (since 3.10).
    beneath = wrapped._sslobj  # type: ignore[attr-defined]  # noqa: SLF001
    return [one.public_bytes(_DER) for one in beneath.get_unverified_chain() or ()]


def _facts_of_shown(chain: Iterable[bytes]) -> tuple[CertificateFacts, ...] | None:
    try:
        read = [one for der in islice(chain, _SHOWN_MOST) for one in _certificates(der)]
        return tuple(map(_facts_of, read))
    except ValueError:
        return None


def _certificates(content: bytes) -> list[x509.Certificate]:
    """Raises ValueError."""
    with _readable():
        if b"-----BEGIN" in content:
            return x509.load_pem_x509_certificates(content)
        return [x509.load_der_x509_certificate(content)]


def _facts_of(certificate: x509.Certificate) -> CertificateFacts:
    """Raises ValueError: some of it is read only when it is asked for."""
    with _readable():
        extensions = {one.oid: one.value for one in certificate.extensions}
        constraints = extensions.get(x509.BasicConstraints.oid)
        names = extensions.get(x509.SubjectAlternativeName.oid)
        subject = certificate.subject.rfc4514_string()
        if not subject and isinstance(names, x509.SubjectAlternativeName):
            subject = ", ".join(names.get_values_for_type(x509.DNSName)[:_NAMES_MOST])
        return CertificateFacts(
            subject=clean_words(subject),
            issuer=clean_words(certificate.issuer.rfc4514_string()),
            not_before=certificate.not_valid_before_utc,
            not_after=certificate.not_valid_after_utc,
            fingerprint=certificate.fingerprint(SHA256()).hex(":").upper(),
            is_ca=isinstance(constraints, x509.BasicConstraints) and constraints.ca,
        )


@contextmanager
def _readable() -> Iterator[None]:
    """Not everything that cryptography raises of a broken certificate is a ValueError."""
    try:
        yield
    except _UNREADABLE as error:
        raise ValueError("not a certificate") from error
