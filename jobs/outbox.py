"""The runner that sends one message, and puts its copy into *Sent*."""

import logging
from collections.abc import Mapping

from sqlalchemy.orm import Session

from domain import mailboxes, outbox
from domain.errors import ConflictError
from domain.mailboxes import Target
from domain.outbox import Dispatch
from domain.secrets import SecretLostError
from jobs.context import Job
from jobs.fail_points import fail_point
from mail.imap.client import ImapSession, open_session
from mail.mime.build import Outgoing, build
from mail.server_errors import MailServerError
from mail.smtp import RecipientResult, Reply, SmtpSession, open_smtp
from models.messages import Folder, FolderRole
from models.outbox import OutgoingMessage

log = logging.getLogger(__name__)

SENT_FOLDER = "Sent"


def send(job: Job, outgoing_id: int) -> None:
    """Sends it if it is queued; copies it to *Sent* if it went out and the copy is missing."""
    with job.step() as session:
        dispatch = outbox.claim(session, outgoing_id, job.worker)
    if dispatch is not None:
        fail_point("outbox.claimed")
        try:
            _send_claimed(job, dispatch)
        except ConflictError:
            log.warning("outgoing %s is no longer ours: another worker took it over", outgoing_id)
    _copy_to_sent(job, outgoing_id)


def _send_claimed(job: Job, dispatch: Dispatch) -> None:
    target = _target(job, dispatch.mailbox_id)
    if target is None:
        with job.step() as session:
            outbox.note_trouble(
                session, dispatch.id, cause="secret_lost", words="", permanent=True, now=job.clock()
            )
        return
    try:
        raw = build(dispatch.outgoing)
        with open_smtp(target.smtp, target.credentials, job.network) as smtp:
            results, reply = _say(job, smtp, dispatch, raw)
    except MailServerError as error:
        log.warning("outgoing %s: %s: %s", dispatch.id, error.step, error.cause)
        with job.step() as session:
            _note(session, dispatch.id, error, job)
        return
    fail_point("outbox.answered")
    with job.step() as session:
        outbox.settle(session, dispatch.id, results, reply, job.clock())
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
            outbox.start_data(session, dispatch.id, job.worker)
        fail_point("outbox.data_started")

    return results, smtp.data(raw, before_content)


def _note(session: Session, outgoing_id: int, error: MailServerError, job: Job) -> None:
    message = session.get_one(OutgoingMessage, outgoing_id)
    now = job.clock()
    outbox.note_trouble(
        session,
        outgoing_id,
        cause=error.cause.value,
        words=error.server_words,
        permanent=not error.temporary and error.refused_message,
        now=now,
    )
    if not error.refused_message:
        mailboxes.note_trouble(session, message.mailbox_id, error, now)
        outbox.hold_and_release(session)


def _copy_to_sent(job: Job, outgoing_id: int) -> None:
    with job.step() as session:
        outgoing = outbox.to_copy(session, outgoing_id)
        message = session.get(OutgoingMessage, outgoing_id)
        mailbox_id = message.mailbox_id if message is not None else 0
        folder = _sent_folder(session, mailbox_id)
    target = _target(job, mailbox_id) if outgoing is not None else None
    if outgoing is None or target is None:
        return
    try:
        with open_session(target.imap, target.credentials, job.network) as imap:
            _append_once(imap, folder, outgoing)
    except MailServerError as error:
        log.warning("outgoing %s was not copied to Sent: %s", outgoing_id, error.cause)
        with job.step() as session:
            outbox.copy_later(session, outgoing_id, job.clock())
        return
    with job.step() as session:
        outbox.copied(session, outgoing_id)


def _append_once(imap: ImapSession, folder: str | None, outgoing: Outgoing) -> None:
    """Some servers put their own copy there (Gmail): looked for by Message-ID first."""
    if folder is None:
        folder = SENT_FOLDER
        if folder not in {one.name for one in imap.folders()}:
            imap.create(folder)
    imap.select(folder, readonly=True)
    if not imap.search_message_id(outgoing.message_id):
        imap.append(folder, build(outgoing), ["\\Seen"], outgoing.date)


def _sent_folder(session: Session, mailbox_id: int) -> str | None:
    folder = session.query(Folder).filter_by(mailbox_id=mailbox_id, role=FolderRole.SENT).first()
    return folder.name if folder is not None else None


def _target(job: Job, mailbox_id: int) -> Target | None:
    try:
        with job.step() as session:
            return mailboxes.target(session, mailbox_id, job.ring)
    except SecretLostError:
        with job.step() as session:
            mailboxes.note_secret_lost(session, mailbox_id, job.clock())
        return None
