"""The settings of one mailbox.

The signature comes back in one of two ways: as HTML from the editor, or, without JavaScript, as
lines of plain text.
"""

from flask_babel import lazy_gettext as _
from wtforms import BooleanField, RadioField, StringField, TextAreaField
from wtforms.fields.choices import SelectChoice

from domain.mailbox_settings import MailboxSettings
from mail.signature import clean_signature, signature_of_text, signature_text
from models.mailboxes import Mailbox, MailboxState, ProcessChoice
from web.forms import Form


class MailboxForm(Form):
    sender_name = StringField(_("Sender name"))
    signature = TextAreaField(_("Signature"))
    signature_html = TextAreaField()
    notifies = BooleanField(_("Notify me of new mail"))
    process_choice = RadioField(
        _("Use of mail in business processes"),
        choices=[
            SelectChoice(ProcessChoice.COMPANY.name, _("as the company says")),
            SelectChoice(ProcessChoice.ALLOWED.name, _("allow")),
            SelectChoice(ProcessChoice.NOT_ALLOWED.name, _("do not allow")),
        ],
    )

    @classmethod
    def of(cls, mailbox: Mailbox) -> "MailboxForm":
        """Filled with what is set, or with what was just typed, for both kinds of browsers."""
        form = cls(
            data={
                "sender_name": mailbox.sender_name,
                "signature": signature_text(mailbox.signature),
                "signature_html": mailbox.signature,
                "notifies": mailbox.notifies,
                "process_choice": mailbox.process_choice.name,
            }
        )
        if form.is_submitted():
            form._settle_signature(mailbox)
        return form

    def settings(self) -> MailboxSettings:
        """What a form that is valid says."""
        return MailboxSettings(
            sender_name=self.sender_name.data,
            signature=self.signature_html.data,
            notifies=self.notifies.data,
            process_choice=ProcessChoice[self.process_choice.data],
        )

    def _settle_signature(self, mailbox: Mailbox) -> None:
        """Lines that nobody changed keep the emphasis and the links that they do not show."""
        if self.signature_html.raw_data:
            self.signature.data = signature_text(clean_signature(self.signature_html.data))
        elif _lines(self.signature.data) != _lines(signature_text(mailbox.signature)):
            self.signature_html.data = signature_of_text(self.signature.data)


def _lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.strip().splitlines()]


class DisconnectForm(Form):
    """What becomes of the mail; without a choice, nothing."""

    mail = RadioField(
        _("The messages received so far"),
        choices=[
            SelectChoice("keep", _("Keep them")),
            SelectChoice("delete", _("Delete them")),
        ],
    )

    @classmethod
    def of(cls, mailbox: Mailbox) -> "DisconnectForm":
        """One that is disconnected already can only be deleted."""
        form = cls()
        if mailbox.state is MailboxState.DISCONNECTED:
            form.mail.choices = form.mail.choices[1:]
        if not form.is_submitted():
            form.mail.data = form.mail.choices[0].value
        return form

    @property
    def keeps_mail(self) -> bool:
        return bool(self.mail.data == "keep")
