"""What other parsers found in the same messages, and why we differ where we do."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from mail.mime.parse import parse

FOLDER = Path(os.environ["POSTROOM_CORPUS"]) / "mime"
INDEX: list[dict[str, Any]] = json.loads((FOLDER / "index.json").read_text("utf-8"))["messages"]
EXPECTED: dict[str, list[dict[str, Any]]] = {
    row["file"]: row["expectations"] for row in INDEX if row["expectations"]
}

OF_ANOTHER: Final = "it is the text of an attached message, which is read when that is opened"
NO_PATH: Final = "a name has no path and none of the characters that paths are made of"
LOST: Final = "theirs lost a letter that ours has"
ALL_OF_FROM: Final = "theirs is the first alone; who else claims to have written it is shown too"

# File and field: why ours is another answer than theirs.
DIFFERENT: dict[tuple[str, str], str] = {
    ("imap_tools__attachment_emails__attachment_with_encoded_name.eml", "attachment_names"): (
        "the byte is none of the charset that is named; theirs marks it, ours guesses"
    ),
    ("imap_tools__error_emails__content_transfer_encoding_7-bit.eml", "text_contains"): (
        "ISO-8859-1 is read as windows-1252, as in browsers; theirs dropped a control character"
    ),
    ("imap_tools__messages__attachment_2_base64.eml", "text_contains"): OF_ANOTHER,
    ("imap_tools__messages__attachment_7bit.eml", "text_contains"): OF_ANOTHER,
    ("imap_tools__messages__attachment_8bit.eml", "text_contains"): OF_ANOTHER,
    ("imap_tools__plain_emails__raw_email_with_at_display_name.eml", "from"): ALL_OF_FROM,
    ("phpmime__mails__issue133.eml", "attachment_names"): NO_PATH,
    ("phpmime__mails__m0020.eml", "attachment_names"): "it has no name, and is given another one",
    ("phpmime__mails__m0027.eml", "attachment_names"): NO_PATH,
    ("stalwart__legacy__016.eml", "attachment_names"): LOST,
    ("stalwart__legacy__022.eml", "subject"): LOST,
    ("stalwart__legacy__023.eml", "attachment_names"): LOST,
    ("stalwart__legacy__027.eml", "subject"): LOST,
    ("stalwart__legacy__033.eml", "text_contains"): LOST,
    ("stalwart__legacy__039.eml", "attachment_names"): NO_PATH,
    ("stalwart__malformed__005.eml", "text_contains"): (
        "the line that begins the inner multipart is also the one that ends the outer"
    ),
    ("stalwart__malformed__020.eml", "text_contains"): "theirs is HTML, ours what the HTML says",
    ("stalwart__rfc__001.eml", "attachment_names"): NO_PATH,
    ("stalwart__rfc__001.eml", "from"): "a single word is a name to them, to us an address",
    ("zbateson__emails__m0010.eml", "from"): ALL_OF_FROM,
}


@pytest.mark.parametrize("file", EXPECTED)
def test_what_others_found_is_found_or_differs_for_a_reason(file: str) -> None:
    raw = (FOLDER / file).read_bytes()
    differing = {field: found for one in EXPECTED[file] for field, found in _differing(raw, one)}
    assert differing.keys() == {field for name, field in DIFFERENT if name == file}, differing


def test_a_difference_is_explained_in_a_message_that_there_is() -> None:
    assert {name for name, _ in DIFFERENT} <= EXPECTED.keys()


def _differing(raw: bytes, expected: dict[str, Any]) -> Iterator[tuple[str, object]]:
    """The fields in which ours is another answer, with that answer."""
    found = parse(raw)
    subject = expected.get("subject")
    if subject and found.subject != subject.strip():
        yield "subject", found.subject
    people = [one.get("email") or "" for one in expected.get("from") or ()]
    if people and people != [one.address for one in found.sender]:
        yield "from", found.sender
    names = {part.filename for part in found.parts}
    if not set(filter(None, expected.get("attachment_names") or ())) <= names:
        yield "attachment_names", names
    if _flat(expected.get("text_contains") or "") not in _flat(found.text):
        yield "text_contains", found.text


def _flat(text: str) -> str:
    return "".join(text.split())
