"""The change log in words: who did what, and which field became what, named as on screen.

Codes and values stand in the log as they were once written, also those that no verb writes any
more. What nobody worded is shown as it is.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from flask_babel import gettext as _

from domain.changelog import LoggedService, Writer
from mail.server_string import ServerAddress, shown_name
from web.clock import Clock
from web.wordings import Wording

FINGERPRINT_SHOWN = 16  # of the 64 digits of a SHA-256: enough to tell two certificates apart


@dataclass(frozen=True, slots=True)
class Value:
    """``text`` is empty where nothing was set; ``whole`` is what it is short for, if it is."""

    text: str
    whole: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """``was_there`` is False for a field of something that was only just made."""

    field: str
    old: Value
    new: Value
    was_there: bool = True


def who(name: str) -> str:
    """Whoever changes something without being signed in types at the machine itself."""
    return name or _("console")


def unreadable(entry_id: int) -> str:
    """In the place of an entry that somebody wrote into past the product."""
    return _("Entry %(number)s cannot be read: it was altered in the database.", number=entry_id)


def writer(one: Writer) -> str:
    """One line of the choice of people."""
    if one.name and one.user_id is None:
        return _("%(name)s (without an account)", name=one.name)
    return who(one.name)


def service(one: LoggedService, clock: Clock) -> str:
    """One line of the choice of services; a name may be free again after a service was deleted."""
    if one.deleted_at is None:
        return one.name
    return _("%(name)s (deleted %(when)s)", name=one.name, when=clock.moment(one.deleted_at))


def what(action: str, name: str) -> str:
    """What was done, to be read after the name of who did it."""
    known = ACTIONS.get(action)
    return known(name=name) if known else f"{action} {name}".rstrip()


def changes(action: str, recorded: Mapping[str, tuple[object, object]]) -> list[Change]:
    """What became of each field, in the order in which the window shows them.

    A field that was recorded and did not change is left out.
    """
    made = all(old is None for old, _new in recorded.values())
    found = []
    for code in sorted(recorded, key=_place):
        old, new = recorded[code]
        if made or old != new:
            title, worded = _field(action, code)
            found.append(Change(title(), _value(worded, old), _value(worded, new), not made))
    return found


def _field(action: str, code: str) -> "Field":
    """Its words; a person's name is called otherwise than a service's."""
    of_area = f"{action.partition('.')[0]}.{code}"
    return FIELDS.get(of_area) or FIELDS.get(code) or (lambda: code, _as_it_is)


def _value(worded: Callable[[object], Value], recorded: object) -> Value:
    return Value("") if recorded is None or recorded in ("", []) else worded(recorded)


def _place(code: str) -> tuple[int, str]:
    return _PLACES.get(code, len(_PLACES)), code


def _as_it_is(recorded: object) -> Value:
    if isinstance(recorded, bool):
        return _yes_or_no(recorded)
    if isinstance(recorded, list):
        return Value(", ".join(_as_it_is(one).text for one in recorded))
    return Value(str(recorded))


def _yes_or_no(recorded: object) -> Value:
    return Value(_("yes") if recorded else _("no"))


def _allowed(recorded: object) -> Value:
    return Value(_("allowed") if recorded else _("not allowed"))


def _one_of(words: Callable[[], Mapping[str, str]]) -> Callable[[object], Value]:
    def worded(recorded: object) -> Value:
        return Value(words().get(str(recorded).upper(), str(recorded)))

    return worded


def _server(recorded: object) -> Value:
    """The log holds the ASCII form of an international name; people read its own letters."""
    host, _colon, port = str(recorded).rpartition(":")
    if not (port.isascii() and port.isdecimal()):
        return Value(str(recorded))
    return Value(ServerAddress(host.strip("[]"), int(port)).shown)


def _domains(recorded: object) -> Value:
    if not isinstance(recorded, list):
        return _as_it_is(recorded)
    return Value(", ".join(shown_name(str(one)) for one in recorded))


def _fingerprints(recorded: object) -> Value:
    whole = str(recorded)
    found = [one.strip() for one in whole.split(",")]
    short = [
        one[:FINGERPRINT_SHOWN] + "…" if len(one) > FINGERPRINT_SHOWN else one for one in found
    ]
    return Value(", ".join(short), whole)


_security = _one_of(
    lambda: {"NONE": _("None"), "STARTTLS": _("STARTTLS"), "TLS": _("TLS")},
)
_role = _one_of(
    lambda: {"EMPLOYEE": _("Employee"), "ADMINISTRATOR": _("Administrator")},
)
_login_form = _one_of(
    lambda: {
        "ADDRESS": _("full address"),
        "LOCAL_PART": _("part before @"),
        "TYPED": _("typed by hand"),
    },
)

Field = tuple[Callable[[], str], Callable[[object], Value]]

# The form of each sentence goes on after the name of who did it.
ACTIONS: dict[str, Wording] = {
    "services.add": lambda **p: _("added %(name)s", **p),
    "services.edit": lambda **p: _("changed %(name)s", **p),
    "services.hide": lambda **p: _("hid %(name)s", **p),
    "services.show": lambda **p: _("showed %(name)s again", **p),
    "services.delete": lambda **p: _("deleted %(name)s", **p),
    "services.restore": lambda **p: _("brought back %(name)s", **p),
    "services.move": lambda **p: _("moved the mailboxes of %(name)s to another service", **p),
    "services.import": lambda **p: _("imported services from %(name)s", **p),
    "settings.other": lambda **_p: _("changed the settings for Other"),
    "people.set_up": lambda **p: _("set up Postroom, with the administrator %(name)s", **p),
    "people.add": lambda **p: _("added the person %(name)s", **p),
    "people.new_link": lambda **p: _("made a new link for %(name)s to come in with", **p),
    "people.disable": lambda **p: _("disabled %(name)s", **p),
    "people.enable": lambda **p: _("enabled %(name)s again", **p),
    "people.role": lambda **p: _("changed the role of %(name)s", **p),
    "people.reset": lambda **p: _("let %(name)s in again with a new link", **p),
    "people.delete_mail": lambda **p: _("deleted the mail of %(name)s", **p),
    "keys.rotate": lambda **p: _("sealed the stored passwords anew under %(name)s", **p),
}

# In the order of the windows. SMTP and IMAP have the same words there, each in a block of its own.
FIELDS: dict[str, Field] = {
    "name": (lambda: _("Name"), _as_it_is),
    "people.name": (lambda: _("Full name"), _as_it_is),
    "login": (lambda: _("Login"), _as_it_is),
    "role": (lambda: _("Role"), _role),
    "active": (lambda: _("May sign in"), _yes_or_no),
    "address": (lambda: _("E-mail"), _as_it_is),
    "service": (lambda: _("Mail service"), _as_it_is),
    "smtp_server": (lambda: _("SMTP server"), _server),
    "smtp_security": (lambda: _("Connection security") + " (SMTP)", _security),
    "smtp_non_standard": (lambda: _("Non-standard server") + " (SMTP)", _yes_or_no),
    "imap_server": (lambda: _("IMAP server"), _server),
    "imap_security": (lambda: _("Connection security") + " (IMAP)", _security),
    "imap_non_standard": (lambda: _("Non-standard server") + " (IMAP)", _yes_or_no),
    "other_allowed": (lambda: _("Allow entering mail server details manually"), _yes_or_no),
    "other_process_default": (lambda: _("Use of mail in business processes"), _allowed),
    "process_default": (lambda: _("Use of mail in business processes"), _allowed),
    "smtp_login_form": (lambda: _("Login for SMTP"), _login_form),
    "imap_login_form": (lambda: _("Login for IMAP"), _login_form),
    "ca": (lambda: _("Trusted CA certificate"), _fingerprints),
    "domains": (lambda: _("Address domains"), _domains),
    "hidden": (lambda: _("Hidden"), _yes_or_no),
    "deleted": (lambda: _("Deleted"), _yes_or_no),
    "employee_networks": (lambda: _("Networks that employees may use"), _as_it_is),
    "mailboxes": (lambda: _("Mailboxes"), _as_it_is),
    "key": (lambda: _("Key"), _as_it_is),
    "messages": (lambda: _("Messages"), _as_it_is),
    "services.added": (lambda: _("Added"), _as_it_is),
    "services.changed": (lambda: _("Changed"), _as_it_is),
    "services.unchanged": (lambda: _("Unchanged"), _as_it_is),
}
_PLACES = {code: place for place, code in enumerate(FIELDS)}
