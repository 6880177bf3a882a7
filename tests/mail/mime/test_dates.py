"""Dates, right and wrong."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mail.mime.headers import date_of
from tests.mail.mime.samples import patiently

NINE = datetime(2026, 1, 1, 9, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "Thu, 01 Jan 2026 12:00:00 +0300",
        "Thu, 01 Jan 2026 04:00:00 -0500",
        "Thu, 01 Jan 2026 14:30:00 +0530",
        "Thu, 1 Jan 2026 09:00 GMT",
        "01 Jan 26 04:00:00 EST",
        "Thu, 01 Jan 2026 09:00:00",
        "Thu, 01 Jan 2026 09:00:00 -0000",
        "Thu, 01 Jan 2026 12:00:00 +0300 (MSK)",
        "Thu,01 Jan 2026 12.00.00 +0300",
        "Fri, 01 Jan 2026 12:00:00 +0300",
    ],
)
def test_a_date_is_read_in_utc(text: str) -> None:
    found = date_of(text.encode())
    assert found == NINE
    assert found is not None
    assert found.tzinfo is UTC


def test_a_leap_second_is_the_second_before_it() -> None:
    found = date_of(b"Sat, 31 Dec 2016 23:59:60 +0000")
    assert found == datetime(2016, 12, 31, 23, 59, 59, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "", "nonsense", "Thu, 99 Jan 2026 12:00:00 +0300", "Thu, 01 Jan 2026 25:00:00 +0300",
        "Thu, 01 Jan 2026 12:00:00 +9999", "Thu, 31 Dec 9999 23:59:59 -1200",
        "Thu, 01 Jan 99999999999 12:00:00", "Thu, 01 Jan 2026 12:00:61", "1 Jan", "\0", "я" * 100,
    ],
)  # fmt: skip
def test_what_is_no_date_is_none(text: str) -> None:
    assert date_of(text.encode()) is None


@patiently
@given(st.binary(max_size=100) | st.text("0123456789 JanThu,:+-()", max_size=60).map(str.encode))
def test_any_bytes_are_a_date_in_utc_or_none(value: bytes) -> None:
    found = date_of(value)
    assert found is None or found.tzinfo is UTC
