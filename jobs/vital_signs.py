"""What the health checks cannot read from rows: measured without writing or holding anything."""

import shutil
import sqlite3
from functools import lru_cache
from pathlib import Path
from urllib.parse import quote

from alembic.script import ScriptDirectory
from huey.storage import SqliteStorage

from domain.health import KeyFiles

KEY_FILES = ("cookie", "change-log", "secrets-1")
QUEUE = "postroom"  # as make_huey calls it
BUSY_SECONDS = 1.0


def key_files(folder: Path) -> KeyFiles:
    """What is wrong with the first key file that cannot be used, as far as its folder tells."""
    paths = {folder / name for name in KEY_FILES} | set(folder.glob("secrets-*"))
    for path in sorted(paths):
        try:
            mode = path.stat().st_mode
            path.open("rb").close()
        except FileNotFoundError:
            return KeyFiles("key_missing", str(path))
        except OSError:
            return KeyFiles("key_unreadable", str(path))
        if mode & 0o077:
            return KeyFiles("key_open", str(path))
    return KeyFiles()


def free_bytes(folder: Path) -> int | None:
    """What an ordinary user may still write; None when the folder cannot be reached."""
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return None


def tasks_waiting(data_folder: Path) -> int | None:
    """How many tasks nobody has taken yet; None when the file cannot be read."""
    file = data_folder / "tasks.sqlite"
    try:
        file.stat()
    except FileNotFoundError:
        return 0
    except OSError:
        return None
    storage = SqliteStorage(
        QUEUE,
        filename=f"file:{quote(str(file))}?mode=ro",
        create_tables=False,
        journal_mode=None,
        timeout=BUSY_SECONDS,
        uri=True,
    )
    try:
        return int(storage.queue_size())
    except sqlite3.Error:
        return None
    finally:
        storage.close()


@lru_cache(maxsize=4)
def newest_migration(folder: Path) -> str | None:
    """Read once: a new version of the program is a new process."""
    return ScriptDirectory(str(folder)).get_current_head()
