"""What people may write in one line: names and subjects."""

import unicodedata

# Controls, surrogates and line ends; the joiners of emoji and of Persian words are letters here.
_NOT_IN_LINES = frozenset({"Cc", "Cs", "Zl", "Zp"})


def is_one_line(text: str) -> bool:
    return not any(unicodedata.category(letter) in _NOT_IN_LINES for letter in text)
