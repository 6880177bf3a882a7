"""What was built is read as it was meant, for any values."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from mail.mime.build import Outgoing, build
from mail.mime.headers import clean_line
from mail.mime.message import Address
from mail.mime.parse import parse
from tests.mail.mime.samples import patiently

atoms = st.text("abcXYZ019_+-", min_size=1, max_size=20)
domains = st.builds("{}.test".format, st.text("abc019", min_size=1, max_size=20))
# Whatever a person can type into one line.
lines = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=150) | st.text(
    "ab ,.;:@<>()\"\\=?_'Яё", max_size=80
)
people = st.builds(Address, lines, st.builds("{}@{}".format, atoms, domains))
lists = st.lists(people, max_size=4).map(tuple)
identifiers = st.builds(
    "<{}@{}>".format, st.text("abc0.-$=?", min_size=1, max_size=90), st.text("ab", min_size=1)
)
zones = st.integers(-12, 14).map(lambda hours: timezone(timedelta(hours=hours)))
messages = st.builds(
    Outgoing,
    message_id=identifiers,
    date=st.builds(datetime.fromtimestamp, st.integers(0, 4_000_000_000), zones),
    sender=people,
    to=lists,
    cc=lists,
    bcc=lists,
    subject=lines,
    text=st.text(st.characters(exclude_categories=["Cs"]), max_size=300),
    in_reply_to=st.just("") | identifiers,
    references=st.lists(identifiers, max_size=30, unique=True).map(tuple),
)


def as_shown(group: tuple[Address, ...]) -> list[tuple[str, str]]:
    """Names in one line, with single spaces: folding knows no others."""
    return [(" ".join(clean_line(one.name).split()), one.address) for one in group]


@patiently
@given(messages)
def test_what_was_built_is_read_as_it_was_meant(message: Outgoing) -> None:
    found = parse(build(message))
    assert found.subject == clean_line(message.subject)
    assert as_shown(found.sender) == as_shown((message.sender,))
    assert as_shown(found.to) == as_shown(message.to)
    assert as_shown(found.cc) == as_shown(message.cc)
    assert found.bcc == ()
    assert found.message_id == message.message_id
    assert found.in_reply_to == message.in_reply_to
    assert found.references == message.references
    assert found.date == message.date
    assert found.date.tzinfo is UTC
    text = message.text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "").rstrip("\n")
    assert found.text == (text if text.strip() else "")
    assert found.html is None
    assert not found.has_attachments


@patiently
@given(messages, lists)
def test_whoever_gets_a_hidden_copy_the_bytes_are_the_same(
    message: Outgoing, bcc: tuple[Address, ...]
) -> None:
    assert build(message) == build(replace(message, bcc=bcc))


@patiently
@given(messages)
def test_every_built_message_keeps_the_rules_of_the_way(message: Outgoing) -> None:
    raw = build(message)
    assert raw.isascii()
    assert raw.count(b"\r\n") == raw.count(b"\r") == raw.count(b"\n")
    head = raw.partition(b"\r\n\r\n")[0].split(b"\r\n")
    assert all(line.strip() for line in head)
    assert max(map(len, raw.split(b"\r\n"))) <= 998
