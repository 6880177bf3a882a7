from blueprints.services import trying, views
from blueprints.services.area import blueprint

__all__ = ["blueprint", "trying", "views"]
