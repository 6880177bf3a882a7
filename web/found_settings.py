"""What *Find settings* found, in words: who said it, and what is still missing."""

from flask_babel import gettext as _

from mail.offers import Source
from models.mailboxes import SettingsSearch


def words(search: SettingsSearch) -> str:
    """Empty while nothing was found."""
    if not search.found:
        return ""
    said = [_source(Source(one["source"]), search.domain) for one in search.found.values()]
    sentences = list(dict.fromkeys(said))
    if len(search.found) == 1:
        missing = "SMTP" if "imap" in search.found else "IMAP"
        sentences.append(
            _("Only one server was found; type the one for %(missing)s.", missing=missing)
        )
    if any(one["oauth2_only"] for one in search.found.values()):
        sentences.append(_("It takes only OAuth 2.0, which Postroom cannot do yet."))
    return " ".join(sentences)


def _source(source: Source, domain: str) -> str:
    told = {
        Source.SRV: _("Found in the DNS records of %(domain)s.", domain=domain),
        Source.AUTOCONFIG: _("Found in the settings file of %(domain)s.", domain=domain),
        Source.AUTOCONFIG_UNENCRYPTED: _(
            "Found in the settings file of %(domain)s, which came unencrypted: compare it with "
            "what your provider says.",
            domain=domain,
        ),
        Source.PROVIDER: _("%(domain)s belongs to a provider that is known here.", domain=domain),
        Source.MX: _("A provider that is known here takes the mail of %(domain)s.", domain=domain),
    }
    return told[source]
