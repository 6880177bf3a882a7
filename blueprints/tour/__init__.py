from blueprints.tour.views import blueprint

__all__ = ["blueprint"]
