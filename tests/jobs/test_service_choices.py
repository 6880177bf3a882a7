"""Mailboxes of a service that nobody can choose any more, and of servers that employees typed."""

from dataclasses import replace

import pytest
from sqlalchemy import select

from domain import company, connecting, services
from domain.errors import RefusedError
from jobs.connecting import run_test
from jobs.context import Job
from jobs.sync import sync_mailbox
from models import (
    ConnectionTest,
    ConnectionTestState,
    Mailbox,
    MailboxState,
    MailService,
    OwnServers,
    User,
)
from tests.conftest import author
from tests.jobs.conftest import Connect
from tests.jobs.office import inbox, mailbox_of, settings_of
from tests.servers.mail_system import PASSWORD, MailSystem

pytestmark = [pytest.mark.dovecot, pytest.mark.postfix, pytest.mark.xdist_group("servers")]

LOOPBACK = "127.0.0.0/8"


def typed(firm: MailSystem) -> OwnServers:
    """The firm's servers, as an employee types them."""
    settings = settings_of(firm)
    return services.own_servers(settings.imap, settings.smtp, firm.ca_pem)


def now_is(job: Job, test: ConnectionTest) -> ConnectionTest:
    with job.step() as session:
        return session.get_one(ConnectionTest, test.id)


def mailboxes(job: Job) -> list[Mailbox]:
    with job.step() as session:
        return list(session.scalars(select(Mailbox)))


def steps(test: ConnectionTest, protocol: str) -> list[str]:
    return [one["step"] for one in test.steps if one["protocol"] == protocol]


# --- a hidden service -----------------------------------------------------------------------------


@pytest.fixture
def hidden(job: Job, bob: User, connect: Connect) -> Mailbox:
    """Bob's mailbox, whose service was hidden after he had connected it."""
    connect(bob)
    box = mailbox_of(job, bob)
    with job.step() as session:
        service = session.get_one(MailService, box.service_id)
        services.hide(session, service, author())
    return box


def types_password(job: Job, box: Mailbox, password: str) -> ConnectionTest:
    with job.step() as session:
        own = session.get_one(Mailbox, box.id)
        test = connecting.begin_password(session, own, password, ring=job.ring, now=job.clock())
    run_test(job, test.id)
    return now_is(job, test)


def test_a_mailbox_of_a_hidden_service_works_on_and_a_new_one_is_refused(
    job: Job, firm: MailSystem, hidden: Mailbox, bob: User, carol: User, connect: Connect
) -> None:
    firm.deliver("bob", b"Subject: Still here\r\n\r\nText\r\n")
    assert sync_mailbox(job, hidden.id)
    assert [message.subject for message in inbox(job, mailbox_of(job, bob))] == ["Still here"]
    with pytest.raises(RefusedError) as refused:
        connect(carol)
    assert refused.value.code == "service_not_choosable"


def test_a_mailbox_of_a_hidden_service_takes_the_new_password_once_both_servers_did(
    job: Job, firm: MailSystem, hidden: Mailbox, bob: User
) -> None:
    firm.set_passwords({"bob": "changed"})
    for _ in range(3):
        sync_mailbox(job, hidden.id)
    assert mailbox_of(job, bob).state is MailboxState.LOGIN_REFUSED
    assert types_password(job, hidden, "changed").state is ConnectionTestState.SUCCEEDED
    assert sync_mailbox(job, hidden.id)
    assert mailbox_of(job, bob).state is MailboxState.WORKING
    assert len(mailboxes(job)) == 1


def test_a_wrong_new_password_leaves_the_old_one_at_work(
    job: Job, hidden: Mailbox, bob: User
) -> None:
    before = mailbox_of(job, bob).sealed_password
    test = types_password(job, hidden, "wrong")
    assert (test.state, test.cause) == (ConnectionTestState.FAILED, "login_refused")
    assert test.sealed_password == b""
    assert mailbox_of(job, bob).sealed_password == before
    assert sync_mailbox(job, hidden.id)


# --- Other ----------------------------------------------------------------------------------------


def company_says(job: Job, networks: str = "", *, allowed: bool = True) -> None:
    with job.step() as session:
        company.set_other(
            session,
            allowed=allowed,
            process_default=True,
            networks=networks,
            version=company.settings(session).version,
            by=author(),
        )


def connects_by_hand(job: Job, person: User, servers: OwnServers) -> ConnectionTest:
    with job.step() as session:
        test = connecting.begin_test(
            session,
            person,
            servers=servers,
            address=f"{person.login}@firm.test",
            login=person.login,
            password=PASSWORD,
            tried=None,
            ring=job.ring,
            now=job.clock(),
        )
    run_test(job, test.id)
    return now_is(job, test)


def test_servers_inside_are_reached_only_where_the_company_lets_employees_go(
    job: Job, firm: MailSystem, bob: User
) -> None:
    quick = replace(job, network=replace(job.network, typed_seconds=0.5))
    test = connects_by_hand(quick, bob, typed(firm))
    assert (test.state, test.cause) == (ConnectionTestState.FAILED, "no_mail_server")
    assert (steps(test, "imap"), test.server_words) == (["name"], "")
    assert mailboxes(job) == []
    company_says(job, LOOPBACK)
    assert connects_by_hand(job, bob, typed(firm)).state is ConnectionTestState.SUCCEEDED
    box = mailbox_of(job, bob)
    assert sync_mailbox(job, box.id)
    company_says(job, "10.0.0.0/8")
    assert not sync_mailbox(job, box.id)
    assert mailbox_of(job, bob).state is MailboxState.UNREACHABLE
    company_says(job, LOOPBACK)
    assert sync_mailbox(job, box.id)


def test_when_other_is_switched_off_mailboxes_work_on_and_new_ones_are_refused(
    job: Job, firm: MailSystem, bob: User, carol: User
) -> None:
    company_says(job, LOOPBACK)
    connects_by_hand(job, bob, typed(firm))
    company_says(job, LOOPBACK, allowed=False)
    box = mailbox_of(job, bob)
    firm.deliver("bob", b"Subject: Still here\r\n\r\nText\r\n")
    assert sync_mailbox(job, box.id)
    assert [message.subject for message in inbox(job, box)] == ["Still here"]
    assert types_password(job, box, PASSWORD).state is ConnectionTestState.SUCCEEDED
    with pytest.raises(RefusedError) as refused:
        connects_by_hand(job, carol, typed(firm))
    assert refused.value.code == "other_not_allowed"
