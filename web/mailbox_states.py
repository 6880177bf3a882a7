"""The states of a mailbox in words: what each is called, what its owner reads, and can do."""

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from flask_babel import gettext as _

from mail.server_string import Protocol
from models.mailboxes import Mailbox, MailboxState
from web.clock import clock
from web.wordings import Wording


class Remedy(enum.Enum):
    """What the owner can do about a state: the one button of its notice."""

    TRY_NOW = "try_now"
    NEW_PASSWORD = "new_password"  # noqa: S105 - the name of a button
    CONNECT_ANEW = "connect_anew"
    AGREE = "agree"

    @property
    def button(self) -> str:
        return {
            Remedy.TRY_NOW: _("Try now"),
            Remedy.NEW_PASSWORD: _("Save password"),
            Remedy.CONNECT_ANEW: _("Connect another mailbox"),
            Remedy.AGREE: _("Agree"),
        }[self]


@dataclass(frozen=True)
class StateWords:
    """``name`` is for lists, ``sentence`` for who has the mailbox; a state in which nothing is
    wrong has none. ``notice`` is the sentence above *Mail*, where it says more. Without a
    ``remedy`` there is no notice.
    """

    name: Callable[[], str]
    sentence: Wording | None = None
    remedy: Remedy | None = None
    notice: Wording | None = None


def name_of(state: MailboxState) -> str:
    return _WORDS[state].name()


def names() -> dict[MailboxState, str]:
    """All at once: a page asks for hundreds."""
    return {state: words.name() for state, words in _WORDS.items()}


def remedy_of(state: MailboxState) -> Remedy | None:
    return _WORDS[state].remedy


def sentence_of(mailbox: Mailbox) -> str | None:
    """Why a mailbox does not work; None where nothing is wrong."""
    wording = _WORDS[mailbox.state].sentence
    return None if wording is None else wording(**_named(mailbox))


def notice_of(mailbox: Mailbox, *, received: int = 0, expected: int = 0) -> str:
    """The sentence above *Mail* of a state with a remedy.

    ``received`` of the ``expected`` messages are here, as far as the server has told.
    """
    words = _WORDS[mailbox.state]
    wording = words.notice or words.sentence
    assert wording is not None, "a state with a remedy has a sentence"
    since = clock().moment(mailbox.state_since)
    return wording(**_named(mailbox), since=since, received=received, expected=expected)


def _named(mailbox: Mailbox) -> dict[str, str]:
    shown = [mailbox.servers.address(one).shown for one in (Protocol.IMAP, Protocol.SMTP)]
    return {"address": mailbox.address, "server": shown[0], "servers": ", ".join(shown)}


def _connecting(**p: object) -> str:
    if p["expected"]:
        return _(
            "%(address)s is being connected: %(received)s of %(expected)s messages are here so "
            "far.",
            **p,
        )
    return _("%(address)s is being connected; its messages appear as they arrive.", **p)


_WORDS: Final[dict[MailboxState, StateWords]] = {
    MailboxState.WORKING: StateWords(lambda: _("working")),
    MailboxState.CONNECTING: StateWords(
        lambda: _("connecting"), remedy=Remedy.TRY_NOW, notice=_connecting
    ),
    MailboxState.UNREACHABLE: StateWords(
        lambda: _("unreachable"),
        lambda **p: _("%(address)s cannot be reached just now.", **p),
        Remedy.TRY_NOW,
        lambda **p: _(
            "%(address)s has been unreachable since %(since)s; it is tried again by itself.",
            **p,
        ),
    ),
    MailboxState.LOGIN_REFUSED: StateWords(
        lambda: _("login refused"),
        lambda **p: _("%(server)s refuses the login or the password of %(address)s.", **p),
        Remedy.NEW_PASSWORD,
    ),
    MailboxState.APP_PASSWORD_WANTED: StateWords(
        lambda: _("app password wanted"),
        lambda **p: _("%(server)s wants an app password for %(address)s.", **p),
        Remedy.NEW_PASSWORD,
    ),
    MailboxState.SECRET_LOST: StateWords(
        lambda: _("password cannot be opened"),
        lambda **p: _("The key that opens the password of %(address)s is missing.", **p),
        Remedy.NEW_PASSWORD,
        lambda **p: _(
            "The key that opens the password of %(address)s is missing: type the password once "
            "more.",
            **p,
        ),
    ),
    MailboxState.CERTIFICATE_REFUSED: StateWords(
        lambda: _("certificate refused"),
        lambda **p: _(
            "%(address)s is not contacted: the certificate of %(server)s is not valid.", **p
        ),
        Remedy.TRY_NOW,
        lambda **p: _(
            "%(address)s is not contacted, for the certificate of %(server)s is not valid: tell "
            "your administrator.",
            **p,
        ),
    ),
    MailboxState.OVER_QUOTA: StateWords(
        lambda: _("full at the server"),
        lambda **p: _("%(address)s is full at the server.", **p),
        Remedy.TRY_NOW,
        lambda **p: _("%(address)s is full: delete mail at %(server)s or get more space.", **p),
    ),
    MailboxState.SERVICE_DELETED: StateWords(
        lambda: _("service deleted"),
        lambda **p: _(
            "An administrator deleted the mail service of %(address)s. Your mail stays readable; "
            "nothing is received or sent.",
            **p,
        ),
        Remedy.CONNECT_ANEW,
        lambda **p: _(
            "An administrator deleted the mail service of %(address)s: its mail stays readable, "
            "and the address can be connected through another service.",
            **p,
        ),
    ),
    MailboxState.MOVED: StateWords(
        lambda: _("waits for its owner"),
        lambda **p: _(
            "An administrator moved %(address)s to other servers: it works again once you agree "
            "that your password is used at %(servers)s.",
            **p,
        ),
        Remedy.AGREE,
    ),
    MailboxState.REMOVING: StateWords(
        lambda: _("being removed"), lambda **p: _("%(address)s is being removed.", **p)
    ),
    MailboxState.DISCONNECTED: StateWords(
        lambda: _("disconnected"),
        lambda **p: _(
            "%(address)s is disconnected. Its mail stays readable; nothing is received or sent.",
            **p,
        ),
    ),
}
