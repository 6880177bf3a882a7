"""Giving a mailbox up: what it is about first, then the deed."""

from typing import Any

from flask import Response, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from blueprints.profile.area import blueprint
from blueprints.profile.mailbox_forms import DisconnectForm
from domain import disconnecting, mailboxes, removal
from domain.errors import NotFoundError
from mail.errors import RuleError
from models import db
from models.mailboxes import Mailbox, MailboxState
from web.access import signed_in
from web.fragments import fragment, go, is_fragment, page
from web.house import tasks
from web.viewer import now, person


@blueprint.route("/mail/<int:mailbox_id>/disconnect", methods=["GET", "POST"])
@signed_in
def disconnect(mailbox_id: int) -> ResponseReturnValue:
    own = mailboxes.find(db.session(), person(), mailbox_id)
    form = DisconnectForm.of(own)
    if request.method == "POST" and form.validate():
        try:
            keeps = form.keeps_mail
            disconnecting.disconnect(db.session(), own, keep_mail=keeps, now=now())
        except RuleError as error:
            form.refuse(error)
        else:
            db.session.commit()
            return _gave_up(own, keeps=keeps)
    return _ask(own, form, 422 if request.method == "POST" else 200)


@blueprint.get("/mail/<int:mailbox_id>/removing")
@signed_in
def removing(mailbox_id: int) -> ResponseReturnValue:
    """How far the removal is, asked again and again by the list. Gone is gone: the list is
    loaded anew, whoever asks.
    """
    try:
        own = mailboxes.find(db.session(), person(), mailbox_id)
    except NotFoundError:
        if not is_fragment():
            raise
        return Response(status=404, headers={"HX-Redirect": url_for("profile.mail")})
    left = removal.progress(db.session(), own)
    if request.args.get("shown", type=int) == left:
        return Response(status=204)
    return fragment("profile/_removing.html", mailbox=own, left=left)


def _gave_up(mailbox: Mailbox, *, keeps: bool) -> ResponseReturnValue:
    if keeps:
        said = _("%(address)s is disconnected. Its mail is kept.", address=mailbox.address)
        return go(url_for("profile.mail"), said)
    tasks().removing(mailbox.id)
    return go(url_for("profile.mail"), _("%(address)s is being removed.", address=mailbox.address))


def _ask(mailbox: Mailbox, form: DisconnectForm, status: int) -> ResponseReturnValue:
    known: dict[str, Any] = {
        "form": form,
        "mailbox": mailbox,
        "holdings": disconnecting.holdings(db.session(), mailbox),
        "is_disconnected": mailbox.state is MailboxState.DISCONNECTED,
    }
    if is_fragment():
        return fragment("profile/_disconnect.html", status, **known)
    return page("profile/disconnect.html", status, **known)
