"""The areas of the product, one package each."""

from flask import Flask

from blueprints import (
    auth,
    changelog,
    compose,
    health,
    mailboxes,
    messages,
    people,
    profile,
    services,
    tour,
)


def install(app: Flask) -> None:
    administration = (people, services, mailboxes, changelog)
    for area in (auth, *administration, profile, messages, compose, health, tour):
        app.register_blueprint(area.blueprint)
