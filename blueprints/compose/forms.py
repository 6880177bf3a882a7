from flask_babel import lazy_gettext as _
from wtforms import HiddenField, SelectField, StringField, TextAreaField
from wtforms.validators import InputRequired

from web.forms import Form


class ComposeForm(Form):
    """A new message or a reply. ``key`` is the form's own: sent twice, it queues once."""

    key = HiddenField(validators=[InputRequired()])
    mailbox = SelectField(_("From"), coerce=int)
    to = StringField(_("To"))
    cc = StringField(_("Cc"))
    bcc = StringField(_("Bcc"))
    subject = StringField(_("Subject"))
    text = TextAreaField(_("Text"))
