"""Passwords of people: argon2id with OWASP's minimum cost (19 MiB, 2 passes, 1 lane)."""

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from domain.errors import RefusedError

SHORTEST = 10
LONGEST = 200
LOGIN_LOOKED_FOR = 3  # letters: a shorter login stands in many passwords by chance

_hasher = PasswordHasher(memory_cost=19 * 1024, time_cost=2, parallelism=1)
# Checked when nobody has the login that was typed, so that both answers take the same time.
_nobody = _hasher.hash("nobody has this password")


def check_new(password: str, login: str) -> None:
    """Raises RefusedError. Length is what counts (NIST SP 800-63B); no rules about characters."""
    if len(password) < SHORTEST:
        raise RefusedError("password", "password_short", shortest=SHORTEST)
    if len(password) > LONGEST:
        raise RefusedError("password", "password_long", longest=LONGEST)
    if len(login) >= LOGIN_LOOKED_FOR and login in password.lower():
        raise RefusedError("password", "password_has_login")


def hash_password(password: str) -> str:
    return _hasher.hash(password)


def matches(password_hash: str | None, password: str) -> bool:
    """Takes as long without a hash as with one."""
    try:
        return _hasher.verify(password_hash or _nobody, password) and password_hash is not None
    except (VerificationError, InvalidHashError):
        return False
