"""A year of mail in the mailboxes of three people."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from demo import conversing, special
from demo.letters import Letter, Mail, delivered, raw
from demo.people import COLLEAGUES
from demo.texts import Conversation, conversations

FILES = ("customers", "suppliers", "office", "russian", "recent", "notices")
_FOLDERS = {"junk": "Junk", "trash": "Trash"}
_LOGINS = {person.address: login for login, person in COLLEAGUES.items()}


@dataclass(frozen=True)
class _Sent:
    """A mail that was sent, or only begun; ``routine`` is what nobody waits for."""

    mail: Mail
    raw: bytes
    folder: str = "INBOX"
    routine: bool = False
    draft: bool = False


@dataclass(frozen=True)
class _Reading:
    """Pairs of a login and a Message-ID."""

    answered: frozenset[tuple[str, str]]
    read: frozenset[tuple[str, str]]


def letters(now: datetime, seed: int = 7) -> list[Letter]:
    """Everything that lies in the mailboxes at ``now``, oldest first.

    The same arguments make the same bytes. ``now`` must have a zone; people live by its clock.
    """
    now = now.replace(microsecond=0)
    chance = random.Random(seed)  # noqa: S311 - a story, not a secret
    sent = [*_conversations(now, chance), *_others(now, chance)]
    reading = _reading(sent)
    found = [letter for one in sent for letter in _letters(one, reading, now, chance)]
    return sorted(found, key=lambda letter: (letter.received_at, letter.owner, letter.folder))


def _reading(sent: list[_Sent]) -> _Reading:
    """Who answers a message has read all that came before."""
    own = [
        (_LOGINS[one.mail.sender.address], one.mail.references)
        for one in sent
        if one.mail.references and one.mail.sender.address in _LOGINS
    ]
    return _Reading(
        answered=frozenset((login, references[-1]) for login, references in own),
        read=frozenset((login, earlier) for login, references in own for earlier in references),
    )


def _conversations(now: datetime, chance: random.Random) -> Iterator[_Sent]:
    for name in FILES:
        listed = conversations(name)
        for number, conversation in enumerate(listed):
            share = (number + chance.random()) / len(listed)
            for begun in conversing.beginnings(conversation, share, now, chance):
                exact = not conversation.options.keys().isdisjoint({"ago", "at"})
                thread = conversing.begin(conversation, begun, chance, exact=exact)
                for _, mail in conversing.mails(thread, now):
                    yield _sent(conversation, mail, routine=name == "notices")


def _sent(conversation: Conversation, mail: Mail, *, routine: bool) -> _Sent:
    option = next((name for name in _FOLDERS if name in conversation.options), "")
    return _Sent(
        mail,
        raw(mail),
        folder=_FOLDERS.get(option, "INBOX"),
        routine=routine,
        draft="draft" in conversation.options,
    )


def _others(now: datetime, chance: random.Random) -> Iterator[_Sent]:
    for newsletter, mail in special.newsletters(now, chance):
        old = mail.date < now - timedelta(days=120) and not newsletter.sender
        yield _Sent(mail, raw(mail), folder="Trash" if old else "INBOX", routine=True)
    invitation = special.invitation(now, chance)
    yield _Sent(invitation, raw(invitation))
    failed = special.undeliverable(now, chance)
    yield _Sent(failed, raw(failed))
    yield _Sent(*special.report(failed, chance))


def _letters(
    sent: _Sent, reading: _Reading, now: datetime, chance: random.Random
) -> Iterator[Letter]:
    mail = sent.mail
    author = _LOGINS.get(mail.sender.address)
    if author is not None:
        folder, flags = ("Drafts", {r"\Draft"}) if sent.draft else ("Sent", set[str]())
        yield Letter(author, folder, sent.raw, mail.date, frozenset(flags | {r"\Seen"}))
    if sent.draft:
        return
    arrived = min(mail.date + timedelta(seconds=chance.randrange(1, 40)), now)
    for login in filter(None, (_LOGINS.get(one.address) for one in (*mail.to, *mail.cc))):
        flags = _flags(sent, (login, mail.message_id), reading, now - mail.date, chance)
        yield Letter(
            login, sent.folder, delivered(sent.raw, mail, login), arrived, frozenset(flags)
        )


def _flags(
    sent: _Sent, key: tuple[str, str], reading: _Reading, age: timedelta, chance: random.Random
) -> set[str]:
    flags = {r"\Answered"} if key in reading.answered else set()
    unread = chance.random() < _chance_unread(sent, age)
    if unread and key not in reading.read:
        return flags
    if not sent.routine and chance.random() < 0.06:
        flags.add(r"\Flagged")
    return flags | {r"\Seen"}


def _chance_unread(sent: _Sent, age: timedelta) -> float:
    if sent.folder != "INBOX":
        return 0.8 if sent.folder == "Junk" else 0
    if age < timedelta(hours=6):
        return 0.9
    if age < timedelta(days=3):
        return 0.45
    return 0.12 if sent.routine else 0.015
