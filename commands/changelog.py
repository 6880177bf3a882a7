"""``flask verify-changelog``: whether the change log is as it was written."""

import click
from flask import Flask, current_app
from flask.cli import with_appcontext

from domain.changelog import first_broken
from models import db


def install(app: Flask) -> None:
    app.cli.add_command(verify)


@click.command("verify-changelog")
@with_appcontext
def verify() -> None:
    """Fails when an entry was altered or taken out from between others."""
    key = current_app.extensions["postroom_keys"].change_log
    broken = first_broken(db.session(), key)
    if broken is not None:
        raise click.ClickException(f"The change log was altered: entry {broken} does not follow.")
    click.echo("The change log is complete.")
