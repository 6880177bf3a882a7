from blueprints.health.views import blueprint

__all__ = ["blueprint"]
