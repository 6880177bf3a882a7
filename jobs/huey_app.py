"""The task queue between web and worker. Its tasks carry no work: they say where to look."""

from pathlib import Path

from huey import Huey, SqliteHuey
from huey.serializer import SignedSerializer


def make_huey(data_folder: Path, secret: bytes) -> Huey:
    """SqliteHuey in a file of its own; payloads are pickles, so they are signed."""
    return SqliteHuey(
        "postroom",
        results=False,
        serializer=SignedSerializer(secret=secret, salt="postroom-tasks"),
        filename=str(data_folder / "tasks.sqlite"),
        journal_mode="wal",
    )
