from blueprints.profile import connecting, mailboxes, notices, views
from blueprints.profile.area import blueprint

__all__ = ["blueprint", "connecting", "mailboxes", "notices", "views"]
