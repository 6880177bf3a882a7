from blueprints.services.views import blueprint

__all__ = ["blueprint"]
