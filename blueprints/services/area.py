from flask import Blueprint

blueprint = Blueprint("services", "blueprints.services", url_prefix="/administration/mail/services")
