"""The command line: ``flask <command>``."""

from flask import Flask

from commands import changelog, demo, doctor, run, worker


def install(app: Flask) -> None:
    for area in (changelog, demo, doctor, run, worker):
        area.install(app)
