from blueprints.messages.views import blueprint

__all__ = ["blueprint"]
