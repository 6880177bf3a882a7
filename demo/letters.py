"""The mail that the demo begins with."""

from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formataddr

NEWSLETTER = """\
<html><head><style>h1 { color: #1f4bbd; } td { padding: 6px 14px; border-bottom: 1px solid #ddd }
</style></head><body>
<h1>What happens this week</h1>
<p>Hello <b>everyone</b>, here is the plan:</p>
<table><tr><td>Monday</td><td>Deliveries for the spring market</td></tr>
<tr><td>Wednesday</td><td>Stocktaking from 14:00, please keep the doors free</td></tr>
<tr><td>Friday</td><td>Cake in the kitchen</td></tr></table>
<p>The map is at <a href="https://map.firm.example/">map.firm.example</a>.</p>
<script>document.title = "never"</script>
<img src="https://tracker.firm.example/seen.gif" alt="">
</body></html>
"""


@dataclass(frozen=True)
class Letter:
    sender: str
    to: tuple[str, ...]
    subject: str
    text: str
    html: str = ""
    attachment: tuple[str, str] | None = None


LETTERS = (
    Letter(
        "bob",
        ("alice",),
        "Keys for the store room",
        "Good morning Alice,\n\nthe second key for the store room is in the drawer at the front "
        "desk. Could you tell Carol? She needs it on Thursday.\n\nBob\n",
    ),
    Letter(
        "carol",
        ("alice", "bob"),
        "Прайс-лист на весну",
        "Добрый день!\n\nВ приложении новый прайс-лист. Посмотрите, пожалуйста, до пятницы: "
        "особенно страницу про доставку.\n\nКэрол\n",
        attachment=("Прайс-лист.csv", "товар;цена\nконверт;12\nмарка;35\n"),
    ),
    Letter(
        "alice",
        ("bob", "carol"),
        "What happens this week",
        "Hello everyone, the plan for this week: deliveries on Monday, stocktaking on Wednesday, "
        "cake on Friday.\n",
        html=NEWSLETTER,
    ),
    Letter(
        "bob",
        ("carol",),
        "Lunch on Tuesday?",
        "Hi Carol,\n\nthe place at the corner has a new card. Tuesday at half past 12?\n\nBob\n",
    ),
    Letter(
        "carol",
        ("bob",),
        "Order 2214 is complete",
        "Hi Bob,\n\norder 2214 left the house this morning. The customer asked for the invoice by "
        "e-mail.\n\n> Did 2214 go out already?\n> They called twice.\n\nCarol\n",
    ),
    Letter(
        "bob",
        ("alice",),
        "Invoice for the printer",
        "Alice,\n\nthe invoice is attached. It is due at the end of the month.\n\nBob\n",
        attachment=(
            "invoice-0417.txt",
            "Printer, used ........ 180.00\nPaper ................. 24.50\n",
        ),
    ),
)


def message_of(letter: Letter, names: dict[str, str], domain: str) -> EmailMessage:
    """As a mail program would send it."""
    message = EmailMessage()
    message["From"] = _person(letter.sender, names, domain)
    message["To"] = ", ".join(_person(login, names, domain) for login in letter.to)
    message["Subject"] = letter.subject
    message.set_content(letter.text)
    if letter.html:
        message.add_alternative(letter.html, subtype="html")
    if letter.attachment is not None:
        filename, content = letter.attachment
        message.add_attachment(content, filename=filename)
    return message


def _person(login: str, names: dict[str, str], domain: str) -> str:
    return formataddr((names[login], f"{login}@{domain}"))
