"""From texts to mail: who writes when, and what is quoted."""

import random
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from demo import attachments
from demo.letters import Mail, answering, as_html, forwarding, written
from demo.office_hours import at_work, worked_after, worked_before
from demo.people import COLLEAGUES, EVERYBODY
from demo.texts import Conversation, Slots, Turn, duration


@dataclass
class Thread:
    """A conversation that has begun. ``exact`` keeps its delays to the minute."""

    conversation: Conversation
    begun: datetime
    slots: Slots
    chance: random.Random
    exact: bool
    mails: list[Mail] = field(default_factory=list)


def begin(
    conversation: Conversation, begun: datetime, chance: random.Random, *, exact: bool = False
) -> Thread:
    begun = begun.replace(microsecond=0)
    slots = Slots(begun, conversation.language, chance)
    return Thread(conversation, begun, slots, chance, exact)


def mails(thread: Thread, now: datetime) -> Iterator[tuple[Turn, Mail]]:
    """What has been written by ``now``; the rest is yet to come."""
    moment = thread.begun
    for number, turn in enumerate(thread.conversation.turns):
        if number:
            moment = _next_moment(thread, turn, moment)
        if moment > now:
            return
        mail = _mail(thread, turn, moment)
        thread.mails.append(mail)
        yield turn, mail


def message_id(domain: str, chance: random.Random) -> str:
    return f"<{chance.getrandbits(72):018x}@{domain}>"


def _next_moment(thread: Thread, turn: Turn, moment: datetime) -> datetime:
    chance = thread.chance
    delay = turn.delay or timedelta(minutes=chance.randrange(20, 240))
    if not thread.exact:
        delay += timedelta(seconds=chance.randrange(int(delay.total_seconds() / 8)))
    return worked_after(moment, delay)


def _mail(thread: Thread, turn: Turn, moment: datetime) -> Mail:
    sender = EVERYBODY[turn.sender]
    inside = all(key in COLLEAGUES for key in (turn.sender, *turn.to, *turn.cc))
    text = thread.slots.fill(turn.text)
    text = written(text, sender, signed=not inside and not thread.mails and not _is_draft(thread))
    subject = thread.slots.fill(thread.conversation.subject)
    if turn.forwards:
        subject, text = f"Fwd: {subject}", forwarding(text, thread.mails[-1])
    elif thread.mails:
        subject, text = f"Re: {subject}", answering(text, sender, thread.mails[-1])
    return Mail(
        sender=sender,
        to=tuple(EVERYBODY[key] for key in turn.to),
        cc=tuple(EVERYBODY[key] for key in turn.cc),
        subject=subject,
        text=text,
        html=as_html(text) if sender.html else "",
        date=moment,
        message_id=message_id(sender.domain, thread.chance),
        files=tuple(_file(thread, kind, name) for kind, name in turn.files),
        references=tuple(mail.message_id for mail in thread.mails),
    )


def _is_draft(thread: Thread) -> bool:
    return "draft" in thread.conversation.options


def _file(thread: Thread, kind: str, name: str) -> attachments.File:
    name = thread.slots.fill(name)
    return attachments.make(kind, name, zlib.crc32(name.encode()), thread.conversation.language)


# ---- When a conversation begins ----------------------------------------------------------------


def beginnings(
    conversation: Conversation, share: float, now: datetime, chance: random.Random
) -> list[datetime]:
    """Several for what repeats itself. ``share``, from 0 to 1, places it in the year otherwise."""
    options = conversation.options
    if "ago" in options:
        return [worked_before(now, duration(options["ago"]))]
    if "at" in options:
        age = timedelta(days=int(options["at"]), minutes=chance.randrange(60, 600))
        return [worked_before(now, age)]
    if "month" in options:
        return [at_work(_in_month(int(options["month"]), now, chance))]
    if "monthly" in options:
        return _monthly(int(options["monthly"]), int(options.get("step", "1")), now, chance)
    if "every" in options:
        every = int(options["every"])
        ages = range(chance.randrange(1, every), 360, every)
        moments = (_some_time(now - timedelta(days=age + 3), chance) for age in ages if age < 355)
        return [at_work(moment) for moment in moments]
    moment = now - timedelta(days=4 + 350 * (1 - share) ** 1.35)
    return [at_work(_some_time(moment, chance))]


def _some_time(moment: datetime, chance: random.Random) -> datetime:
    return moment.replace(hour=chance.randrange(8, 17), minute=chance.randrange(60))


def _in_month(month: int, now: datetime, chance: random.Random) -> datetime:
    """In the last such month that is over the tenth day, but within the year."""
    moment = _some_time(now, chance).replace(month=month, day=chance.randrange(3, 12))
    if moment > now - timedelta(days=3):
        moment = moment.replace(year=moment.year - 1)
    return max(moment, now - timedelta(days=358))


def _monthly(day: int, step: int, now: datetime, chance: random.Random) -> list[datetime]:
    found = []
    for back in range(0, 12, step):
        year, month = divmod(now.year * 12 + now.month - 1 - back, 12)
        moment = now.replace(year=year, month=month + 1, day=day, hour=6)
        moment = moment.replace(minute=chance.randrange(60), second=chance.randrange(60))
        if now - timedelta(days=360) < moment <= now:
            found.append(moment)
    return found
