"""What an administrator does to a service while runners work, and where one looks then."""

import subprocess
import threading
from collections.abc import Callable

from sqlalchemy.orm import Session

from domain import connecting, service_deletion, services
from domain.services import ServerSettings, ServiceSettings
from jobs.connecting import run_test
from jobs.context import Job
from mail.security import Security
from mail.server_string import ServerAddress
from models import Mailbox, MailService, OutgoingMessage, OutgoingState, User
from tests.conftest import author
from tests.jobs.office import inbox, settings_of
from tests.servers.mail_system import PASSWORD, MailSystem

Rows = dict[int, tuple[int | None, bool, str | None]]  # UID, read, hash of the source


def settings_at(system: MailSystem, domain: str, name: str = "Firm mail") -> ServiceSettings:
    return settings_of(
        system,
        name=name,
        imap=ServerSettings(ServerAddress(f"imap.{domain}", system.imaps_port), Security.TLS),
        smtp=ServerSettings(ServerAddress(f"smtp.{domain}", system.smtps_port), Security.TLS),
    )


def add(job: Job, settings: ServiceSettings) -> MailService:
    with job.step() as session:
        return services.add(session, settings, author())


def connected(job: Job, person: User, service: MailService) -> Mailbox:
    with job.step() as session:
        test = connecting.begin_test(
            session,
            person,
            servers=service.id,
            address=f"{person.login}@firm.test",
            login=person.login,
            password=PASSWORD,
            tried=None,
            ring=job.ring,
            now=job.clock(),
        ).id
    mailbox_id = run_test(job, test)
    with job.step() as session:
        return session.get_one(Mailbox, mailbox_id)


def now_is(job: Job, box: Mailbox) -> Mailbox:
    with job.step() as session:
        return session.get_one(Mailbox, box.id)


def service_in(session: Session, service: MailService) -> MailService:
    return session.get_one(MailService, service.id)


def delete(job: Job, service: MailService) -> None:
    with job.step() as session:
        service_deletion.delete(session, service_in(session, service), author())


def restore(job: Job, service: MailService) -> None:
    with job.step() as session:
        service_deletion.restore(session, service_in(session, service), author())


def move(job: Job, service: MailService, target: MailService) -> None:
    with job.step() as session:
        service_deletion.move(session, service_in(session, service), target.id, author())


def letter(subject: str) -> bytes:
    return f"From: carol@firm.test\r\nSubject: {subject}\r\n\r\nText\r\n".encode()


def subjects(job: Job, box: Mailbox) -> list[str]:
    return [message.subject for message in inbox(job, box)]


def rows(job: Job, box: Mailbox) -> Rows:
    return {one.id: (one.uid, one.seen, one.source_hash) for one in inbox(job, box)}


def state(job: Job, outgoing: int) -> OutgoingState:
    with job.step() as session:
        return session.get_one(OutgoingMessage, outgoing).state


def watching(system: MailSystem) -> set[str]:
    """Whose connections Dovecot counts, a second late at most."""
    conf = str(system.folder / "etc/dovecot.conf")
    told = subprocess.run(
        ["doveadm", "-c", conf, "who", "-1"], capture_output=True, text=True, check=True
    )
    return {line.split()[0] for line in told.stdout.splitlines()}


class Visits:
    """What the servers of a system wrote to their logs since the last look."""

    def __init__(self, system: MailSystem) -> None:
        self._logs = [system.folder / "log" / name for name in ("dovecot.log", "postfix.log")]
        self._seen = [len(log.read_bytes()) for log in self._logs]

    def any(self) -> list[str]:
        found: list[str] = []
        for log, seen in zip(self._logs, self._seen, strict=True):
            found += log.read_bytes()[seen:].decode().splitlines()
        return [line for line in found if "imap-login" in line or "smtpd[" in line]


class Pause:
    """Stops a runner at a fail point, once, until it is let go."""

    def __init__(self, point: str) -> None:
        self._point = point
        self.reached, self.go_on = threading.Event(), threading.Event()

    def __call__(self, name: str) -> None:
        if name == self._point and not self.reached.is_set():
            self.reached.set()
            assert self.go_on.wait(20)


def meanwhile(pause: Pause, run: Callable[[], object], then: Callable[[], object]) -> None:
    """``then`` happens while ``run`` stands at the pause."""
    thread = threading.Thread(target=run)
    thread.start()
    assert pause.reached.wait(20)
    then()
    pause.go_on.set()
    thread.join(20)
    assert not thread.is_alive()
