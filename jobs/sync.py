"""The runner that brings one mailbox in step with its server."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress

from sqlalchemy.orm import Session

from domain import mailboxes
from domain.errors import MailboxGoneError
from domain.mailboxes import Target
from domain.secrets import SecretLostError
from domain.sync import changes, folder, folders
from domain.sync.changes import Replay
from domain.sync.folder import Arrived
from domain.sync.plan import Announced, Flags, Plan, Visit, batches, plan, visit
from jobs.context import Job
from jobs.fail_points import fail_point
from mail.imap.client import FolderStatus, ImapSession, RemoteMessage, open_session
from mail.server_errors import Cause, MailServerError
from models.messages import FlagChange, Folder, FolderRole

log = logging.getLogger(__name__)

PORTION_BYTES = 8 * 1024 * 1024  # of one batch that are held, parsed and committed at once


def sync_mailbox(job: Job, mailbox_id: int) -> bool:
    """Replays what the employee did, and follows every folder. Trouble becomes the state.

    Whether the mailbox worked.
    """
    try:
        with job.step() as session:
            target = mailboxes.target_to_follow(session, mailbox_id, job.ring)
    except SecretLostError:
        with job.step() as session:
            mailboxes.note_secret_lost(session, mailbox_id, job.clock())
        return False
    if target is None:
        return False
    try:
        with open_session(target.imap, target.credentials, job.network) as imap:
            _follow_all(job, imap, target)
        with _still(job, target) as session:
            mailboxes.note_contact(session, mailbox_id, job.clock())
        return True
    except MailboxGoneError:
        log.info("mailbox %s was changed while it was being synchronised", mailbox_id)
    except MailServerError as error:
        log.warning("mailbox %s: %s: %s", mailbox_id, error.step, error.cause)
        with suppress(MailboxGoneError), _still(job, target) as session:
            mailboxes.note_trouble(session, mailbox_id, error, job.clock())
    return False


@contextmanager
def _still(job: Job, target: Target) -> Iterator[Session]:
    """A step that writes only while the mailbox is reached as it was when we signed in.

    Raises MailboxGoneError.
    """
    with job.step() as session:
        mailboxes.require_current(session, target)
        yield session


def _follow_all(job: Job, imap: ImapSession, target: Target) -> None:
    remote = imap.folders()
    with _still(job, target) as session:
        ours, changed = folders.follow(session, target.id, remote)
        if changed:
            mailboxes.touch(session, target.id)
    _replay(job, imap, target)
    announced = imap.statuses()
    inbox_refused: MailServerError | None = None
    for one in ours:
        status = announced.get(one.name)
        if one.selectable and (status is None or _differs(one, status)):
            try:
                _follow_folder(job, imap, target, one)
            except MailServerError as error:
                if not _is_of_one_folder(error, imap):
                    raise
                log.warning("mailbox %s: folder %s: %s", target.id, one.id, error.cause)
                if one.role is FolderRole.INBOX:
                    inbox_refused = error
    if inbox_refused is not None:
        # Without its inbox a mailbox does not work, and nobody must think that no mail came.
        raise inbox_refused


def _differs(ours: Folder, status: FolderStatus) -> bool:
    return visit(folder.known(ours), _announced(status)) is not Visit.NOTHING


def _is_of_one_folder(error: MailServerError, imap: ImapSession) -> bool:
    """Whether the server refused one folder only: it still answers."""
    if error.cause not in {Cause.REFUSED, Cause.UNAVAILABLE}:
        return False
    try:
        imap.noop()
    except MailServerError:
        return False
    return True


def _replay(job: Job, imap: ImapSession, target: Target) -> None:
    with job.step() as session:
        waiting = changes.to_replay(session, target.id)
    for replay in waiting:
        try:
            told = _tell(imap, replay)
        except MailServerError as error:
            if not _is_of_one_folder(error, imap):
                raise
            log.warning("mailbox %s: folder %s: %s", target.id, replay.folder_id, error.cause)
            if error.cause is Cause.REFUSED:
                with _still(job, target) as session:
                    changes.refused(session, replay)
        else:
            if told:
                with _still(job, target) as session:
                    changes.done(session, replay.ids)


def _tell(imap: ImapSession, replay: Replay) -> bool:
    """Whether the server took the change; it means nothing to a folder that was renumbered."""
    status = imap.select(replay.folder_name, readonly=False)
    if status.uid_validity != replay.uid_validity:
        return False
    if replay.change is FlagChange.SEEN:
        imap.add_flags(replay.uids, ["\\Seen"])
    else:
        imap.remove_flags(replay.uids, ["\\Seen"])
    return True


def _follow_folder(job: Job, imap: ImapSession, target: Target, ours: Folder) -> None:
    announced = _announced(imap.select(ours.name, readonly=True))
    with _still(job, target) as session:
        row = _row(session.get(Folder, ours.id))
        what = visit(folder.known(row), announced)
        if what is Visit.RENUMBERED:
            log.info("mailbox %s: UIDVALIDITY of a folder changed", target.id)
            folder.renumber(session, row, announced)
        elif what is Visit.LOOK:
            folder.begin(session, row, announced)
    if what is Visit.NOTHING:
        return
    todo = _look(job, imap, row)
    if todo.sudden:
        # An answer cut short looks like an emptied folder: it is asked once more.
        announced = _announced(imap.select(ours.name, readonly=True))
        todo = _look(job, imap, row)
    _apply(job, imap, target, row.id, todo)
    with _still(job, target) as session:
        row = _row(session.get(Folder, ours.id))
        before = row.total
        folder.finish(session, row, announced)
        if not todo.nothing_to_do or row.total != before:
            mailboxes.touch(session, target.id)


def _look(job: Job, imap: ImapSession, row: Folder) -> Plan:
    with job.step() as session:
        ours = folder.ours(session, row.id)
        pending = folder.pending_uids(session, row.id)
    since = row.highest_modseq if ours else None
    uids = imap.uids()
    flags = imap.flags(changed_since=since) if uids and ours else {}
    theirs = {uid: _flags(found) for uid, found in flags.items()}
    return plan(ours, uids, theirs, keep_flags=pending)


def _apply(job: Job, imap: ImapSession, target: Target, folder_id: int, todo: Plan) -> None:
    if todo.forget or todo.reflag:
        with _still(job, target) as session:
            row = _row(session.get(Folder, folder_id))
            folder.forget(session, row, todo.forget)
            folder.reflag(session, row, todo.reflag)
            mailboxes.touch(session, target.id)
    for batch in batches(todo.fetch):
        for portion in _portions(imap.fetch(batch)):
            arrived = _read(job, target, portion)
            fail_point("sync.source_kept")
            with _still(job, target) as session:
                row = _row(session.get(Folder, folder_id))
                folder.store(session, row, arrived)
                mailboxes.touch(session, target.id)
            fail_point("sync.batch_stored")


def _portions(fetched: Iterable[RemoteMessage]) -> Iterator[list[RemoteMessage]]:
    """As they come, at most 8 MiB of content at once, or one message that is larger."""
    portion: list[RemoteMessage] = []
    held = 0
    for one in fetched:
        size = len(one.raw or b"")
        if portion and held + size > PORTION_BYTES:
            yield portion
            portion, held = [], 0
        portion.append(one)
        held += size
    if portion:
        yield portion


def _read(job: Job, target: Target, fetched: Sequence[RemoteMessage]) -> list[Arrived]:
    """Keeps the sources first: a row never points to a message that is not there."""
    sources = [one.raw for one in fetched if one.raw is not None]
    hashes = iter(job.store.put(target.uuid, sources)) if sources else iter(())
    parsed = iter(job.parser.parse(sources) if sources else ())
    return [
        Arrived(
            uid=one.uid,
            flags=_flags(one.flags),
            received_at=one.internal_date,
            size=one.size,
            source_hash=None if one.raw is None else next(hashes),
            parsed=None if one.raw is None else next(parsed),
        )
        for one in fetched
    ]


def _announced(status: FolderStatus) -> Announced:
    return Announced(status.uid_validity, status.uid_next, status.exists, status.highest_modseq)


def _flags(flags: frozenset[str]) -> Flags:
    lower = {flag.lower() for flag in flags}
    return Flags("\\seen" in lower, "\\flagged" in lower, "\\answered" in lower)


def _row(found: Folder | None) -> Folder:
    if found is None:
        raise MailboxGoneError
    return found
