from blueprints.compose.views import blueprint

__all__ = ["blueprint"]
