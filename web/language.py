"""English or Russian: the person's choice, else the browser's."""

from flask import Flask, request
from flask_babel import Babel

from web.viewer import viewer_or_none

LANGUAGES = ("en", "ru")
TRANSLATIONS = "translations"


def install(app: Flask) -> None:
    app.config["BABEL_TRANSLATION_DIRECTORIES"] = f"{app.root_path}/{TRANSLATIONS}"
    Babel(app, locale_selector=chosen)


def chosen() -> str:
    viewer = viewer_or_none() if request else None
    if viewer is not None and viewer.person.language is not None:
        return viewer.person.language.value
    return request.accept_languages.best_match(LANGUAGES, "en") if request else "en"
