"""The connection test: a real IMAP login and SMTP AUTH, step by step, while the page watches."""

import logging
import time
from collections.abc import Callable

from domain import connecting
from domain.mailboxes import Target
from domain.secrets import SecretLostError
from jobs.context import Job
from jobs.fail_points import fail_point
from mail.diagnosis import try_imap, try_smtp
from mail.server_errors import MailServerError, Step
from mail.server_string import Protocol

log = logging.getLogger(__name__)


def run_test(job: Job, test_id: int) -> int | None:
    """Tries both servers; connects the mailbox and returns its id when both let us in."""
    try:
        with job.step() as session:
            target = connecting.claim_test(session, test_id, job.ring)
    except SecretLostError:
        with job.step() as session:
            connecting.give_up_test(session, test_id, "secret_lost")
        return None
    if target is None:
        return None
    try:
        return _try(job, test_id, target)
    except Exception:
        # A page watches it. The runner writes the error to the log.
        with job.step() as session:
            connecting.give_up_test(session, test_id, connecting.NOT_TRIED)
        raise


def _try(job: Job, test_id: int, target: Target) -> int | None:
    for protocol, server, credentials, attempt in (
        (Protocol.IMAP, target.imap, target.credentials, try_imap),
        (Protocol.SMTP, target.smtp, target.smtp_credentials, try_smtp),
    ):
        try:
            attempt(server, credentials, job.network, _noting(job, test_id, protocol))
        except MailServerError as error:
            log.info("connection test %s: %s %s: %s", test_id, protocol, error.step, error.cause)
            with job.step() as session:
                connecting.fail_test(session, test_id, protocol, error)
            return None
    fail_point("connecting.tried")
    with job.step() as session:
        return connecting.connect(session, test_id, job.ring, job.clock()).id


def _noting(job: Job, test_id: int, protocol: Protocol) -> Callable[[Step], None]:
    last = time.monotonic()

    def note(step: Step) -> None:
        nonlocal last
        now = time.monotonic()
        milliseconds, last = round((now - last) * 1000), now
        with job.step() as session:
            connecting.note_step(session, test_id, protocol, step, milliseconds)

    return note
