"""*Demo*: what there is to try, step by step. There only while the demo runs."""

from flask import Blueprint, abort
from flask.typing import ResponseReturnValue

from web.access import anyone
from web.demo import demo_mailbox, demo_people
from web.fragments import page

blueprint = Blueprint("tour", __name__)


@blueprint.get("/demo")
@anyone
def index() -> ResponseReturnValue:
    people = demo_people()
    if not people:
        abort(404)
    return page("tour/index.html", people=people, mailbox=demo_mailbox())
