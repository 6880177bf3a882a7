from blueprints.profile.views import blueprint

__all__ = ["blueprint"]
