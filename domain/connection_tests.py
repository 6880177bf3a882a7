"""A connection test as the worker makes it and the page that began it watches it."""

import uuid
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from domain import mailboxes, services
from domain.errors import NotFoundError
from domain.mailboxes import PASSWORD, Target
from domain.secrets import KeyRing
from mail.certificates import CertificateFacts
from mail.server_errors import MailServerError, Step
from mail.server_string import Protocol
from models.mailboxes import ConnectionPurpose, ConnectionTest, ConnectionTestState
from models.people import User

RETRY_LASTS = timedelta(minutes=10)
TESTS_KEPT = timedelta(days=1)
NOT_TRIED = "not_tried"  # the cause of a try that broke here, or that nobody made in time
_FOR_A_NEW_MAILBOX = (
    ConnectionPurpose.CONNECT,
    ConnectionPurpose.CHECK,
    ConnectionPurpose.KEPT,
)


def find(session: Session, person: User, test: uuid.UUID) -> ConnectionTest:
    """Raises NotFoundError when it is not this person's."""
    own = session.scalar(
        select(ConnectionTest).where(
            ConnectionTest.uuid == test,
            ConnectionTest.user_id == person.id,
            ConnectionTest.purpose != ConnectionPurpose.KEPT,
        )
    )
    if own is None:
        raise NotFoundError
    return own


def earlier_try(
    session: Session, person: User, test: uuid.UUID, now: datetime
) -> ConnectionTest | None:
    """What the person corrects or goes on with, if its password is kept still."""
    ended = (ConnectionTestState.FAILED, ConnectionTestState.SUCCEEDED)
    return session.scalar(
        select(ConnectionTest).where(
            ConnectionTest.uuid == test,
            ConnectionTest.user_id == person.id,
            ConnectionTest.state.in_(ended),
            ConnectionTest.purpose.in_(_FOR_A_NEW_MAILBOX),
            ConnectionTest.sealed_password != b"",
            ConnectionTest.created_at > now - RETRY_LASTS,
        )
    )


def waiting(session: Session) -> list[int]:
    is_waiting = ConnectionTest.state == ConnectionTestState.WAITING
    return list(session.scalars(select(ConnectionTest.id).where(is_waiting)))


def release(session: Session) -> None:
    """At the worker's start: what a former worker was trying is tried again from the beginning."""
    session.execute(
        update(ConnectionTest)
        .where(ConnectionTest.state == ConnectionTestState.RUNNING)
        .values(state=ConnectionTestState.WAITING, steps=[])
    )


def end_old(session: Session, now: datetime) -> None:
    """Gives up tries that wait or run for ``RETRY_LASTS``: no page watches them any more."""
    unfinished = (ConnectionTestState.WAITING, ConnectionTestState.RUNNING)
    session.execute(
        update(ConnectionTest)
        .where(ConnectionTest.created_at <= now - RETRY_LASTS, ConnectionTest.state.in_(unfinished))
        .values(state=ConnectionTestState.FAILED, cause=NOT_TRIED, sealed_password=b"")
    )


def forget_old_passwords(session: Session, now: datetime) -> None:
    """Drops the secrets of tries that ended or that nobody came back to."""
    session.execute(
        delete(ConnectionTest).where(
            ConnectionTest.purpose == ConnectionPurpose.KEPT,
            ConnectionTest.created_at <= now - RETRY_LASTS,
        )
    )
    session.execute(
        update(ConnectionTest)
        .where(
            ConnectionTest.created_at <= now - RETRY_LASTS, ConnectionTest.sealed_password != b""
        )
        .values(sealed_password=b"")
    )


def forget_old(session: Session, now: datetime) -> None:
    """A day later nobody looks at a test any more; what was typed for it goes with it."""
    old = ConnectionTest.created_at <= now - TESTS_KEPT
    session.execute(delete(ConnectionTest).where(old))
    services.drop_unused_servers(session)


def claim(session: Session, test_id: int, ring: KeyRing) -> tuple[Target, ConnectionPurpose] | None:
    """Takes a waiting test; None when there is nothing to take. Raises SecretLostError."""
    claimed = session.execute(
        update(ConnectionTest)
        .where(ConnectionTest.id == test_id, ConnectionTest.state == ConnectionTestState.WAITING)
        .values(state=ConnectionTestState.RUNNING)
        .returning(ConnectionTest.id)
    ).scalar()
    if claimed is None:
        return None
    test = session.get_one(ConnectionTest, test_id)
    password = ring.open(test.sealed_password, test.uuid, PASSWORD)
    return mailboxes.target_of(session, test, password), test.purpose


def note_step(
    session: Session, test_id: int, protocol: Protocol, step: Step, milliseconds: int
) -> None:
    test = session.get_one(ConnectionTest, test_id)
    done = {"protocol": protocol.value, "step": step.value, "ms": milliseconds}
    test.steps = [*test.steps, done]
    session.flush()


def note_findings(session: Session, test_id: int, name: str, found: object) -> None:
    """What else was learnt of a server, beside the steps."""
    test = session.get_one(ConnectionTest, test_id)
    test.findings = {**test.findings, name: found}
    session.flush()


def certificates(found: Mapping[str, Any]) -> list[CertificateFacts]:
    """Those that a server showed to a test, as ``note_findings`` kept them."""
    return [
        CertificateFacts(
            **{
                **one,
                "not_before": datetime.fromisoformat(one["not_before"]),
                "not_after": datetime.fromisoformat(one["not_after"]),
            }
        )
        for one in found.get("certificates", ())
    ]


def succeed(session: Session, test_id: int) -> None:
    """Ends a test from which nothing follows."""
    test = session.get_one(ConnectionTest, test_id)
    test.state = ConnectionTestState.SUCCEEDED
    _forget_password(test)
    session.flush()


def fail(session: Session, test_id: int, protocol: Protocol, error: MailServerError) -> None:
    test = session.get_one(ConnectionTest, test_id)
    test.state = ConnectionTestState.FAILED
    test.failed_protocol, test.failed_step = protocol.value, error.step.value
    test.cause, test.server_words = error.cause.value, error.server_words
    _forget_password(test)
    session.flush()


def give_up(session: Session, test_id: int, cause: str) -> None:
    """Ends a try that met no mail server at all; ``cause`` is worded like a server's."""
    test = session.get_one(ConnectionTest, test_id)
    test.state, test.cause = ConnectionTestState.FAILED, cause
    _forget_password(test)
    session.flush()


def _forget_password(test: ConnectionTest) -> None:
    """At once where nobody comes back to it: a person who connects may want to correct a login."""
    if test.purpose not in _FOR_A_NEW_MAILBOX:
        test.sealed_password = b""
