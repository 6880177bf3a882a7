"""The outbox: no queued message is lost, none is sent twice by itself.

    draft ──▶ queued ⇄ held ──▶ claimed ──▶ data_started ──▶ sent | failed | unconfirmed
                 ▲                 │ refused for now (4xx), connection failed, worker died
                 └─────────────────┘

``data_started`` is committed before the first byte of the message. A crash before it is tried
again; after it, without a stored answer, the message is *unconfirmed* and its sender decides
(RFC 1047 describes the gap that no protocol closes).
"""

import unicodedata
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from domain import mailboxes
from domain.errors import ConflictError, NotFoundError, RefusedError
from mail.mime.build import Outgoing, new_message_id
from mail.mime.parse import Address
from mail.smtp import RecipientResult, Reply
from models.mailboxes import Mailbox, MailboxState
from models.outbox import OutgoingMessage, OutgoingState
from models.people import User

SUBJECT_LONGEST = 900
TEXT_LONGEST = 1_000_000
GIVE_UP_AFTER = timedelta(days=2)
COPY_WAIT = timedelta(minutes=1)
# Controls, surrogates and line ends; the joiners of emoji and of Persian words are letters here.
_NOT_IN_SUBJECTS = frozenset({"Cc", "Cs", "Zl", "Zp"})


@dataclass(frozen=True)
class Letter:
    """What a person wrote."""

    to: tuple[Address, ...]
    cc: tuple[Address, ...]
    bcc: tuple[Address, ...]
    subject: str
    text: str
    in_reply_to: str = ""
    references: tuple[str, ...] = ()


@dataclass(frozen=True)
class Dispatch:
    """What the runner needs to send one claimed message."""

    id: int
    mailbox_id: int
    outgoing: Outgoing
    recipients: tuple[str, ...]


def queue(
    session: Session, mailbox: Mailbox, letter: Letter, *, form_key: uuid.UUID, now: datetime
) -> OutgoingMessage:
    """Fixes the message and queues it, once for each form. Raises RefusedError."""
    twice = session.scalar(select(OutgoingMessage).where(OutgoingMessage.form_key == form_key))
    if twice is not None and twice.mailbox.user_id == mailbox.user_id:
        return twice
    _check(letter)
    message = OutgoingMessage(
        mailbox_id=mailbox.id,
        state=OutgoingState.QUEUED,
        message_id=new_message_id(mailbox.address.rpartition("@")[2]),
        date=now.replace(microsecond=0),
        sender_name=mailbox.sender_name,
        sender_address=mailbox.address,
        to=[asdict(person) for person in letter.to],
        cc=[asdict(person) for person in letter.cc],
        bcc=[asdict(person) for person in letter.bcc],
        subject=letter.subject,
        text=letter.text,
        in_reply_to=letter.in_reply_to,
        references=list(letter.references),
        form_key=form_key,
        recipients={},
        queued_at=now,
        next_attempt_at=now,
    )
    session.add(message)
    session.flush()
    mailboxes.touch(session, mailbox.id)
    return message


def unfinished(session: Session, person: User) -> list[OutgoingMessage]:
    """What is on its way or waits for a decision, newest first."""
    done = (OutgoingState.SENT, OutgoingState.CANCELLED, OutgoingState.DRAFT)
    return list(
        session.scalars(
            select(OutgoingMessage)
            .join(Mailbox)
            .where(Mailbox.user_id == person.id, OutgoingMessage.state.not_in(done))
            .order_by(OutgoingMessage.id.desc())
        )
    )


def find(session: Session, person: User, outgoing_id: int) -> OutgoingMessage:
    """Raises NotFoundError when it is not this person's."""
    own = session.scalar(
        select(OutgoingMessage)
        .join(Mailbox)
        .where(OutgoingMessage.id == outgoing_id, Mailbox.user_id == person.id)
    )
    if own is None:
        raise NotFoundError
    return own


def send_again(session: Session, message: OutgoingMessage, now: datetime) -> None:
    """The person decided: to everyone who is not known to have it. Raises ConflictError."""
    _require_decision(message)
    message.state, message.attempts = OutgoingState.QUEUED, 0
    message.queued_at = message.next_attempt_at = now
    message.cause, message.server_words = "", ""
    message.recipients = {
        address: result for address, result in message.recipients.items() if result["delivered"]
    }
    mailboxes.touch(session, message.mailbox_id)
    session.flush()


def discard(session: Session, message: OutgoingMessage) -> None:
    """The person decided: it is not sent (again). Raises ConflictError."""
    _require_decision(message)
    message.state = OutgoingState.SENT if message.sent_at else OutgoingState.CANCELLED
    mailboxes.touch(session, message.mailbox_id)
    session.flush()


def due(session: Session, now: datetime) -> list[int]:
    """Queued messages whose time has come, and sent ones whose copy is missing in *Sent*."""
    queued = select(OutgoingMessage.id).where(
        OutgoingMessage.state == OutgoingState.QUEUED, OutgoingMessage.next_attempt_at <= now
    )
    uncopied = (
        select(OutgoingMessage.id)
        .join(Mailbox)
        .where(
            OutgoingMessage.state == OutgoingState.SENT,
            OutgoingMessage.copied_to_sent.is_(False),
            OutgoingMessage.next_attempt_at <= now,
            Mailbox.state == MailboxState.WORKING,
        )
    )
    return [*session.scalars(queued), *session.scalars(uncopied)]


def release(session: Session, now: datetime) -> None:
    """At the worker's start: what a former worker held, by how far it is known to have come."""
    session.execute(
        update(OutgoingMessage)
        .where(OutgoingMessage.state == OutgoingState.CLAIMED)
        .values(state=OutgoingState.QUEUED, next_attempt_at=now, claimed_by=None)
    )
    lost = session.scalars(
        select(OutgoingMessage).where(OutgoingMessage.state == OutgoingState.DATA_STARTED)
    )
    for message in lost:
        _unconfirmed(session, message, "worker_stopped", "")
    session.flush()


def hold_and_release(session: Session) -> None:
    """*held* while the mailbox needs a person, *queued* again when it does not."""
    stopped = select(Mailbox.id).where(
        Mailbox.state.in_([state for state in MailboxState if state.needs_person])
    )
    for now_in, then_in, condition in (
        (OutgoingState.QUEUED, OutgoingState.HELD, OutgoingMessage.mailbox_id.in_(stopped)),
        (OutgoingState.HELD, OutgoingState.QUEUED, OutgoingMessage.mailbox_id.not_in(stopped)),
    ):
        moved = session.scalars(
            update(OutgoingMessage)
            .where(OutgoingMessage.state == now_in, condition)
            .values(state=then_in)
            .returning(OutgoingMessage.mailbox_id)
        )
        for mailbox_id in set(moved):
            mailboxes.touch(session, mailbox_id)


def claim(session: Session, outgoing_id: int, worker: uuid.UUID) -> Dispatch | None:
    """Takes a queued message by a conditional UPDATE; None when there is nothing to take."""
    claimed = session.execute(
        update(OutgoingMessage)
        .where(OutgoingMessage.id == outgoing_id, OutgoingMessage.state == OutgoingState.QUEUED)
        .values(state=OutgoingState.CLAIMED, claimed_by=worker)
        .returning(OutgoingMessage.id)
    ).scalar()
    if claimed is None:
        return None
    message = session.get_one(OutgoingMessage, outgoing_id)
    delivered = {name for name, result in message.recipients.items() if result["delivered"]}
    everyone = [person["address"] for person in (*message.to, *message.cc, *message.bcc)]
    return Dispatch(
        id=message.id,
        mailbox_id=message.mailbox_id,
        outgoing=outgoing_of(message),
        recipients=tuple(dict.fromkeys(one for one in everyone if one not in delivered)),
    )


def start_data(session: Session, outgoing_id: int, worker: uuid.UUID) -> None:
    """To be committed before the first byte. Raises ConflictError when the claim was lost."""
    started = session.execute(
        update(OutgoingMessage)
        .where(
            OutgoingMessage.id == outgoing_id,
            OutgoingMessage.state == OutgoingState.CLAIMED,
            OutgoingMessage.claimed_by == worker,
        )
        .values(state=OutgoingState.DATA_STARTED)
        .returning(OutgoingMessage.id)
    ).scalar()
    if started is None:
        raise ConflictError("claim_lost")


def settle(
    session: Session,
    outgoing_id: int,
    results: Mapping[str, RecipientResult],
    reply: Reply | None,
    now: datetime,
) -> None:
    """Stores each recipient's result and the answer to DATA (None: nobody was accepted).

    Raises ConflictError when the claim was lost.
    """
    message = session.get_one(OutgoingMessage, outgoing_id)
    if message.state is not (
        OutgoingState.CLAIMED if reply is None else OutgoingState.DATA_STARTED
    ):
        raise ConflictError("claim_lost")
    went = reply is not None and reply.accepted
    stored = dict(message.recipients)
    for address, result in results.items():
        accepted = result.accepted and went
        said = result if reply is None or not result.accepted else reply
        stored[address] = {"code": said.code, "words": said.words, "delivered": accepted}
    message.recipients = stored
    if went:
        message.sent_at = message.sent_at or now
        message.next_attempt_at = now
    left = [stored[address] for address in results if not stored[address]["delivered"]]
    if not left:
        message.state, message.cause, message.server_words = OutgoingState.SENT, "", ""
    elif all(one["code"] < 500 for one in left):
        put_back(session, message, "refused_for_now", left[0]["words"], now)
    else:
        words = next(one["words"] for one in left if one["code"] >= 500)
        _failed(session, message, "refused", words)
    mailboxes.touch(session, message.mailbox_id)
    session.flush()


def put_back(
    session: Session, message: OutgoingMessage, cause: str, words: str, now: datetime
) -> None:
    """Tried again after a growing wait; two days after it was queued it has failed."""
    message.attempts += 1
    if now - message.queued_at > GIVE_UP_AFTER:
        _failed(session, message, cause, words)
        return
    message.state, message.claimed_by = OutgoingState.QUEUED, None
    message.cause, message.server_words = cause, words
    message.next_attempt_at = now + mailboxes.wait_after(message.attempts + 2)
    session.flush()


def note_trouble(
    session: Session, outgoing_id: int, *, cause: str, words: str, permanent: bool, now: datetime
) -> None:
    """The server could not be talked to, or refused everything; by how far we had come.

    Raises ConflictError when the claim was lost: what another worker did stays.
    """
    message = session.get_one(OutgoingMessage, outgoing_id)
    if message.state not in {OutgoingState.CLAIMED, OutgoingState.DATA_STARTED}:
        raise ConflictError("claim_lost")
    if message.state is OutgoingState.DATA_STARTED:
        _unconfirmed(session, message, cause, words)
    elif permanent:
        _failed(session, message, cause, words)
    else:
        put_back(session, message, cause, words, now)
    mailboxes.touch(session, message.mailbox_id)
    session.flush()


def to_copy(session: Session, outgoing_id: int) -> Outgoing | None:
    """A sent message whose copy is not in *Sent* yet."""
    message = session.get(OutgoingMessage, outgoing_id)
    if message is None or message.sent_at is None or message.copied_to_sent:
        return None
    return outgoing_of(message)


def copied(session: Session, outgoing_id: int) -> None:
    message = session.get_one(OutgoingMessage, outgoing_id)
    message.copied_to_sent = True
    mailboxes.touch(session, message.mailbox_id)
    session.flush()


def copy_later(session: Session, outgoing_id: int, now: datetime) -> None:
    session.get_one(OutgoingMessage, outgoing_id).next_attempt_at = now + COPY_WAIT
    session.flush()


def outgoing_of(message: OutgoingMessage) -> Outgoing:
    return Outgoing(
        message_id=message.message_id,
        date=message.date,
        sender=Address(message.sender_name, message.sender_address),
        to=_people(message.to),
        cc=_people(message.cc),
        bcc=_people(message.bcc),
        subject=message.subject,
        text=message.text,
        in_reply_to=message.in_reply_to,
        references=tuple(message.references),
    )


def _check(letter: Letter) -> None:
    if not (letter.to or letter.cc or letter.bcc):
        raise RefusedError("to", "recipient_missing")
    broken = any(unicodedata.category(sign) in _NOT_IN_SUBJECTS for sign in letter.subject)
    if len(letter.subject) > SUBJECT_LONGEST or broken:
        raise RefusedError("subject", "subject_broken", longest=SUBJECT_LONGEST)
    if len(letter.text) > TEXT_LONGEST:
        raise RefusedError("text", "text_long", longest=TEXT_LONGEST)


def _require_decision(message: OutgoingMessage) -> None:
    if not message.state.wants_decision:
        raise ConflictError("already_decided")


def _failed(session: Session, message: OutgoingMessage, cause: str, words: str) -> None:
    message.state, message.claimed_by = OutgoingState.FAILED, None
    message.cause, message.server_words = cause, words
    mailboxes.touch(session, message.mailbox_id)


def _unconfirmed(session: Session, message: OutgoingMessage, cause: str, words: str) -> None:
    message.state, message.claimed_by = OutgoingState.UNCONFIRMED, None
    message.cause, message.server_words = cause, words
    mailboxes.touch(session, message.mailbox_id)


def _people(stored: Sequence[Mapping[str, Any]]) -> tuple[Address, ...]:
    return tuple(Address(one["name"], one["address"]) for one in stored)
