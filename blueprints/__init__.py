"""The areas of the product, one package each."""

from flask import Flask

from blueprints import auth, compose, messages, people, profile, services


def install(app: Flask) -> None:
    for area in (auth, people, services, profile, messages, compose):
        app.register_blueprint(area.blueprint)
