"""One command starts and stops web and worker; killing them loses nothing that was confirmed."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from models import OutgoingMessage, OutgoingState, User
from scripts.house import House, running
from tests.conftest import PASSWORD as OWN_PASSWORD
from tests.jobs.office import Office
from tests.plain_browser import PlainBrowser
from tests.servers.mail_system import MailSystem
from tests.waiting import until

UNTIL = "Postroom runs at"


def offspring(parent: int) -> dict[str, int]:
    """The processes that a process started, by what they are."""
    found = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            line = status.read_text()
            command = (status.parent / "cmdline").read_text().replace("\0", " ")
        except OSError:  # it ended meanwhile
            continue
        if int(line.rpartition(")")[2].split()[1]) == parent:
            found["web" if "gunicorn" in command else "worker"] = int(status.parent.name)
    return found


def is_alive(pid: int) -> bool:
    status = Path(f"/proc/{pid}/status")
    return status.exists() and "State:\tZ" not in status.read_text()


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with running("run-all", tmp_path / "data", until=UNTIL) as started:
        until(lambda: offspring(started.process.pid).keys() == {"web", "worker"})
        yield started


def test_ctrl_c_ends_web_and_worker_and_leaves_nothing_behind(house: House) -> None:
    children = offspring(house.process.pid)
    assert house.stop(signal.SIGINT) == 0
    assert not any(is_alive(pid) for pid in children.values())


@pytest.mark.parametrize("which", ["web", "worker"])
def test_what_is_killed_is_started_again_and_said(house: House, which: str) -> None:
    before = offspring(house.process.pid)
    kill(before[which])
    until(lambda: offspring(house.process.pid).get(which, before[which]) != before[which])
    assert f"The {which} ended with -9; it is started again." in house.output
    until(lambda: answers(house))


def test_when_the_one_command_is_killed_its_children_end(house: House) -> None:
    children = offspring(house.process.pid)
    house.process.kill()
    until(lambda: not any(is_alive(pid) for pid in children.values()))


def test_a_second_worker_on_the_same_folder_is_refused(house: House, tmp_path: Path) -> None:
    second = House("worker", tmp_path / "data")
    second.start()
    assert second.wait() == 1
    assert "Another worker runs" in second.output


def test_the_keys_are_made_once_and_readable_by_their_owner_only(
    house: House, tmp_path: Path
) -> None:
    keys = sorted((tmp_path / "data" / "keys").iterdir())
    assert [key.name for key in keys] == ["change-log", "cookie", "secrets-1"]
    assert {key.stat().st_mode & 0o777 for key in keys} == {0o600}
    before = [key.read_bytes() for key in keys]
    house.stop()
    with running("run-all", tmp_path / "data", until=UNTIL):
        assert [key.read_bytes() for key in keys] == before


@pytest.mark.dovecot
@pytest.mark.postfix
@pytest.mark.xdist_group("servers")
def test_a_message_whose_sending_was_confirmed_survives_the_death_of_everything(
    firm: MailSystem, data_folder: Path, sessions: sessionmaker[Session], bob: User
) -> None:
    office = Office(data_folder, sessions, firm)
    office.connects(bob)
    settings = {"POSTROOM_HOSTS": firm.hosts}
    with running("run-all", data_folder, settings, until=UNTIL) as house:
        children = until(lambda: offspring(house.process.pid))
        browser = PlainBrowser(house.address)
        browser.post("/sign-in", login="bob", password=OWN_PASSWORD)
        firm.stop_dovecot()  # so that the message is still here when everything dies
        browser.post("/mail/new", mailbox="1", to="carol@firm.test", subject="Kept", text="x")
        for pid in [house.process.pid, *children.values()]:
            kill(pid)
    assert [message.state for message in outgoing(office)] != [OutgoingState.SENT]
    firm.start_dovecot()
    with running("run-all", data_folder, settings, until=UNTIL):
        until(lambda: [message.state for message in outgoing(office)] == [OutgoingState.SENT], 60)
        until(lambda: [message.copied_to_sent for message in outgoing(office)] == [True], 90)
    assert len(firm.messages("carol")) == 1


def answers(house: House) -> bool:
    """Not at once: a web process of before lives for a moment without its parent."""
    try:
        return "One-time code" in PlainBrowser(house.address).get("/set-up")
    except OSError:
        return False


def outgoing(office: Office) -> list[OutgoingMessage]:
    return office.read(lambda session: list(session.scalars(select(OutgoingMessage))))


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


def test_a_wrong_setting_stops_the_start_with_a_sentence(tmp_path: Path) -> None:
    house = House("run-all", tmp_path, {"POSTROOM_TIME_ZONE": "Nowhere/Land"})
    house.start()
    assert house.wait() == 2
    assert "POSTROOM_TIME_ZONE is a name such as Europe/Berlin" in house.output
    assert "Traceback" not in house.output


def test_what_cannot_start_ends_all_with_a_sentence_instead_of_trying_for_ever(
    house: House, tmp_path: Path
) -> None:
    second = House("run-all", tmp_path / "data")
    second.start()
    assert second.wait() == 1
    assert "The worker ended 3 times right after its start" in second.output
    assert offspring(second.process.pid) == {}
