"""Every state in which a mailbox does not work: how a server brings it about, what its owner reads
in both languages, the one button, and that the notice goes when the mailbox is well again.
"""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from domain import connecting, services
from domain.secrets import KeyRing
from domain.services import ServerSettings, ServiceSettings
from jobs import sync, watcher
from jobs.connecting import run_test
from jobs.context import Job
from jobs.sync import sync_mailbox
from jobs.worker import Worker
from mail.connection import Network
from mail.security import Security
from mail.server_string import ServerAddress
from models import Mailbox, MailboxState, MailService, OutgoingState, User
from models.source_store import SourceStore
from tests.conftest import SignIn, author
from tests.jobs.administering import (
    Pause,
    add,
    connected,
    delete,
    letter,
    meanwhile,
    move,
    now_is,
    restore,
    service_in,
    settings_at,
    state,
    subjects,
)
from tests.jobs.office import queue, settings_of
from tests.notice_page import Seen, notices_at
from tests.servers.mail_system import PASSWORD, MailSystem
from tests.servers.scripted import Talk, greet_imap, identity, welcome_imap
from tests.servers.second_system import FAR, NEAR, SecondSystem
from tests.servers.switchboard import Switchboard
from tests.waiting import until

pytestmark = [pytest.mark.dovecot, pytest.mark.postfix, pytest.mark.xdist_group("servers")]

AT_ONCE = 8.0  # seconds: a sweep, a visit, and what a busy machine adds
NEW_PASSWORD = "another-mail-secret"
TRY_NOW = ("Try now", "Попробовать сейчас")
SAVE_PASSWORD = ("Save password", "Сохранить пароль")

Works = Callable[..., AbstractContextManager[None]]


@pytest.fixture(scope="module")
def second_system(mail_system: MailSystem) -> Iterator[SecondSystem]:
    system = SecondSystem(mail_system)
    try:
        system.start()
        yield system
    finally:
        system.stop()


@pytest.fixture
def second(firm: MailSystem, second_system: SecondSystem) -> SecondSystem:
    return second_system


@pytest.fixture
def switchboard(firm: MailSystem) -> Iterator[Switchboard]:
    found = Switchboard(firm)
    yield found
    found.close()


@pytest.fixture
def job(job: Job, firm: MailSystem, data_folder: Path) -> Job:
    """Knows both systems, keeps messages where the pages look, and does not wait for long."""
    names = ",".join(
        f"{host}.{name}=127.0.0.1" for name in (NEAR, FAR) for host in ("imap", "smtp")
    )
    network = replace(
        job.network,
        hosts=Network.parse_hosts(f"{firm.hosts},{names}"),
        connect_seconds=3,
        command_seconds=3,
    )
    return replace(job, network=network, store=SourceStore(data_folder / "messages"))


@pytest.fixture
def works(job: Job, monkeypatch: pytest.MonkeyPatch) -> Works:
    monkeypatch.setattr(watcher, "TURN_SECONDS", 0.5)

    @contextmanager
    def works(with_ring: KeyRing | None = None) -> Iterator[None]:
        """A worker runs meanwhile."""
        worker = Worker(replace(job, ring=with_ring or job.ring))
        worker.start()
        try:
            yield
        finally:
            worker.stop()
            # Who still watches when the next test empties the maildirs confuses Dovecot.
            until(lambda: not worker._watcher.watched)

    return works


@pytest.fixture
def bobs(app: Flask, ring: KeyRing, bob: User, signed_in: SignIn) -> FlaskClient:
    """Bob at a web that has the worker's keys."""
    app.extensions["postroom_keys"] = replace(app.extensions["postroom_keys"], ring=ring)
    return signed_in(bob)


@pytest.fixture
def firm_service(job: Job, firm: MailSystem) -> MailService:
    return add(job, settings_of(firm))


@pytest.fixture
def box(job: Job, bob: User, firm_service: MailService) -> Mailbox:
    return well(job, connected(job, bob, firm_service))


@pytest.fixture
def box_behind(job: Job, firm: MailSystem, bob: User, switchboard: Switchboard) -> Mailbox:
    """Bob's mailbox, whose IMAP server answers as the switchboard wants."""
    return well(job, connected(job, bob, add(job, behind(switchboard, firm))))


def behind(switchboard: Switchboard, firm: MailSystem) -> ServiceSettings:
    address = ServerAddress("imap.firm.test", switchboard.port)
    return settings_of(firm, imap=ServerSettings(address, Security.TLS))


def connected_as(job: Job, person: User, login: str, service: MailService) -> Mailbox:
    """A second mailbox of the same person."""
    with job.step() as session:
        test = connecting.begin_test(
            session,
            person,
            servers=service.id,
            address=f"{login}@firm.test",
            login=login,
            password=PASSWORD,
            tried=None,
            ring=job.ring,
            now=job.clock(),
        ).id
    mailbox_id = run_test(job, test)
    with job.step() as session:
        return session.get_one(Mailbox, mailbox_id)


def well(job: Job, box: Mailbox) -> Mailbox:
    assert sync_mailbox(job, box.id)
    return box


def becomes(job: Job, box: Mailbox, wanted: MailboxState, seconds: float = 20.0) -> None:
    """A visit is due meanwhile: what IDLE is not told of would be found within a minute."""

    def found() -> bool:
        with job.step() as session:
            now = session.get_one(Mailbox, box.id)
            if now.state is MailboxState.WORKING:
                now.next_contact_at = job.clock()
            return now.state is wanted

    until(found, seconds)


def says(bobs: FlaskClient, english: str, russian: str, button: tuple[str, str]) -> Seen:
    """The one notice of Bob's page, in English; ``…`` stands for what nobody knows before."""
    for language, sentence, name in (("ru", russian, button[1]), ("en", english, button[0])):
        (seen,) = notices_at(bobs, language=language)
        wanted = re.escape(sentence).replace("…", ".+")
        assert re.fullmatch(wanted, seen.sentence), seen.sentence
        assert seen.buttons == [name]
    return seen


def is_gone(job: Job, bobs: FlaskClient, box: Mailbox, seconds: float = 20.0) -> None:
    until(lambda: notices_at(bobs) == [], seconds)
    becomes(job, box, MailboxState.WORKING, seconds)
    assert notices_at(bobs) == []


def receives(job: Job, firm: MailSystem, box: Mailbox, subject: str) -> None:
    firm.deliver(box.login, letter(subject))
    until(lambda: subject in subjects(job, box), AT_ONCE)


def is_sent(job: Job, outgoing: int) -> None:
    until(lambda: state(job, outgoing) is OutgoingState.SENT, AT_ONCE)


def waits_for_an_hour(job: Job, box: Mailbox) -> None:
    """Nothing but a person makes the next visit come earlier."""
    with job.step() as session:
        session.get_one(Mailbox, box.id).next_contact_at = job.clock() + timedelta(hours=1)


# --- the password ---------------------------------------------------------------------------------


def test_a_password_changed_at_the_server_is_typed_anew_in_the_notice(
    job: Job, firm: MailSystem, works: Works, bobs: FlaskClient, box: Mailbox
) -> None:
    with works():
        firm.set_passwords({"bob": NEW_PASSWORD, "carol": PASSWORD})
        becomes(job, box, MailboxState.LOGIN_REFUSED)
        server = f"imap.firm.test:{firm.imaps_port}"
        notice = says(
            bobs,
            f"{server} refuses the login or the password of bob@firm.test.",
            f"{server} не принимает логин или пароль ящика bob@firm.test.",
            SAVE_PASSWORD,
        )
        assert notice.address == f"/profile/mail/{box.id}/password"
        assert notice.html.count('type="password"') == 1

        bobs.post(notice.address, data={"password": "wrong"})
        refused = "refused login or password"
        (again,) = until(
            lambda: [one for one in notices_at(bobs) if refused in one.html and one.buttons]
        )
        assert again.buttons == ["Save password"]
        assert now_is(job, box).state is MailboxState.LOGIN_REFUSED
        bobs.post(notice.address, data={"password": NEW_PASSWORD})
        is_gone(job, bobs, box)
        receives(job, firm, box, "With the new password")


def test_a_server_that_wants_an_app_password_is_given_one(
    job: Job,
    firm: MailSystem,
    works: Works,
    bobs: FlaskClient,
    box_behind: Mailbox,
    switchboard: Switchboard,
) -> None:
    """Scripted: Dovecot knows nothing of app passwords; these are the words of Gmail."""
    with job.step() as session:
        service = session.get_one(Mailbox, box_behind.id).service
        assert service is not None
        service.help_url = "https://provider.test/app-passwords"

    def refuses(talk: Talk) -> None:
        switchboard.speaks_tls(talk)
        greet_imap(talk)
        talk.answer("AUTHENTICATE", end="NO [ALERT] Application-specific password required")

    with works():
        switchboard.plays(refuses)
        becomes(job, box_behind, MailboxState.APP_PASSWORD_WANTED)
        server = f"imap.firm.test:{switchboard.port}"
        notice = says(
            bobs,
            f"{server} wants an app password for bob@firm.test.",
            f"{server} требует пароль приложения для ящика bob@firm.test.",
            SAVE_PASSWORD,
        )
        assert 'href="https://provider.test/app-passwords"' in notice.html
        switchboard.connects_through()
        bobs.post(notice.address, data={"password": PASSWORD})
        is_gone(job, bobs, box_behind)


def test_a_password_whose_key_is_gone_is_typed_once_more(
    app: Flask, job: Job, firm: MailSystem, works: Works, bobs: FlaskClient, box: Mailbox
) -> None:
    others = KeyRing(current="2", keys={"2": b"s" * 32})
    app.extensions["postroom_keys"] = replace(app.extensions["postroom_keys"], ring=others)
    with works(with_ring=others):
        becomes(job, box, MailboxState.SECRET_LOST)
        notice = says(
            bobs,
            "The key that opens the password of bob@firm.test is missing: type the password once "
            "more.",
            "Нет ключа, которым открывается пароль от bob@firm.test: введите пароль ещё раз.",
            SAVE_PASSWORD,
        )
        bobs.post(notice.address, data={"password": PASSWORD})
        is_gone(job, bobs, box)
        receives(job, firm, box, "Under the other key")


# --- the server -----------------------------------------------------------------------------------


def test_a_server_that_was_stopped_is_found_again_when_it_runs(
    job: Job, firm: MailSystem, works: Works, bobs: FlaskClient, box: Mailbox
) -> None:
    with works():
        firm.stop_dovecot()
        try:
            becomes(job, box, MailboxState.UNREACHABLE)
            says(
                bobs,
                "bob@firm.test has been unreachable since …; it is tried again by itself.",
                "bob@firm.test не отвечает с …; попытки повторяются сами.",
                TRY_NOW,
            )
        finally:
            firm.start_dovecot()
        is_gone(job, bobs, box)


def test_try_now_does_not_wait_for_the_next_visit(
    job: Job, firm: MailSystem, works: Works, bobs: FlaskClient, box: Mailbox
) -> None:
    with works():
        firm.stop_dovecot()
        try:
            becomes(job, box, MailboxState.UNREACHABLE)
        finally:
            firm.start_dovecot()
        waits_for_an_hour(job, box)
        (notice,) = notices_at(bobs)
        for _ in range(3):
            bobs.post(notice.address)
        is_gone(job, bobs, box, AT_ONCE)


def test_another_authority_than_the_trusted_one_is_refused_until_it_is_trusted(
    job: Job, firm: MailSystem, second: SecondSystem, works: Works, bob: User, bobs: FlaskClient
) -> None:
    right = settings_at(second, NEAR)
    service = add(job, right)
    box = well(job, connected(job, bob, service))
    with works():
        trusts(job, service, replace(right, ca_pem=firm.ca_pem))
        becomes(job, box, MailboxState.CERTIFICATE_REFUSED)
        certificate_is_refused(bobs, f"imap.{NEAR}:{second.imaps_port}")
        trusts(job, service, right)
        is_gone(job, bobs, box)


def trusts(job: Job, service: MailService, settings: ServiceSettings) -> None:
    with job.step() as session:
        services.edit(session, service_in(session, service), settings, author())


def test_a_certificate_that_has_expired_is_refused_until_it_is_renewed(
    job: Job,
    works: Works,
    bobs: FlaskClient,
    box_behind: Mailbox,
    switchboard: Switchboard,
) -> None:
    """Scripted: the certificate of a Dovecot that runs does not grow old in a test."""
    with works():
        switchboard.plays(switchboard.speaks_tls, identity(made=-timedelta(days=3 * 365)))
        becomes(job, box_behind, MailboxState.CERTIFICATE_REFUSED)
        notice = certificate_is_refused(bobs, f"imap.firm.test:{switchboard.port}")
        switchboard.connects_through()
        waits_for_an_hour(job, box_behind)
        bobs.post(notice.address)
        is_gone(job, bobs, box_behind, AT_ONCE)


def certificate_is_refused(bobs: FlaskClient, server: str) -> Seen:
    return says(
        bobs,
        f"bob@firm.test is not contacted, for the certificate of {server} is not valid: tell your "
        "administrator.",
        f"К bob@firm.test нет подключения, потому что сертификат {server} недействителен: сообщите "
        "администратору.",
        TRY_NOW,
    )


def test_a_full_mailbox_is_visited_again_when_there_is_room(
    job: Job, works: Works, bobs: FlaskClient, box_behind: Mailbox, switchboard: Switchboard
) -> None:
    """Scripted: Dovecot's quota refuses what is put into a mailbox, and lets it be read."""

    def is_full(talk: Talk) -> None:
        switchboard.speaks_tls(talk)
        welcome_imap(talk)
        while True:
            talk.hear()
            talk.say(f"{talk.tag} NO [OVERQUOTA] Mailbox is full")

    with works():
        switchboard.plays(is_full)
        becomes(job, box_behind, MailboxState.OVER_QUOTA)
        server = f"imap.firm.test:{switchboard.port}"
        notice = says(
            bobs,
            f"bob@firm.test is full: delete mail at {server} or get more space.",
            f"bob@firm.test переполнен: удалите письма на {server} или получите больше места.",
            TRY_NOW,
        )
        switchboard.connects_through()
        waits_for_an_hour(job, box_behind)
        bobs.post(notice.address)
        is_gone(job, bobs, box_behind, AT_ONCE)


# --- the service ----------------------------------------------------------------------------------


def test_a_deleted_service_is_told_until_it_comes_back(
    job: Job, works: Works, bobs: FlaskClient, box: Mailbox, firm_service: MailService
) -> None:
    with works():
        delete(job, firm_service)
        notice = says(
            bobs,
            "An administrator deleted the mail service of bob@firm.test: its mail stays readable, "
            "and the address can be connected through another service.",
            "Администратор удалил почтовый сервис адреса bob@firm.test: письма можно читать, а сам "
            "адрес — подключить через другой сервис.",
            ("Connect another mailbox", "Подключить другой ящик"),
        )
        assert notice.address == "/profile/mail/connect?address=bob@firm.test"
        assert 'value="bob@firm.test"' in bobs.get(notice.address).text
        restore(job, firm_service)
        is_gone(job, bobs, box)


def test_a_mailbox_that_was_moved_works_again_when_its_owner_agrees(
    job: Job,
    second: SecondSystem,
    works: Works,
    bobs: FlaskClient,
    box: Mailbox,
    firm_service: MailService,
) -> None:
    with works():
        move(job, firm_service, add(job, settings_at(second, FAR, name="Far")))
        server = f"imap.{FAR}:{second.imaps_port}, smtp.{FAR}:{second.smtps_port}"
        notice = says(
            bobs,
            "An administrator moved bob@firm.test to other servers: it works again once you agree "
            f"that your password is used at {server}.",
            "Администратор перенёс bob@firm.test на другие серверы: ящик снова заработает, когда "
            f"вы согласитесь, чтобы пароль использовался на {server}.",
            ("Agree", "Согласиться"),
        )
        bobs.post(notice.address)
        is_gone(job, bobs, box)


# --- on its way -----------------------------------------------------------------------------------


def test_a_mailbox_that_is_being_connected_says_how_far_it_is(
    job: Job,
    firm: MailSystem,
    bob: User,
    bobs: FlaskClient,
    firm_service: MailService,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    box = connected(job, bob, firm_service)
    firm.deliver("bob", *(letter(f"Number {number}") for number in range(300)))
    says(
        bobs,
        "bob@firm.test is being connected; its messages appear as they arrive.",
        "bob@firm.test подключается; сообщения появятся по мере получения.",
        TRY_NOW,
    )
    pause = Pause("sync.batch_stored")
    monkeypatch.setattr(sync, "fail_point", pause)
    told: list[Seen] = []

    def looks() -> None:
        told.append(
            says(
                bobs,
                "bob@firm.test is being connected: … of 300 messages are here so far.",
                "bob@firm.test подключается: получено сообщений: … из 300.",
                TRY_NOW,
            )
        )

    meanwhile(pause, lambda: sync_mailbox(job, box.id), looks)
    (notice,) = told
    assert len(subjects(job, box)) == 300
    here = re.search(r"(\d+) of 300", notice.sentence)
    assert here is not None
    assert 0 < int(here[1]) < 300
    is_gone(job, bobs, box)


# --- the others -----------------------------------------------------------------------------------


def test_a_server_that_hangs_keeps_no_other_mailbox_waiting(
    job: Job,
    firm: MailSystem,
    works: Works,
    bob: User,
    bobs: FlaskClient,
    box_behind: Mailbox,
    switchboard: Switchboard,
) -> None:
    direct = connected_as(job, bob, "carol", add(job, settings_of(firm, name="Directly")))
    switchboard.hangs()
    with works():
        becomes(job, direct, MailboxState.WORKING, AT_ONCE)
        for number in range(3):
            began = time.monotonic()
            receives(job, firm, direct, f"Number {number}")
            outgoing = queue(job, direct, "alice@firm.test")
            is_sent(job, outgoing)
            assert time.monotonic() - began < AT_ONCE
        becomes(job, box_behind, MailboxState.UNREACHABLE)
        (notice,) = notices_at(bobs)
        assert "bob@firm.test" in notice.sentence
        receives(job, firm, direct, "While the other is in trouble")
        switchboard.connects_through()
        is_gone(job, bobs, box_behind)
