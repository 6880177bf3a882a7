"""The areas of the product, one package each."""

from flask import Flask

from blueprints import auth, compose, health, messages, people, profile, services, tour


def install(app: Flask) -> None:
    for area in (auth, people, services, profile, messages, compose, health, tour):
        app.register_blueprint(area.blueprint)
