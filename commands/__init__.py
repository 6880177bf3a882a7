"""The command line: ``flask <command>``."""

from flask import Flask

from commands import changelog, demo, run, worker


def install(app: Flask) -> None:
    for area in (changelog, demo, run, worker):
        area.install(app)
