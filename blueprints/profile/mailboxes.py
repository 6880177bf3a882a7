"""*Profile > Mail*: the person's mailboxes and what is set for each."""

from functools import partial
from typing import Any

from flask import url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from blueprints.profile.area import blueprint
from blueprints.profile.mailbox_forms import MailboxForm
from domain import mailbox_settings, mailboxes, process_permission, removal, service_deletion
from domain.errors import NotFoundError
from mail.errors import RuleError
from mail.server_string import Protocol
from models import db
from models.mailboxes import Mailbox, MailboxState, ProcessChoice
from web.access import signed_in
from web.cause_words import words
from web.clock import clock
from web.fragments import fragment, go, is_fragment, page, toast
from web.sentences import sentence
from web.viewer import person


@blueprint.get("/mail")
@signed_in
def mail() -> ResponseReturnValue:
    return page("profile/mail.html", **_list())


@blueprint.post("/mail/<int:mailbox_id>/up")
@signed_in
def move_up(mailbox_id: int) -> ResponseReturnValue:
    return _move(mailbox_id, up=True)


@blueprint.post("/mail/<int:mailbox_id>/down")
@signed_in
def move_down(mailbox_id: int) -> ResponseReturnValue:
    return _move(mailbox_id, up=False)


@blueprint.post("/mail/<int:mailbox_id>/default")
@signed_in
def make_default(mailbox_id: int) -> ResponseReturnValue:
    mailbox = mailboxes.find(db.session(), person(), mailbox_id)
    try:
        mailbox_settings.make_default(db.session(), mailbox)
    except RuleError as error:
        toast(sentence(error), "failed")
        return _refused()
    db.session.commit()
    return _changed(_("Messages you write are now sent from %(address)s.", address=mailbox.address))


@blueprint.route("/mail/<int:mailbox_id>", methods=["GET", "POST"])
@signed_in
def mailbox(mailbox_id: int) -> ResponseReturnValue:
    """What is set for one mailbox; for one that is being removed, nothing is any more."""
    own = mailboxes.find(db.session(), person(), mailbox_id)
    if own.state is MailboxState.REMOVING:
        raise NotFoundError
    form = MailboxForm.of(own)
    if form.validate_on_submit():
        try:
            mailbox_settings.edit(db.session(), own, form.settings())
        except RuleError as error:
            form.refuse(error)
        else:
            db.session.commit()
            return go(url_for("profile.mail"), _("Saved."))
    return page(
        "profile/mailbox.html",
        422 if form.is_submitted() else 200,
        form=form,
        mailbox=own,
        follows=_follows(process_permission.company_default(db.session(), own)),
    )


def _move(mailbox_id: int, *, up: bool) -> ResponseReturnValue:
    mailbox = mailboxes.find(db.session(), person(), mailbox_id)
    mailbox_settings.move(db.session(), mailbox, up=up)
    db.session.commit()
    order = mailboxes.connected(db.session(), person())
    return _changed(
        _(
            "%(address)s is now number %(place)s of %(count)s.",
            address=mailbox.address,
            place=order.index(mailbox) + 1,
            count=len(order),
        )
    )


def _changed(said: str) -> ResponseReturnValue:
    if not is_fragment():
        return go(url_for("profile.mail"), said)
    toast(said)
    return fragment("profile/_mailboxes.html", **_list())


def _refused() -> ResponseReturnValue:
    if is_fragment():
        return fragment("profile/_mailboxes.html", 422, **_list())
    return page("profile/mail.html", 422, **_list())


def _list() -> dict[str, Any]:
    own = mailboxes.connected(db.session(), person())
    first = next(iter(mailboxes.senders(db.session(), person())), None)
    return {
        "mailboxes": own,
        "default": first.id if first else None,
        "sending_trouble": _sending_trouble,
        "asked_of": service_deletion.asked_of,
        "messages_left": partial(removal.progress, db.session()),
        "left": {one.id: removal.progress(db.session(), one) for one in own if _is_going(one)},
        "clock": clock(),
    }


def _is_going(mailbox: Mailbox) -> bool:
    return mailbox.state is MailboxState.REMOVING


def _sending_trouble(mailbox: Mailbox) -> str:
    """Why SMTP refuses a mailbox that receives well; empty while it does not."""
    if not (mailbox.state.is_in_use and mailbox.smtp_refuses):
        return ""
    return words(mailbox.smtp_error_cause, mailbox.servers.address(Protocol.SMTP).shown)


def _follows(company_allows: bool) -> dict[str, str]:
    """What each choice means where the company says so."""
    if company_allows:
        return {
            ProcessChoice.COMPANY.name: _(
                "Company: allowed. You: as the company says. Processes can send from this address."
            ),
            ProcessChoice.ALLOWED.name: _(
                "Company: allowed. You: allowed. Processes can send from this address."
            ),
            ProcessChoice.NOT_ALLOWED.name: _(
                "Company: allowed. You: not allowed. Processes cannot send from this address."
            ),
        }
    return {
        ProcessChoice.COMPANY.name: _(
            "Company: not allowed. You: as the company says. Processes cannot send from this "
            "address."
        ),
        ProcessChoice.ALLOWED.name: _(
            "Company: not allowed. You: allowed. Processes can send from this address."
        ),
        ProcessChoice.NOT_ALLOWED.name: _(
            "Company: not allowed. You: not allowed. Processes cannot send from this address."
        ),
    }
