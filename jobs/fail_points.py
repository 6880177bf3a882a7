"""Places at which a test may kill the process, as a power cut would.

``POSTROOM_FAIL_POINT=outbox.data_started`` kills at that point the first time it is reached. Only
tests set it; the settings refuse it unless ``POSTROOM_TESTING=1`` stands beside it.
"""

import os
import signal

VARIABLE = "POSTROOM_FAIL_POINT"
POINTS = (
    "connecting.tried",
    "sync.source_kept",
    "sync.batch_stored",
    "outbox.claimed",
    "outbox.data_starts",
    "outbox.data_started",
    "outbox.answered",
    "outbox.sent",
)


def fail_point(name: str) -> None:
    assert name in POINTS
    if os.environ.get(VARIABLE) == name:
        os.kill(os.getpid(), signal.SIGKILL)
