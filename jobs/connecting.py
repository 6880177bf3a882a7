"""The connection test: real sessions with both servers, step by step, while the page watches."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace

from domain import connecting, connection_tests
from domain.errors import NotFoundError
from domain.mailboxes import Target
from domain.secrets import SecretLostError
from jobs.context import Job
from jobs.fail_points import fail_point
from mail import certificates, diagnosis
from mail.connection import Credentials, Network, Server
from mail.server_errors import Cause, MailServerError, Step
from mail.server_string import Protocol
from models.mailboxes import ConnectionPurpose

log = logging.getLogger(__name__)

SILENCE_SECONDS = 10.0


def run_test(job: Job, test_id: int) -> int | None:
    """Tries both servers; returns the id of the mailbox that comes of it, if one does."""
    try:
        with job.step() as session:
            claimed = connection_tests.claim(session, test_id, job.ring)
    except SecretLostError:
        with job.step() as session:
            connection_tests.give_up(session, test_id, "secret_lost")
        return None
    if claimed is None:
        return None
    target, purpose = claimed
    try:
        return _finish(job, test_id, purpose) if _try(job, test_id, target, purpose) else None
    except Exception:
        # A page watches it. The runner writes the error to the log.
        with job.step() as session:
            connection_tests.give_up(session, test_id, connection_tests.NOT_TRIED)
        raise


def _try(job: Job, test_id: int, target: Target, purpose: ConnectionPurpose) -> bool:
    for server, credentials in (
        (target.imap, target.credentials),
        (target.smtp, target.smtp_credentials),
    ):
        try:
            _try_server(job, test_id, server, credentials)
        except MailServerError as error:
            protocol = server.protocol
            log.info("connection test %s: %s %s", test_id, protocol, error.beneath or error)
            if purpose is ConnectionPurpose.TRY:
                _find_out_more(job, test_id, server, error)
            with job.step() as session:
                connection_tests.fail(session, test_id, protocol, error)
            return False
    return True


def _try_server(job: Job, test_id: int, server: Server, credentials: Credentials) -> None:
    """Without a login it ends with what the server offers."""
    network = _watched(job.network)
    with _noting(job, test_id, server) as note:
        if not credentials.login:
            offers = diagnosis.probe(server, network, note)
            with job.step() as session:
                connection_tests.note_findings(
                    session, test_id, server.protocol.value, asdict(offers)
                )
        elif server.protocol is Protocol.IMAP:
            diagnosis.try_imap(server, credentials, network, note)
        else:
            diagnosis.try_smtp(server, credentials, network, note)


def _watched(network: Network) -> Network:
    """Somebody looks on: a server that is silent for so long is not waited for any longer."""
    return replace(network, command_seconds=min(network.command_seconds, SILENCE_SECONDS))


def _find_out_more(job: Job, test_id: int, server: Server, error: MailServerError) -> None:
    """For an administrator: the security that works there, or the certificate that was shown."""
    found: dict[str, object] = {}
    if error.cause in diagnosis.SECURITY_CAUSES:
        right = diagnosis.right_security(server, job.network)
        if right is not None:
            found = {"right_security": right.name}
    elif error.step is Step.CERTIFICATE:
        shown = certificates.presented(server, job.network) or ()
        found = {
            "certificates": [
                {
                    **asdict(one),
                    "not_before": one.not_before.isoformat(),
                    "not_after": one.not_after.isoformat(),
                }
                for one in shown
            ]
        }
    if found:
        with job.step() as session:
            connection_tests.note_findings(session, test_id, server.protocol.value, found)


def _finish(job: Job, test_id: int, purpose: ConnectionPurpose) -> int | None:
    fail_point("connecting.tried")
    with job.step() as session:
        if purpose in (ConnectionPurpose.TRY, ConnectionPurpose.CHECK):
            connection_tests.succeed(session, test_id)
            return None
        try:
            return connecting.connect(session, test_id, job.ring, job.clock()).id
        except NotFoundError:  # the mailbox went while its new password was being tried
            connection_tests.give_up(session, test_id, connection_tests.NOT_TRIED)
            return None


@contextmanager
def _noting(job: Job, test_id: int, server: Server) -> Iterator[Callable[[Step], None]]:
    """Writes the steps down as they happen.

    Of a server that an employee typed, those between its name and its greeting are kept back until
    it has greeted, or until what it is may be told: whoever watches the page, or reads its
    milliseconds, would else see which ports are open.
    """
    last = time.monotonic()
    held: list[tuple[Step, int]] = []
    greeted = not server.is_typed

    def write() -> None:
        with job.step() as session:
            for step, milliseconds in held:
                connection_tests.note_step(session, test_id, server.protocol, step, milliseconds)
        held.clear()

    def note(step: Step) -> None:
        nonlocal last, greeted
        now = time.monotonic()
        milliseconds, last = round((now - last) * 1000), now
        held.append((step, milliseconds))
        greeted = greeted or step is Step.GREETING
        if greeted or step is Step.NAME:
            write()

    try:
        yield note
    except MailServerError as error:
        if error.cause is not Cause.NO_MAIL_SERVER:
            write()
        raise
