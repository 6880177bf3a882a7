"""Nothing that is put into a header can begin another one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mail.mime.build import build
from mail.mime.message import Address
from tests.mail.mime.samples import BOB, header_lines, outgoing, patiently

BREAKS = ["\r\nBcc: x@evil.test", "\nBcc: x@evil.test", "\rBcc: x@evil.test", "\n", "\0"]
NAMES = {
    "Date", "From", "To", "Cc", "Subject", "Message-ID", "In-Reply-To", "References",
    "MIME-Version", "Content-Type", "Content-Transfer-Encoding",
}  # fmt: skip


@pytest.mark.parametrize("line_break", BREAKS)
@pytest.mark.parametrize("before", ["Bob", "Боб", "B. Bob", "=?x", ""])
def test_a_line_break_in_a_name_or_subject_is_refused(before: str, line_break: str) -> None:
    text = before + line_break
    person = Address(text, "bob@firm.test")
    for values in (
        {"subject": text},
        {"sender": person},
        {"to": (BOB, person)},
        {"cc": (person, BOB)},
    ):
        with pytest.raises(ValueError, match="line break"):
            build(outgoing(**values))


@pytest.mark.parametrize("line_break", BREAKS)
def test_a_line_break_in_an_identifier_is_refused(line_break: str) -> None:
    for values in ({"message_id": f"<1@x>{line_break}"}, {"references": (f"<1@x>{line_break}",)}):
        with pytest.raises(ValueError, match="line break"):
            build(outgoing(**values))


@pytest.mark.parametrize(
    "address",
    [
        "", "bob", "bob\r\n@firm.test", "bob@firm.test\nBcc: x", "bob@firm.test\0",
        "a@x.test> <bob@firm.test", "<bob@firm.test>", "bob@фир\nма.рф", "bob@я..рф",
    ],
)  # fmt: skip
def test_what_is_no_address_is_refused(address: str) -> None:
    for values in (
        {"sender": Address("Bob", address)},
        {"to": (Address("", address),)},
        {"cc": (BOB, Address("Боб", address))},
    ):
        with pytest.raises(ValueError, match=r"."):
            build(outgoing(**values))


@patiently
@given(
    st.text(max_size=40) | st.text("a\r\n\0 :Я", max_size=40),
    st.sampled_from(["subject", "sender", "to", "cc", "in_reply_to", "references", "message_id"]),
)
def test_whatever_is_put_into_a_field_no_other_field_appears(text: str, name: str) -> None:
    person = Address(text, "bob@firm.test")
    values: dict[str, object] = {name: text}
    if name in {"sender", "to", "cc"}:
        values = {name: person if name == "sender" else (person,)}
    if name == "references":
        values = {name: (text,)}
    try:
        raw = build(outgoing(**values))
    except ValueError:
        return
    lines = header_lines(raw)
    assert {line.split(b":")[0].decode() for line in lines if line[:1] != b" "} <= NAMES
    assert not any(b"\r" in line or b"\n" in line or b"\0" in line for line in lines)
    assert raw.endswith(b"\r\n\r\nHello\r\n")
