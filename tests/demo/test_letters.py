"""The year of mail that the demo begins with, and what comes while it runs."""

import io
import re
import zipfile
import zlib
from collections import Counter
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from xml.etree import ElementTree

import pytest

from demo import arrivals, attachments, special
from demo.arrivals import Postman, arrival
from demo.letters import Letter
from demo.office_hours import worked_after, worked_before
from demo.people import COLLEAGUES, EVERYBODY, OUTSIDERS
from demo.texts import conversations
from demo.year import FILES, letters
from mail.mime.parse import ParsedMessage, html_of, parse, part_content

# A Wednesday, a Sunday night, the last day of a leap year's February, by other clocks.
MOMENTS = (
    datetime(2026, 11, 25, 9, 30, tzinfo=UTC),
    datetime(2027, 1, 3, 23, 50, tzinfo=timezone(timedelta(hours=3))),
    datetime(2028, 2, 29, 4, 5, 6, 789, tzinfo=timezone(timedelta(hours=-8))),
    datetime(2026, 7, 31, 15, 0, tzinfo=UTC),
)
NOW = MOMENTS[0]


@pytest.fixture(scope="module")
def year() -> list[Letter]:
    return letters(NOW)


@pytest.fixture(scope="module")
def parsed(year: list[Letter]) -> list[tuple[Letter, ParsedMessage]]:
    return [(letter, parse(letter.raw)) for letter in year]


def test_the_same_seed_makes_the_same_bytes_and_another_one_does_not(year: list[Letter]) -> None:
    assert letters(NOW) == year
    assert letters(NOW, seed=8) != year


def test_there_are_some_four_hundred_messages_denser_towards_today(
    parsed: list[tuple[Letter, ParsedMessage]],
) -> None:
    ages = {message.message_id: NOW - letter.received_at for letter, message in parsed}
    assert 330 <= len(ages) <= 450
    quarters = Counter(min(age // timedelta(days=92), 3) for age in ages.values())
    assert quarters[0] > 1.5 * max(quarters[1], quarters[2], quarters[3])
    assert min(quarters.values()) > 30


@pytest.mark.parametrize("now", MOMENTS)
def test_every_moment_has_its_year_with_nothing_older_and_nothing_from_the_future(
    now: datetime,
) -> None:
    found = letters(now)
    assert [one.received_at for one in found] == sorted(one.received_at for one in found)
    for letter in found:
        date = parse(letter.raw).date
        assert date is not None
        assert now - timedelta(days=366) < date <= letter.received_at <= now
    assert any(
        one.folder == "INBOX" and now - one.received_at < timedelta(hours=1) for one in found
    )


def test_everybody_has_mail_in_both_languages_and_in_every_folder(
    parsed: list[tuple[Letter, ParsedMessage]],
) -> None:
    for login in COLLEAGUES:
        own = [(letter, message) for letter, message in parsed if letter.owner == login]
        folders = Counter(letter.folder for letter, _ in own)
        assert folders["INBOX"] > 90
        assert folders["Sent"] > 30
        assert folders["Drafts"] == 2
        assert min(folders["Junk"], folders["Trash"]) > 1
        inbox = [message for letter, message in own if letter.folder == "INBOX"]
        russian = [one for one in inbox if re.search("[а-я]", one.subject)]
        assert 15 < len(russian) < len(inbox) / 2


def test_nothing_is_left_to_be_filled_in(parsed: list[tuple[Letter, ParsedMessage]]) -> None:
    for _, message in parsed:
        names = [part.filename for part in message.parts]
        shown = " ".join([message.subject, message.text, *names])
        assert not re.search(r"\{[a-z]+[+-]?\d*\}|\$(headline|date)|\bNone\b", shown)
        assert message.subject
        assert message.text.strip()
        assert message.sender[0].name


def test_a_conversation_goes_on_in_order_and_quotes_what_it_answers(
    parsed: list[tuple[Letter, ParsedMessage]],
) -> None:
    dates = {message.message_id: message.date for _, message in parsed}
    answers = [message for _, message in parsed if message.in_reply_to]
    assert len(answers) > 180
    for message in answers:
        assert message.references[-1] == message.in_reply_to
        moments = [dates[one] for one in (*message.references, message.message_id)]
        assert None not in moments
        assert moments == sorted(moments, key=lambda one: one or NOW)
    quoting = [one for one in answers if re.search(r"(wrote|пишет):\n>", one.text)]
    assert len(quoting) > len(answers) / 2
    longest = max(len(one.references) + 1 for one in answers)
    assert 4 <= longest <= 6


def test_a_message_is_the_same_for_all_and_lies_once_in_each_mailbox(
    parsed: list[tuple[Letter, ParsedMessage]],
) -> None:
    places = Counter((letter.owner, letter.folder, one.message_id) for letter, one in parsed)
    assert max(places.values()) == 1
    for letter, message in parsed:
        own = f"{letter.owner}@firm.test"
        if letter.folder in {"Sent", "Drafts"}:
            assert message.sender[0].address == own
        else:
            assert own in {one.address for one in (*message.to, *message.cc)}


def test_flags_are_those_of_somebody_who_reads_mail(
    parsed: list[tuple[Letter, ParsedMessage]],
) -> None:
    answered = {
        (letter.owner, message.in_reply_to) for letter, message in parsed if letter.folder == "Sent"
    }
    flags = Counter[str]()
    unread = []
    for letter, message in parsed:
        flags.update(letter.flags)
        is_answered = (letter.owner, message.message_id) in answered and letter.folder != "Sent"
        assert (r"\Answered" in letter.flags) is is_answered
        assert (r"\Draft" in letter.flags) is (letter.folder == "Drafts")
        if letter.folder == "INBOX" and r"\Seen" not in letter.flags:
            unread.append(NOW - letter.received_at)
            assert not is_answered
    assert flags[r"\Flagged"] > 8
    assert 20 < len(unread) < 70
    assert sum(age < timedelta(days=4) for age in unread) > len(unread) / 2


def test_every_kind_of_attachment_is_there_and_can_be_opened(
    parsed: list[tuple[Letter, ParsedMessage]],
) -> None:
    kinds = Counter[str]()
    for letter, message in parsed:
        for part in message.parts:
            if part.is_attachment:
                kinds[part.filename.rpartition(".")[2]] += 1
                _require_openable(part.filename, part_content(letter.raw, part.path)[1])
    assert {"pdf", "png", "xlsx", "csv", "ics"} <= kinds.keys()
    assert kinds["pdf"] > 20


def _require_openable(name: str, content: bytes) -> None:
    if name.endswith(".pdf"):
        start = int(content.split(b"startxref\n")[1].split()[0])
        assert content[start:].startswith(b"xref")
        for number, line in enumerate(content[start:].split(b"\n")[3:8], 1):
            assert content[int(line.split()[0]) :].startswith(b"%d 0 obj" % number)
    elif name.endswith(".png"):
        _, width, height, pixels = _png(content)
        assert len(pixels) == height * (3 * width + 1)
    elif name.endswith(".xlsx"):
        with zipfile.ZipFile(io.BytesIO(content)) as book:
            assert book.testzip() is None
            sheet = ElementTree.fromstring(book.read("xl/worksheets/sheet1.xml"))  # noqa: S314
            assert len(sheet.findall(".//{*}row")) > 3
    elif name.endswith(".csv"):
        lines = content.decode("utf-8-sig").splitlines()
        assert {line.count(";") for line in lines} == {3}


def _png(content: bytes) -> tuple[bytes, int, int, bytes]:
    width, height = (int.from_bytes(content[at : at + 4]) for at in (16, 20))
    length = int.from_bytes(content[33:37])
    return content[:8], width, height, zlib.decompress(content[41 : 41 + length])


def test_an_unknown_kind_of_attachment_is_a_slip_in_the_texts() -> None:
    with pytest.raises(ValueError, match="doc"):
        attachments.make("doc", "Letter.doc", 1, "en")


def test_newsletters_have_at_least_twelve_looks(
    parsed: list[tuple[Letter, ParsedMessage]],
) -> None:
    subjects = {one.issues[0] for one in special.NEWSLETTERS}
    assert len(subjects) >= 12
    pages = {message.subject: html_of(letter.raw) or "" for letter, message in parsed}
    shown = [pages[subject] for subject in subjects]
    assert all(len(page) > 700 for page in shown)
    assert sum("<table" in page for page in shown) >= 8
    assert sum("<style" in page for page in shown) >= 5
    assert sum('src="https://' in page for page in shown) >= 4
    assert any(part.is_inline_image for _, message in parsed for part in message.parts)


def test_an_invitation_and_a_delivery_report_are_among_them(
    parsed: list[tuple[Letter, ParsedMessage]],
) -> None:
    (letter, invitation) = next(
        (letter, message)
        for letter, message in parsed
        if any(part.content_type == "text/calendar" for part in message.parts)
    )
    part = next(part for part in invitation.parts if part.content_type == "text/calendar")
    calendar = part_content(letter.raw, part.path)[1].decode().replace("\r\n ", "")
    assert b'method="REQUEST"' in letter.raw
    assert "METHOD:REQUEST" in calendar
    assert "ATTENDEE;CN=Bob Summers;RSVP=TRUE:mailto:bob@firm.test" in calendar
    report = next(one for one, _ in parsed if b"multipart/report" in one.raw)
    assert report.owner == "bob"
    assert b"report-type=delivery-status" in report.raw
    assert b"Final-Recipient: rfc822; office@aziz-architect.example" in report.raw
    assert b"Action: failed\r\nStatus: 5.1.2" in report.raw


def test_many_write_and_all_of_them_live_where_no_mail_arrives(
    parsed: list[tuple[Letter, ParsedMessage]],
) -> None:
    writers = {one.address for _, message in parsed for one in message.sender}
    assert len({person.address for person in OUTSIDERS.values()} & writers) >= 22
    for person in EVERYBODY.values():
        assert person.address.endswith((".example", "@firm.test"))


def test_texts_are_not_repeated() -> None:
    texts = [
        turn.text
        for name in (*FILES, "arrivals")
        for conversation in conversations(name)
        for turn in conversation.turns
    ]
    assert len(set(texts)) == len(texts)


@pytest.mark.parametrize("now", MOMENTS)
def test_delays_are_counted_at_work(now: datetime) -> None:
    for hours in (2, 5, 11, 24, 60):
        before = worked_before(now, timedelta(hours=hours))
        after = worked_after(now, timedelta(hours=hours))
        assert before <= now < after
        assert before.weekday() < 5
        assert after.weekday() < 5
        assert 8 <= before.hour <= 18
        assert 8 <= after.hour <= 18


# ---- While it runs -----------------------------------------------------------------------------


def test_arrivals_are_many_short_and_for_people_of_the_firm() -> None:
    found = [arrival(number, NOW) for number in range(arrivals.MOST)]
    messages = [parse(one.raw) for one in found]
    assert len({message.subject for message in messages}) >= 35
    assert len({message.message_id for message in messages}) == len(messages)
    for one, message in zip(found, messages, strict=True):
        assert one.sender in COLLEAGUES
        assert one.recipients
        assert set(one.recipients) <= COLLEAGUES.keys()
        assert message.date == NOW
        assert len(message.text) < 500
        assert not re.search(r"\{[a-z]", message.subject + message.text)
    inside = [one for one in messages if one.sender[0].address.endswith("@firm.test")]
    assert 0 < len(inside) < len(messages) / 2


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def _rounds(postman: Postman, clock: Clock, seconds: float) -> None:
    for _ in range(int(seconds)):
        clock.now += 1
        postman()


def test_the_first_comes_after_twenty_seconds_and_then_now_and_then() -> None:
    clock, brought = Clock(), list[float]()
    postman = Postman(lambda: brought.append(clock.now), clock=clock)
    clock.now += 500  # the start takes its time
    postman()
    began = clock.now
    _rounds(postman, clock, 19)
    assert not brought
    _rounds(postman, clock, 6000)
    assert brought[0] == began + 20
    pauses = [later - earlier for earlier, later in pairwise(brought)]
    assert all(40 <= pause <= 91 for pause in pauses)
    assert len(brought) == arrivals.MOST


def test_the_interval_can_be_set_and_zero_brings_nothing() -> None:
    for interval, expected in ((5, 4), (0, 0)):
        clock, brought = Clock(), list[float]()
        postman = Postman(lambda: brought.append(clock.now), interval, clock)  # noqa: B023
        postman()
        _rounds(postman, clock, 22)
        assert len(brought) == expected


def test_a_mail_server_that_is_away_is_tried_again_later() -> None:
    clock, tries = Clock(), list[float]()

    def bring() -> None:
        tries.append(clock.now)
        if len(tries) == 1:
            raise ConnectionRefusedError

    postman = Postman(bring, 10, clock)
    postman()
    _rounds(postman, clock, 25)
    assert len(tries) == 2
