"""The sentences for what verbs refuse."""

from collections.abc import Callable

from flask_babel import gettext as _

Wording = Callable[..., str]

VERB_WORDINGS: dict[str, Wording] = {
    "required": lambda: _("This is needed."),
    # domain/people.py, domain/sessions.py, domain/passwords.py
    "setup_code_wrong": lambda: _("This is not the code from the console of the last start."),
    "too_many_tries": lambda **p: _(
        "Too many failed tries. Wait %(minutes)s minutes, then try again.", **p
    ),
    "person_name_length": lambda: _("Type a name of 1 to 100 letters."),
    "login_form": lambda: _(
        "A login begins with a letter or a digit and has no spaces, for example bob."
    ),
    "login_taken": lambda **p: _("Somebody has the login %(login)s already. Choose another.", **p),
    "password_short": lambda **p: _("Choose at least %(shortest)s characters.", **p),
    "password_long": lambda **p: _("Choose at most %(longest)s characters.", **p),
    "password_has_login": lambda: _("Choose a password that does not contain the login."),
    "password_wrong": lambda: _("This is not your present password."),
    # domain/services.py
    "service_name_length": lambda **p: _("Type a name of 1 to %(longest)s characters.", **p),
    "service_changed": lambda: _(
        "Somebody changed this service meanwhile. What you typed is kept here; open the window "
        "again to see what they saved."
    ),
    "service_name_taken": lambda **p: _(
        "There is a service named %(name)s already. Choose another name.", **p
    ),
    "ca_not_a_certificate": lambda: _(
        "This is not a certificate in PEM form. It begins with -----BEGIN CERTIFICATE-----."
    ),
    # domain/mailboxes.py
    "service_not_choosable": lambda: _("This service cannot be chosen. Choose another."),
    "other_not_allowed": lambda: _(
        "Your company does not allow servers that are typed by hand. Choose a service."
    ),
    "tries_going_on": lambda: _("Two tries are still going on. Wait until one of them has ended."),
    "not_one_line": lambda: _("Leave out line breaks and hidden characters."),
    "already_connected": lambda **p: _("%(address)s is connected already.", **p),
    # mail/addresses.py, domain/outbox.py
    "address_broken": lambda **p: _(
        "%(address)s is not an e-mail address. It looks like bob@firm.com.", **p
    ),
    "recipients_many": lambda **p: _("At most %(most)s recipients at a time.", **p),
    "recipient_missing": lambda: _("Type at least one recipient."),
    "subject_broken": lambda **p: _(
        "A subject is one line of at most %(longest)s characters.", **p
    ),
    "text_long": lambda **p: _("A message has at most %(longest)s characters.", **p),
}
