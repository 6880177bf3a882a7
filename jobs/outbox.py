"""The runner that sends one message, and puts its copy into *Sent*."""

import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from domain import mailboxes, outbox
from domain.errors import ConflictError
from domain.mailboxes import Target
from domain.outbox import Dispatch
from domain.secrets import SecretLostError
from domain.sync import folders
from jobs.context import Job
from jobs.fail_points import fail_point
from mail.imap.client import ImapSession, RemoteFolder, open_session
from mail.mime.build import Outgoing, build
from mail.server_errors import MailServerError
from mail.smtp import RecipientResult, Reply, SmtpSession, open_smtp
from models.messages import Folder, FolderRole, Message
from models.outbox import OutgoingMessage

log = logging.getLogger(__name__)

SENT_FOLDER = "Sent"
ANSWERED_MOST = 10  # places of one Message-ID, which a sender may have given many times


@dataclass(frozen=True)
class Place:
    """Where a message lies at its server (RFC 9051, section 2.3.1.1)."""

    folder: str
    uid_validity: int | None
    uid: int


def send(job: Job, outgoing_id: int) -> int | None:
    """Sends it if it is queued; copies it to *Sent* if somebody has it and the copy is missing.

    The mailbox in which the copy is now to be seen at the server; None where there is no new one.
    """
    with job.step() as session:
        dispatch = outbox.claim(session, outgoing_id, job.worker, job.clock())
    if dispatch is not None:
        fail_point("outbox.claimed")
        try:
            _send_or_put_back(job, dispatch)
        except ConflictError:
            log.warning("outgoing %s is no longer ours, or no longer to be sent", outgoing_id)
    return _copy_to_sent(job, outgoing_id)


def _send_or_put_back(job: Job, dispatch: Dispatch) -> None:
    """A fault of our own leaves nothing claimed."""
    try:
        _send_claimed(job, dispatch)
    except ConflictError:
        raise
    except Exception:
        with suppress(ConflictError):
            _note(job, dispatch.id, "fault")
        raise


def _send_claimed(job: Job, dispatch: Dispatch) -> None:
    target = _target(job, dispatch.mailbox_id)
    if target is None:
        with job.step() as session:
            outbox.give_back(session, dispatch.id, job.worker)
            outbox.hold_and_release(session)
        return
    try:
        raw = build(dispatch.outgoing)
        with open_smtp(target.smtp, target.smtp_credentials, job.network) as smtp:
            results, reply = _say(job, smtp, dispatch, raw)
    except MailServerError as error:
        log.warning("outgoing %s: %s: %s", dispatch.id, error.step, error.cause)
        permanent = not error.temporary and error.refused_message
        _note(
            job,
            dispatch.id,
            error.cause.value,
            error.server_words,
            permanent=permanent,
            signed_in_with=target.sign_in_print,
        )
        return
    fail_point("outbox.answered")
    with job.step() as session:
        outbox.settle(session, dispatch.id, job.worker, results, reply, job.clock())
    fail_point("outbox.sent")


def _say(
    job: Job, smtp: SmtpSession, dispatch: Dispatch, raw: bytes
) -> tuple[Mapping[str, RecipientResult], Reply | None]:
    results = smtp.envelope(dispatch.outgoing.sender.address, dispatch.recipients)
    if not any(result.accepted for result in results.values()):
        return results, None

    def before_content() -> None:
        fail_point("outbox.data_starts")
        with job.step() as session:
            started = outbox.start_data(session, dispatch.id, job.worker)
        if not started:
            raise ConflictError("not_to_be_sent")
        fail_point("outbox.data_started")

    return results, smtp.data(raw, before_content)


def _note(
    job: Job,
    outgoing_id: int,
    cause: str,
    words: str = "",
    *,
    permanent: bool = False,
    signed_in_with: str | None = None,
) -> None:
    with job.step() as session:
        outbox.note_trouble(
            session,
            outgoing_id,
            job.worker,
            cause=cause,
            words=words,
            permanent=permanent,
            now=job.clock(),
            signed_in_with=signed_in_with,
        )
        outbox.hold_and_release(session)


def _copy_to_sent(job: Job, outgoing_id: int) -> int | None:
    with job.step() as session:
        outgoing = outbox.to_copy(session, outgoing_id, job.clock())
        if outgoing is None:
            return None
        mailbox_id = session.get_one(OutgoingMessage, outgoing_id).mailbox_id
        folder = _sent_folder(session, mailbox_id)
        answered = _answered(session, mailbox_id, outgoing.in_reply_to)
    try:
        copied = _copy(job, mailbox_id, folder, outgoing, answered)
    except MailServerError as error:
        log.warning("outgoing %s was not copied to Sent: %s", outgoing_id, error.cause)
        copied = False
    except Exception:
        with job.step() as session:
            outbox.copy_later(session, outgoing_id, job.clock())
        raise
    with job.step() as session:
        if copied:
            outbox.copied(session, outgoing_id)
        else:
            outbox.copy_later(session, outgoing_id, job.clock())
    return mailbox_id if copied else None


def _copy(
    job: Job,
    mailbox_id: int,
    folder: str | None,
    outgoing: Outgoing,
    answered: Sequence[Place],
) -> bool:
    target = _target(job, mailbox_id)
    if target is None:
        return False
    with open_session(target.imap, target.credentials, job.network) as imap:
        _append_once(imap, folder, outgoing)
        _mark_answered(imap, answered)
    return True


def _append_once(imap: ImapSession, folder: str | None, outgoing: Outgoing) -> None:
    """Some servers put their own copy there (Gmail): looked for by Message-ID first."""
    if folder is None:
        listed = imap.folders()
        by_role = {role: name for name, role in folders.roles(listed).items()}
        folder = by_role.get(FolderRole.SENT)
        if folder is None:
            folder = _prefix(listed) + SENT_FOLDER
            imap.create(folder)
    imap.select(folder, readonly=True)
    if not imap.search_message_id(outgoing.message_id):
        imap.append(folder, build(outgoing), ["\\Seen"], outgoing.date)


def _mark_answered(imap: ImapSession, answered: Sequence[Place]) -> None:
    """Rows learn it from the visit that follows. What fails is let be: the message itself is out,
    and its copy in *Sent* must not be tried again for an arrow."""
    for place in answered:
        try:
            status = imap.select(place.folder, readonly=False)
            if status.uid_validity == place.uid_validity:
                imap.add_flags([place.uid], ["\\Answered"])
        except MailServerError as error:
            log.warning("a message was not marked as answered: %s", error.cause)
            return


def _prefix(listed: Sequence[RemoteFolder]) -> str:
    """``INBOX.`` where every other folder lies under the inbox (RFC 2342 would tell, if asked)."""
    prefixes = [f"INBOX{one.delimiter}" for one in listed if one.name == "INBOX" and one.delimiter]
    others = [one.name for one in listed if one.name != "INBOX"]
    for prefix in prefixes:
        if others and all(name.startswith(prefix) for name in others):
            return prefix
    return ""


def _sent_folder(session: Session, mailbox_id: int) -> str | None:
    folder = session.query(Folder).filter_by(mailbox_id=mailbox_id, role=FolderRole.SENT).first()
    return folder.name if folder is not None else None


def _answered(session: Session, mailbox_id: int, message_id: str) -> list[Place]:
    """Where the original lies; usually one place, and none where it was moved away meanwhile."""
    if not message_id:
        return []
    found = session.execute(
        select(Folder.name, Folder.uid_validity, Message.uid)
        .join(Message, Message.folder_id == Folder.id)
        .where(
            Message.mailbox_id == mailbox_id,
            Message.message_id == message_id,
            Message.answered.is_(False),
            Message.uid.is_not(None),
        )
        .limit(ANSWERED_MOST)
    )
    return [Place(name, validity, uid) for name, validity, uid in found if uid is not None]


def _target(job: Job, mailbox_id: int) -> Target | None:
    """None while nothing may be sent: the key is lost, the person disabled, the mailbox gone."""
    try:
        with job.step() as session:
            return mailboxes.target(session, mailbox_id, job.ring)
    except SecretLostError:
        with job.step() as session:
            mailboxes.note_secret_lost(session, mailbox_id, job.clock())
        return None
