"""Secrets open only with their key, for their row and their field."""

import uuid
from dataclasses import dataclass

import pytest

from domain.secrets import KeyRing, SecretLostError, key_id_of, prefix_of

ROW = uuid.uuid4()
OLD = KeyRing(current="1", keys={"1": b"a" * 32})
NEW = KeyRing(current="2", keys={"1": b"a" * 32, "2": b"b" * 32})


def test_what_was_sealed_opens_again() -> None:
    assert OLD.open(OLD.seal("пароль", ROW, "password"), ROW, "password") == "пароль"


def test_the_same_secret_is_never_sealed_the_same_way_twice() -> None:
    assert OLD.seal("s", ROW, "password") != OLD.seal("s", ROW, "password")


def test_the_secret_itself_does_not_stand_in_what_is_stored() -> None:
    assert b"canary-password" not in OLD.seal("canary-password", ROW, "password")


def test_a_secret_moved_to_another_row_or_field_does_not_open() -> None:
    sealed = OLD.seal("secret", ROW, "password")
    for row, field in ((uuid.uuid4(), "password"), (ROW, "token")):
        with pytest.raises(SecretLostError):
            OLD.open(sealed, row, field)


def test_after_a_change_of_keys_the_old_ones_still_open() -> None:
    sealed = OLD.seal("secret", ROW, "password")
    assert NEW.open(sealed, ROW, "password") == "secret"
    assert NEW.seal("secret", ROW, "password").startswith(b"2:")


@pytest.mark.parametrize("sealed", [b"", b"1:", b"9:xxxxxxxxxxxxxxxxxxxxxxxx", b"no colon"])
def test_what_is_damaged_or_of_an_unknown_key_is_lost(sealed: bytes) -> None:
    with pytest.raises(SecretLostError):
        OLD.open(sealed, ROW, "password")


def test_keys_do_not_show_in_a_representation() -> None:
    assert "aaaa" not in repr(OLD)


@dataclass(frozen=True, repr=False)
class Folder(KeyRing):
    """A ring whose keys change behind its back."""

    now: KeyRing

    def as_of_now(self) -> KeyRing:
        return self.now


def test_what_is_sealed_is_sealed_under_the_newest_key_of_this_moment() -> None:
    read_before = Folder(OLD.current, OLD.keys, NEW)
    sealed = read_before.seal("secret", ROW, "password")
    assert sealed.startswith(b"2:")
    assert NEW.open(sealed, ROW, "password") == "secret"


def test_a_key_that_was_made_since_the_start_opens() -> None:
    read_before = Folder(OLD.current, OLD.keys, NEW)
    assert read_before.open(NEW.seal("secret", ROW, "password"), ROW, "password") == "secret"


def test_a_key_that_was_brought_back_under_its_own_name_opens() -> None:
    wrong = KeyRing(current="1", keys={"1": b"x" * 32})
    read_before = Folder(wrong.current, wrong.keys, OLD)
    assert read_before.open(OLD.seal("secret", ROW, "password"), ROW, "password") == "secret"


def test_what_opened_before_opens_without_the_file() -> None:
    nothing = KeyRing(current="9", keys={"9": b"z" * 32})
    read_before = Folder(OLD.current, OLD.keys, nothing)
    assert read_before.open(OLD.seal("secret", ROW, "password"), ROW, "password") == "secret"
    with pytest.raises(SecretLostError):
        read_before.open(NEW.seal("secret", ROW, "password"), ROW, "password")


@pytest.mark.parametrize(
    ("sealed", "key_id"),
    [
        (b"2:x", "2"),
        (b"123456789:x", "123456789"),
        (b"1234567890:x", ""),
        (b"", ""),
        (b":x", ""),
        (b"12", ""),
        (b"a1:x", ""),
        ("\u0661:x".encode(), ""),
    ],
)
def test_what_is_sealed_says_under_which_key(sealed: bytes, key_id: str) -> None:
    assert key_id_of(sealed) == key_id
    assert key_id_of(NEW.seal("secret", ROW, "password")) == "2"


def test_the_beginning_tells_keys_apart_whose_ids_begin_alike() -> None:
    ten = KeyRing(current="10", keys={"10": b"a" * 32})
    sealed = ten.seal("secret", ROW, "password")
    assert sealed.startswith(prefix_of("10"))
    assert not sealed.startswith(prefix_of("1"))
