"""A post room for tests: mailboxes, folders and messages, made as the house makes them."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.policy import SMTP
from typing import Any

from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from domain import connecting, mailboxes, outbox, services
from domain.outbox import Letter
from domain.secrets import KeyRing
from domain.services import ServerSettings, ServiceSettings
from domain.sync import folder as folder_sync
from domain.sync import folders
from domain.sync.folder import Arrived
from domain.sync.plan import Flags
from jobs.parsers import parse_or_none
from mail.imap.responses import RemoteFolder
from mail.mime.parse import Address
from mail.security import Security
from mail.server_string import ServerAddress
from models import (
    Base,
    Folder,
    FolderRole,
    Mailbox,
    MailService,
    Message,
    OutgoingMessage,
    OwnServers,
    User,
)
from models.source_store import SourceStore, hash_of
from tests.conftest import author

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
RING = KeyRing(current="1", keys={"1": b"r" * 32})
UNSEEN, SEEN = Flags(), Flags(seen=True)
REMOTE = (("INBOX", None), ("Sent", "sent"), ("Projects", None))

PNG = (
    b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00"
    b"\x1f\x15\xc4\x89\x00\x00\x00\nIDATx\x9cc\x00\x01\x00\x00\x05\x00\x01\r\n-\xb4\x00\x00"
    b"\x00\x00IEND\xaeB`\x82"
)


@dataclass(frozen=True)
class Attachment:
    content: bytes
    kind: str
    name: str
    cid: str = ""


def service_of(session: Session) -> MailService:
    """The firm's own service, made once."""
    present = session.scalars(
        select(MailService).where(MailService.name == "Firm mail", MailService.deleted_at.is_(None))
    ).first()
    return present or services.add(
        session,
        ServiceSettings(
            name="Firm mail",
            imap=ServerSettings(ServerAddress("imap.firm.test", 993), Security.TLS),
            smtp=ServerSettings(ServerAddress("smtp.firm.test", 465), Security.TLS),
        ),
        author(),
    )


def mailbox_of(session: Session, person: User, address: str = "") -> Mailbox:
    """A connected mailbox that works, with an inbox, *Sent* and a folder of the person's own."""
    address = address or f"{person.login}@firm.test"
    test = connecting.begin_test(
        session,
        session.get_one(User, person.id),
        servers=service_of(session).id,
        address=address,
        login=address,
        password="secret",
        tried=None,
        ring=RING,
        now=NOW,
    )
    mailbox = connecting.connect(session, test.id, RING, NOW)
    mailboxes.note_contact(session, mailbox.id, NOW)
    folders.follow(session, mailbox.id, remote_folders(*REMOTE))
    return mailbox


def own_servers(domain: str = "own.test") -> OwnServers:
    """What an employee typed for *Other*."""
    return services.own_servers(
        ServerSettings(ServerAddress(f"imap.{domain}", 993), Security.TLS),
        ServerSettings(ServerAddress(f"smtp.{domain}", 465), Security.TLS),
    )


def remote_folders(*listed: tuple[str, str | None]) -> list[RemoteFolder]:
    """As a server lists them: names, and what SPECIAL-USE says of each."""
    return [RemoteFolder(name, "/", frozenset(), role, selectable=True) for name, role in listed]


def inbox_of(session: Session, mailbox: Mailbox) -> Folder:
    return folder_of(session, mailbox, FolderRole.INBOX)


def folder_of(session: Session, mailbox: Mailbox, role: FolderRole) -> Folder:
    return session.scalars(
        select(Folder).where(Folder.mailbox_id == mailbox.id, Folder.role == role)
    ).one()


def letter(
    subject: str = "Lunch",
    *,
    sender: str = "Carol <carol@firm.test>",
    to: str = "Bob <bob@firm.test>",
    body: str = "At noon?\n",
    html: str = "",
    attachments: Sequence[Attachment] = (),
    headers: Mapping[str, str] | None = None,
) -> bytes:
    """A message as somebody's mail program writes it."""
    message = EmailMessage(policy=SMTP)
    written = {
        "From": sender,
        "To": to,
        "Subject": subject,
        "Date": "Mon, 02 Mar 2026 08:00:00 +0000",
        "Message-ID": f"<{uuid.uuid4().hex}@elsewhere.test>",
    } | dict(headers or {})
    for name, value in written.items():
        message[name] = value
    message.set_content(body)
    if html:
        message.add_alternative(html, subtype="html")
    for one in attachments:
        main, _, sub = one.kind.partition("/")
        if one.cid:
            related: Any = message.get_body(("html",))
            related.add_related(
                one.content, main, sub, cid=f"<{one.cid}>", filename=one.name, disposition="inline"
            )
        else:
            message.add_attachment(one.content, main, sub, filename=one.name)
    return message.as_bytes()


def unreadable(levels: int = 60) -> bytes:
    """Multiparts nested deeper than anybody reads."""
    opened = [
        f'Content-Type: multipart/mixed; boundary="b{level}"\r\n\r\n--b{level}\r\n'
        for level in range(levels)
    ]
    return ("From: carol@firm.test\r\nSubject: Deep\r\n" + "".join(opened) + "\r\nx\r\n").encode()


def fetched(raw: bytes, uid: int, *, flags: Flags = UNSEEN, received_at: datetime = NOW) -> Arrived:
    """A message as the runner hands it to the folder, parsed as far as anybody can."""
    return Arrived(uid, flags, received_at, len(raw), hash_of(raw), parse_or_none(raw))


def arrive(
    app: Flask,
    session: Session,
    folder: Folder,
    raw: bytes,
    *,
    seen: bool = False,
    received_at: datetime = NOW,
) -> Message:
    """New mail: its source in the application's store, its row in the folder."""
    row = arrive_many(app, session, folder, [raw], seen=seen, received_at=[received_at])
    return row[0]


def arrive_many(
    app: Flask,
    session: Session,
    folder: Folder,
    raws: Sequence[bytes],
    *,
    received_at: Sequence[datetime],
    seen: bool = False,
) -> list[Message]:
    uids = session.scalars(select(Message.uid).where(Message.folder_id == folder.id)).all()
    first = 1 + max((uid for uid in uids if uid is not None), default=0)
    store: SourceStore = app.extensions["postroom_store"]
    mailbox = session.get_one(Mailbox, folder.mailbox_id)
    store.put(mailbox.uuid, raws)
    folder_sync.store(
        session,
        folder,
        [
            fetched(raw, first + place, flags=Flags(seen=seen), received_at=at)
            for place, (raw, at) in enumerate(zip(raws, received_at, strict=True))
        ],
    )
    mailboxes.touch(session, mailbox.id)
    found = session.scalars(
        select(Message)
        .where(Message.folder_id == folder.id, Message.uid >= first)
        .order_by(Message.uid)
    )
    return list(found)


def many_letters(count: int) -> tuple[list[bytes], list[datetime]]:
    """``count`` short messages, one a minute, numbered from the oldest."""
    raws = [letter(f"Number {number:03}") for number in range(count)]
    return raws, [NOW + timedelta(minutes=number) for number in range(count)]


def queued(
    session: Session,
    mailbox: Mailbox,
    *to: str,
    form_key: uuid.UUID | None = None,
    now: datetime = NOW,
    **written: str,
) -> OutgoingMessage:
    """A message that its sender has just sent."""
    everyone = tuple(Address("", one) for one in to or ("carol@firm.test",))
    wanted = Letter(
        everyone, (), (), written.get("subject", "Lunch"), written.get("body", "At noon?")
    )
    return outbox.queue(session, mailbox, wanted, form_key=form_key or uuid.uuid4(), now=now)


def dump(session: Session, *, but: Sequence[str] = ()) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table, to see that nothing was written."""
    session.expire_all()
    return {
        table.name: [tuple(row) for row in session.execute(table.select())]
        for table in Base.metadata.sorted_tables
        if table.name not in but
    }
