"""A wrong setting stops the start with a sentence; keys are made once."""

from pathlib import Path

import pytest

from keys import KeysError, load_keys
from mail.dns_records import Dns
from settings import SettingsError, read_settings


def test_without_any_setting_everything_has_a_value() -> None:
    settings = read_settings({"HOME": "/root", "PATH": "/bin"})
    assert settings.listen == "127.0.0.1:5000"
    assert settings.data_folder == Path("instance").absolute()
    assert settings.database_url.endswith("instance/postroom.sqlite")


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("POSTROOM_LISTEN", "5000", "an address and a port"),
        ("POSTROOM_LISTEN", "127.0.0.1:http", "number from 1 to 65535"),
        ("POSTROOM_LISTEN", "127.0.0.1:70000", "number from 1 to 65535"),
        ("POSTROOM_HOSTS", "imap.firm.test", "POSTROOM_HOSTS"),
        ("POSTROOM_DNS", "dns.firm.test", "IP address of a name server"),
        ("POSTROOM_DNS", "192.168.1.1:dns", "a number from 1 to 65535"),
        ("POSTROOM_HOSTS", "imap.firm.test=nowhere", "not an IP address"),
        ("POSTROOM_HTTPS", "maybe", "yes or no"),
        ("POSTROOM_WEB_THREADS", "0", "number from 1 to 500"),
        ("POSTROOM_TIME_ZONE", "Europe/Atlantis", "such as Europe/Berlin"),
        ("POSTROOM_DATABASE", "mysql://x", "sqlite:///"),
        ("POSTROOM_DAAT", "x", "is not a setting"),
        ("POSTROOM_FAIL_POINT", "outbox.sent", "for tests only"),
    ],
)
def test_a_wrong_value_is_answered_with_a_sentence(name: str, value: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        read_settings({name: value})


def test_the_host_table_is_read() -> None:
    settings = read_settings({"POSTROOM_HOSTS": "imap.firm.test=127.0.0.1, smtp.firm.test=::1"})
    assert settings.network.hosts == {"imap.firm.test": "127.0.0.1", "smtp.firm.test": "::1"}


def test_an_ipv6_address_is_listened_on_in_brackets() -> None:
    assert read_settings({"POSTROOM_LISTEN": "[::1]:5000"}).listen == "[::1]:5000"


def test_missing_keys_are_made_once_and_only_their_owner_can_read_them(tmp_path: Path) -> None:
    first, second = load_keys(tmp_path / "keys"), load_keys(tmp_path / "keys")
    assert first == second
    files = sorted(path.name for path in (tmp_path / "keys").iterdir())
    assert files == ["change-log", "cookie", "secrets-1"]
    for path in (tmp_path / "keys").iterdir():
        assert path.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "keys").stat().st_mode & 0o777 == 0o700


def test_a_newer_key_seals_and_the_older_one_still_opens(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    load_keys(folder)
    (folder / "secrets-2").write_bytes((folder / "cookie").read_bytes())
    (folder / "secrets-2").chmod(0o600)
    ring = load_keys(folder).ring
    assert ring.current == "2"
    assert set(ring.keys) == {"1", "2"}


def test_a_key_that_others_can_read_stops_the_start(tmp_path: Path) -> None:
    load_keys(tmp_path)
    (tmp_path / "cookie").chmod(0o644)
    with pytest.raises(KeysError, match="chmod 600"):
        load_keys(tmp_path)


def test_a_damaged_key_is_not_replaced_in_silence(tmp_path: Path) -> None:
    load_keys(tmp_path)
    (tmp_path / "secrets-1").write_text("nonsense")
    with pytest.raises(KeysError, match="does not hold a key"):
        load_keys(tmp_path)
    assert (tmp_path / "secrets-1").read_text() == "nonsense"


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("", Dns()),
        ("192.168.1.1", Dns(("192.168.1.1",))),
        ("127.0.0.1:5353", Dns(("127.0.0.1",), 5353)),
    ],
)
def test_the_name_server_may_have_a_port(typed: str, meant: Dns) -> None:
    assert read_settings({"POSTROOM_DNS": typed}).dns == meant
