"""What a reply begins with."""

from dataclasses import dataclass
from datetime import datetime

from domain.messages import Opened
from mail.mime.build import quote_text, reply_subject

REFERENCES_MOST = 50
QUOTED_LONGEST = 100_000  # characters: an answer must stay as long as a message may be


@dataclass(frozen=True)
class Draft:
    to: str
    subject: str
    quoted: str
    author: str
    date: datetime
    in_reply_to: str
    references: tuple[str, ...]


def reply_to(opened: Opened) -> Draft:
    """To whom it goes, what it is called, what it quotes, and what it answers (RFC 5322, 3.6.4)."""
    message, headers = opened.message, opened.content.headers
    own = opened.mailbox.address.lower()
    senders = headers.get("reply_to") or headers.get("sender") or []
    if all(person["address"].lower() == own for person in senders):
        senders = headers.get("to") or senders
    before = headers.get("references") or [headers.get("in_reply_to", "")]
    references = (*before, message.message_id)
    return Draft(
        to=", ".join(_written(person["name"], person["address"]) for person in senders),
        subject=reply_subject(message.subject),
        quoted=quote_text(opened.content.text[:QUOTED_LONGEST]),
        author=message.sender_name or message.sender_address,
        date=datetime.fromisoformat(headers["date"])
        if headers.get("date")
        else message.received_at,
        in_reply_to=message.message_id,
        references=tuple(one for one in references if one)[-REFERENCES_MOST:],
    )


def _written(name: str, address: str) -> str:
    if not name or name == address:
        return address
    plain = name.replace("\\", "").replace('"', "")
    has_specials = any(character in plain for character in ",;:<>@()[].")
    return f'"{plain}" <{address}>' if has_specials else f"{plain} <{address}>"
