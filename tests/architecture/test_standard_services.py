"""Standard services come with migrations, and what an administrator set stays."""

import json
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from migrations import standard_services
from models import LoginForm, MailService

PRESENT = "2026-11"
NEXT = "2027-01"


@pytest.fixture
def editions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The edition that the tests' database has, and a folder to put the next one into."""
    present = Path(standard_services.__file__).with_name("providers") / f"{PRESENT}.json"
    (tmp_path / f"{PRESENT}.json").write_text(present.read_text("utf-8"), "utf-8")
    monkeypatch.setattr(standard_services, "_EDITIONS", tmp_path)
    return tmp_path


def next_edition(folder: Path, name: str, **changed: Any) -> None:
    """The present one with one provider changed, or added."""
    about = json.loads((folder / f"{PRESENT}.json").read_text("utf-8"))
    providers = {one["name"]: one for one in about["providers"]}
    providers[name] = {**providers.get(name, providers["gmail.com"]), "name": name, **changed}
    text = json.dumps({"providers": list(providers.values())})
    (folder / f"{NEXT}.json").write_text(text, "utf-8")


def upgrade(session: Session) -> None:
    standard_services.bring_up_to_date(session.connection(), NEXT, PRESENT)
    session.expire_all()


def named(session: Session, name: str) -> MailService:
    return session.scalars(sa.select(MailService).where(MailService.name == name)).one()


def test_every_provider_is_there_and_those_without_a_password_are_hidden(session: Session) -> None:
    present = session.scalars(sa.select(MailService).order_by(MailService.position)).all()
    assert [one.name for one in present][:7] == [
        "gmail.com", "mail.ru", "yandex.ru", "rambler.ru", "yahoo.com", "outlook.com",
        "office365.com",
    ]  # fmt: skip
    assert all(one.standard for one in present)
    assert {one.name for one in present if one.hidden} == {"outlook.com", "office365.com"}
    assert {one.name for one in present if not one.takes_password} == {
        "outlook.com",
        "office365.com",
    }


def test_of_icloud_the_two_logins_differ(session: Session) -> None:
    icloud = named(session, "icloud.com")
    assert icloud.imap_login_form is LoginForm.LOCAL_PART
    assert icloud.smtp_login_form is LoginForm.ADDRESS


def test_what_the_provider_changed_is_taken_over(session: Session, editions: Path) -> None:
    before = named(session, "gmx.net").version
    next_edition(editions, "gmx.net", imap_server="imap.gmx.example:993", help_url="https://x.test")
    upgrade(session)
    gmx = named(session, "gmx.net")
    assert (gmx.imap_host, gmx.help_url) == ("imap.gmx.example", "https://x.test")
    assert gmx.version == before + 1


def test_what_nobody_changed_stays_as_it_is(session: Session, editions: Path) -> None:
    before = named(session, "mail.ru").version
    next_edition(editions, "gmx.net", imap_server="imap.gmx.example:993")
    upgrade(session)
    upgrade(session)
    assert named(session, "mail.ru").version == before


def test_what_an_administrator_set_stays(session: Session, editions: Path) -> None:
    gmail = named(session, "gmail.com")
    gmail.hidden, gmail.process_default, gmail.domains = True, False, ["firm.test"]
    session.flush()
    next_edition(editions, "gmail.com", domains=["gmail.com", "gmail.example"])
    upgrade(session)
    gmail = named(session, "gmail.com")
    assert (gmail.hidden, gmail.process_default, gmail.domains) == (True, False, ["firm.test"])


def test_domains_that_nobody_touched_follow_the_provider(session: Session, editions: Path) -> None:
    next_edition(editions, "gmail.com", domains=["gmail.com", "gmail.example"])
    upgrade(session)
    assert named(session, "gmail.com").domains == ["gmail.com", "gmail.example"]


def test_a_new_provider_is_put_in_once(session: Session, editions: Path) -> None:
    next_edition(editions, "post.example", imap_server="imap.post.example:993")
    upgrade(session)
    upgrade(session)
    assert named(session, "post.example").standard


def test_a_name_that_the_company_gave_to_its_own_service_stays_its_own(
    session: Session, editions: Path
) -> None:
    own = named(session, "gmx.net")
    own.standard, own.imap_host = False, "imap.firm.test"
    session.flush()
    next_edition(editions, "gmx.net", imap_server="imap.gmx.example:993")
    upgrade(session)
    assert named(session, "gmx.net").imap_host == "imap.firm.test"
