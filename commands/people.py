"""``flask people``: who may sign in, and the way back in for whoever is locked out."""

import click
from flask import Flask, current_app
from flask.cli import AppGroup

from commands.console import console, database
from domain import people
from domain.errors import NotFoundError
from models.people import User
from settings import Settings

group = AppGroup("people", help="Who may sign in.")
_HEADINGS = ("login", "name", "role", "state")


def install(app: Flask) -> None:
    app.cli.add_command(group)


@group.command("list")
def list_people() -> None:
    """Login, name, role and state of everyone."""
    with database() as session:
        rows = [_HEADINGS, *map(_row, people.everyone(session))]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADINGS))]
    for row in rows:
        cells = (text.ljust(width) for text, width in zip(row, widths, strict=True))
        click.echo("  ".join(cells).rstrip())


@group.command("reset")
@click.argument("login")
def reset(login: str) -> None:
    """Prints a one-time link for LOGIN, and enables the person if need be."""
    with database(writing=True) as session:
        try:
            person = people.find_by_login(session, login)
        except NotFoundError:
            raise click.ClickException(
                f"Nobody has the login {login}. `flask people list` shows who there is."
            ) from None
        token = people.reset(session, person, console())
        name = person.name
        session.commit()
    click.echo(f"{name} chooses a new password at")
    click.echo(_address(token))
    click.echo(f"The link works once, for {people.LINK_LASTS.days} days.")


def _row(person: User) -> tuple[str, ...]:
    state = "active" if person.active else "disabled"
    return person.login, person.name, person.role.value, state


def _address(token: str) -> str:
    """Where the settings say that the product is reached."""
    settings: Settings = current_app.extensions["postroom_settings"]
    scheme = "https" if settings.https else "http"
    adapter = current_app.url_map.bind(settings.listen, url_scheme=scheme)
    return adapter.build("auth.invitation", {"token": token}, force_external=True)
