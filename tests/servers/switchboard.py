"""Stands before the firm's IMAP server, and can play a script to whoever calls instead."""

import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress

from tests.servers.mail_system import MailSystem
from tests.servers.scripted import Identity, Script, Talk

_PIECE = 64 * 1024


class Switchboard:
    """Every caller is connected through to Dovecot, until there is a script for them.

    What is open when that changes is cut, as by a server that is started anew.
    """

    def __init__(self, firm: MailSystem) -> None:
        self._firm = firm
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._script: Script | None = None
        self._identity: Identity | None = None
        self._stop = threading.Event()
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._run(self._accept)

    def plays(self, script: Script, identity: Identity | None = None) -> None:
        """To everybody from now on; with the firm's own certificate unless another is given."""
        self._script, self._identity = script, identity
        self._cut()

    def hangs(self) -> None:
        """Accepts and says nothing, not even a greeting of TLS."""
        self.plays(lambda _talk: self._stop.wait())

    def connects_through(self) -> None:
        self._script = None
        self._cut()

    def close(self) -> None:
        self._stop.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._cut()
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def _run(self, work: Callable[..., None], *args: socket.socket) -> None:
        thread = threading.Thread(target=work, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def speaks_tls(self, talk: Talk) -> None:
        """For a script to begin with."""
        talk.start_tls(self._identity or self._firms())

    def _firms(self) -> Identity:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        files = self._firm._values
        context.load_cert_chain(str(files["cert"]), str(files["key"]))
        return Identity(self._firm.ca_pem, "", context)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._open.append(connection)
            self._run(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        script = self._script
        if script is None:
            with suppress(OSError), connection:
                self._connect_through(connection)
            return
        talk = Talk(connection, self._stop)
        # The caller hangs up, or says nothing any more: nobody asks here who was right.
        with suppress(OSError, AssertionError):
            script(talk)
        talk.cut()

    def _connect_through(self, caller: socket.socket) -> None:
        with socket.create_connection(("127.0.0.1", self._firm.imaps_port)) as server:
            self._open.append(server)
            back = threading.Thread(target=_carry, args=(server, caller), daemon=True)
            back.start()
            _carry(caller, server)
            back.join()

    def _cut(self) -> None:
        while self._open:
            with suppress(OSError):
                self._open.pop().shutdown(socket.SHUT_RDWR)


def _carry(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while piece := source.recv(_PIECE):
            target.sendall(piece)
    for end in (source, target):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
