"""What a view says to the worker after its commit: "look at mailbox 7"."""

from collections.abc import Callable, Mapping
from typing import Any

from huey import Huey

MAILBOX = "mailbox"
CONNECTION_TEST = "connection_test"
OUTGOING = "outgoing"
PREPARE = "prepare"
SEARCH = "search"
REMOVING = "removing"

TASK = "look"


class Tasks:
    """Wakes runners in the worker. What gets lost on the way is found by the worker's sweep."""

    def __init__(self, huey: Huey, wake: Mapping[str, Callable[[int], None]] | None = None) -> None:
        def look(runner: str, key: int) -> None:
            if wake is not None:
                wake[runner](key)

        self._look: Any = huey.task(name=TASK)(look)

    def mailbox(self, mailbox_id: int) -> None:
        self._look(MAILBOX, mailbox_id)

    def connection_test(self, test_id: int) -> None:
        self._look(CONNECTION_TEST, test_id)

    def search(self, search_id: int) -> None:
        self._look(SEARCH, search_id)

    def outgoing(self, outgoing_id: int) -> None:
        self._look(OUTGOING, outgoing_id)

    def prepare(self, message_id: int) -> None:
        self._look(PREPARE, message_id)

    def removing(self, mailbox_id: int) -> None:
        self._look(REMOVING, mailbox_id)
