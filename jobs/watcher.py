"""Watches inboxes with IDLE (RFC 2177), so that new mail is seen at once and not at the next poll.

One thread per watched mailbox. A server without IDLE, or that ends it, is left to the poll. The
sweep says which mailboxes may be connected to, and how: a watch that began otherwise ends within
one turn.
"""

import logging
import threading
from collections.abc import Callable, Iterable, Mapping

from domain import mailboxes
from domain.mailboxes import Target
from domain.secrets import SecretLostError
from jobs.context import Job
from mail.imap.client import open_session
from mail.server_errors import MailServerError

log = logging.getLogger(__name__)

# RFC 2177 allows 29 minutes; routers forget idle connections sooner. Each turn ends quickly
# enough for the worker to stop.
TURN_SECONDS = 5.0
TURNS = 100
MOST = 500


class Watcher:
    def __init__(self, job: Job, wake: Callable[[int], None]) -> None:
        self._job = job
        self._wake = wake
        self._watched: set[int] = set()
        self._current: Mapping[int, str | None] = {}
        self._lock = threading.Lock()
        self._stopping = threading.Event()

    def stop(self) -> None:
        self._stopping.set()

    @property
    def watched(self) -> list[int]:
        with self._lock:
            return list(self._watched)

    def keep(self, asked: Iterable[int], current: Mapping[int, str]) -> None:
        """Of the mailboxes asked about, ends every watch that is not among ``current``, or is
        signed in to in another way.
        """
        self._current = {mailbox_id: current.get(mailbox_id) for mailbox_id in asked}

    def watch(self, mailbox_id: int) -> None:
        """Begins to watch a mailbox, unless it is watched already."""
        with self._lock:
            if mailbox_id in self._watched or len(self._watched) >= MOST:
                return
            self._watched.add(mailbox_id)
        name = f"idle-{mailbox_id}"
        threading.Thread(target=self._run, args=(mailbox_id,), name=name, daemon=True).start()

    def _run(self, mailbox_id: int) -> None:
        try:
            self._idle(mailbox_id)
        except MailServerError as error:
            log.info("mailbox %s: IDLE ended: %s", mailbox_id, error.cause)
        except Exception:
            log.exception("mailbox %s: IDLE failed", mailbox_id)
        finally:
            with self._lock:
                self._watched.discard(mailbox_id)

    def _idle(self, mailbox_id: int) -> None:
        try:
            with self._job.step() as session:
                target = mailboxes.target_to_follow(session, mailbox_id, self._job.ring)
        except SecretLostError:
            return
        if target is None:
            return
        with open_session(target.imap, target.credentials, self._job.network) as imap:
            if not imap.can_idle:
                return
            imap.select("INBOX", readonly=True)
            # What came between the last visit and now.
            self._wake(mailbox_id)
            for _ in range(TURNS):
                if self._stopping.is_set():
                    return
                if self._is_over(target):
                    # With other servers or another password, the visit leads to a new watch.
                    self._wake(mailbox_id)
                    return
                if imap.idle(TURN_SECONDS):
                    self._wake(mailbox_id)

    def _is_over(self, target: Target) -> bool:
        current = self._current.get(target.id, target.sign_in_print)
        return current != target.sign_in_print
