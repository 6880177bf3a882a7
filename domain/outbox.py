"""The outbox: no queued message is lost, none is sent twice by itself.

    draft ──▶ queued ⇄ held ──▶ claimed ──▶ data_started ──▶ sent | failed | unconfirmed
                 ▲                 │ refused for now (4xx), connection failed, worker died
                 └─────────────────┘
    queued | held | failed | unconfirmed ──▶ cancelled, or sent where somebody has it

``data_started`` is committed before the first byte of the message. A crash before it is tried
again; after it, without a stored answer, the message is *unconfirmed* and its sender decides
(RFC 1047 describes the gap that no protocol closes). Trouble with SMTP stays with the message; a
login that SMTP refuses is counted on the mailbox, and never changes how its mail is received.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, case, func, or_, select, update
from sqlalchemy.orm import Session, contains_eager, defer

from domain import mailboxes
from domain.errors import ConflictError, NotFoundError, RefusedError
from domain.lines import is_one_line
from mail.mime.build import Outgoing, new_message_id
from mail.mime.parse import Address
from mail.server_errors import Cause
from mail.smtp import RecipientResult, Reply
from models.mailboxes import SMTP_LOGIN_TRIES, Mailbox, MailboxState
from models.outbox import HELD_LONG, OutgoingMessage, OutgoingState
from models.people import User

SUBJECT_LONGEST = 900
TEXT_LONGEST = 1_000_000
GIVE_UP_AFTER = timedelta(days=2)
COPY_TRIES = 10  # before copying is given up: the mailbox may have been away for days
_LOGIN_REFUSED = frozenset(
    {
        Cause.LOGIN_REFUSED,
        Cause.LOGIN_DISABLED,
        Cause.APP_PASSWORD_WANTED,
        Cause.AUTH_MISSING,
        Cause.OAUTH_WANTED,
    }
)
_DONE = (OutgoingState.SENT, OutgoingState.CANCELLED, OutgoingState.DRAFT)


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


@dataclass(frozen=True)
class Waiting:
    """What a page tells of an outbox that it does not show."""

    count: int
    wants_decision: bool


def queue(
    session: Session, mailbox: Mailbox, letter: Letter, *, form_key: uuid.UUID, now: datetime
) -> OutgoingMessage:
    """Fixes the message and queues it, once for each form. Raises RefusedError.

    A key that somebody else's form had is not theirs to block: the message gets another one.
    """
    twice = session.scalar(select(OutgoingMessage).where(OutgoingMessage.form_key == form_key))
    if twice is not None and twice.mailbox.user_id == mailbox.user_id:
        return twice
    if twice is not None:
        form_key = uuid.uuid4()
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
    """What is on its way or waits for a decision, newest first, without the texts."""
    return list(
        session.scalars(
            select(OutgoingMessage)
            .join(Mailbox)
            .where(Mailbox.user_id == person.id, OutgoingMessage.state.not_in(_DONE))
            .order_by(OutgoingMessage.id.desc())
            .options(defer(OutgoingMessage.text))
        )
    )


def waiting(session: Session, person: User) -> Waiting:
    """How many are unfinished, and whether one of them waits for the person."""
    undecided = or_(
        OutgoingMessage.state.in_([state for state in OutgoingState if state.wants_decision]),
        and_(
            OutgoingMessage.state == OutgoingState.HELD,
            or_(Mailbox.smtp_failures >= SMTP_LOGIN_TRIES, OutgoingMessage.cause == HELD_LONG),
        ),
    )
    count, decisions = session.execute(
        select(func.count(), func.count(case((undecided, 1))))
        .select_from(OutgoingMessage)
        .join(Mailbox)
        .where(Mailbox.user_id == person.id, OutgoingMessage.state.not_in(_DONE))
    ).one()
    return Waiting(count, wants_decision=decisions > 0)


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
    session.refresh(message, with_for_update=True)
    if not message.may_be_sent_again:
        raise ConflictError("already_decided")
    _count_no_refusal(message.mailbox)
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
    session.refresh(message, with_for_update=True)
    if not message.may_be_discarded:
        raise ConflictError("already_decided")
    message.state = OutgoingState.SENT if message.sent_at else OutgoingState.CANCELLED
    mailboxes.touch(session, message.mailbox_id)
    session.flush()


def due(session: Session, now: datetime) -> list[int]:
    """Queued messages whose time has come, and those whose copy is missing in *Sent*."""
    queued = select(OutgoingMessage.id).where(
        OutgoingMessage.state == OutgoingState.QUEUED, OutgoingMessage.next_attempt_at <= now
    )
    uncopied = (
        select(OutgoingMessage.id)
        .join(Mailbox)
        .where(
            OutgoingMessage.next_copy_at <= now,
            Mailbox.state == MailboxState.WORKING,
        )
    )
    return list(dict.fromkeys([*session.scalars(queued), *session.scalars(uncopied)]))


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
    """*held* while nothing may be sent for the mailbox, *queued* again when it may.

    What is let go begins anew: the days that it was held do not count (see ``claim``).
    """
    stopped = _stopped(session)
    for now_in, values, condition in (
        (
            OutgoingState.QUEUED,
            {"state": OutgoingState.HELD},
            OutgoingMessage.mailbox_id.in_(stopped),
        ),
        (
            OutgoingState.HELD,
            {"state": OutgoingState.QUEUED, "attempts": 0},
            and_(OutgoingMessage.mailbox_id.not_in(stopped), OutgoingMessage.cause != HELD_LONG),
        ),
    ):
        moved = session.scalars(
            update(OutgoingMessage)
            .where(OutgoingMessage.state == now_in, condition)
            .values(values)
            .returning(OutgoingMessage.mailbox_id)
        )
        for mailbox_id in set(moved):
            mailboxes.touch(session, mailbox_id)


def keep_held(session: Session, person: User, now: datetime) -> None:
    """Of a person who comes back: what was queued two days ago or earlier waits for their word."""
    own = select(Mailbox.id).where(Mailbox.user_id == person.id)
    kept = session.scalars(
        update(OutgoingMessage)
        .where(
            OutgoingMessage.state == OutgoingState.HELD,
            OutgoingMessage.queued_at <= now - GIVE_UP_AFTER,
            OutgoingMessage.mailbox_id.in_(own),
        )
        .values(cause=HELD_LONG, server_words="")
        .returning(OutgoingMessage.mailbox_id)
    )
    for mailbox_id in set(kept):
        mailboxes.touch(session, mailbox_id)


def claim(session: Session, outgoing_id: int, worker: uuid.UUID, now: datetime) -> Dispatch | None:
    """Takes a queued message by a conditional UPDATE; None when there is nothing to take.

    With the first attempt the two days begin after which it has failed.
    """
    claimed = session.execute(
        update(OutgoingMessage)
        .where(
            OutgoingMessage.id == outgoing_id,
            OutgoingMessage.state == OutgoingState.QUEUED,
            OutgoingMessage.mailbox_id.not_in(_stopped(session)),
        )
        .values(
            state=OutgoingState.CLAIMED,
            claimed_by=worker,
            queued_at=case((OutgoingMessage.attempts == 0, now), else_=OutgoingMessage.queued_at),
        )
        .returning(OutgoingMessage.id)
    ).scalar()
    if claimed is None:
        return None
    message = session.get_one(OutgoingMessage, outgoing_id)
    done = {name for name, result in message.recipients.items() if result["delivered"]}
    done.update(message.refused)
    everyone = [person["address"] for person in (*message.to, *message.cc, *message.bcc)]
    return Dispatch(
        id=message.id,
        mailbox_id=message.mailbox_id,
        outgoing=outgoing_of(message),
        recipients=tuple(dict.fromkeys(one for one in everyone if one not in done)),
    )


def give_back(session: Session, outgoing_id: int, worker: uuid.UUID) -> None:
    """Nothing was tried, for nothing may be sent for the mailbox just now. Raises ConflictError."""
    message = _claimed(session, outgoing_id, worker, OutgoingState.CLAIMED)
    message.state, message.claimed_by = OutgoingState.QUEUED, None
    session.flush()


def start_data(session: Session, outgoing_id: int, worker: uuid.UUID) -> bool:
    """To be committed before the first byte. Raises ConflictError when the claim was lost.

    False when meanwhile nothing may be sent for the mailbox any more: it was put back.
    """
    started = session.execute(
        update(OutgoingMessage)
        .where(
            OutgoingMessage.id == outgoing_id,
            OutgoingMessage.state == OutgoingState.CLAIMED,
            OutgoingMessage.claimed_by == worker,
            OutgoingMessage.mailbox_id.not_in(_stopped(session)),
        )
        .values(state=OutgoingState.DATA_STARTED)
        .returning(OutgoingMessage.id)
    ).scalar()
    if started is None:
        give_back(session, outgoing_id, worker)
    return started is not None


def settle(
    session: Session,
    outgoing_id: int,
    worker: uuid.UUID,
    results: Mapping[str, RecipientResult],
    reply: Reply | None,
    now: datetime,
) -> None:
    """Stores each recipient's result and the answer to DATA (None: nobody was accepted).

    Those who are refused for now are tried again whatever became of the others; those who are
    refused for good stay so. Raises ConflictError when the claim was lost.
    """
    wanted = OutgoingState.CLAIMED if reply is None else OutgoingState.DATA_STARTED
    message = _claimed(session, outgoing_id, worker, wanted)
    _count_no_refusal(message.mailbox)
    went = reply is not None and reply.accepted
    stored = dict(message.recipients)
    for address, result in results.items():
        accepted = result.accepted and went
        said = result if reply is None or not result.accepted else reply
        stored[address] = {"code": said.code, "words": said.words, "delivered": accepted}
    message.recipients = stored
    if went:
        _note_sent(message, now)
    left = [result for result in stored.values() if not result["delivered"]]
    for_now = [result for result in left if result["code"] < 500]
    if for_now:
        put_back(session, message, "refused_for_now", for_now[0]["words"], now)
    elif left:
        _failed(session, message, "refused", left[0]["words"])
    else:
        message.state, message.claimed_by = OutgoingState.SENT, None
        message.cause, message.server_words = "", ""
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
    session: Session,
    outgoing_id: int,
    worker: uuid.UUID,
    *,
    cause: str,
    words: str,
    permanent: bool,
    now: datetime,
    signed_in_with: str | None = None,
) -> None:
    """The server could not be talked to, or refused everything; by how far we had come.

    ``signed_in_with`` is the print of how (``Mailbox.sign_in_print``): what servers said that the
    mailbox has no more is not held against those it has now. Raises ConflictError when the claim
    was lost: what another worker did stays.
    """
    message = _claimed(
        session, outgoing_id, worker, OutgoingState.CLAIMED, OutgoingState.DATA_STARTED
    )
    if cause in _LOGIN_REFUSED:
        if signed_in_with in (None, message.mailbox.sign_in_print):
            _count_refusal(message.mailbox, cause)
    elif cause == Cause.REFUSED:
        _count_no_refusal(message.mailbox)
    if message.state is OutgoingState.DATA_STARTED:
        _unconfirmed(session, message, cause, words)
    elif permanent:
        _failed(session, message, cause, words)
    else:
        put_back(session, message, cause, words, now)
    mailboxes.touch(session, message.mailbox_id)
    session.flush()


def to_copy(session: Session, outgoing_id: int, now: datetime) -> Outgoing | None:
    """A message that somebody has and whose copy is not in *Sent* yet, if its time has come."""
    message = session.get(OutgoingMessage, outgoing_id)
    if message is None or message.next_copy_at is None or message.next_copy_at > now:
        return None
    return outgoing_of(message)


def copied(session: Session, outgoing_id: int) -> None:
    message = session.get(OutgoingMessage, outgoing_id)
    if message is not None:
        message.copied_to_sent, message.next_copy_at = True, None
        mailboxes.touch(session, message.mailbox_id)
        session.flush()


def copy_later(session: Session, outgoing_id: int, now: datetime) -> None:
    """Tried again after a growing wait; given up two days after it was sent."""
    message = session.get(OutgoingMessage, outgoing_id)
    if message is None or message.sent_at is None:
        return
    message.copy_attempts += 1
    if now - message.sent_at > GIVE_UP_AFTER and message.copy_attempts > COPY_TRIES:
        message.next_copy_at = None
    else:
        message.next_copy_at = now + mailboxes.wait_after(message.copy_attempts + 2)
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
    if len(letter.subject) > SUBJECT_LONGEST or not is_one_line(letter.subject):
        raise RefusedError("subject", "subject_broken", longest=SUBJECT_LONGEST)
    if len(letter.text) > TEXT_LONGEST:
        raise RefusedError("text", "text_long", longest=TEXT_LONGEST)


def _stopped(session: Session) -> list[int]:
    """Mailboxes for which nothing may be sent: a person is needed, or was disabled."""
    not_in_use = [state for state in MailboxState if not state.is_in_use]
    perhaps = session.scalars(
        select(Mailbox)
        .join(User)
        .where(
            or_(
                Mailbox.state.in_(not_in_use),
                Mailbox.smtp_failures >= SMTP_LOGIN_TRIES,
                User.active.is_(False),
            )
        )
        .options(contains_eager(Mailbox.user))
    )
    return [mailbox.id for mailbox in perhaps if not mailbox.may_send]


def _claimed(
    session: Session, outgoing_id: int, worker: uuid.UUID, *states: OutgoingState
) -> OutgoingMessage:
    """The message, if it is this worker's still. Raises ConflictError."""
    message = session.scalar(
        select(OutgoingMessage)
        .where(
            OutgoingMessage.id == outgoing_id,
            OutgoingMessage.claimed_by == worker,
            OutgoingMessage.state.in_(states),
        )
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if message is None:
        raise ConflictError("claim_lost")
    return message


def _count_refusal(mailbox: Mailbox, cause: str) -> None:
    """Believed only the third time, as with IMAP: servers also say so when they are unwell."""
    if mailbox.smtp_refused_with != mailbox.sign_in_print:
        mailbox.smtp_failures, mailbox.smtp_refused_with = 0, mailbox.sign_in_print
    mailbox.smtp_failures += 1
    mailbox.smtp_error_cause = cause


def _count_no_refusal(mailbox: Mailbox) -> None:
    mailbox.smtp_failures, mailbox.smtp_error_cause, mailbox.smtp_refused_with = 0, "", ""


def _note_sent(message: OutgoingMessage, now: datetime) -> None:
    if message.sent_at is None:
        message.sent_at = message.next_copy_at = now
    mailbox = message.mailbox
    if mailbox.last_sent_at is None or mailbox.last_sent_at < now:
        mailbox.last_sent_at = now


def _failed(session: Session, message: OutgoingMessage, cause: str, words: str) -> None:
    message.state, message.claimed_by = OutgoingState.FAILED, None
    message.cause, message.server_words = cause, words
    mailboxes.touch(session, message.mailbox_id)


def _unconfirmed(session: Session, message: OutgoingMessage, cause: str, words: str) -> None:
    message.state, message.claimed_by = OutgoingState.UNCONFIRMED, None
    message.was_unconfirmed = True
    message.cause, message.server_words = cause, words
    mailboxes.touch(session, message.mailbox_id)


def _people(stored: Sequence[Mapping[str, Any]]) -> tuple[Address, ...]:
    return tuple(Address(one["name"], one["address"]) for one in stored)
