"""Administration / Mail / Mailboxes: whose they are, how they are; nothing of what is in them."""

from typing import Any

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from blueprints.mailboxes import states
from blueprints.mailboxes.forms import FilterForm
from domain import overview
from domain.errors import NotFoundError
from domain.overview import Key
from models import db
from web.access import administrator
from web.clock import clock
from web.fragments import fragment, is_fragment, page
from web.viewer import now

blueprint = Blueprint("mailboxes", __name__, url_prefix="/administration/mail/mailboxes")

_DIGITS_MOST = 18  # of an id, and so that it fits into the database's


@blueprint.get("/")
@administrator
def index() -> ResponseReturnValue:
    """The first mailboxes by person; with a key in ``after``, those that follow it."""
    asked = _number(request.args.get("service", ""))
    form = FilterForm(overview.choices(db.session(), asked))
    after = _key(request.args.get("after", ""))
    listed = overview.page(db.session(), form.filters(), now=now(), after=after)
    # What the rows need is found once and not once for each.
    face: dict[str, Any] = {
        "form": form,
        "listed": listed,
        "last": _written(listed.last) if listed.last else "",
        "names": states.names(),
        "troubles": states.troubles,
        "clock": clock(),
    }
    if is_fragment():
        return fragment("mailboxes/_rows.html", **face)
    return page("mailboxes/index.html", **face)


def _key(text: str) -> Key | None:
    """A place in the list as it stands in an address: an id, a dot and a name."""
    if not text:
        return None
    mailbox_id, _dot, name = text.partition(".")
    if not _number(mailbox_id) or "\0" in name:  # which PostgreSQL would refuse
        raise NotFoundError
    return Key(name, int(mailbox_id))


def _written(key: Key) -> str:
    return f"{key.id}.{key.name}"


def _number(text: str) -> int:
    """An id as it stands in an address; 0, which no row has, for anything else."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _DIGITS_MOST else 0
