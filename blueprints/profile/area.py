from flask import Blueprint

blueprint = Blueprint("profile", "blueprints.profile", url_prefix="/profile")
