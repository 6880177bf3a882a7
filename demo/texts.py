"""The texts of the story, as they lie in demo/story, and what is filled into them.

    === Subject | option=value; option
    --- sender > recipient, recipient cc recipient | delay | pdf=Name.pdf; fwd
    The text.

A delay is 40m, 3h or 2d. ``{w+3}`` is the name of the day three working days after the
conversation began (in Russian with its preposition), ``{d+3}`` its date, ``{m-1}`` the month
before; the other words in braces are those of ``Slots``.
"""

import random
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path

from demo.office_hours import working_day

FOLDER = Path(__file__).parent / "story"

_MONTHS = {
    "en": "January February March April May June July August September October November December",
    "ru": "январь февраль март апрель май июнь июль август сентябрь октябрь ноябрь декабрь",
    "ru of": "января февраля марта апреля мая июня июля августа сентября октября ноября декабря",
}
_DAYS = {
    "en": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
    "ru": (
        "в понедельник",
        "во вторник",
        "в среду",
        "в четверг",
        "в пятницу",
        "в субботу",
        "в воскресенье",
    ),
}
_PRODUCTS = ("Notebook A5, dotted", "Gift paper Meadow", "Envelopes C6, grey", "Paper flags, 20")
_PLACES = ("Ashby & Daughters", "Holm Books", "Café Beck", "Nair Gifts", "Hotel Miramar")
_SLOT = re.compile(r"\{([a-z]+)([+-]\d+)?\}")
_DELAY = {"m": "minutes", "h": "hours", "d": "days"}


@dataclass(frozen=True)
class Turn:
    """One message of a conversation; people are keys of ``demo.people.EVERYBODY``."""

    sender: str
    to: tuple[str, ...]
    cc: tuple[str, ...]
    delay: timedelta | None
    files: tuple[tuple[str, str], ...]
    forwards: bool
    text: str


@dataclass(frozen=True)
class Conversation:
    """What it is about, how it is placed in the year, and its messages."""

    subject: str
    options: Mapping[str, str]
    turns: tuple[Turn, ...]

    @property
    def language(self) -> str:
        return language_of(self.subject + self.turns[0].text)


def language_of(text: str) -> str:
    return "ru" if re.search("[а-яё]", text, re.IGNORECASE) else "en"


@lru_cache(maxsize=16)
def conversations(name: str) -> tuple[Conversation, ...]:
    """Those of one file, in its order."""
    text = (FOLDER / f"{name}.txt").read_text(encoding="utf-8")
    return tuple(_conversation(piece) for piece in re.split(r"^=== ", text, flags=re.M)[1:])


def duration(text: str) -> timedelta:
    return timedelta(**{_DELAY[text[-1]]: int(text[:-1])})


def _conversation(piece: str) -> Conversation:
    head, *turns = re.split(r"^--- ", piece, flags=re.M)
    subject, _, options = head.strip().partition(" | ")
    return Conversation(subject, dict(_options(options)), tuple(map(_turn, turns)))


def _turn(piece: str) -> Turn:
    head, _, text = piece.partition("\n")
    people, delay, extra = (part.strip() for part in f"{head}||".split("|")[:3])
    sender, _, others = people.partition(" > ")
    to, _, cc = others.partition(" cc ")
    found = _options(extra)
    return Turn(
        sender,
        _names(to),
        _names(cc),
        duration(delay) if delay else None,
        tuple((kind, name) for kind, name in found if name),
        ("fwd", "") in found,
        text.strip(),
    )


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _options(text: str) -> list[tuple[str, str]]:
    pairs = (part.partition("=") for part in text.split(";") if part.strip())
    return [(name.strip(), value.strip()) for name, _, value in pairs]


class Slots:
    """What the words in braces mean within one conversation."""

    def __init__(self, begun: datetime, language: str, chance: random.Random) -> None:
        self._begun = begun
        self._language = language
        day = begun.timetuple().tm_yday
        self._values = {
            "order": str(1000 + begun.toordinal() % 2000 * 3 + chance.randrange(3)),
            "invoice": f"{begun.year}-{day * 2 + chance.randrange(2):04}",
            "n": str(chance.randrange(10_000_000, 99_999_999)),
            "amount": f"{chance.randrange(40, 900)}.{chance.randrange(10)}0",
            "pieces": str(chance.randrange(3, 25)),
            "kilos": str(chance.randrange(4, 60)),
            "product": chance.choice(_PRODUCTS),
            "place": chance.choice(_PLACES),
        }

    def fill(self, text: str) -> str:
        return _SLOT.sub(self._value, text)

    def _value(self, found: re.Match[str]) -> str:
        name, shift = found[1], int(found[2] or 0)
        if name == "w":
            return _DAYS[self._language][working_day(self._begun, shift).weekday()]
        if name == "d":
            return day_name(working_day(self._begun, shift), self._language)
        if name == "m":
            return _MONTHS[self._language].split()[(self._begun.month - 1 + shift) % 12]
        return self._values[name]


def day_name(moment: datetime, language: str) -> str:
    """12 March, 12 марта."""
    of = "ru of" if language == "ru" else "en"
    return f"{moment.day} {_MONTHS[of].split()[moment.month - 1]}"
