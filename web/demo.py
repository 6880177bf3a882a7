"""What the demo shows of itself; nothing of it is there in a house that is run for real."""

import json
from typing import Any

from web.house import settings


def demo_people() -> list[dict[str, Any]]:
    """Who can sign in to the demo; nobody anywhere else."""
    people: list[dict[str, Any]] = _shown().get("people", [])
    return people


def demo_mailbox() -> dict[str, str]:
    """A mailbox of the demo that nobody has connected yet: address, password and service."""
    mailbox: dict[str, str] = _shown().get("mailbox", {})
    return mailbox


def _shown() -> dict[str, Any]:
    file = settings().demo_people
    if file is None or not file.exists():
        return {}
    shown: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return shown
