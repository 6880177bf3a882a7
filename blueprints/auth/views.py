"""Setting up, signing in and out, and the link with which a person sets a password."""

from flask import Blueprint, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from blueprints.auth.forms import InvitationForm, SetUpForm, SignInForm
from domain import people, sessions
from domain.errors import NotFoundError
from domain.passwords import SHORTEST
from mail.errors import RuleError
from models import db
from web.access import anyone, safe_next, signed_in
from web.demo import demo_people
from web.fragments import go, page
from web.viewer import author, let_in, let_out, now, viewer_or_none

blueprint = Blueprint("auth", __name__)


@blueprint.get("/")
@anyone
def home() -> ResponseReturnValue:
    return redirect(url_for("messages.index" if viewer_or_none() else "auth.sign_in"), 303)


@blueprint.route("/sign-in", methods=["GET", "POST"])
@anyone
def sign_in() -> ResponseReturnValue:
    if people.nobody_yet(db.session()):
        return redirect(url_for("auth.set_up"), 303)
    form = SignInForm(next=request.args.get("next", ""))
    if not form.validate_on_submit():
        return _sign_in_page(form, 422 if form.is_submitted() else 200)
    try:
        found = sessions.sign_in(
            db.session(),
            login=form.login.data,
            password=form.password.data,
            address=_address(),
            now=now(),
        )
    except RuleError as error:
        form.refuse(error)
        return _sign_in_page(form, 429)
    if found is None:
        db.session.commit()
        form.password.errors = [_("Login and password do not belong together. Try again.")]
        return _sign_in_page(form, 422)
    let_in(found, _address(), request.user_agent.string)
    db.session.commit()
    return go(safe_next(form.next.data) or url_for("messages.index"))


@blueprint.post("/sign-out")
@signed_in
def sign_out() -> ResponseReturnValue:
    let_out()
    db.session.commit()
    return go(url_for("auth.sign_in"))


@blueprint.route("/set-up", methods=["GET", "POST"])
@anyone
def set_up() -> ResponseReturnValue:
    if not people.nobody_yet(db.session()):
        return redirect(url_for("auth.sign_in"), 303)
    form = SetUpForm()
    if not form.validate_on_submit():
        return _set_up_page(form, 422 if form.is_submitted() else 200)
    try:
        sessions.refuse_many(db.session(), login=_SET_UP, address=_address(), now=now())
        first = people.set_up(
            db.session(),
            code=form.code.data,
            name=form.name.data,
            login=form.login.data,
            password=form.password.data,
            by=author(),
        )
    except RuleError as error:
        if error.code == "setup_code_wrong":
            sessions.note_failure(db.session(), login=_SET_UP, address=_address(), now=now())
            db.session.commit()
        form.refuse(error)
        return _set_up_page(form, 422)
    let_in(first, _address(), request.user_agent.string)
    db.session.commit()
    return go(url_for("services.index"))


@blueprint.route("/invitation/<token>", methods=["GET", "POST"])
@anyone
def invitation(token: str) -> ResponseReturnValue:
    try:
        invited = people.invited(db.session(), token, now())
    except NotFoundError:
        return page("auth/invitation_over.html", 404)
    form = InvitationForm()
    if form.validate_on_submit():
        try:
            people.accept_invitation(db.session(), token, form.password.data, now())
        except RuleError as error:
            form.refuse(error)
        else:
            sessions.end_all(db.session(), invited)
            let_in(invited, _address(), request.user_agent.string)
            db.session.commit()
            return go(url_for("messages.index"))
    status = 422 if form.is_submitted() else 200
    return page("auth/invitation.html", status, form=form, invited=invited, shortest=SHORTEST)


# The throttle counts wrong codes as tries for this login, which nobody can have.
_SET_UP = "#set-up"


def _sign_in_page(form: SignInForm, status: int) -> ResponseReturnValue:
    return page("auth/sign_in.html", status, form=form, demo_people=demo_people())


def _set_up_page(form: SetUpForm, status: int) -> ResponseReturnValue:
    return page("auth/set_up.html", status, form=form, shortest=SHORTEST)


def _address() -> str:
    return request.remote_addr or ""
