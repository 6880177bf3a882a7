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
    "person_disabled": lambda **p: _("%(name)s is disabled. Enable %(name)s first.", **p),
    "last_administrator": lambda **p: _(
        "%(name)s is the last active administrator. Make somebody else an administrator first.", **p
    ),
    "not_yourself": lambda: _("Only another administrator can do this to you."),
    # domain/removal.py
    "person_active": lambda **p: _("%(name)s is active. Disable %(name)s first.", **p),
    "login_differs": lambda **p: _("This is not the login of %(name)s.", **p),
    "no_mail_kept": lambda **p: _("No mail of %(name)s is kept here.", **p),
    # domain/services.py
    "service_name_length": lambda **p: _("Type a name of 1 to %(longest)s characters.", **p),
    "service_name_invisible": lambda: _(
        "The name has a letter in it that cannot be seen. Type it by hand."
    ),
    "standard_stays": lambda: _("A standard service cannot be deleted. Hide it instead."),
    "target_not_there": lambda: _("Choose the service that the mailboxes move to."),
    "networks_many": lambda **p: _("Type at most %(most)s networks.", **p),
    "network_broken": lambda **p: _(
        "%(network)s is not a network. It looks like 192.168.1.0/24.", **p
    ),
    "domains_many": lambda **p: _("Type at most %(most)s domains.", **p),
    "too_many_searches": lambda **p: _(
        "Too many searches. Wait %(minutes)s minutes, then try again.", **p
    ),
    "domain_broken": lambda **p: _("%(domain)s is not a domain. It looks like myserver.com.", **p),
    "service_name_taken": lambda **p: _(
        "There is a service named %(name)s already. Choose another name.", **p
    ),
    "ca_not_a_certificate": lambda: _(
        "This is not a certificate in PEM form. It begins with -----BEGIN CERTIFICATE-----."
    ),
    # domain/service_files.py, domain/service_import.py
    "file_large": lambda **p: _("The file is larger than %(most)s MB. Split it.", **p),
    "file_not_text": lambda: _("The file is not text in UTF-8. Save it as CSV UTF-8 or as JSON."),
    "file_empty": lambda **p: _("The file is empty. Its first row is %(columns)s.", **p),
    "rows_many": lambda **p: _("The file has more than %(most)s rows. Split it.", **p),
    "column_unknown": lambda **p: _(
        "There is no column “%(column)s”. The columns are %(columns)s.", **p
    ),
    "column_twice": lambda **p: _("The column %(column)s is there twice. Leave one out.", **p),
    "column_missing": lambda **p: _(
        "The column %(column)s is missing. The columns are %(columns)s.", **p
    ),
    "csv_broken": lambda **p: _(
        "Line %(line)s cannot be read. A quotation mark is missing there or before.", **p
    ),
    "row_long": lambda **p: _(
        "This row has %(found)s values for %(wanted)s columns. Put a value with a comma or a "
        "semicolon in quotation marks.",
        **p,
    ),
    "json_broken": lambda **p: _(
        "The file is not JSON. Look at line %(line)s, character %(column)s.", **p
    ),
    "json_deep": lambda: _("The JSON is nested too deeply. It is a list of services."),
    "json_no_list": lambda: _("The JSON is not a list of services. An export shows how it looks."),
    "row_no_object": lambda: _("This is not an object with the fields of a service."),
    "field_twice": lambda **p: _("The field “%(name)s” is there twice. Leave one out.", **p),
    "field_unknown": lambda **p: _("There is no field “%(name)s”. The fields are %(fields)s.", **p),
    "not_text": lambda: _("Write text in quotation marks."),
    "not_a_switch": lambda: _("Write true or false."),
    "not_domains": lambda: _("Write a list of domains, each in quotation marks."),
    "login_form_unknown": lambda **p: _("Write one of %(known)s.", **p),
    "name_twice": lambda **p: _("Row %(row)s has this name already. Leave one out.", **p),
    "standard_locked": lambda **p: _(
        "%(name)s is a standard service. Only its process_default and domains can be set, in JSON.",
        **p,
    ),
    # domain/mailboxes.py
    "service_not_choosable": lambda: _("This service cannot be chosen. Choose another."),
    "oauth_only": lambda **p: _(
        "%(name)s takes only OAuth 2.0, which Postroom cannot do yet. Choose another service.", **p
    ),
    "login_and_password": lambda: _("Type both login and password, or neither."),
    "mailbox_withheld": lambda: _(
        "This mailbox is not contacted just now, so no password can be tried."
    ),
    "other_not_allowed": lambda: _(
        "Your company does not allow servers that are typed by hand. Choose a service."
    ),
    "tries_going_on": lambda: _("Two tries are still going on. Wait until one of them has ended."),
    "not_one_line": lambda: _("Leave out line breaks and hidden characters."),
    "already_connected": lambda **p: _("%(address)s is connected already.", **p),
    "mailbox_going": lambda **p: _(
        "%(address)s is being removed. Wait until that is done, then connect it again.", **p
    ),
    # domain/mailbox_settings.py
    "sender_name_long": lambda **p: _("Type one line of at most %(longest)s characters.", **p),
    "signature_long": lambda **p: _("A signature has at most %(longest)s characters.", **p),
    # domain/disconnecting.py
    "already_disconnected": lambda **p: _("%(address)s is disconnected already.", **p),
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
