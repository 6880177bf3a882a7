"""Administration / People: who may sign in, and the links with which they come in."""

from typing import Any

from flask import Blueprint, url_for
from flask.typing import ResponseReturnValue

from blueprints.people.forms import PersonForm
from domain import people
from domain.people import LINK_LASTS
from mail.errors import RuleError
from models import db
from models.people import Role, User
from web.access import administrator
from web.fragments import fragment, is_fragment, page
from web.viewer import author

blueprint = Blueprint("people", __name__, url_prefix="/administration/people")


@blueprint.get("/")
@administrator
def index() -> ResponseReturnValue:
    return page("people/index.html", people=people.everyone(db.session()))


@blueprint.route("/add", methods=["GET", "POST"])
@administrator
def add() -> ResponseReturnValue:
    form = PersonForm()
    if form.validate_on_submit():
        try:
            person, token = people.add_person(
                db.session(),
                name=form.name.data,
                login=form.login.data,
                role=Role[form.role.data],
                by=author(),
            )
        except RuleError as error:
            form.refuse(error)
        else:
            db.session.commit()
            return _link_page(person, token)
    status = 422 if form.is_submitted() else 200
    if is_fragment():
        return fragment("people/_window.html", status, form=form)
    return page("people/add.html", status, form=form)


@blueprint.post("/<int:user_id>/link")
@administrator
def new_link(user_id: int) -> ResponseReturnValue:
    person = people.find(db.session(), user_id)
    token = people.new_link(db.session(), person, author())
    db.session.commit()
    return _link_page(person, token)


def _link_page(person: User, token: str) -> ResponseReturnValue:
    """The one time that the link is shown: only its hash is kept."""
    context: dict[str, Any] = {
        "person": person,
        "link": url_for("auth.invitation", token=token, _external=True),
        "days": LINK_LASTS.days,
    }
    if is_fragment():
        everyone = people.everyone(db.session())
        return fragment("people/_link_window.html", people=everyone, **context)
    return page("people/link.html", **context)
