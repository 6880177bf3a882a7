"""What a notice asks for: another password, another try, a word of agreement, that it was read."""

from flask import Response, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from blueprints.profile.area import blueprint
from blueprints.profile.forms import NewPasswordForm
from domain import connecting, healing, mailboxes, notices, service_deletion
from mail.errors import RuleError
from models import db
from models.mailboxes import Mailbox
from web.access import signed_in
from web.fragments import fragment, go, is_fragment, page, toast
from web.house import ring, tasks
from web.notices import glance, notices_of
from web.viewer import now, person


@blueprint.app_context_processor
def _of_every_page() -> dict[str, object]:
    return {"glance": glance}


@blueprint.route("/mail/<int:mailbox_id>/password", methods=["GET", "POST"])
@signed_in
def new_password(mailbox_id: int) -> ResponseReturnValue:
    """Tries another password; the mailbox keeps its own until both servers took the new one.

    Typed in a notice, the answer is the notices; a notice that waits asks here for news.
    """
    mailbox = mailboxes.find(db.session(), person(), mailbox_id)
    if request.method != "POST" and is_fragment():
        return _news_of_try(mailbox)
    form = NewPasswordForm()
    if form.validate_on_submit():
        try:
            test = connecting.begin_password(
                db.session(), mailbox, form.password.data, ring=ring(), now=now()
            )
        except RuleError as error:
            form.refuse(error)
        else:
            db.session.commit()
            tasks().connection_test(test.id)
            if is_fragment():
                return fragment("shared/_notices.html", notices=notices_of(person()))
            return go(url_for("profile.watch", test_uuid=test.uuid))
    if is_fragment():
        refused = {mailbox.id: next(said for field in form for said in field.errors)}
        shown = notices_of(person(), refused=refused)
        return fragment("shared/_notices.html", 422, notices=shown)
    status = 422 if form.is_submitted() else 200
    return page("profile/new_password.html", status, form=form, mailbox=mailbox)


@blueprint.post("/mail/<int:mailbox_id>/try")
@signed_in
def try_now(mailbox_id: int) -> ResponseReturnValue:
    """Does not wait for the next visit to be due."""
    mailbox = mailboxes.find(db.session(), person(), mailbox_id)
    if healing.try_now(db.session(), mailbox, now()):
        db.session.commit()
        tasks().mailbox(mailbox.id)
    return _notices(_("%(address)s is being tried.", address=mailbox.address))


@blueprint.post("/mail/<int:mailbox_id>/agree")
@signed_in
def agree(mailbox_id: int) -> ResponseReturnValue:
    """The password may be used at the servers that an administrator moved the mailbox to."""
    mailbox = mailboxes.find(db.session(), person(), mailbox_id)
    asked = request.args.get("servers", "")
    if not service_deletion.agree(db.session(), mailbox, asked, now()):
        return _notices(
            _("%(address)s has other servers meanwhile. Read them first.", address=mailbox.address)
        )
    db.session.commit()
    tasks().mailbox(mailbox.id)
    return _notices(_("%(address)s is being connected.", address=mailbox.address))


@blueprint.post("/notices/<int:notice_id>/dismiss")
@signed_in
def dismiss(notice_id: int) -> ResponseReturnValue:
    notices.dismiss(db.session(), person(), notice_id)
    db.session.commit()
    return _notices("")


def _news_of_try(mailbox: Mailbox) -> ResponseReturnValue:
    shown = notices_of(person())
    asked = [one.password for one in shown if one.password is not None]
    if any(one.trying for one in asked if one.mailbox.id == mailbox.id):
        return Response(status=204)
    return fragment("shared/_notices_changed.html", notices=shown)


def _notices(words: str) -> ResponseReturnValue:
    if not is_fragment():
        return go(url_for("messages.index"), words)
    if words:
        toast(words)
    return fragment("shared/_notices.html", notices=notices_of(person()))
