from blueprints.auth.views import blueprint

__all__ = ["blueprint"]
