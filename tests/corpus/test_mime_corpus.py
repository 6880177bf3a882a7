"""Whatever public suites hold is listed and shown, or kept as unreadable: never an exception."""

import os
import time
from pathlib import Path

import pytest

from mail.mime.parse import UnparseableError, parse, part_content

FOLDER = Path(os.environ["POSTROOM_CORPUS"]) / "mime"
MESSAGES = sorted(FOLDER.glob("*.eml"))
SECONDS = 2.0


@pytest.mark.parametrize("path", MESSAGES, ids=lambda path: path.name)
def test_every_message_is_read_in_time_or_said_to_be_unreadable(path: Path) -> None:
    raw = path.read_bytes()
    begun = time.monotonic()
    try:
        message = parse(raw)
    except UnparseableError:
        return
    finally:
        assert time.monotonic() - begun < SECONDS
    assert len(message.preview) <= 200
    for line in (message.subject, message.preview, *(one.name for one in message.sender)):
        assert "\n" not in line
        assert "\r" not in line
    for part in message.parts:
        found, content = part_content(raw, part.path)
        assert found.size == len(content) == part.size
        assert part.filename or not part.is_attachment
        assert "/" not in part.filename
