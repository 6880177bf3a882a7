"""The web servers of firm.test, on loopback: https and http, with what a test puts on them."""

import socket
import ssl
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from mail.http import Web

NAMES = ("autoconfig.firm.test", "firm.test")
HOSTS = dict.fromkeys((*NAMES, "elsewhere.test"), "127.0.0.1")
PATIENCE = 5.0


def answer(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    lines = (f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers)
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def redirect(location: str, status: str = "302 Found") -> bytes:
    return answer(b"", status, f"Location: {location}")


class WebServer:
    """``pages`` maps a host and what is asked of it (``firm.test/x?y``) to a whole answer, after
    which the connection is left open, as by servers that do not know ``Connection: close``.
    ``slowness`` is how many seconds each answer takes."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.pages: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.requests: list[str] = []
        self.slowness = 0.0
        self._stop = threading.Event()
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept, name="web server")]
        self._threads[0].start()

    def close(self) -> None:
        self._stop.set()
        self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits for a client
        self._threads[0].join()
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(connection,), name="web client")
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(PATIENCE)
        with suppress(OSError):  # it hung up, or did not accept the certificate
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_side=True)
            head = b""
            while b"\r\n\r\n" not in head:
                received = connection.recv(4096)
                if not received:
                    break
                head += received
            else:
                content = self._answer(head.decode())
                self._stop.wait(self.slowness)
                connection.sendall(content)
                connection.recv(1)  # until the client hangs up
        connection.close()

    def _answer(self, head: str) -> bytes:
        first, *headers = head.split("\r\n")
        host = next(line for line in headers if line.startswith("Host: ")).removeprefix("Host: ")
        page = host.partition(":")[0] + first.split(" ")[1]
        self.requests.append(head)
        self.asked.append(page)
        return self.pages.get(page, answer(b"<html>", "404 Not Found"))


@dataclass(frozen=True)
class WebServers:
    https: WebServer
    http: WebServer
    ca_pem: str

    @property
    def web(self) -> Web:
        """What reaches them and trusts their certificate."""
        return Web(self.https.port, self.http.port, ca_pem=self.ca_pem)


@contextmanager
def serving_web() -> Iterator[WebServers]:
    ca_pem, tls = _identity()
    servers = WebServers(WebServer(tls), WebServer(), ca_pem)
    try:
        yield servers
    finally:
        servers.https.close()
        servers.http.close()


@cache
def _identity() -> tuple[str, ssl.SSLContext]:
    """A certificate for all names but elsewhere.test that is its own authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAMES[0])])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(one) for one in NAMES]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    secret = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "server.pem"
        path.write_bytes(secret + pem)
        context.load_cert_chain(path)
    return pem.decode("ascii"), context
