from blueprints.mailboxes.views import blueprint

__all__ = ["blueprint"]
