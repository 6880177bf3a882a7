"""Rows of the list of services, with whatever they share made once: there may be 500 of them."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from flask import url_for
from flask_babel import gettext as _
from flask_babel import ngettext
from flask_wtf.csrf import generate_csrf
from markupsafe import Markup

from domain.services import Listed
from mail.security import Security
from mail.server_string import Protocol
from models.services import MailService
from web.templating import static_file


@dataclass(frozen=True)
class ShownServer:
    lock: Markup
    address: str


@dataclass(frozen=True)
class ShownService:
    """``mailboxes`` is how many use it, in words; empty for none."""

    id: int
    name: str
    standard: bool
    hidden: bool
    takes_password: bool
    sign_in: str
    help_url: str
    imap: ShownServer
    smtp: ShownServer
    mailboxes: str
    url: str
    toggle: str
    toggle_label: str
    settings_label: str
    delete_label: str


class RowFace:
    """Made for one answer, in the language of whoever looks."""

    def __init__(self) -> None:
        self.before = url_for("services.edit", service_id=0).removesuffix("0/edit")
        self.mailboxes_url = url_for("mailboxes.index") + "?service="
        self.icons = {name: self._icon(name) for name in ("eye", "eye-off", "settings", "trash-2")}
        self.csrf = Markup('<input type="hidden" name="csrf_token" value="{}">').format(
            generate_csrf()
        )
        self._counted: dict[int, str] = {}

    def row(self, one: Listed) -> ShownService:
        service = one.service
        show, hide, settings, delete = self._labels
        verb, label = ("show", show) if service.hidden else ("hide", hide)
        return ShownService(
            id=service.id,
            name=service.name,
            standard=service.standard,
            hidden=service.hidden,
            takes_password=service.takes_password,
            sign_in=self._sign_in(service),
            help_url=service.help_url if service.wants_app_password else "",
            imap=self._server(service, Protocol.IMAP),
            smtp=self._server(service, Protocol.SMTP),
            mailboxes=self._mailboxes(one.mailboxes),
            url=f"{self.before}{service.id}",
            toggle=verb,
            toggle_label=label % {"name": service.name},
            settings_label=settings % {"name": service.name},
            delete_label=delete % {"name": service.name},
        )

    @cached_property
    def _labels(self) -> tuple[str, str, str, str]:
        return (
            _("Show %(name)s"),
            _("Hide %(name)s"),
            _("Settings of %(name)s"),
            _("Delete %(name)s"),
        )

    @cached_property
    def _sign_ins(self) -> tuple[str, str, str]:
        return _("OAuth 2.0 only"), _("app password"), _("password")

    def _sign_in(self, service: MailService) -> str:
        """How one signs in there, as far as that is worth a word."""
        oauth, app_password, password = self._sign_ins
        if not service.takes_password:
            return oauth
        if service.wants_app_password:
            return app_password
        return password if service.standard else ""

    @cached_property
    def _locks(self) -> dict[Security, Markup]:
        return {
            Security.NONE: self._icon("lock-open", _("not encrypted")),
            Security.STARTTLS: self._icon("lock", "STARTTLS"),
            Security.TLS: self._icon("lock", "TLS"),
        }

    def _server(self, service: MailService, protocol: Protocol) -> ShownServer:
        lock = self._locks[service.security(protocol)]
        return ShownServer(lock, service.address(protocol).shown)

    def _mailboxes(self, count: int) -> str:
        if count and count not in self._counted:
            self._counted[count] = ngettext("%(num)s mailbox", "%(num)s mailboxes", count)
        return self._counted.get(count, "")

    def _icon(self, name: str, label: str = "") -> Markup:
        described = (
            Markup('role="img" aria-label="{}"').format(label)
            if label
            else Markup('aria-hidden="true"')
        )
        return Markup('<svg class="icon" {}><use href="{}#icon-{}"></use></svg>').format(
            described, static_file("icons.svg"), name
        )


def shown(listed: Iterable[Listed]) -> dict[str, Any]:
    """What the list is made of."""
    face = RowFace()
    return {"face": face, "rows": [face.row(one) for one in listed]}
