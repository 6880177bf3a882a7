"""The profile: language and appearance, password, sessions."""

from typing import Any

from flask import url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from blueprints.profile.area import blueprint
from blueprints.profile.forms import PasswordForm, PreferencesForm
from domain import people, sessions
from domain.passwords import SHORTEST
from mail.errors import RuleError
from models import db
from models.people import Language, Theme
from web.access import signed_in
from web.fragments import fragment, go, is_fragment, page, toast
from web.viewer import person, viewer


@blueprint.get("/")
@signed_in
def index() -> ResponseReturnValue:
    return _page()


@blueprint.post("/preferences")
@signed_in
def set_preferences() -> ResponseReturnValue:
    form = PreferencesForm()
    if not form.validate():
        return _page(422, preferences=form)
    people.set_preferences(
        db.session(),
        person(),
        language=Language[form.language.data] if form.language.data else None,
        theme=Theme[form.theme.data],
    )
    db.session.commit()
    return go(url_for("profile.index"), _("Saved."))


@blueprint.post("/password")
@signed_in
def change_password() -> ResponseReturnValue:
    form = PasswordForm()
    if form.validate():
        try:
            people.change_password(
                db.session(), person(), old=form.old.data, new=form.password.data
            )
        except RuleError as error:
            form.refuse(error)
        else:
            sessions.end_all(db.session(), person(), but=viewer().session_id)
            db.session.commit()
            words = _("The password was changed. All other sessions were ended.")
            return go(url_for("profile.index"), words)
    return _page(422, password=form)


@blueprint.post("/sessions/<int:session_id>/end")
@signed_in
def end_session(session_id: int) -> ResponseReturnValue:
    sessions.end(db.session(), person(), session_id)
    db.session.commit()
    if not is_fragment():
        return go(url_for("profile.index"), _("Signed out there."))
    toast(_("Signed out there."))
    return fragment("shared/_nothing.html")


def _page(status: int = 200, **forms: object) -> ResponseReturnValue:
    me = person()
    language = me.language.name if me.language else ""
    context: dict[str, Any] = {
        "preferences": PreferencesForm(
            formdata=None, data={"language": language, "theme": me.theme.name}
        ),
        "password": PasswordForm(formdata=None),
        "sessions": sessions.of_person(db.session(), me),
        "shortest": SHORTEST,
    }
    return page("profile/index.html", status, **{**context, **forms})
