"""``flask changelog verify``: whether the change log is as it was written."""

import click
from flask import Flask, current_app
from flask.cli import AppGroup

from commands.console import database
from domain.changelog import ends_as_written, first_broken

group = AppGroup("changelog", help="The log of what administrators changed.")


def install(app: Flask) -> None:
    app.cli.add_command(group)


@group.command("verify")
def verify() -> None:
    """Fails when an entry was altered, put in or taken out, the newest ones too."""
    key = current_app.extensions["postroom_keys"].change_log
    with database() as session:
        broken = first_broken(session, key)
        ends = ends_as_written(session, key)
    if broken is not None:
        raise click.ClickException(
            f"The change log was altered: entry {broken} does not follow from the one before it. "
            "Either it was changed, or an entry before it was put in or taken out."
        )
    if not ends:
        raise click.ClickException(
            "The change log was altered: its end is not the one that was written. The newest "
            "entries were cut off, or the record of how many there are was changed."
        )
    click.echo("The change log is whole.")
