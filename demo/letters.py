"""What a letter is, and how it becomes the bytes that a mail program sends."""

import html
import textwrap
from dataclasses import dataclass, field
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage, MIMEPart
from email.policy import SMTP
from email.utils import format_datetime
from hashlib import sha256
from itertools import pairwise

from demo.attachments import File
from demo.people import DOMAIN, Person, Quoting
from demo.texts import day_name, language_of

_WIDTH = 70
_QUOTES_MOST = 3  # levels of quotation that are kept


@dataclass(frozen=True)
class Letter:
    """A message as it lies in somebody's mailbox."""

    owner: str
    folder: str
    raw: bytes
    received_at: datetime
    flags: frozenset[str]


@dataclass(frozen=True)
class Mail:
    """A message as it is written. Without ``text`` it is HTML alone.

    ``inline`` are pictures that the HTML shows by their names (cid).
    """

    sender: Person
    to: tuple[Person, ...]
    subject: str
    text: str
    date: datetime
    message_id: str
    cc: tuple[Person, ...] = ()
    html: str = ""
    files: tuple[File, ...] = ()
    inline: tuple[File, ...] = ()
    calendar: str = ""
    references: tuple[str, ...] = ()
    headers: tuple[tuple[str, str], ...] = field(default=())


def raw(mail: Mail) -> bytes:
    """The same mail makes the same bytes."""
    message = EmailMessage(policy=SMTP)
    message["Date"] = format_datetime(mail.date)
    message["From"] = _address(mail.sender)
    message["To"] = tuple(map(_address, mail.to))
    if mail.cc:
        message["Cc"] = tuple(map(_address, mail.cc))
    message["Subject"] = mail.subject
    message["Message-ID"] = mail.message_id
    if mail.references:
        message["In-Reply-To"] = mail.references[-1]
        message["References"] = " ".join(mail.references)
    for name, value in mail.headers:
        message[name] = value
    _fill(message, mail)
    _settle_boundaries(message, mail.message_id)
    return message.as_bytes()


def delivered(sent: bytes, mail: Mail, login: str) -> bytes:
    """With the lines that mail servers put above (RFC 5321, section 4.4)."""
    queue = sha256(f"{mail.message_id}{login}".encode()).hexdigest()[:12]
    trace = (
        f"Return-Path: <{mail.sender.address}>\r\n"
        f"Received: from mail.{mail.sender.domain} by smtp.{DOMAIN} with ESMTPS id {queue}\r\n"
        f"\tfor <{login}@{DOMAIN}>; {format_datetime(mail.date)}\r\n"
    )
    return trace.encode() + sent


def _address(person: Person) -> Address:
    return Address(person.name, addr_spec=person.address)


def _fill(message: EmailMessage, mail: Mail) -> None:
    charset = _charset(mail.text + mail.html, mail.sender.charset)
    if mail.text:
        message.set_content(mail.text, charset=charset)
    if mail.html:
        if mail.text:
            message.add_alternative(mail.html, subtype="html", charset=charset)
        else:
            message.set_content(mail.html, subtype="html", charset=charset)
    for one in mail.inline:
        # The part that was added last is the HTML.
        body = message.get_body(("html",))
        assert isinstance(body, MIMEPart)
        kind, subtype = one.content_type
        body.add_related(one.content, kind, subtype, cid=f"<{one.name}>", disposition="inline")
    if mail.calendar:
        message.add_alternative(
            mail.calendar, subtype="calendar", charset="utf-8", params={"method": "REQUEST"}
        )
    for one in mail.files:
        kind, subtype = one.content_type
        message.add_attachment(one.content, kind, subtype, filename=one.name)


def _charset(text: str, wanted: str) -> str:
    try:
        text.encode(wanted)
    except UnicodeEncodeError:
        return "utf-8"
    return wanted


def _settle_boundaries(message: EmailMessage, seed: str) -> None:
    """The email package would make them of chance."""
    parts = [part for part in message.walk() if part.is_multipart()]
    for number, part in enumerate(parts):
        part.set_boundary(f"=_{number}_{sha256(seed.encode()).hexdigest()[:24]}")


# ---- Text --------------------------------------------------------------------------------------


def written(text: str, sender: Person, *, signed: bool) -> str:
    """What somebody typed, in lines as mail programs break them."""
    signature = f"\n\n-- \n{sender.signature}" if signed and sender.signature else ""
    return "\n".join(map(_wrapped, text.split("\n"))) + signature + "\n"


def answering(text: str, sender: Person, earlier: Mail) -> str:
    """An answer with the message that it answers, as the sender's mail program quotes it."""
    if sender.quoting is Quoting.NONE:
        return text
    body = earlier.text
    if sender.quoting is not Quoting.BELOW:
        own = (line for line in body.partition("\n-- \n")[0].split("\n") if not _is_quoted(line))
        body = "\n".join(own)
    quoted = (
        f">{line}" if line.startswith(">") else f"> {line}".rstrip()
        for line in body.strip().split("\n")
    )
    kept = [line for line in quoted if not line.startswith(">" * (_QUOTES_MOST + 1))]
    quotation = "\n".join([_attribution(earlier, language_of(text)), *kept, ""])
    if sender.quoting is Quoting.ABOVE:
        return f"{quotation}\n{text}"
    return f"{text}\n{quotation}"


def forwarding(text: str, earlier: Mail) -> str:
    people = ", ".join(person.address for person in earlier.to)
    return (
        f"{text}\n---------- Forwarded message ----------\n"
        f"From: {earlier.sender.name} <{earlier.sender.address}>\n"
        f"Date: {format_datetime(earlier.date)}\nSubject: {earlier.subject}\nTo: {people}\n\n"
        f"{earlier.text}"
    )


def _attribution(earlier: Mail, language: str) -> str:
    day, time = day_name(earlier.date, language), f"{earlier.date:%H:%M}"
    if language == "ru":
        return f"{day} {earlier.date.year} г., {time}, {earlier.sender.name} пишет:"
    return f"On {day} {earlier.date.year} at {time}, {earlier.sender.name} wrote:"


def _is_quoted(line: str) -> bool:
    return line.startswith(">") or line.endswith((" wrote:", " пишет:"))


def _wrapped(line: str) -> str:
    return textwrap.fill(line, _WIDTH, break_long_words=False, break_on_hyphens=False)


def as_html(text: str) -> str:
    """The same text as a mail program writes it that knows HTML only."""
    style = "font-family: Calibri, Arial, sans-serif; font-size: 15px"
    return f'<html><body style="{style}">\n{_blocks(text.strip().split(chr(10)))}</body></html>\n'


def _blocks(lines: list[str]) -> str:
    made, quote = "", "margin: 0 0 0 8px; padding-left: 10px; border-left: 2px solid #b8b8b8"
    while lines:
        is_quote = lines[0].startswith(">")
        count = next(
            (n for n, line in enumerate(lines) if line.startswith(">") is not is_quote), len(lines)
        )
        block, lines = lines[:count], lines[count:]
        if is_quote:
            inner = _blocks([line[1:].removeprefix(" ") for line in block])
            made += f'<blockquote style="{quote}">\n{inner}</blockquote>\n'
        else:
            made += "".join(map(_paragraph, "\n".join(block).split("\n\n")))
    return made


def _paragraph(text: str) -> str:
    if not text.strip():
        return ""
    lines = html.escape(text.strip(), quote=False).split("\n")
    made = lines[0]
    for before, line in pairwise(lines):
        # Where only the width ended the line, HTML goes on.
        full = len(before) + 1 + len(line.split(" ")[0]) > _WIDTH - 4
        made += f"\n{line}" if full else f"<br>\n{line}"
    return f"<p>{made}</p>\n"
