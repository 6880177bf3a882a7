"""``flask services``: what it prints for people and programs, and what it leaves behind."""

import json
import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from flask import Flask
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from domain import service_import, services
from domain.errors import RefusedError
from domain.service_files import FIELDS
from models import ChangeLogEntry, MailService, User
from tests.conftest import ROOT
from tests.domain.test_service_files import HEADER, LINE
from tests.domain.test_service_import import FIRM
from tests.mailroom import dump, mailbox_of

BROKEN = LINE.replace("smtp.firm.test:465", "smtp.firm.test")
GUIDE = (ROOT / "docs" / "services.md").read_text()
ASCII = {"PYTHONIOENCODING": "ascii"}
Run = Callable[..., Result]
WriteFile = Callable[..., str]


@pytest.fixture
def run(app: Flask) -> Run:
    def run(*arguments: str, typed: str | bytes = "") -> Result:
        done = app.test_cli_runner().invoke(args=["services", *arguments], input=typed)
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exc_info
        return done

    return run


@pytest.fixture
def file(tmp_path: Path) -> WriteFile:
    def write(*lines: str, name: str = "services.csv") -> str:
        path = tmp_path / name
        path.write_text("\n".join(lines))
        return str(path)

    return write


def on_the_command_line(
    data: Path,
    *arguments: str,
    typed: bytes = b"",
    environment: Mapping[str, str] | None = None,
) -> tuple[int, str, str]:
    """The exit status, and what was printed, in a process of its own."""
    others = {name: value for name, value in os.environ.items() if not name.startswith("POSTROOM_")}
    done = subprocess.run(
        [sys.executable, "-m", "flask", "--app", "app.py", "services", *arguments],
        cwd=ROOT,
        env={**others, "POSTROOM_DATA": str(data), **(environment or {})},
        input=typed,
        capture_output=True,
        timeout=60,
    )
    assert b"Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def each_row(printed: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in printed.splitlines()]


def added(session: Session) -> list[str]:
    session.expire_all()
    names = select(MailService.name).where(~MailService.standard).order_by(MailService.id)
    return list(session.scalars(names))


# import


def test_a_dry_run_says_of_every_row_whether_it_is_valid(
    run: Run, file: WriteFile, session: Session
) -> None:
    before = dump(session)
    done = run("import", file(HEADER, BROKEN, LINE, "A" + LINE), "--dry-run", "--json")
    assert done.output == (
        '{"row": 1, "valid": false, "field": "smtp_server", "message": '
        '"Add the port after a colon, for example smtp.firm.test:465."}\n'
        '{"row": 2, "valid": false, "field": "name", "message": '
        '"Row 1 has this name already. Leave one out."}\n'
        '{"row": 3, "valid": true}\n'
    )
    assert done.exit_code == 1
    done = run("import", file(HEADER, LINE), "--dry-run", "--json")
    assert (done.exit_code, done.output) == (0, '{"row": 1, "valid": true}\n')
    assert dump(session) == before


def test_people_read_sentences(run: Run, file: WriteFile) -> None:
    valid, broken = file(HEADER, LINE), file(HEADER, "A" + LINE, BROKEN, name="broken.csv")
    done = run("import", broken, "--dry-run")
    assert done.output.splitlines() == [
        "Row 2, smtp_server: Add the port after a colon, for example smtp.firm.test:465.",
        "Nothing was imported. Correct the file and import it again.",
    ]
    assert done.exit_code == 1
    done = run("import", valid, "--dry-run")
    assert done.output == "Nothing is wrong with the file (1 row). Nothing was changed.\n"
    assert run("import", valid).output == "1 added, 0 changed, 0 unchanged.\n"


def test_a_file_with_one_broken_row_changes_nothing(
    run: Run, file: WriteFile, session: Session
) -> None:
    before = dump(session)
    broken = file(HEADER, "A" + LINE, BROKEN)
    for options in ([], ["--json"]):
        done = run("import", broken, *options)
        assert done.exit_code == 1
        assert done.output == run("import", broken, "--dry-run", *options).output
    assert dump(session) == before


def test_a_whole_file_is_taken_over_and_the_log_names_it(
    run: Run, file: WriteFile, session: Session, app: Flask
) -> None:
    done = run("import", file(HEADER, LINE, "A" + LINE), "--json")
    assert (done.exit_code, done.output) == (
        0,
        '{"row": 1, "valid": true}\n{"row": 2, "valid": true}\n',
    )
    assert added(session) == ["Firm mail", "AFirm mail"]
    entries = session.scalars(select(ChangeLogEntry).order_by(ChangeLogEntry.id)).all()
    assert [(one.action, one.subject_name, one.author_name) for one in entries] == [
        ("services.add", "Firm mail", ""),
        ("services.add", "AFirm mail", ""),
        ("services.import", "services.csv", ""),
    ]
    verified = app.test_cli_runner().invoke(args=["changelog", "verify"])
    assert verified.output == "The change log is whole.\n"


def test_rows_come_through_standard_input_too(run: Run, session: Session) -> None:
    assert run("import", "-", typed=f"{HEADER}\n{LINE}").exit_code == 0
    assert run("import", "-", typed=json.dumps([{**FIRM, "name": "North"}])).exit_code == 0
    names = session.scalars(select(ChangeLogEntry.subject_name).order_by(ChangeLogEntry.id)).all()
    assert names == ["Firm mail", "standard input", "North", "standard input"]


def test_when_a_verb_refuses_in_the_middle_nothing_stays(
    run: Run, file: WriteFile, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    add, before = services.add, dump(session)

    def refusing(session: Session, settings: services.ServiceSettings, by: Any) -> MailService:
        if settings.name != "Firm mail":
            raise RefusedError("name", "service_name_taken", name=settings.name)
        return add(session, settings, by)

    monkeypatch.setattr(services, "add", refusing)
    done = run("import", file(HEADER, LINE, "A" + LINE))
    assert done.exit_code == 1
    assert "There is a service named AFirm mail already." in done.output
    assert dump(session) == before


@pytest.mark.parametrize("dry", [True, False])
def test_nobody_saves_in_between_unless_nothing_will_be_changed(
    run: Run, file: WriteFile, data_folder: Path, monkeypatch: pytest.MonkeyPatch, dry: bool
) -> None:
    check, found = service_import.check, []

    def watched(session: Session, records: Any) -> Any:
        other = sqlite3.connect(data_folder / "postroom.sqlite", timeout=0, isolation_level=None)
        try:
            other.execute("BEGIN IMMEDIATE")
            found.append("free")
        except sqlite3.OperationalError:
            found.append("taken")
        finally:
            other.close()
        return check(session, records)

    monkeypatch.setattr(service_import, "check", watched)
    assert run("import", file(HEADER, LINE), *(["--dry-run"] if dry else [])).exit_code == 0
    assert found == ["free" if dry else "taken"]


def test_a_database_that_is_busy_is_told_in_a_sentence(
    run: Run, file: WriteFile, data_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("models.base.BUSY_TIMEOUT_MS", 1)
    other = sqlite3.connect(data_folder / "postroom.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    done = run("import", file(HEADER, LINE))
    other.close()
    assert done.exit_code == 1
    assert "The database cannot be used (database is locked). Nothing was changed." in done.output


def test_sentences_are_english_whatever_language_is_spoken_around(
    run: Run, file: WriteFile, app: Flask
) -> None:
    with app.test_request_context(headers={"Accept-Language": "ru"}):
        done = run("import", file(HEADER, BROKEN), "--dry-run", "--json")
    assert each_row(done.output)[0]["message"].startswith("Add the port after a colon")


def test_a_fault_of_the_file_is_row_0(run: Run, file: WriteFile) -> None:
    done = run("import", file(HEADER + ",hidden", LINE), "--dry-run", "--json")
    (found,) = each_row(done.output)
    assert (found["row"], found["valid"], found["field"]) == (0, False, "hidden")
    assert found["message"].startswith("There is no column “hidden”. The columns are name, smtp_s")
    done = run("import", file("", name="empty.csv"))
    assert done.output.startswith("The file: The file is empty. Its first row is name,")
    assert done.exit_code == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xd0", "The file is not text in UTF-8. Save it as CSV UTF-8 or as JSON."),
        (b"\0", "The file is not text in UTF-8. Save it as CSV UTF-8 or as JSON."),
        (b"[" * 100_000, "The JSON is nested too deeply. It is a list of services."),
        (b"[1,\n}", "The file is not JSON. Look at line 2, character 1."),
        (b'{"name": 1}', "The JSON is not a list of services. An export shows how it looks."),
        (
            f'{HEADER}\n\n"x'.encode(),
            "Line 3 cannot be read. A quotation mark is missing there or before.",
        ),
    ],
)
def test_what_is_no_such_file_ends_with_a_sentence(run: Run, content: bytes, message: str) -> None:
    done = run("import", "-", "--dry-run", "--json", typed=content)
    assert each_row(done.output) == [{"row": 0, "valid": False, "field": "", "message": message}]
    assert done.exit_code == 1


def test_a_file_without_an_end_ends_with_a_sentence(run: Run, tmp_path: Path) -> None:
    with (tmp_path / "huge.csv").open("wb") as huge:
        huge.truncate(100 * 1024 * 1024)
    for endless in (str(tmp_path / "huge.csv"), "/dev/zero"):
        done = run("import", endless)
        assert done.output.startswith("The file: The file is larger than 16 MB. Split it.\n")
        assert done.exit_code == 1


@pytest.mark.parametrize(
    "row",
    [
        ["not an object"],
        {"\ud800\x1b[2J": 1, **FIRM},
        {**FIRM, "domains": ["\ud800\x1b[2J"]},
        {**FIRM, "smtp_server": "smtp.\ud800\x1b[2J.test:465"},
    ],
)
def test_what_a_file_holds_does_not_steer_the_terminal(run: Run, row: object) -> None:
    for options in ([], ["--json"]):
        done = run("import", "-", *options, typed=json.dumps([row]))
        assert done.exit_code == 1
        assert "\x1b" not in done.output


@pytest.mark.parametrize(
    "arguments",
    [["import"], ["import", "nowhere.csv"], ["import", "/"], ["import", "-", "--force"], ["bring"]],
)
def test_wrong_usage_is_2(run: Run, arguments: list[str]) -> None:
    assert run(*arguments).exit_code == 2


def test_the_examples_of_the_guide_can_be_imported(
    run: Run, file: WriteFile, session: Session
) -> None:
    for kind in ("csv", "json"):
        (example,) = re.findall(rf"```{kind}\n(.*?)```", GUIDE, re.DOTALL)
        done = run("import", file(example, name=f"example.{kind}"))
        assert done.exit_code == 0, done.output
    assert added(session) == ["Firm mail", "Old server", "Branch office"]


# Without a database, and in a process of its own


def test_a_dry_run_needs_no_database_and_makes_none(tmp_path: Path) -> None:
    data = tmp_path / "data"
    typed = f"{HEADER}\n{LINE}\n{LINE}\ngmail.com{LINE.removeprefix('Firm mail')}".encode()
    status, printed, _ = on_the_command_line(
        data, "import", "-", "--dry-run", "--json", typed=typed, environment={"LANGUAGE": "ru"}
    )
    assert [one["valid"] for one in each_row(printed)] == [True, False, True]
    assert status == 1
    assert not list(data.glob("postroom.sqlite*"))


def test_whatever_else_needs_a_database_says_so_and_makes_none(tmp_path: Path) -> None:
    (tmp_path / "services.csv").write_text(f"{HEADER}\n{LINE}")
    data = tmp_path / "data"
    for arguments in (["list"], ["import", str(tmp_path / "services.csv")]):
        status, printed, said = on_the_command_line(data, *arguments)
        assert (status, printed) == (1, "")
        assert "There is no database of this version here. `make run` makes it" in said
    assert not list(data.glob("postroom.sqlite*"))


def test_an_old_schema_is_told(run: Run, session: Session) -> None:
    session.execute(text("UPDATE alembic_version SET version_num = 'older'"))
    done = run("export")
    assert done.exit_code == 1
    assert "There is no database of this version here." in done.output


def test_what_is_exported_is_utf_8_whatever_the_terminal_is_and_comes_back(
    data_folder: Path, run: Run, file: WriteFile
) -> None:
    assert run("import", file(HEADER, LINE.replace("Firm mail", "Почта"))).exit_code == 0
    status, printed, _ = on_the_command_line(data_folder, "list", environment=ASCII)
    assert status == 0
    assert re.search(r"additional  \?{5} +smtp\.firm\.test:465 ", printed)
    for kind in ("csv", "json"):
        _, written, _ = on_the_command_line(
            data_folder, "export", "--format", kind, environment=ASCII
        )
        assert "Почта" in written
        status, said, _ = on_the_command_line(data_folder, "import", "-", typed=written.encode())
        assert status == 0
        assert said == "0 added, 0 changed, 12 unchanged.\n"


# list and export


def test_the_list_is_a_table_for_people(
    run: Run, file: WriteFile, session: Session, bob: User
) -> None:
    mailbox_of(session, bob)
    old = "Почта,192.0.2.1:25,none,true,imap.почта.рф:143,starttls,false"
    assert run("import", file(HEADER, old)).exit_code == 0
    session.execute(
        text("UPDATE mail_service SET name = 'Firm' || char(27) WHERE name = 'Firm mail'")
    )
    lines = [re.split(r"  +", line) for line in run("list").output.splitlines()]
    assert lines[0] == ["GROUP", "NAME", "SMTP", "IMAP", "SECURITY", "MAILBOXES", "HIDDEN"]
    assert ["standard", "outlook.com", "smtp-mail.outlook.com:587", "outlook.office365.com:993",
            "SMTP STARTTLS, IMAP TLS", "0", "hidden"] in lines  # fmt: skip
    assert ["additional", "Firm?", "smtp.firm.test:465", "imap.firm.test:993", "TLS", "1"] in lines
    assert lines[-1] == ["additional", "Почта", "192.0.2.1:25", "imap.почта.рф:143",
                         "SMTP None, IMAP STARTTLS", "0"]  # fmt: skip


def test_the_list_is_an_array_for_programs(run: Run, session: Session, bob: User) -> None:
    mailbox_of(session, bob)
    listed = json.loads(run("list", "--json").output)
    assert listed[-1] == {
        "group": "additional",
        "name": "Firm mail",
        "smtp_server": "smtp.firm.test:465",
        "smtp_security": "tls",
        "imap_server": "imap.firm.test:993",
        "imap_security": "tls",
        "mailboxes": 1,
        "hidden": False,
    }
    assert [one["name"] for one in listed if one["hidden"]] == ["outlook.com", "office365.com"]


def test_an_export_holds_every_field_in_json_and_the_servers_in_csv(
    run: Run, file: WriteFile
) -> None:
    assert run("import", file(HEADER, LINE)).exit_code == 0
    exported = json.loads(run("export").output)
    assert {tuple(one) for one in exported} == {FIELDS}
    assert exported == json.loads(run("export", "--format", "json").output)
    lines = run("export", "--format", "csv").output.splitlines()
    assert (lines[0], lines[-1], len(lines)) == (HEADER, LINE, len(exported) + 1)
    assert run("export", "--format", "xml").exit_code == 2
