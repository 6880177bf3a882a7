"""Administration / Mail / Mailboxes: whose they are, how they are; nothing of what is in them."""

from typing import Any

from flask import Blueprint, abort, request
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
from web.ids import row_id
from web.viewer import now

blueprint = Blueprint("mailboxes", __name__, url_prefix="/administration/mail/mailboxes")


@blueprint.get("/")
@administrator
def index() -> ResponseReturnValue:
    """The first mailboxes by person; with a key in ``after``, those that follow it."""
    asked = row_id(request.args.get("service", ""))
    form = FilterForm(overview.choices(db.session(), asked))
    if not form.validate():
        if is_fragment():
            abort(422)  # further rows were asked for; the page around them has the form
        return page("mailboxes/index.html", 422, form=form, listed=None)
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
    if not row_id(mailbox_id) or "\0" in name:  # which PostgreSQL would refuse
        raise NotFoundError
    return Key(name, int(mailbox_id))


def _written(key: Key) -> str:
    return f"{key.id}.{key.name}"
