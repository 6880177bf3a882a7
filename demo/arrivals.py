"""Mail that comes while the demo runs."""

import random
import smtplib
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from demo import conversing
from demo.letters import raw
from demo.people import COLLEAGUES, DOMAIN
from demo.texts import conversations

MOST = 40  # in one run
FIRST_SECONDS = 20.0
PAUSE_SECONDS = (40.0, 90.0)
_TIMEOUT = 5.0


@dataclass(frozen=True)
class Arrival:
    """``sender`` signs in to send it: a colleague, or for an outsider's mail its first reader."""

    sender: str
    recipients: tuple[str, ...]
    raw: bytes


def arrival(number: int, now: datetime, seed: int = 7) -> Arrival:
    """The list begins anew at its end, with other numbers in the texts."""
    chance = random.Random(f"{seed} {number} {now.isoformat()}")  # noqa: S311 - a story
    listed = conversations("arrivals")
    conversation = listed[number % len(listed)]
    thread = conversing.begin(conversation, now, chance, exact=True)
    ((turn, mail),) = conversing.mails(thread, now)
    recipients = tuple(login for login in (*turn.to, *turn.cc) if login in COLLEAGUES)
    sender = turn.sender if turn.sender in COLLEAGUES else recipients[0]
    return Arrival(sender, recipients, raw(mail))


def deliver(one: Arrival, port: int, password: str, ca: Path) -> None:
    """Through the demo's own server. Raises OSError (smtplib's errors are such)."""
    context = ssl.create_default_context(cafile=str(ca))
    context.check_hostname = False  # the name is in the demo's own host table only
    with smtplib.SMTP_SSL("127.0.0.1", port, context=context, timeout=_TIMEOUT) as smtp:
        sender = f"{one.sender}@{DOMAIN}"
        smtp.login(sender, password)
        smtp.sendmail(
            sender, [f"{login}@{DOMAIN}" for login in one.recipients], one.raw, ["BODY=8BITMIME"]
        )


class Postman:
    """To be called often: now and then it brings the next arrival, else it does nothing.

    With ``interval`` (seconds) the time between two is always the same; 0 brings none.
    """

    def __init__(
        self,
        bring: Callable[[], None],
        interval: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._bring = bring
        self._interval = interval
        self._clock = clock
        self._chance = random.Random()  # noqa: S311 - a story, not a secret
        self._left = 0 if interval == 0 else MOST
        self._due: float | None = None

    def __call__(self) -> None:
        if self._due is None:
            self._due = self._clock() + (self._interval or FIRST_SECONDS)
        if not self._left or self._clock() < self._due:
            return
        self._due = self._clock() + (self._interval or self._chance.uniform(*PAUSE_SECONDS))
        try:
            self._bring()
        except OSError:
            return  # the mail server is being started again; next time
        self._left -= 1
