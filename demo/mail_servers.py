"""The mail servers of a small company that does not exist, in one process: for demos and tests.

    python -m demo.mail_servers --folder DIR --imap-port N --smtp-port M < people.json

IMAP (pymap) and SMTP (aiosmtpd), both with TLS from the first byte, on 127.0.0.1 alone. Standard
input is one line of JSON, ``{"alice@firm.test": "password"}``: a command line can be read by
everybody on the machine. ``ready`` on standard output means that both ports accept. The process
ends with 0 on SIGTERM, on SIGINT, when standard input is closed, and when its parent is gone.

Mail is kept in DIR/mail (Maildir), the certificates in DIR/tls. One process per folder.
"""

import argparse
import asyncio
import fcntl
import hmac
import json
import logging
import os
import re
import signal
import ssl
import sys
import tempfile
import time
import warnings
from argparse import Namespace
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from mailbox import MaildirMessage
from pathlib import Path
from typing import IO, Any, Self, cast
from uuid import uuid4

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword
from aiosmtpd.smtp import Session as SmtpSession
from proxyprotocol.noop import ProxyProtocolNoop
from proxyprotocol.result import ProxyResultLocal
from proxyprotocol.sock import SocketInfo
from pymap.backend.maildir import Config, FilterSet, Identity, Login, Session
from pymap.backend.maildir.layout import MaildirLayout
from pymap.backend.maildir.mailbox import MailboxData, MailboxSet, Maildir, Message
from pymap.backend.maildir.uidlist import Record, UidList
from pymap.concurrent import Subsystem
from pymap.exceptions import AuthorizationFailure, InvalidAuth
from pymap.imap import IMAPServer
from pymap.interfaces.login import IdentityInterface
from pymap.parsing.message import AppendMessage
from pymap.parsing.specials import ObjectId
from pysasl.creds.server import ServerCredentials
from pysasl.hashing import BuiltinHash

from demo.certificates import DOMAIN, company_certificates

HOST = "127.0.0.1"
FOLDERS = ("Sent", "Drafts", "Trash", "Junk")  # INBOX is always there
LARGEST_MESSAGE = 25 * 1024 * 1024
# The sender's own copy carries lines, such as Bcc, that the sent message has not.
LARGEST_APPEND = LARGEST_MESSAGE + 1024 * 1024
# A UID set of a folder with gaps is long; the usual 64 KiB would end the connection.
LONGEST_IMAP_LINE = 1024 * 1024
ADDRESS = re.compile(rf"[a-z0-9][a-z0-9._-]*@{re.escape(DOMAIN)}")

log = logging.getLogger(__name__)


class StartError(Exception):
    """The servers cannot start; the text says why."""


# ---- People ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with a mailbox; at the same time the identity that pysasl checks."""

    address: str
    password: str

    @property
    def name(self) -> str:
        return self.address.partition("@")[0]

    @property
    def authcid(self) -> str:
        return self.name

    def compare_authcid(self, authcid: str) -> bool:
        return authcid.lower() in (self.name, self.address)

    def compare_secret(self, secret: str) -> bool:
        typed = secret.encode("utf-8", "surrogateescape")
        return hmac.compare_digest(typed, self.password.encode())

    def get_clear_secret(self) -> None:
        """No mechanism that would need it is offered."""


class People:
    """Everybody who has a mailbox, by login: the address or its part before the @."""

    def __init__(self, passwords: Mapping[str, str]) -> None:
        self.all = [Person(address.lower(), password) for address, password in passwords.items()]
        self._by_login = {person.name: person for person in self.all}
        self._by_login |= {person.address: person for person in self.all}

    @classmethod
    def read(cls, line: str) -> Self:
        """Raises StartError."""
        try:
            passwords = json.loads(line)
        except ValueError as error:
            raise StartError("Standard input is not one line of JSON.") from error
        if not isinstance(passwords, dict) or not passwords:
            raise StartError("Standard input names no people.")
        for address, password in passwords.items():
            if not ADDRESS.fullmatch(address.lower()):
                raise StartError(f"{address} is not an address at {DOMAIN}.")
            if not isinstance(password, str) or not password:
                raise StartError(f"{address} has no password.")
        return cls(passwords)

    def find(self, login: str) -> Person | None:
        return self._by_login.get(login.lower())


# ---- Mail on disk: pymap's Maildir, where it would change, lose or double a message -----------


class ExactMessage(MaildirMessage):
    """Keeps a message's bytes. The email package would fold headers and drop carriage returns."""

    def __init__(self, raw: bytes) -> None:
        super().__init__()
        self._raw = raw

    def __bytes__(self) -> bytes:
        return self._raw


class ExactMaildir(Maildir):
    """A Maildir whose files are the messages, to the byte."""

    def get_message(self, key: str) -> ExactMessage:
        return ExactMessage(Path(self._join(self._lookup(key))).read_bytes())

    def _dump_message(self, message: Any, target: Any, _mangle_from: bool = False) -> None:
        target.write(bytes(message))


class Folder(MailboxData):
    """pymap's folder, which copies only flags and leaves UIDs behind where a message was."""

    def __init__(self, mailbox_id: ObjectId, maildir: Maildir, path: str) -> None:
        super().__init__(mailbox_id, maildir, path)
        self._uid_list = UidList(path, 0, 1)

    async def append(self, append_msg: AppendMessage, *, recent: bool = False) -> Message:
        message = ExactMessage(append_msg.literal)
        message.set_flags(self.maildir_flags.to_maildir(append_msg.flag_set))
        message.set_subdir("new" if recent else "cur")
        message.set_date((append_msg.when or datetime.now(UTC)).timestamp())
        key = self._maildir.add(message)
        ids = ObjectId.random_email_id(), ObjectId.random_thread_id()
        async with UidList.with_write(self._path) as uid_list:
            uid = uid_list.next_uid
            uid_list.next_uid += 1
            fields = {"E": str(ids[0]), "T": str(ids[1])}
            uid_list.set(Record(uid, fields, f"{key}:{message.get_info()}"))
        flags = self.maildir_flags
        return Message.from_maildir(uid, message, self._maildir, key, *ids, flags)

    async def copy(self, uid: int, destination: MailboxData, *, recent: bool = False) -> int | None:
        try:
            record, about = await self._get_maildir_msg(uid)
            raw = bytes(self._maildir.get_message(record.key))
        except (KeyError, FileNotFoundError):
            return None
        flags = self.maildir_flags.from_maildir(about.get_flags())
        when = datetime.fromtimestamp(about.get_date(), UTC)
        copied = await destination.append(AppendMessage(raw, when, flags), recent=recent)
        return copied.uid

    async def move(self, uid: int, destination: MailboxData, *, recent: bool = False) -> int | None:
        if destination is self:  # pymap would wait for its own lock
            return None
        moved = await super().move(uid, destination, recent=recent)
        if moved is not None:
            await self._forget([uid])
        return moved

    async def delete(self, uids: Iterable[int]) -> None:
        gone = list(uids)
        await super().delete(gone)
        await self._forget(gone)

    async def _forget(self, uids: Iterable[int]) -> None:
        """Else a message that is moved back appears twice, under its old and its new UID; and
        every look into the folder would search the disk for what is gone."""
        async with UidList.with_write(self._path) as uid_list:
            for uid in uids:
                with suppress(KeyError):
                    uid_list.remove(uid)

    async def _get_maildir_msg(self, uid: int) -> tuple[Record, MaildirMessage]:
        """Reads the list anew only when it misleads: once for each message would be quadratic."""
        try:
            return self._find(uid)
        except (KeyError, FileNotFoundError):
            self._uid_list = UidList.file_read(self._path)
            return self._find(uid)

    def _find(self, uid: int) -> tuple[Record, MaildirMessage]:
        record = self._uid_list.get(uid)
        return record, self._maildir.get_message_metadata(record.key)


class Folders(MailboxSet):
    """pymap's folders, which break off the connection over a name that is there already."""

    async def get_mailbox(self, name: str) -> MailboxData:
        if not self.has(name):
            raise KeyError(name)
        if name not in self._cache:
            path = self._layout.get_path(name, self.delimiter)
            async with UidList.with_init(path) as uid_list:
                folder_id = ObjectId(uid_list.global_uid)
            self._cache[name] = Folder(folder_id, ExactMaildir(path, create=False), path)
        return await self._cache[name].reset()

    async def add_mailbox(self, name: str) -> ObjectId:
        if self.has(name) or not self._is_name(name):
            raise ValueError(name)
        parent = name.rpartition(self.delimiter)[0]
        if parent and not self.has(parent):
            await self.add_mailbox(parent)
        return await super().add_mailbox(name)

    async def delete_mailbox(self, name: str) -> None:
        if not self.has(name):
            raise KeyError(name)
        await super().delete_mailbox(name)

    async def rename_mailbox(self, before: str, after: str) -> None:
        if not self.has(before):
            raise KeyError(before)
        if self.has(after) or not self._is_name(after):
            raise ValueError(after)
        await super().rename_mailbox(before, after)

    def has(self, name: str) -> bool:
        path = self._layout.get_path(name, self.delimiter)
        return self._is_name(name) and Path(path).is_dir()

    @staticmethod
    def _is_name(name: str) -> bool:
        """A name of dots and slashes would be the person's whole folder, or everybody's."""
        return bool(name.strip("./"))


# ---- IMAP ------------------------------------------------------------------------------------


class ImapConfig(Config):
    @property
    def greeting(self) -> bytes:
        """Fixed: pymap would look its own name up in the DNS, for every connection anew."""
        return b"Demo mail of " + DOMAIN.encode("ascii")


class Mailbox(Identity):
    """A person's mail on disk."""

    def folders(self) -> Folders:
        return Folders(ExactMaildir(self._path), MaildirLayout.get(self._path, "++", ExactMaildir))

    @asynccontextmanager
    async def new_session(self) -> AsyncIterator[Session]:
        yield Session(self.name, self.config, self.folders(), FilterSet(self._path))

    @property
    def _path(self) -> str:
        return str(Path(self.config.base_dir, self.name))


class Mailboxes(Login):
    """Everybody's mail: what IMAP signs in to and SMTP delivers to."""

    def __init__(self, config: ImapConfig, people: People) -> None:
        super().__init__(config)
        self._people = people

    async def authenticate(self, credentials: ServerCredentials) -> Identity:
        person = self._people.find(credentials.authcid)
        if person is None or not credentials.verify(person):
            raise InvalidAuth
        return self._of(person)

    async def authorize(self, authenticated: IdentityInterface, authzid: str) -> Identity:
        person = self._people.find(authzid)
        if person is None or person.name != authenticated.name:
            raise AuthorizationFailure
        return self._of(person)

    async def prepare(self) -> None:
        for person in self._people.all:
            folders = self._of(person).folders()
            for name in FOLDERS:
                if not folders.has(name):
                    await folders.add_mailbox(name)

    async def deliver(self, person: Person, message: bytes) -> None:
        async with self._of(person).new_session() as session:
            await session.append_messages("INBOX", [AppendMessage(message)])

    def _of(self, person: Person) -> Mailbox:
        return Mailbox(self.config, self.tokens, person.name, None, frozenset())


class ImapConnections:
    """Every connection is a task of its own; what breaks one is logged and leaves the rest."""

    def __init__(self, server: IMAPServer) -> None:
        self._server = server
        self._open: set[asyncio.Task[None]] = set()  # asyncio itself would forget them

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        about = SocketInfo.get(writer, ProxyResultLocal(), unique_id=uuid4().bytes)
        task = asyncio.create_task(self._server(reader, writer, about))
        self._open.add(task)
        task.add_done_callback(self._closed)

    def _closed(self, task: asyncio.Task[None]) -> None:
        self._open.remove(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("An IMAP connection broke off.", exc_info=error)


# ---- SMTP ------------------------------------------------------------------------------------


class Submission:
    """Takes mail from people who signed in, for people at the company, and delivers it.

    The methods' names are aiosmtpd's.
    """

    def __init__(self, people: People, mailboxes: Mailboxes) -> None:
        self._people = people
        self._mailboxes = mailboxes

    def protocol(self) -> SMTP:
        """For one connection. TLS is there from the first byte, which aiosmtpd does not see."""
        return SMTP(
            self,
            hostname=f"smtp.{DOMAIN}",
            ident="ESMTP demo",
            data_size_limit=LARGEST_MESSAGE,
            enable_SMTPUTF8=True,
            auth_required=True,
            auth_require_tls=False,
            authenticator=self._authenticate,
            loop=asyncio.get_running_loop(),
        )

    def _authenticate(
        self, _server: SMTP, _session: SmtpSession, _envelope: Envelope, _kind: str, data: object
    ) -> AuthResult:
        """Keeps the person, not what was typed, as the session's authentication."""
        assert isinstance(data, LoginPassword)
        login = data.login.decode("utf-8", "surrogateescape")
        person = self._people.find(login)
        if person and person.compare_secret(data.password.decode("utf-8", "surrogateescape")):
            return AuthResult(success=True, auth_data=person)
        return AuthResult(success=False, handled=False)

    async def handle_MAIL(  # noqa: N802
        self, _server: SMTP, session: SmtpSession, envelope: Envelope, address: str, options: Any
    ) -> str:
        person = cast(Person, session.auth_data)
        if address.lower() != person.address:
            return f"553 5.7.1 <{address}>: you are signed in as {person.address}"
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 OK"

    async def handle_RCPT(  # noqa: N802
        self, _server: SMTP, _session: SmtpSession, envelope: Envelope, address: str, _options: Any
    ) -> str:
        if not address.lower().endswith(f"@{DOMAIN}"):
            return f"550 5.1.1 <{address}>: this demo delivers to addresses at {DOMAIN} only"
        if self._people.find(address) is None:
            return f"550 5.1.1 <{address}>: nobody at {DOMAIN} has this address"
        envelope.rcpt_tos.append(address.lower())
        return "250 2.1.5 OK"

    async def handle_DATA(  # noqa: N802
        self, _server: SMTP, session: SmtpSession, envelope: Envelope
    ) -> str:
        queue_id = uuid4().hex[:12]
        assert isinstance(envelope.content, bytes)
        for address in dict.fromkeys(envelope.rcpt_tos):
            person = self._people.find(address)
            assert person is not None
            trace = _trace(session, envelope, address, queue_id)
            await self._mailboxes.deliver(person, trace + envelope.content)
        return f"250 2.0.0 OK: delivered as {queue_id}"

    async def handle_exception(self, error: Exception) -> str:
        log.error("An SMTP command failed.", exc_info=error)
        return "451 4.3.0 The server made a mistake; try again"


def _trace(session: SmtpSession, envelope: Envelope, address: str, queue_id: str) -> bytes:
    """RFC 5321, section 4.4. What the client calls itself is cut to what a host name can be."""
    client = re.sub(r"[^A-Za-z0-9.:\[\]_-]", "", session.host_name or "")[:255] or "unknown"
    return (
        f"Return-Path: <{envelope.mail_from}>\r\n"
        f"Received: from {client} ([{HOST}])\r\n"
        f"\tby smtp.{DOMAIN} with ESMTPSA id {queue_id}\r\n"
        f"\tfor <{address}>; {format_datetime(datetime.now(UTC))}\r\n"
    ).encode()


# ---- The process -----------------------------------------------------------------------------


async def serve(folder: Path, imap_port: int, smtp_port: int, people: People, parent: int) -> None:
    """Runs until told to stop. Raises StartError, and OSError when a port is taken."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    mailboxes = Mailboxes(_imap_config(folder / "mail"), people)
    await mailboxes.prepare()
    imap = ImapConnections(IMAPServer(mailboxes, mailboxes.config))
    submission = Submission(people, mailboxes)
    tls = _tls(folder / "tls")
    servers = (
        await asyncio.start_server(imap.accept, HOST, imap_port, ssl=tls, limit=LONGEST_IMAP_LINE),
        await loop.create_server(submission.protocol, HOST, smtp_port, ssl=tls),
    )
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await _end(stop, parent)
    for server in servers:
        server.close()
    # asyncio.run() cancels what is left: pymap then says BYE, and aiosmtpd hangs up.


async def _end(stop: asyncio.Event, parent: int) -> None:
    """Waits for a signal, for the end of standard input, or for the parent's death.

    The last two are not the same: a process that the parent forked may hold the pipe open, and
    a parent that dies early leaves nothing but the closed pipe.
    """

    def read() -> None:
        if not os.read(sys.stdin.fileno(), 1024):
            stop.set()

    with suppress(PermissionError):  # a regular file: nobody at its other end
        asyncio.get_running_loop().add_reader(sys.stdin.fileno(), read)
    while not stop.is_set() and os.getppid() == parent:
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), timeout=0.5)


def _imap_config(folder: Path) -> ImapConfig:
    """asyncio, not threads: every IDLE would occupy a thread, and the threads are few."""
    config = ImapConfig(
        Namespace(),
        host=HOST,
        port=0,
        base_dir=str(folder),
        layout="++",
        colon=None,
        subsystem=Subsystem.for_asyncio(),
        tls_enabled=False,  # no STARTTLS inside TLS
        proxy_protocol=ProxyProtocolNoop(),
        hash_context=BuiltinHash(),
        max_append_len=LARGEST_APPEND,
    )
    config.apply_context()
    return config


def _tls(folder: Path) -> ssl.SSLContext:
    """Raises StartError."""
    try:
        certificates = company_certificates(folder)
    except ValueError as error:
        raise StartError(f"The company's CA in {folder} is broken: {error}") from error
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.cert_path, certificates.key_path)
    return context


@contextmanager
def _folder(folder: Path) -> Iterator[None]:
    """Makes the folder this process's own. Raises StartError when another one keeps it.

    pymap writes its lists into the system's folder for temporary files and renames them, which
    fails between file systems; and a process that was killed leaves locks that all would wait for.
    """
    for needed in (folder, folder / "mail", folder / "tmp"):
        needed.mkdir(mode=0o700, parents=True, exist_ok=True)
    tempfile.tempdir = str(folder / "tmp")
    with (folder / "lock").open("w") as lock:
        _wait_for(lock)
        for name in ("dovecot-uidlist.lock", "subscriptions.lock"):
            for stale in (folder / "mail").rglob(name):
                stale.unlink()
        yield


def _wait_for(lock: IO[str]) -> None:
    """A predecessor whose parent died takes a moment to notice."""
    deadline = time.monotonic() + 2
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() > deadline:
                raise StartError("Other mail servers are running in this folder.") from error
            time.sleep(0.05)
        else:
            return


def _arguments() -> Namespace:
    parser = argparse.ArgumentParser(prog="python -m demo.mail_servers", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--imap-port", type=int, required=True)
    parser.add_argument("--smtp-port", type=int, required=True)
    return parser.parse_args()


def _settle() -> None:
    """What holds for the whole process."""
    os.umask(0o077)
    # pymap reads a file's time as local time of today's offset: wrong by an hour half the year.
    os.environ["TZ"] = "UTC"
    time.tzset()
    logging.basicConfig(level=logging.WARNING)
    # aiosmtpd warns of every connection that has no STARTTLS; ours has TLS already.
    logging.getLogger("mail.log").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", "Requiring AUTH while not requiring TLS")


def main() -> int:
    parent = os.getppid()
    arguments = _arguments()
    _settle()
    ports = arguments.imap_port, arguments.smtp_port
    try:
        people = People.read(sys.stdin.readline())
        with _folder(arguments.folder):
            asyncio.run(serve(arguments.folder, *ports, people, parent))
    except (StartError, OSError) as error:
        sys.stderr.write(f"The mail servers cannot run: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
