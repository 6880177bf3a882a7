"""Writing: a new message, a reply, and the outbox."""

import uuid
from dataclasses import replace
from datetime import datetime
from typing import Any

from flask import Blueprint, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from wtforms.fields.choices import SelectChoice

from blueprints.compose.forms import ComposeForm
from domain import mailboxes, messages, outbox, replies
from domain.errors import NotFoundError
from domain.outbox import Letter
from mail.addresses import parse_recipients
from mail.errors import RuleError
from mail.signature import below_text
from models import db
from models.outbox import OutgoingMessage
from web.access import signed_in
from web.clock import clock
from web.fragments import fragment, go, is_fragment, page, toast
from web.house import tasks
from web.mail_frame import mail_frame
from web.viewer import now, person

blueprint = Blueprint("compose", __name__, url_prefix="/mail")


@blueprint.route("/new", methods=["GET", "POST"])
@signed_in
def new() -> ResponseReturnValue:
    form = _form(request.args.get("mailbox", type=int))
    if form.validate_on_submit():
        try:
            return _queue(form, _letter(form))
        except RuleError as error:
            form.refuse(error)
    return _window(form, title=_("New message"))


@blueprint.route("/messages/<int:message_id>/reply", methods=["GET", "POST"])
@signed_in
def reply(message_id: int) -> ResponseReturnValue:
    try:
        opened = messages.find(db.session(), person(), message_id)
    except NotFoundError:
        if request.method != "POST":
            raise
        return _original_gone()
    draft = replies.reply_to(opened)
    form = _form(
        opened.mailbox.id,
        below=_introduced(draft, opened.message.received_at),
        to=draft.to,
        subject=draft.subject,
    )
    if form.validate_on_submit():
        try:
            threaded = replace(
                _letter(form), in_reply_to=draft.in_reply_to, references=draft.references
            )
            return _queue(form, threaded)
        except RuleError as error:
            form.refuse(error)
    return _window(form, title=_("Your reply"), opened=opened)


@blueprint.get("/outbox")
@signed_in
def outgoing() -> ResponseReturnValue:
    return page("compose/outbox.html", **mail_frame())


@blueprint.post("/outbox/<int:outgoing_id>/send-again")
@signed_in
def send_again(outgoing_id: int) -> ResponseReturnValue:
    own = outbox.find(db.session(), person(), outgoing_id)
    outbox.send_again(db.session(), own, now())
    db.session.commit()
    tasks().outgoing(own.id)
    return _outbox_changed(_("It is sent again."))


@blueprint.post("/outbox/<int:outgoing_id>/discard")
@signed_in
def discard(outgoing_id: int) -> ResponseReturnValue:
    own = outbox.find(db.session(), person(), outgoing_id)
    outbox.discard(db.session(), own)
    db.session.commit()
    return _outbox_changed(_("Discarded."))


def _form(mailbox_id: int | None, *, below: str = "", **prefilled: str) -> ComposeForm:
    """``mailbox_id`` chooses among the person's own; any other id chooses nothing.

    The text begins with lines to write in, then the signature, then what stands ``below`` it.
    """
    boxes = mailboxes.senders(db.session(), person())
    signatures = {box.id: below_text(box.signature) for box in boxes}
    shown = mailbox_id if mailbox_id in signatures else next(iter(signatures), None)
    signature = "" if shown is None else signatures[shown]
    text = "".join(f"\n\n{part}" for part in (signature, below) if part)
    prefilled |= {"key": str(uuid.uuid4()), "text": text}
    form = ComposeForm(data={"mailbox": mailbox_id, **prefilled})
    form.mailbox.choices = [
        SelectChoice(
            str(box.id),
            f"{box.sender_name} <{box.address}>" if box.sender_name else box.address,
            {"data-signature": signatures[box.id]},
        )
        for box in boxes
    ]
    return form


def _letter(form: ComposeForm) -> Letter:
    return Letter(
        to=parse_recipients(form.to.data or "", "to"),
        cc=parse_recipients(form.cc.data or "", "cc"),
        bcc=parse_recipients(form.bcc.data or "", "bcc"),
        subject=" ".join((form.subject.data or "").split()),
        text=(form.text.data or "").replace("\r\n", "\n"),
    )


def _queue(form: ComposeForm, letter: Letter) -> ResponseReturnValue:
    mailbox = mailboxes.find(db.session(), person(), form.mailbox.data)
    message: OutgoingMessage = outbox.queue(
        db.session(), mailbox, letter, form_key=_key(form), now=now()
    )
    db.session.commit()
    tasks().outgoing(message.id)
    address = url_for("messages.mailbox", mailbox_id=message.mailbox_id)
    return go(address, _("It is being sent."))


def _original_gone() -> ResponseReturnValue:
    """Moved or deleted elsewhere while the answer was written: what was typed stays."""
    toast(_("The message you answer is no longer here. You can send this as a new one."), "failed")
    action = url_for("compose.new")
    context = {
        "form": _form(None),
        "title": _("New message"),
        "action": action,
        **mail_frame(),
    }
    return page("compose/write.html", 404, **context)


def _key(form: ComposeForm) -> uuid.UUID:
    try:
        return uuid.UUID(form.key.data)
    except ValueError:
        return uuid.uuid4()


def _introduced(draft: replies.Draft, received_at: datetime) -> str:
    """Names the sender's own date, as the sender finds it in *Sent*; the list shows the server's.

    Nobody writes what was received before: such a date is wrong, and may lie beyond any calendar.
    """
    written = clock().moment(min(draft.date, received_at))
    said = _("On %(date)s, %(name)s wrote:", date=written, name=draft.author)
    return f"{said}\n{draft.quoted}"


def _window(form: ComposeForm, **context: Any) -> ResponseReturnValue:
    status = 422 if form.is_submitted() else 200
    return page("compose/write.html", status, form=form, **context, **mail_frame())


def _outbox_changed(words: str) -> ResponseReturnValue:
    if not is_fragment():
        return go(url_for("compose.outgoing"), words)
    toast(words)
    return fragment("compose/_outbox_changed.html", **mail_frame())
