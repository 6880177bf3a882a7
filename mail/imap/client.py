"""An IMAP session as syncing needs it: typed answers, bounded memory, no surprises.

The only module that imports IMAPClient. Its parser and its encoding of folder names are used as
they are; its connection is replaced by ``Wire``. What a server says is checked before it becomes
a value: anything unexpected is a ``MailServerError`` (protocol_error) and ends the connection.
"""

import logging
import re
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Final, Self

from imapclient import IMAPClient, imap_utf7
from imapclient.response_parser import parse_response

from mail.connection import (
    Credentials,
    Network,
    Server,
    UnsendableError,
    ignore_step,
    open_socket,
    require_one_line,
)
from mail.imap import responses
from mail.imap.responses import Atom, Details, FolderStatus, RemoteFolder, RemoteMessage
from mail.imap.uid_sets import portions, uid_sets
from mail.imap.wire import Row, Wire, quoted
from mail.security import Security
from mail.server_errors import Cause, MailServerError, Step, no_password_cause

__all__ = ["FolderStatus", "ImapSession", "RemoteFolder", "RemoteMessage", "open_session"]

log = logging.getLogger(__name__)

FOLDERS_MOST: Final = 10_000  # a server that lists more has gone mad, or wants us to
_PORTION: Final = 100  # messages whose content is asked for in one command
_PORTION_BYTES: Final = 8 * 1024 * 1024  # … unless a single one is larger
_DETAILS: Final = "(UID FLAGS INTERNALDATE RFC822.SIZE)"
# RFC 9051, flag: an atom, with a backslash before the system's own.
_FLAG: Final = re.compile(r'\\?[^\x00-\x20\x7f-\U0010ffff(){%*"\\\]]+')
_NAMEABLE: Final = re.compile(r"[^\x00-\x1f\x7f-\x9f\ud800-\udfff]+")
_APPEND_UID: Final = re.compile(rb"\[APPENDUID \d{1,10} (\d{1,10})\]", re.IGNORECASE)


def open_session(
    server: Server,
    credentials: Credentials,
    network: Network,
    on_step: Callable[[Step], None] = ignore_step,
) -> "ImapSession":
    """Connects, encrypts exactly as configured, and signs in.

    ``on_step`` is called after each step that succeeded. Raises MailServerError, and ValueError
    (UnsendableError) when login or password could not be sent.
    """
    credentials.require_sendable()
    line = open_socket(server, network, on_step)
    try:
        wire = Wire(line, network, credentials.hide_in)
        start(wire, server, on_step)
        line.step = Step.LOGIN
        require_password_login(wire)
        wire.sign_in(credentials)
        on_step(Step.LOGIN)
        line.step = Step.INBOX
        return ImapSession(wire, network)
    except BaseException:
        line.close()
        raise


def start(wire: Wire, server: Server, on_step: Callable[[Step], None]) -> None:
    """Encrypts exactly as configured, where that comes after the greeting."""
    on_step(Step.GREETING)
    if server.security is Security.STARTTLS:
        wire.encrypt(server, on_step)


def require_password_login(wire: Wire) -> None:
    """Raises MailServerError where no password is taken, before one is said."""
    mechanisms = [one[5:] for one in wire.capabilities if one.startswith("AUTH=")]
    if "LOGINDISABLED" in wire.capabilities and "PLAIN" not in mechanisms:
        raise wire.line.failure(no_password_cause(mechanisms))


class _Client(IMAPClient):  # type: ignore[misc]  # IMAPClient ships no types
    """IMAPClient over a Wire that is open already."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self.raw_names: dict[str, bytes] = {}
        super().__init__("", ssl=False)
        wire.debug = 0  # IMAPClient would log every command

    def _create_IMAP4(self) -> Wire:  # noqa: N802 - its name there
        return self._wire

    def _set_read_timeout(self) -> None:
        """A Wire has deadlines of its own."""

    def _normalise_folder(self, folder_name: str) -> bytes:
        return self.encoded(folder_name)

    def encoded(self, folder_name: str) -> bytes:
        """Raises UnsendableError."""
        require_one_line(folder_name, "The name of a folder")
        raw = self.raw_names.get(folder_name)
        return quoted(imap_utf7.encode(folder_name) if raw is None else raw)


class ImapSession:
    """One signed-in connection; a context manager that signs out. Not for two threads at once.

    Every method may raise MailServerError. After timed_out, closed and protocol_error the
    connection is gone; after a refusal it works on. UnsendableError (a ValueError) is raised
    before anything is sent for an argument that no command may carry.
    """

    def __init__(self, wire: Wire, network: Network) -> None:
        self._wire = wire
        self._network = network
        self._client = _Client(wire)
        self._offers = frozenset(wire.capabilities)
        self._exists = 0
        self._condstore = {"CONDSTORE", "ENABLE"} <= self._offers
        if self._condstore:
            # Only then, and only before SELECT, HIGHESTMODSEQ is announced (RFC 7162, 3.1).
            wire.ask("ENABLED", "ENABLE", "CONDSTORE")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.logout()
        else:
            self._wire.line.close()

    @property
    def can_idle(self) -> bool:
        """Whether the server offers IDLE (RFC 2177)."""
        return "IDLE" in self._offers

    def folders(self) -> list[RemoteFolder]:
        """All folders, each once, but those with control characters in their names.

        INBOX is always written so. More than 10,000 are a protocol_error.
        """
        ask = ("RETURN (SPECIAL-USE)",) if {"SPECIAL-USE", "LIST-EXTENDED"} <= self._offers else ()
        listed = self._wire.ask("LIST", "LIST", '""', '"*"', *ask)
        found: dict[str, RemoteFolder] = {}
        with self._wire.understood():
            _require_bearable(listed)
            for row in listed:
                attributes, delimiter, raw = parse_response(row)[:3]
                name = self._name(responses.folder_name(raw))
                if _NAMEABLE.fullmatch(name):
                    found.setdefault(name, responses.folder(attributes, delimiter, name))
        return list(found.values())

    def select(self, name: str, *, readonly: bool) -> FolderStatus:
        """SELECT, or EXAMINE for reading only. Its ``unseen`` is None."""
        with self._wire.understood():
            said = self._client.select_folder(name, readonly)
            wanted = (b"EXISTS", b"UIDVALIDITY", b"UIDNEXT", b"HIGHESTMODSEQ")
            status = responses.folder_status({key: said[key] for key in wanted if key in said})
        self._exists = status.exists
        return status

    def status(self, name: str) -> FolderStatus:
        """STATUS. Not for the selected folder (RFC 9051, section 6.3.11)."""
        encoded = self._client.encoded(name)
        answer = self._wire.ask("STATUS", "STATUS", encoded, self._status_items)
        with self._wire.understood():
            (status,) = self._statuses(answer).values()
            return status

    def statuses(self) -> dict[str, FolderStatus]:
        """Of all folders that can be selected: in one round trip with LIST-STATUS (RFC 5819),
        else in one for each. A folder whose STATUS is refused is left out."""
        if "LIST-STATUS" in self._offers:
            ask = f"RETURN (STATUS {self._status_items})"
            return self._statuses(self._wire.ask("STATUS", "LIST", '""', '"*"', ask))
        found = {}
        for folder in self.folders():
            if folder.selectable:
                try:
                    found[folder.name] = self.status(folder.name)
                except MailServerError as error:
                    if error.cause is not Cause.REFUSED:
                        raise
        return found

    def uids(self) -> list[int]:
        """UIDs of all messages in the selected folder, ascending."""
        # One line, at most 10 digits and a space for each message.
        with self._wire.longer_lines(11 * self._exists):
            return self._search("ALL")

    def flags(
        self, uids: Iterable[int] | None = None, changed_since: int | None = None
    ) -> dict[int, frozenset[str]]:
        """Flags by UID, of all messages or of those named; UIDs that are gone are left out.

        With ``changed_since``, a mod-sequence, only what changed after it, if the server can
        tell (RFC 7162); else everything.
        """
        asked = None if uids is None else frozenset(uids)
        modifier: tuple[str, ...] = ()
        if changed_since is not None and self._condstore:
            responses.number(changed_since, 0, responses.MODSEQ_HIGHEST)
            modifier = (f"(CHANGEDSINCE {changed_since})",)
        found: dict[int, frozenset[str]] = {}
        for uid_set in ["1:*"] if asked is None else uid_sets(asked):
            answer = self._wire.ask("FETCH", "UID", "FETCH", uid_set, "(UID FLAGS)", *modifier)
            with self._wire.understood():
                found.update(filter(None, map(_uid_and_flags, answer)))
        # Changes of other messages may be told at any time.
        return found if asked is None else {uid: found[uid] for uid in found.keys() & asked}

    def fetch(self, uids: Iterable[int]) -> Iterator[RemoteMessage]:
        """Messages with their content, in any order; those that are gone are left out.

        At most 100 messages or 8 MiB (or one message) are held at a time. One that is announced
        as larger than ``Network.literal_bytes`` comes without ``raw``.
        """
        asked = set(uids)
        return self._fetch(list(uid_sets(asked)), asked)

    def _fetch(self, sets: list[str], asked: set[int]) -> Iterator[RemoteMessage]:
        most = self._network.literal_bytes
        for uid_set in sets:
            details = self._details(uid_set, asked)
            asked -= details.keys()
            for uid, one in details.items():
                if one.size > most:
                    yield RemoteMessage(uid, one.flags, one.internal_date, one.size, None)
            sizes = {uid: one.size for uid, one in details.items() if one.size <= most}
            for portion in portions(sizes, _PORTION, min(_PORTION_BYTES, most)):
                for uid, raw in self._contents(portion).items():
                    one = details[uid]
                    yield RemoteMessage(uid, one.flags, one.internal_date, one.size, raw)

    def add_flags(self, uids: Iterable[int], flags: Iterable[str]) -> None:
        self._store("+FLAGS.SILENT", uids, flags)

    def remove_flags(self, uids: Iterable[int], flags: Iterable[str]) -> None:
        self._store("-FLAGS.SILENT", uids, flags)

    def append(
        self, folder: str, raw: bytes, flags: Iterable[str] = (), date: datetime | None = None
    ) -> int | None:
        """Adds a message and answers its UID if the server tells it (UIDPLUS, RFC 4315).

        ``date`` becomes the INTERNALDATE and must have a zone. When MailServerError is closed or
        timed_out, the message may be there all the same.
        """
        if date is not None and date.tzinfo is None:
            raise ValueError("a date without a zone")
        with self._wire.understood():
            said = self._client.append(folder, raw, _require_flags(flags), date)
            found = _APPEND_UID.match(said)
            return responses.number(int(found[1]), 1, responses.NUMBER_HIGHEST) if found else None

    def search_message_id(self, message_id: str) -> list[int]:
        """UIDs in the selected folder whose Message-ID contains this one; none if not ASCII."""
        require_one_line(message_id, "A Message-ID")
        if not message_id.isascii():
            return []
        return self._search("HEADER", "Message-ID", quoted(message_id.encode()))

    def create(self, folder: str) -> None:
        """Creates and subscribes a folder, unless it is there already."""
        with self._wire.understood():
            try:
                self._client.create_folder(folder)
            except MailServerError as error:
                if not error.server_words.upper().startswith("[ALREADYEXISTS]"):
                    raise
            try:
                # Mail programs that show only subscribed folders shall show it too.
                self._client.subscribe_folder(folder)
            except MailServerError as error:
                if error.cause is not Cause.REFUSED:
                    raise

    def idle(self, seconds: float) -> bool:
        """Waits with IDLE; True, at once, when the selected folder changed. See ``can_idle``."""
        return self._wire.wait_for_news(seconds)

    def noop(self) -> None:
        """Whether the connection still lives: MailServerError if not."""
        self._wire.ask("", "NOOP")

    def logout(self) -> None:
        """Signs out and closes. Never raises MailServerError; may be called again."""
        self._wire.say_goodbye()

    @property
    def _status_items(self) -> str:
        modseq = " HIGHESTMODSEQ" if self._condstore else ""
        return f"(MESSAGES UIDNEXT UIDVALIDITY UNSEEN{modseq})"

    def _name(self, raw: bytes) -> str:
        """The name as people read it, from modified UTF-7 (RFC 9051, appendix A).

        One that is not well encoded is shown as it is, and remembered: it would come out
        differently when it is encoded again.
        """
        if raw.upper() == b"INBOX":
            return "INBOX"
        try:
            name = str(imap_utf7.decode(raw))
            if imap_utf7.encode(name) == raw:
                return name
        except ValueError:
            pass
        name = raw.decode("utf-8", "replace")
        self._client.raw_names[name] = raw
        return name

    def _statuses(self, answer: list[Row]) -> dict[str, FolderStatus]:
        found = {}
        with self._wire.understood():
            _require_bearable(answer)
            for row in answer:
                raw, items = parse_response(row)
                name = self._name(responses.folder_name(raw))
                found[name] = responses.folder_status(responses.named(items))
        return found

    def _search(self, *criteria: str | bytes) -> list[int]:
        answer = self._wire.ask("SEARCH", "UID", "SEARCH", *criteria)
        with self._wire.understood():
            return responses.numbers(piece for row in answer for piece in row)

    def _details(self, uid_set: str, asked: set[int]) -> dict[int, Details]:
        answer = self._wire.ask("FETCH", "UID", "FETCH", uid_set, _DETAILS)
        found = {}
        with self._wire.understood():
            for items in map(_fetched, answer):
                uid = items.get(b"UID")
                # Without a size it is news of a message (flags), not the answer.
                if uid in asked and b"RFC822.SIZE" in items:
                    number = responses.number(uid, 1, responses.NUMBER_HIGHEST)
                    found[number] = responses.details(items)
        return found

    def _contents(self, portion: list[int]) -> dict[int, bytes | None]:
        """Content by UID, never by its place in the answer. None where the server has none."""
        uid_set = ",".join(uid_sets(portion))
        answer = self._wire.ask("FETCH", "UID", "FETCH", uid_set, "(UID BODY.PEEK[])")
        found: dict[int, bytes | None] = {}
        with self._wire.understood():
            for items in map(_fetched, answer):
                if b"BODY[]" in items:
                    uid, content = items.get(b"UID"), items[b"BODY[]"]
                    if uid not in portion or uid in found:
                        raise ValueError("content that was not asked for")
                    found[uid] = content if content is None else responses.octets(content)
        return found

    def _store(self, change: str, uids: Iterable[int], flags: Iterable[str]) -> None:
        listed = f"({' '.join(_require_flags(flags))})"
        for uid_set in list(uid_sets(uids)):
            self._wire.ask("FETCH", "UID", "STORE", uid_set, change, listed)


def _fetched(row: Row) -> dict[bytes, Atom]:
    """The items of a FETCH response."""
    _, items = parse_response(row)
    return responses.named(items)


def _uid_and_flags(row: Row) -> tuple[int, frozenset[str]] | None:
    if len(row) == 1 and isinstance(row[0], bytes):
        plain = responses.plain_flags(row[0])
        if plain is not None:
            return plain
    items = _fetched(row)
    if b"UID" not in items or b"FLAGS" not in items:
        return None
    uid = responses.number(items[b"UID"], 1, responses.NUMBER_HIGHEST)
    return uid, responses.flag_names(items[b"FLAGS"])


def _require_bearable(answer: list[Row]) -> None:
    if len(answer) > FOLDERS_MOST:
        raise ValueError("too many folders")


def _require_flags(flags: Iterable[str]) -> list[str]:
    listed = list(flags)
    if not all(_FLAG.fullmatch(flag) for flag in listed):
        raise UnsendableError("a flag is an atom")
    return listed
