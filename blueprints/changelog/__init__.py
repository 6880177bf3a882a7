from blueprints.changelog.views import blueprint

__all__ = ["blueprint"]
