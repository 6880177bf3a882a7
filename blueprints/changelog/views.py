"""Administration / Mail / Change log: who changed what, and the same as a file."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from flask import Blueprint, Response, abort, request, stream_with_context
from flask.typing import ResponseReturnValue

from blueprints.changelog.export import lines
from blueprints.changelog.forms import FilterForm
from domain import changelog
from domain.changelog import BATCH, Filters, Key, Page
from domain.errors import NotFoundError
from models import db
from web import changelog_words
from web.access import administrator
from web.clock import clock
from web.fragments import fragment, is_fragment, page

blueprint = Blueprint("changelog", __name__, url_prefix="/administration/mail")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_KEY = re.compile(r"-?[0-9]{1,18}\.[0-9]{1,18}")


@blueprint.get("/changes/")
@administrator
def index() -> ResponseReturnValue:
    """The newest entries; with a key in ``after``, those that follow it."""
    form = _form()
    if not form.validate():
        return _refused(form)
    listed = changelog.page(db.session(), form.filters(), after=_key(request.args.get("after")))
    if is_fragment():
        return fragment("changelog/_rows.html", form=form, **_face(listed))
    return page("changelog/index.html", form=form, **_face(listed))


@blueprint.get("/changes.csv")
@administrator
def download() -> ResponseReturnValue:
    """All entries that fit the filters, one batch after the other."""
    form = _form()
    if not form.validate():
        return _refused(form)
    name = f"postroom-changes-{datetime.now(UTC):%Y-%m-%d}.csv"
    return Response(
        stream_with_context(lines(_batches(form.filters()))),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


def _form() -> FilterForm:
    session = db.session()
    return FilterForm(changelog.writers(session), changelog.logged_services(session), clock())


def _refused(form: FilterForm) -> ResponseReturnValue:
    if is_fragment():
        abort(422)  # older rows were asked for; the page around them has the form
    return page("changelog/index.html", 422, form=form, listed=None)


def _face(listed: Page) -> dict[str, Any]:
    """What the rows need, found once and not once for each."""
    return {
        "listed": listed,
        "last": _written(listed.last) if listed.last else "",
        "words": changelog_words,
        "clock": clock(),
    }


def _batches(filters: Filters) -> Iterator[Page]:
    after: Key | None = None
    more = True
    while more:
        found = changelog.page(db.session(), filters, after=after, most=BATCH)
        # Whoever downloads may be slow, and nothing may be held open for as long.
        db.session.rollback()
        after, more = found.last, found.more
        yield found


def _key(text: str | None) -> Key | None:
    """A place in the list as it stands in an address: microseconds and an id."""
    if not text:
        return None
    microseconds, _dot, entry = text.partition(".")
    if not _KEY.fullmatch(text):
        raise NotFoundError
    try:
        return Key(_EPOCH + timedelta(microseconds=int(microseconds)), int(entry))
    except OverflowError as error:
        raise NotFoundError from error


def _written(key: Key) -> str:
    return f"{(key.at - _EPOCH) // timedelta(microseconds=1)}.{key.id}"
