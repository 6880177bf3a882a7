"""Ids of rows as they stand in forms and addresses."""

_DIGITS_MOST = 18  # so that it fits into the database's


def row_id(text: str) -> int:
    """The id, or 0, which no row has, for anything else; a version is read the same way."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _DIGITS_MOST else 0
