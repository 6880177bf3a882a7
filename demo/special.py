"""Mail that no text file can hold: newsletters, an invitation and a delivery report."""

import random
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from html import unescape
from string import Template
from textwrap import fill

from demo.attachments import File, picture
from demo.conversing import message_id
from demo.letters import Mail
from demo.office_hours import worked_before, working_day
from demo.people import COLLEAGUES, DOMAIN, EVERYBODY, Person
from demo.texts import FOLDER, day_name, language_of


@dataclass(frozen=True)
class Newsletter:
    """``issues`` are the subjects, the newest first; ``age`` is that one's, in hours."""

    look: str
    to: tuple[str, ...]
    age: int
    every: int
    issues: tuple[str, ...]
    sender: str = ""
    alternative: bool = True
    picture: str = ""


NEWSLETTERS = (
    Newsletter(
        "museum",
        ("bob",),
        2,
        75,
        ("Forty hills from a drawer", "Scissors, please", "A Sunday for paper boats"),
        picture="banner@musee.example",
    ),
    Newsletter(
        "mill",
        ("alice", "carol"),
        27,
        60,
        (
            "Two new papers",
            "The new dryer is running",
            "Open day at the mill",
            "Why we planted hay",
        ),
    ),
    Newsletter("fair", ("bob",), 80, 110, ("Your stand is waiting", "The halls are filling up")),
    Newsletter(
        "library", ("alice",), 12, 90, ("What happens this week", "New in the reading room")
    ),
    Newsletter("inks", ("carol",), 5, 100, ("Coral, the twelfth attempt", "Lagoon is back")),
    Newsletter(
        "northline", ("alice",), 230, 120, ("Three habits for safe mail",), alternative=False
    ),
    Newsletter("railways", ("bob",), 52, 85, ("Slow lines, fine views", "A seat by the window")),
    Newsletter("chamber", ("alice",), 150, 95, ("Circular for small firms", "What changes soon")),
    Newsletter("cycling", ("bob",), 29, 65, ("Sunday: along the canal", "The map is ready")),
    Newsletter(
        "seeds",
        ("carol",),
        98,
        105,
        ("Small packets, large flowers", "What you can sow now"),
        alternative=False,
    ),
    Newsletter(
        "skrepka", ("carol", "bob"), 33, 70, ("Новинки недели", "Блокноты, перья и журавли")
    ),
    Newsletter("paper_museum", ("carol",), 9, 140, ("Старый станок снова печатает",)),
    Newsletter(
        "recipes",
        ("carol",),
        74,
        50,
        ("Чечевичный суп с лимоном", "Суп, который ждёт на плите", "Ужин за двадцать минут"),
        alternative=False,
    ),
    Newsletter(
        "figures",
        ("bob", "carol"),
        57,
        92,
        ("Our numbers", "Our numbers, and a thank-you"),
        sender="alice",
    ),
)


def newsletters(now: datetime, chance: random.Random) -> list[tuple[Newsletter, Mail]]:
    made = []
    for newsletter in NEWSLETTERS:
        for number, subject in enumerate(newsletter.issues):
            age = timedelta(hours=newsletter.age, days=number * newsletter.every)
            date = now - age - timedelta(seconds=chance.randrange(1500))
            made.append((newsletter, _issue(newsletter, subject, date, chance)))
    return made


def _issue(newsletter: Newsletter, subject: str, date: datetime, chance: random.Random) -> Mail:
    sender = EVERYBODY[newsletter.sender or newsletter.look]
    look = Template((FOLDER / "newsletters" / f"{newsletter.look}.html").read_text("utf-8"))
    language = language_of(subject)
    day = f"{day_name(date, language)} {date.year}"
    page = f"https://{sender.domain}/letters/{chance.randrange(100, 999)}"
    shown = look.substitute(headline=subject, date=day)
    headers = (("List-Unsubscribe", f"<{page}/unsubscribe>"), ("Precedence", "bulk"))
    inline: tuple[File, ...] = ()
    if newsletter.picture:
        inline = (File(newsletter.picture, ("image", "png"), picture(584, 170, 3)),)
    return Mail(
        sender=sender,
        to=tuple(COLLEAGUES[login] for login in newsletter.to),
        subject=subject,
        text=_as_text(shown) if newsletter.alternative else "",
        html=shown,
        date=date,
        message_id=message_id(sender.domain, chance),
        inline=inline,
        headers=() if newsletter.sender else headers,
    )


def _as_text(page: str) -> str:
    """What a newsletter's own program makes of its HTML."""
    page = re.sub(r"<(head|script).*?</\1>", "", page, flags=re.DOTALL)
    page = re.sub(r"</(p|h[1-3]|td|th|li|dt|dd|div)>|<br>", "\n", page, flags=re.IGNORECASE)
    lines = (line.strip() for line in unescape(re.sub(r"<[^>]+>", "", page)).split("\n"))
    return "\n\n".join(fill(line, 76) for line in lines if line) + "\n"


# ---- An invitation -----------------------------------------------------------------------------


def invitation(now: datetime, chance: random.Random) -> Mail:
    """RFC 5546, 3.2.2: Henrik asks for a meeting at the mill."""
    sender, date = EVERYBODY["henrik"], worked_before(now, timedelta(hours=3, minutes=10))
    begins = working_day(now, 6).replace(hour=10, minute=0, second=0, microsecond=0)
    day = day_name(begins, "en")
    guests = (COLLEAGUES["carol"], COLLEAGUES["bob"])
    lines = [
        "BEGIN:VCALENDAR",
        "PRODID:-//Dahl Paper Mill//Calendar//EN",
        "VERSION:2.0",
        "METHOD:REQUEST",
        "BEGIN:VEVENT",
        f"UID:{chance.getrandbits(64):016x}@{sender.domain}",
        "SEQUENCE:0",
        f"DTSTAMP:{_stamp(date)}",
        f"DTSTART:{_stamp(begins)}",
        f"DTEND:{_stamp(begins + timedelta(hours=2))}",
        "SUMMARY:Visit to the mill",
        "LOCATION:Dahl Paper Mill\\, Mill Road 1",
        f"ORGANIZER;CN={sender.name}:mailto:{sender.address}",
        *(f"ATTENDEE;CN={one.name};RSVP=TRUE:\r\n mailto:{one.address}" for one in guests),
        "STATUS:CONFIRMED",
        "END:VEVENT",
        "END:VCALENDAR",
    ]
    calendar = "\r\n".join(lines) + "\r\n"
    text = (
        f"Dear Carol, dear Bob,\n\nthe new dryer is running, and I would like to show it to you:\n"
        f"{day}, 10:00 to 12:00, with soup afterwards. Does that suit you?\n\nHenrik\n"
    )
    return Mail(
        sender=sender,
        to=guests,
        subject=f"Invitation: Visit to the mill, {day}",
        text=text,
        date=date,
        message_id=message_id(sender.domain, chance),
        calendar=calendar,
        files=(File("invite.ics", ("application", "ics"), calendar.encode()),),
    )


def _stamp(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y%m%dT%H%M%SZ}"


# ---- A delivery report -------------------------------------------------------------------------


def undeliverable(now: datetime, chance: random.Random) -> Mail:
    """What Bob wrote to an address with a slip in it."""
    wrong = Person("Farida Aziz", "office@aziz-architect.example")
    return Mail(
        sender=COLLEAGUES["bob"],
        to=(wrong,),
        subject="Gusset envelopes: 250 are packed",
        text="Dear Ms Aziz,\n\nyour envelopes are packed and leave us tomorrow morning.\n\n"
        "Kind regards\nBob Summers\n",
        date=worked_before(now, timedelta(hours=12)),
        message_id=message_id(DOMAIN, chance),
    )


def report(failed: Mail, chance: random.Random) -> tuple[Mail, bytes]:
    """RFC 3464, and the mail as the rest of the story sees it."""
    date, server = failed.date + timedelta(seconds=8), f"smtp.{DOMAIN}"
    sender, (recipient,) = EVERYBODY["postmaster"], failed.to
    subject = "Undelivered Mail Returned to Sender"
    mail = Mail(
        sender=sender,
        to=(failed.sender,),
        subject=subject,
        text="",
        date=date,
        message_id=message_id(DOMAIN, chance),
        references=(failed.message_id,),
    )
    boundary = f"=_report_{chance.getrandbits(64):016x}"
    raw = f"""\
Date: {format_datetime(date)}
From: {sender.name} <{sender.address}>
To: {failed.sender.address}
Subject: {subject}
Message-ID: {mail.message_id}
In-Reply-To: {failed.message_id}
References: {failed.message_id}
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status;
 boundary="{boundary}"

--{boundary}
Content-Type: text/plain; charset=us-ascii

This is the mail system at {server}.

Your message could not be delivered to

    {recipient.address}

because there is no mail server for aziz-architect.example. Please check
the spelling of the address. The message is not tried again.

--{boundary}
Content-Type: message/delivery-status

Reporting-MTA: dns; {server}
Arrival-Date: {format_datetime(failed.date)}

Final-Recipient: rfc822; {recipient.address}
Action: failed
Status: 5.1.2
Diagnostic-Code: smtp; 550 5.1.2 Domain not found

--{boundary}
Content-Type: text/rfc822-headers

Date: {format_datetime(failed.date)}
From: {failed.sender.name} <{failed.sender.address}>
To: {recipient.name} <{recipient.address}>
Subject: {failed.subject}
Message-ID: {failed.message_id}

--{boundary}--
"""
    return mail, raw.replace("\n", "\r\n").encode("ascii")
