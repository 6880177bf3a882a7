"""The header section of a message of ours."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from mail.mime.build import build
from mail.mime.message import Address
from mail.mime.parse import parse
from tests.mail.mime.samples import BOB, CAROL, header_lines, outgoing

LONG_NAME = Address("Константин Константинопольский " * 8, "k@firm.test")


def field(raw: bytes, name: str) -> str:
    """The lines of a field, put together again."""
    unfolded = b"\r\n".join(header_lines(raw)).replace(b"\r\n ", b" ").decode()
    found = [line for line in unfolded.split("\r\n") if line.startswith(f"{name}: ")]
    assert len(found) <= 1
    return found[0].removeprefix(f"{name}: ") if found else ""


def test_a_plain_message_is_built_to_the_byte() -> None:
    raw = build(outgoing(cc=(CAROL,), in_reply_to="<0@x>", references=("<9@x>", "<0@x>")))
    assert raw == (
        b"Date: Sun, 01 Mar 2026 09:30:00 +0000\r\n"
        b"From: Alice <alice@firm.test>\r\n"
        b"To: Bob <bob@firm.test>\r\n"
        b"Cc: Carol <carol@firm.test>\r\n"
        b"Subject: Report\r\n"
        b"Message-ID: <1@firm.test>\r\n"
        b"In-Reply-To: <0@x>\r\n"
        b"References: <9@x> <0@x>\r\n"
        b"MIME-Version: 1.0\r\n"
        b"Content-Type: text/plain; charset=utf-8\r\n"
        b"Content-Transfer-Encoding: 7bit\r\n"
        b"\r\n"
        b"Hello\r\n"
    )


def test_the_same_values_give_the_same_bytes() -> None:
    assert build(outgoing(subject="Отчёт")) == build(outgoing(subject="Отчёт"))


def test_fields_without_a_value_are_left_out() -> None:
    raw = build(outgoing(to=(), subject=""))
    for name in (b"To", b"Cc", b"Subject", b"In-Reply-To", b"References"):
        assert b"\r\n" + name + b":" not in raw


def test_hidden_recipients_are_nowhere_in_the_bytes() -> None:
    raw = build(outgoing(bcc=(Address("Mallory", "secret@hidden.test"),)))
    for word in (b"bcc", b"mallory", b"secret", b"hidden"):
        assert word not in raw.lower()
    assert raw == build(outgoing())


@pytest.mark.parametrize(
    ("hours", "zone"), [(0, "+0000"), (3, "+0300"), (-5, "-0500"), (5.5, "+0530")]
)
def test_the_date_says_its_zone(hours: float, zone: str) -> None:
    date = datetime(2026, 3, 1, 9, 30, tzinfo=timezone(timedelta(hours=hours)))
    raw = build(outgoing(date=date))
    assert field(raw, "Date") == f"Sun, 01 Mar 2026 09:30:00 {zone}"
    assert parse(raw).date == date.astimezone(UTC)


@pytest.mark.parametrize(
    ("person", "written"),
    [
        (Address("", "bob@firm.test"), "bob@firm.test"),
        (Address("  ", "bob@firm.test"), "bob@firm.test"),
        (Address("Bob  Smith", "bob@firm.test"), "Bob Smith <bob@firm.test>"),
        (Address("Smith, Bob", "bob@firm.test"), '"Smith, Bob" <bob@firm.test>'),
        (Address("J. Smith", "bob@firm.test"), '"J. Smith" <bob@firm.test>'),
        (Address('B "x" \\', "bob@firm.test"), '"B \\"x\\" \\\\" <bob@firm.test>'),
        (Address("a@b.test", "bob@firm.test"), '"a@b.test" <bob@firm.test>'),
        (Address("Боб", "bob@firm.test"), "=?utf-8?b?0JHQvtCx?= <bob@firm.test>"),
        (Address("=?x?q?y?=", "bob@firm.test"), "=?utf-8?b?PT94P3E/eT89?= <bob@firm.test>"),
        (Address("B\x1bob", "bob@firm.test"), "=?utf-8?q?B=1Bob?= <bob@firm.test>"),
        (Address("", "иван@firm.test"), "иван@firm.test"),
        (Address("", "bob@почта.рф"), "bob@xn--80a1acny.xn--p1ai"),
        (Address("", "bob@Straße.test"), "bob@xn--strae-oqa.test"),
        (Address("", '"a@b"@firm.test'), '"a@b"@firm.test'),
    ],
)  # fmt: skip
def test_a_person_is_written_so_that_every_program_reads_it(person: Address, written: str) -> None:
    assert field(build(outgoing(sender=person)), "From") == written
    people = build(outgoing(to=(BOB, person, CAROL)))
    expected = f"Bob <bob@firm.test>, {written}, Carol <carol@firm.test>"
    assert field(people, "To") == expected


@pytest.mark.parametrize(
    ("subject", "written"),
    [
        ("Report for March", "Report for March"),
        ("Отчёт", "=?utf-8?b?0J7RgtGH0ZHRgg==?="),
        ("=?utf-8?q?a?=", "=?utf-8?b?PT91dGYtOD9xP2E/PQ==?="),
        ("a  b", "=?utf-8?q?a__b?="),
        (" a", "=?utf-8?q?_a?="),
        ("a\tb", "=?utf-8?b?YQli?="),
    ],
)
def test_a_subject_is_encoded_only_where_it_must_be(subject: str, written: str) -> None:
    assert field(build(outgoing(subject=subject)), "Subject") == written


@pytest.mark.parametrize(
    "values",
    [
        {"subject": "Отчёт за январь, февраль и март " * 20},
        {"subject": "word " * 100 + "end"},
        {"subject": "a" * 2_000},
        {"sender": LONG_NAME},
        {"to": (LONG_NAME, BOB) * 50},
        {"cc": (Address("a, b" + " " * 300 + "c", "k@firm.test"),)},
    ],
    ids=["encoded", "plain", "one word", "sender", "people", "spaces"],
)
def test_every_line_is_folded_and_none_is_empty(values: dict[str, object]) -> None:
    for line in header_lines(build(outgoing(**values))):
        assert len(line) <= 76
        assert line.strip()
        assert not line.endswith(b":")


def test_long_references_are_folded_and_never_encoded() -> None:
    references = tuple(f"<{'a' * (20 + number * 7)}=?$+@firm.test>" for number in range(60))
    raw = build(outgoing(references=references, in_reply_to=references[-1]))
    assert field(raw, "References").split(" ") == list(references)
    assert field(raw, "In-Reply-To") == references[-1]
    assert b"=?utf-8" not in raw
    for line in header_lines(raw):
        assert len(line) <= 76 or line.count(b"<") == 1
    assert parse(raw).references == references


def test_identifiers_of_any_allowed_length_fit_into_a_line() -> None:
    longest = f"<{'a' * 887}@firm.test>"
    raw = build(outgoing(message_id=longest, in_reply_to=longest, references=(longest, longest)))
    assert max(map(len, header_lines(raw))) <= 998
    assert not any(line.endswith(b":") for line in header_lines(raw))
    assert parse(raw).references == (longest,)
    assert parse(raw).message_id == longest
