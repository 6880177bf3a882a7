"""On well-formed mail the standard library reads the same."""

from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.headerregistry import Address as Person
from email.message import EmailMessage
from email.utils import parsedate_to_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mail.mime.build import build
from mail.mime.message import Address
from mail.mime.parse import parse, part_content
from tests.mail.mime.samples import BOB, CAROL, outgoing, patiently

SUBJECTS = [
    "Report", "Отчёт за январь", "Re: Größe €", "日本語の件名", "a, b; c (d) <e>", "🙂 " * 30,
    "a very long subject with many words " * 6,
]  # fmt: skip
TEXTS = ["Hello\n", "Привет,\n\nмир\n", "a " * 400 + "\n", ".\nFrom x\n\t= =20\n", "日本\n" * 50]
PEOPLE = [
    Address("", "a@x.test"), Address("Alice", "alice@firm.test"), Address("Иван", "i@firm.test"),
    Address("Smith, Bob", "bob@firm.test"), Address('O"Hara', "o@firm.test"),
    Address("J. R. Smith", "j.r@firm.test"),
]  # fmt: skip
words = st.text("abc ABC яжЁ日é,.;:()<>@'\"-!", max_size=60).map(
    lambda text: " ".join(text.split())
)
texts = st.text("abc яжЁ日é=.>\n\t-", max_size=200).map(lambda text: text.strip() + "\n")


def theirs(subject: str, people: list[Address], text: str, charset: str = "utf-8") -> EmailMessage:
    message = EmailMessage(policy=policy.SMTP)
    message["Subject"] = subject
    message["From"] = Person("Alice", "alice", "firm.test")
    message["To"] = [Person(one.name, addr_spec=one.address) for one in people]
    message["Date"] = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
    message.set_content(text, charset=charset)
    return message


def addresses(message: EmailMessage, field: str) -> list[Address]:
    return [Address(one.display_name, one.addr_spec) for one in message[field].addresses]


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("subject", SUBJECTS)
def test_what_the_library_built_is_read_as_the_library_reads_it(subject: str, text: str) -> None:
    raw = bytes(theirs(subject, PEOPLE, text))
    again = message_from_bytes(raw, policy=policy.default)
    assert isinstance(again, EmailMessage)
    ours = parse(raw)
    assert ours.subject == again["Subject"].strip() == subject.strip()
    assert list(ours.to) == addresses(again, "To") == PEOPLE
    assert ours.text == again.get_content().replace("\r\n", "\n").rstrip("\n")
    assert ours.date == parsedate_to_datetime(again["Date"])


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("subject", SUBJECTS)
def test_what_we_built_is_read_by_the_library_as_it_was_meant(subject: str, text: str) -> None:
    raw = build(outgoing(subject=subject.strip(), to=tuple(PEOPLE), cc=(BOB, CAROL), text=text))
    message = message_from_bytes(raw, policy=policy.default)
    assert isinstance(message, EmailMessage)
    assert not message.defects
    assert message["Subject"] == subject.strip()
    assert addresses(message, "To") == PEOPLE
    assert addresses(message, "Cc") == [BOB, CAROL]
    assert message.get_content().replace("\r\n", "\n") == text


@pytest.mark.parametrize("charset", ["koi8-r", "windows-1251", "iso-8859-5", "utf-8"])
def test_russian_from_the_library_is_read_in_every_charset(charset: str) -> None:
    raw = bytes(theirs("Отчёт", [BOB], "Добрый день!\n", charset))
    assert parse(raw).text == "Добрый день!"


@patiently
@given(words, texts)
def test_subjects_and_texts_agree_whatever_they_say(subject: str, text: str) -> None:
    raw = build(outgoing(subject=subject, text=text))
    message = message_from_bytes(raw, policy=policy.default)
    assert isinstance(message, EmailMessage)
    ours = parse(raw)
    assert ours.subject == (message["Subject"] or "") == subject
    assert ours.text == message.get_content().replace("\r\n", "\n").rstrip("\n")


def test_bodies_and_attachments_of_the_library_are_found() -> None:
    message = theirs("Report", [BOB], "plain\n")
    message.add_alternative("<p>html</p>\n", subtype="html")
    message.add_attachment(b"\0\xff" * 300, maintype="a", subtype="b", filename="Отчёт за март.bin")
    message.add_attachment(theirs("inner", [CAROL], "inner\n"))
    raw = bytes(message)
    ours = parse(raw)
    assert (ours.text, ours.html) == ("plain", "<p>html</p>\n")
    assert [part.filename for part in ours.attachments] == ["Отчёт за март.bin", "part-4.eml"]
    assert part_content(raw, "2")[1] == b"\0\xff" * 300
    assert parse(part_content(raw, "3")[1]).subject == "inner"


def test_a_picture_of_the_library_is_shown_in_its_html() -> None:
    message = theirs("Report", [BOB], "plain\n")
    message.add_alternative('<img src="cid:1@x">', subtype="html")
    html = list(message.iter_parts())[1]
    assert isinstance(html, EmailMessage)
    html.add_related(b"png", "image", "png", cid="<1@x>", filename="я.png")
    picture = parse(bytes(message)).parts[-1]
    assert (picture.path, picture.is_inline_image, picture.filename) == ("2.2", True, "я.png")
