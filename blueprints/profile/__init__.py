from blueprints.profile import connecting, disconnecting, mailboxes, notices, views
from blueprints.profile.area import blueprint

__all__ = ["blueprint", "connecting", "disconnecting", "mailboxes", "notices", "views"]
