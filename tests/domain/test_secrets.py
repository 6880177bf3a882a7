"""Secrets open only with their key, for their row and their field."""

import uuid

import pytest

from domain.secrets import KeyRing, SecretLostError

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
