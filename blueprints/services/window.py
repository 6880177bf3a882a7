"""The window *Mail service settings*: what it is filled with and how it answers."""

from typing import Any

from flask import url_for
from flask.typing import ResponseReturnValue

from blueprints.services.forms import LOGIN_FORMS, ServiceForm, StandardServiceForm, of_service
from blueprints.services.rows import RowFace, ShownService, shown
from domain import services
from mail import certificates
from mail.errors import RuleError
from models import db
from models.services import MailService
from web import changelog_words
from web.fragments import close_window, fragment, go, is_fragment, page, toast
from web.ids import row_id

Window = ServiceForm | StandardServiceForm


def form_of(service: MailService | None) -> Window:
    """The form for a service, or for a new one; what was typed comes before what is stored."""
    if service is None:
        form: Window = ServiceForm()
    elif service.standard:
        form = StandardServiceForm(data=of_service(service))
    else:
        form = ServiceForm(data=of_service(service))
    if isinstance(form, ServiceForm):
        try:
            form.take_file()
        except RuleError as error:
            form.refused_file = error
    return form


def ask(
    form: Window, service: MailService | None, status: int = 0, **more: Any
) -> ResponseReturnValue:
    """The window with its form, empty, filled in, or with what is wrong at each field."""
    status = status or (422 if form.is_submitted() else 200)
    context: dict[str, Any] = {
        "form": form,
        "service": service,
        "standard": _standard(service),
        "login_forms": LOGIN_FORMS,
        "trusted": _trusted(form),
        **more,
    }
    if is_fragment():
        return fragment("services/_window.html", status, **context)
    return page("services/edit.html", status, **context)


def refused(form: Window, service: MailService) -> ResponseReturnValue:
    """Somebody saved meanwhile: what they changed is said, what was typed stays, and to save once
    more is to decide knowingly.
    """
    since = row_id(form.version.data or "") or service.version
    changes = services.changes_since(db.session(), service, since)
    form.version.data = str(service.version)
    entries = [
        {
            "who": changelog_words.who(entry.author_name),
            "at": entry.at,
            "changes": changelog_words.changes(
                entry.action, {name: (old, new) for name, (old, new) in entry.changes.items()}
            ),
        }
        for entry in changes
    ]
    return ask(form, service, 409, conflict={"entries": entries})


def saved(words: str) -> ResponseReturnValue:
    if not is_fragment():
        return go(url_for("services.index"), words)
    toast(words)
    rows = shown(services.listed(db.session()))
    return close_window(fragment("services/_list.html", **rows), "#services")


def _standard(service: MailService | None) -> ShownService | None:
    """What stands in the place of the fields of a service whose settings are read-only."""
    if service is None or not service.standard:
        return None
    return RowFace().row(services.listed_one(db.session(), service))


def _trusted(form: Window) -> tuple[certificates.CertificateFacts, ...]:
    """What the certificates in the form say of themselves, for eyes to compare."""
    if not isinstance(form, ServiceForm) or not form.ca_pem.data:
        return ()
    try:
        return certificates.facts(form.ca_pem.data)
    except ValueError:
        return ()
