"""The keys outside the database: made once, each in a file of its own, mode 0600."""

import base64
import os
import secrets as random
from dataclasses import dataclass
from pathlib import Path

from click import ClickException

from domain.secrets import KEY_BYTES, KeyRing

_FIRST_RING_KEY = "1"


class KeysError(ClickException):
    """A key file cannot be used; the text is a sentence for the operator."""

    exit_code = 2


@dataclass(frozen=True, repr=False)
class Keys:
    """``cookie`` signs cookies and tasks, ``change_log`` chains the log, ``ring`` seals secrets."""

    cookie: bytes
    change_log: bytes
    ring: KeyRing


def load_keys(folder: Path) -> Keys:
    """Reads the keys, making those that are missing. Raises KeysError."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    _key(folder / f"secrets-{_FIRST_RING_KEY}")
    ring = {path.name.removeprefix("secrets-"): _key(path) for path in folder.glob("secrets-*")}
    newest = max(ring, key=lambda name: (len(name), name))
    return Keys(
        cookie=_key(folder / "cookie"),
        change_log=_key(folder / "change-log"),
        ring=KeyRing(current=newest, keys=ring),
    )


def _key(path: Path) -> bytes:
    if not path.exists():
        _make(path)
    if path.stat().st_mode & 0o077:
        raise KeysError(f"Others may read {path}. Set its mode to 0600: chmod 600 {path}")
    try:
        key = base64.b64decode(path.read_text(encoding="ascii").strip(), validate=True)
    except ValueError as error:
        raise KeysError(f"{path} does not hold a key. Bring it back from a backup.") from error
    if len(key) != KEY_BYTES:
        raise KeysError(f"{path} does not hold a key of {KEY_BYTES} bytes.")
    return key


def _make(path: Path) -> None:
    """Written beside and linked, so that two processes that start at once agree on one key."""
    draft = path.with_name(f".{path.name}.{random.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(base64.b64encode(random.token_bytes(KEY_BYTES)) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
