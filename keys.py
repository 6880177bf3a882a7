"""The keys outside the database: made once, each in a file of its own, mode 0600.

``secrets-1``, ``secrets-2`` … seal passwords; the one with the greatest number does so from the
moment it is there. Files with anything else after the hyphen are somebody's copies.
"""

import base64
import os
import re
import secrets as random
from dataclasses import dataclass
from pathlib import Path

from click import ClickException

from domain.secrets import KEY_BYTES, KeyRing, SecretLostError

_FIRST_RING_KEY = "1"
_RING_FILE = re.compile(r"secrets-([1-9][0-9]{0,8})")


class KeysError(ClickException):
    """A key file cannot be used; the text is a sentence for the operator."""

    exit_code = 2


@dataclass(frozen=True, repr=False)
class FolderRing(KeyRing):
    """The keys of a folder as they were when it was read, and the folder to look into again."""

    folder: Path

    def as_of_now(self) -> KeyRing:
        """The key files as they are now; one that cannot be used is passed over.

        Only the key of a file seals: under one that is left in memory alone, nothing that is sealed
        now would open after the next start. Raises SecretLostError without any key, and OSError
        when the folder cannot be read, which may be over soon and must not be taken for a loss.
        """
        keys = {}
        for name in _ring_names(self.folder):
            try:
                keys[name] = _key(ring_file(self.folder, name))
            except (KeysError, OSError):
                continue
        if not keys:
            raise SecretLostError("no key file can be used")
        return KeyRing(current=_newest(keys), keys=keys)


@dataclass(frozen=True, repr=False)
class Keys:
    """``cookie`` signs cookies and tasks, ``change_log`` chains the log, ``ring`` seals secrets."""

    cookie: bytes
    change_log: bytes
    ring: KeyRing


def load_keys(folder: Path) -> Keys:
    """Reads the keys, making those that are missing. Raises KeysError.

    ``secrets-1`` is made only where there is none of its kind: whoever went on to ``secrets-2`` may
    have deleted it.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    names = _ring_names(folder) or [_FIRST_RING_KEY]
    ring = {name: _key(_made(ring_file(folder, name))) for name in names}
    return Keys(
        cookie=_key(_made(folder / "cookie")),
        change_log=_key(_made(folder / "change-log")),
        ring=FolderRing(current=_newest(ring), keys=ring, folder=folder),
    )


def load_ring(folder: Path) -> FolderRing:
    """The keys that are there, strictly: all have to be usable. Raises KeysError; makes nothing."""
    ring = {name: _key(ring_file(folder, name)) for name in _ring_names(folder)}
    if not ring:
        raise KeysError(f"There is no key for passwords in {folder}.")
    return FolderRing(current=_newest(ring), keys=ring, folder=folder)


def add_ring_key(folder: Path, name: str) -> Path:
    """Makes another key for sealing, which belongs to whoever the newest one belongs to: a key that
    root makes has to be readable for the product. Raises KeysError.
    """
    path = ring_file(folder, name)
    try:
        _made(path, like=ring_file(folder, _newest(_ring_names(folder))))
    except OSError as error:
        raise KeysError(
            f"{path} cannot be made ({error.strerror}). Nothing was changed."
        ) from error
    return path


def ring_file(folder: Path, name: str) -> Path:
    return folder / f"secrets-{name}"


def _ring_names(folder: Path) -> list[str]:
    """Raises OSError."""
    found = map(_RING_FILE.fullmatch, os.listdir(folder))  # noqa: PTH208 - names, not paths
    return [match[1] for match in found if match]


def _newest(names: "dict[str, bytes] | list[str]") -> str:
    return max(names, key=int)


def _made(path: Path, like: Path | None = None) -> Path:
    if not path.exists():
        _make(path, like)
    return path


def _key(path: Path) -> bytes:
    """Raises KeysError, and OSError when it cannot be read."""
    if path.stat().st_mode & 0o077:
        raise KeysError(f"Others may read {path}. Set its mode to 0600: chmod 600 {path}")
    try:
        key = base64.b64decode(path.read_text(encoding="ascii").strip(), validate=True)
    except ValueError as error:
        raise KeysError(f"{path} does not hold a key. Bring it back from a backup.") from error
    if len(key) != KEY_BYTES:
        raise KeysError(f"{path} does not hold a key of {KEY_BYTES} bytes.")
    return key


def _make(path: Path, like: Path | None) -> None:
    """Written beside and linked, so that two processes that start at once agree on one key."""
    draft = path.with_name(f".{path.name}.{random.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(base64.b64encode(random.token_bytes(KEY_BYTES)) + b"\n")
        if like is not None and os.geteuid() == 0:
            owner = like.stat()
            os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
    _keep_name(path.parent)


def _keep_name(folder: Path) -> None:
    """Else a power cut could take the name away from a key under which rows are sealed already."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
