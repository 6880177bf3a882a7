"""*Profile > Mail*: the person's mailboxes and what is set for each."""

from flask.typing import ResponseReturnValue

from blueprints.profile.area import blueprint
from domain import mailboxes
from models import db
from web.access import signed_in
from web.fragments import page
from web.viewer import person


@blueprint.get("/mail")
@signed_in
def mail() -> ResponseReturnValue:
    return page("profile/mail.html", mailboxes=mailboxes.connected(db.session(), person()))
