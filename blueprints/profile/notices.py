"""What a notice above *Mail* asks for: another password, a word of agreement, that it was read."""

from flask import url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from blueprints.profile.area import blueprint
from blueprints.profile.forms import NewPasswordForm
from domain import connecting, mailboxes, notices, service_deletion
from mail.errors import RuleError
from models import db
from web.access import signed_in
from web.fragments import fragment, go, is_fragment, page, toast
from web.house import ring, tasks
from web.notices import notices_of
from web.viewer import now, person


@blueprint.route("/mail/<int:mailbox_id>/password", methods=["GET", "POST"])
@signed_in
def new_password(mailbox_id: int) -> ResponseReturnValue:
    """Tries another password; the mailbox keeps its own until both servers took the new one."""
    mailbox = mailboxes.find(db.session(), person(), mailbox_id)
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
            return go(url_for("profile.watch", test_uuid=test.uuid))
    status = 422 if form.is_submitted() else 200
    return page("profile/new_password.html", status, form=form, mailbox=mailbox)


@blueprint.post("/mail/<int:mailbox_id>/agree")
@signed_in
def agree(mailbox_id: int) -> ResponseReturnValue:
    """The password may be used at the servers that an administrator moved the mailbox to."""
    mailbox = mailboxes.find(db.session(), person(), mailbox_id)
    service_deletion.agree(db.session(), mailbox, now())
    db.session.commit()
    tasks().mailbox(mailbox.id)
    return _notices(_("%(address)s is being connected.", address=mailbox.address))


@blueprint.post("/notices/<int:notice_id>/dismiss")
@signed_in
def dismiss(notice_id: int) -> ResponseReturnValue:
    notices.dismiss(db.session(), person(), notice_id)
    db.session.commit()
    return _notices("")


def _notices(words: str) -> ResponseReturnValue:
    if not is_fragment():
        return go(url_for("messages.index"), words)
    if words:
        toast(words)
    return fragment("shared/_notices.html", notices=notices_of(person()))
