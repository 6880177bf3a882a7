"""Connecting a mailbox: what a person asks to be tried, and the mailbox that comes of it.

Between the two stands the life of the test itself: see domain/connection_tests.py.
"""

import uuid
from datetime import datetime, timedelta

from sqlalchemy import exists, func, select
from sqlalchemy.orm import Session

from domain import company, services
from domain.errors import NotFoundError, RefusedError
from domain.lines import is_one_line
from domain.mailboxes import PASSWORD
from domain.secrets import KeyRing, SecretLostError
from mail.addresses import check_address
from models.mailboxes import (
    ConnectionPurpose,
    ConnectionTest,
    ConnectionTestState,
    Mailbox,
    MailboxState,
)
from models.people import User
from models.services import LoginForm, MailService, OwnServers

TRIES_AT_ONCE = 2
TRIES_MOST = 20
TRIES_WINDOW = timedelta(minutes=15)


def begin_test(
    session: Session,
    person: User,
    *,
    servers: int | OwnServers,
    address: str,
    login: str,
    smtp_login: str = "",
    password: str,
    tried: ConnectionTest | None,
    connects: bool = True,
    ring: KeyRing,
    now: datetime,
) -> ConnectionTest:
    """Starts a try. With an empty password, that of the earlier try is used. Raises RefusedError.

    ``servers`` is the id of a service, or, for *Other*, what the person typed, who may give SMTP
    another login. Unless it ``connects``, no mailbox comes of it. At most 2 at once, which keeps
    the way free for others, and 20 without success in 15 minutes: the login may be a colleague's.
    """
    service, own = _chosen(session, servers)
    address = _free_address(session, person, address)
    password = password or _password_of(tried, ring)
    if service is not None:
        smtp_login = _smtp_login(service, address, smtp_login)
    return _begin(
        session,
        ConnectionTest(
            user_id=person.id,
            purpose=ConnectionPurpose.CONNECT if connects else ConnectionPurpose.CHECK,
            service=service,
            own_servers=own,
            address=address,
            login=login.strip(),
            smtp_login=smtp_login.strip(),
            created_at=now,
        ),
        password,
        ring,
    )


def keep_password(
    session: Session,
    person: User,
    password: str,
    *,
    tried: ConnectionTest | None,
    ring: KeyRing,
    now: datetime,
) -> ConnectionTest | None:
    """Keeps what was typed into a form that is shown again; the page itself never holds it.

    The row to name in the form, which is that of the earlier try where nothing was typed.
    """
    if not password:
        return tried
    kept = tried
    if kept is None or kept.purpose is not ConnectionPurpose.KEPT:
        kept = ConnectionTest(
            uuid=uuid.uuid4(),
            user_id=person.id,
            purpose=ConnectionPurpose.KEPT,
            state=ConnectionTestState.FAILED,
            address="",
            login="",
        )
        session.add(kept)
    kept.created_at = now
    kept.sealed_password = ring.seal(password, kept.uuid, PASSWORD)
    session.flush()
    return kept


def begin_password(
    session: Session, mailbox: Mailbox, password: str, *, ring: KeyRing, now: datetime
) -> ConnectionTest:
    """Tries another password for a mailbox, which keeps its own until both servers took the new.

    No new connection: the service may be hidden. Raises RefusedError.
    """
    if not password:
        raise RefusedError("password", "required")
    if mailbox.state.is_withheld:
        raise RefusedError("password", "mailbox_withheld")
    return _begin(
        session,
        ConnectionTest(
            user_id=mailbox.user_id,
            purpose=ConnectionPurpose.PASSWORD,
            service=mailbox.service,
            own_servers=mailbox.own_servers,
            mailbox_id=mailbox.id,
            address=mailbox.address,
            login=mailbox.login,
            smtp_login=mailbox.smtp_login,
            created_at=now,
        ),
        password,
        ring,
    )


def begin_try(
    session: Session,
    person: User,
    servers: MailService | OwnServers,
    *,
    login: str,
    password: str,
    login_forms: tuple[LoginForm, LoginForm],
    ring: KeyRing,
    now: datetime,
) -> ConnectionTest:
    """What an administrator would get from these servers; without a login, nobody signs in.

    ``login_forms`` are those of IMAP and SMTP. Raises RefusedError.
    """
    login = login.strip()
    if bool(login) != bool(password):
        raise RefusedError("test_password" if login else "test_login", "login_and_password")
    imap_login, smtp_login = (
        login.partition("@")[0] if form is LoginForm.LOCAL_PART else login for form in login_forms
    )
    test = ConnectionTest(
        user_id=person.id,
        purpose=ConnectionPurpose.TRY,
        address="",
        login=imap_login,
        smtp_login=smtp_login,
        created_at=now,
    )
    if isinstance(servers, MailService):
        test.service = servers
    else:
        test.own_servers = servers
    return _begin(session, test, password, ring)


def _begin(session: Session, test: ConnectionTest, password: str, ring: KeyRing) -> ConnectionTest:
    window = "test_" if test.purpose is ConnectionPurpose.TRY else ""
    _refuse_many(session, test, f"{window}password")
    # The window has one field for both logins.
    smtp_login = "login" if window else "smtp_login"
    typed = (("login", test.login), (smtp_login, test.smtp_login), ("password", password))
    for field, text in typed:
        if not is_one_line(text):
            raise RefusedError(window + field, "not_one_line")
    test.uuid = uuid.uuid4()
    test.state, test.steps, test.findings = ConnectionTestState.WAITING, [], {}
    test.sealed_password = ring.seal(password, test.uuid, PASSWORD)
    session.add(test)
    session.flush()
    return test


def _password_of(tried: ConnectionTest | None, ring: KeyRing) -> str:
    """Raises RefusedError where it has to be typed."""
    try:
        if tried is not None and tried.sealed_password:
            return ring.open(tried.sealed_password, tried.uuid, PASSWORD)
    except SecretLostError:
        pass
    raise RefusedError("password", "required")


def _refuse_many(session: Session, test: ConnectionTest, field: str) -> None:
    now = test.created_at
    tries = select(func.count()).where(
        ConnectionTest.user_id == test.user_id,
        ConnectionTest.purpose != ConnectionPurpose.KEPT,
        ConnectionTest.state != ConnectionTestState.SUCCEEDED,
        ConnectionTest.created_at > now - TRIES_WINDOW,
    )
    going_on = (ConnectionTestState.WAITING, ConnectionTestState.RUNNING)
    if (session.scalar(tries.where(ConnectionTest.state.in_(going_on))) or 0) >= TRIES_AT_ONCE:
        raise RefusedError(field, "tries_going_on")
    if (session.scalar(tries) or 0) >= TRIES_MOST:
        minutes = TRIES_WINDOW.seconds // 60
        raise RefusedError(field, "too_many_tries", minutes=minutes)


def connect(session: Session, test_id: int, ring: KeyRing, now: datetime) -> Mailbox:
    """The mailbox that a try which ended well has earned; asked twice, it is the same one.

    One that is there already is given the password that was tried for it. Raises NotFoundError
    when it went meanwhile.
    """
    test = session.get_one(ConnectionTest, test_id)
    password = ring.open(test.sealed_password, test.uuid, PASSWORD)
    if test.purpose is ConnectionPurpose.PASSWORD:
        mailbox = _with_password(session, test, ring, password, now)
    else:
        there = _of_address(session, test.user_id, test.address)
        mailbox = there or _new_mailbox(session, test, now)
        if there is None or there.state.may_be_connected_anew:
            _take_over(mailbox, test, ring, password, now)
    session.add(mailbox)
    session.flush()
    test.state, test.mailbox_id, test.sealed_password = (
        ConnectionTestState.SUCCEEDED,
        mailbox.id,
        b"",
    )
    session.flush()
    return mailbox


def _chosen(
    session: Session, servers: int | OwnServers
) -> tuple[MailService | None, OwnServers | None]:
    if isinstance(servers, OwnServers):
        if not company.settings(session).other_allowed:
            raise RefusedError("service", "other_not_allowed")
        return None, servers
    for service in services.choosable(session):
        if service.id == servers:
            if not service.takes_password:
                raise RefusedError("service", "oauth_only", name=service.name)
            return service, None
    raise RefusedError("service", "service_not_choosable")


def login_for(form: LoginForm, address: str) -> str:
    """What a server of that login form takes; empty where a person has to know it."""
    return {
        LoginForm.ADDRESS: address,
        LoginForm.LOCAL_PART: address.rpartition("@")[0],
        LoginForm.TYPED: "",
    }[form]


def _smtp_login(service: MailService, address: str, typed: str) -> str:
    """What SMTP takes where it takes another login than IMAP; else empty (iCloud: the part before
    @ for IMAP, the full address for SMTP).
    """
    if service.smtp_login_form is LoginForm.TYPED:
        return typed
    if service.smtp_login_form is service.imap_login_form:
        return ""
    return login_for(service.smtp_login_form, address)


def _free_address(session: Session, person: User, typed: str) -> str:
    """Raises RefusedError where it is connected already."""
    address = check_address(typed.strip(), "address")
    there = _of_address(session, person.id, address)
    if there is not None and not there.state.may_be_connected_anew:
        going = there.state is MailboxState.REMOVING
        code = "mailbox_going" if going else "already_connected"
        raise RefusedError("address", code, address=address)
    return address


def _of_address(session: Session, person_id: int, address: str) -> Mailbox | None:
    """The person's mailbox of that address, in whatever letters: Bob@ and bob@ are one."""
    own = session.scalars(select(Mailbox).where(Mailbox.user_id == person_id))
    return next((one for one in own if one.address.casefold() == address.casefold()), None)


def _with_password(
    session: Session, test: ConnectionTest, ring: KeyRing, password: str, now: datetime
) -> Mailbox:
    mailbox = session.get(Mailbox, test.mailbox_id) if test.mailbox_id else None
    if mailbox is None or mailbox.state.is_ended:
        raise NotFoundError
    mailbox.sealed_password = ring.seal(password, mailbox.uuid, PASSWORD)
    if not mailbox.state.is_withheld:
        mailbox.state, mailbox.state_since, mailbox.failures = MailboxState.CONNECTING, now, 0
        mailbox.next_contact_at = now
    mailbox.version += 1
    return mailbox


def _new_mailbox(session: Session, test: ConnectionTest, now: datetime) -> Mailbox:
    """The last in its owner's order, and the default sender where it is the first."""
    own = Mailbox.user_id == test.user_id
    last = session.scalar(select(func.max(Mailbox.position)).where(own))
    has_default = session.scalar(select(exists().where(own, Mailbox.default_sender)))
    return Mailbox(
        uuid=uuid.uuid4(),
        user_id=test.user_id,
        address=test.address,
        sender_name=test.user.name,
        state_since=now,
        position=(last or 0) + 1,
        default_sender=not has_default,
    )


def _take_over(
    mailbox: Mailbox, test: ConnectionTest, ring: KeyRing, password: str, now: datetime
) -> None:
    """Its servers, logins and password are those of the test; mail that it kept stays in it."""
    mailbox.service, mailbox.own_servers = test.service, test.own_servers
    mailbox.login, mailbox.smtp_login = test.login, test.smtp_login
    mailbox.sealed_password = ring.seal(password, mailbox.uuid, PASSWORD)
    mailbox.agreed_domains = []
    mailbox.state, mailbox.state_since = _first_state(test.service), now
    mailbox.failures, mailbox.last_error_cause, mailbox.last_error_words = 0, "", ""
    mailbox.smtp_failures, mailbox.smtp_error_cause, mailbox.smtp_refused_with = 0, "", ""
    mailbox.next_contact_at = now
    mailbox.version = (mailbox.version or 0) + 1


def _first_state(service: MailService | None) -> MailboxState:
    """The service may have been deleted while its servers were being tried."""
    deleted = service is not None and service.deleted_at is not None
    return MailboxState.SERVICE_DELETED if deleted else MailboxState.CONNECTING
