"""The command line: ``flask <command>``."""

from flask import Flask

from commands import changelog, demo, doctor, keys, people, run, services, worker


def install(app: Flask) -> None:
    for area in (changelog, demo, doctor, keys, people, run, services, worker):
        area.install(app)
