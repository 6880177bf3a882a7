"""Sealing of secrets: AES-GCM, bound to the row and the field they belong to."""

import os
import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES = 32
_NONCE_BYTES = 12
_SEPARATOR = b":"
_ID_LONGEST = 9


class SecretLostError(Exception):
    """The key is missing, or the sealed text belongs to another row, field or key."""


@dataclass(frozen=True, repr=False)
class KeyRing:
    """Keys by their ids; ``current`` seals, each of them opens what it sealed."""

    current: str
    keys: Mapping[str, bytes]

    def as_of_now(self) -> "KeyRing":
        """The ring that counts at this moment, where keys come and go while the program runs."""
        return self

    def seal(self, secret: str, row: uuid.UUID, field: str) -> bytes:
        """The key's id, a colon, the nonce and the ciphertext. The key is the newest as of now."""
        now = self.as_of_now()
        nonce = os.urandom(_NONCE_BYTES)
        cipher = AESGCM(now.keys[now.current])
        sealed = cipher.encrypt(nonce, secret.encode(), _bound_to(row, field))
        return prefix_of(now.current) + nonce + sealed

    def open(self, sealed: bytes, row: uuid.UUID, field: str) -> str:
        """Looks a second time before it gives up: a key may have been made, or brought back, since
        this ring was read. Raises SecretLostError.
        """
        try:
            return _open(self.keys, sealed, row, field)
        except SecretLostError:
            now = self.as_of_now()
            if now is self:
                raise
            return _open(now.keys, sealed, row, field)


def key_id_of(sealed: bytes) -> str:
    """Under which key it was sealed; empty when it is damaged."""
    key_id, separator, _ = sealed.partition(_SEPARATOR)
    is_one = bool(separator) and key_id.isdigit() and len(key_id) <= _ID_LONGEST
    return key_id.decode() if is_one else ""


def prefix_of(key_id: str) -> bytes:
    """What everything begins with that is sealed under this key, and nothing else does."""
    return key_id.encode() + _SEPARATOR


def _open(keys: Mapping[str, bytes], sealed: bytes, row: uuid.UUID, field: str) -> str:
    key_id, _, rest = sealed.partition(_SEPARATOR)
    key = keys.get(key_id.decode("ascii", "replace"))
    if key is None:
        raise SecretLostError("no key with that id")
    try:
        return (
            AESGCM(key)
            .decrypt(rest[:_NONCE_BYTES], rest[_NONCE_BYTES:], _bound_to(row, field))
            .decode()
        )
    except (InvalidTag, ValueError) as error:
        raise SecretLostError("sealed for another row, field or key") from error


def _bound_to(row: uuid.UUID, field: str) -> bytes:
    return row.bytes + field.encode()
