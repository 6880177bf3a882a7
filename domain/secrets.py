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


class SecretLostError(Exception):
    """The key is missing, or the sealed text belongs to another row, field or key."""


@dataclass(frozen=True, repr=False)
class KeyRing:
    """Keys by their ids; ``current`` seals, each of them opens what it sealed."""

    current: str
    keys: Mapping[str, bytes]

    def seal(self, secret: str, row: uuid.UUID, field: str) -> bytes:
        """The key's id, a colon, the nonce and the ciphertext."""
        nonce = os.urandom(_NONCE_BYTES)
        cipher = AESGCM(self.keys[self.current])
        sealed = cipher.encrypt(nonce, secret.encode(), _bound_to(row, field))
        return self.current.encode() + _SEPARATOR + nonce + sealed

    def open(self, sealed: bytes, row: uuid.UUID, field: str) -> str:
        """Raises SecretLostError."""
        key_id, _, rest = sealed.partition(_SEPARATOR)
        key = self.keys.get(key_id.decode("ascii", "replace"))
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
