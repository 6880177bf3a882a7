"""What an operator can set: one frozen dataclass, read from POSTROOM_* and checked at start."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from click import ClickException

from mail.connection import Network
from mail.dns_records import Dns

PREFIX = "POSTROOM_"


class SettingsError(ClickException):
    """A setting is wrong; the text is a sentence for the operator, which stops the command line."""

    exit_code = 2


@dataclass(frozen=True)
class Settings:
    """``time_zone`` None means the machine's own."""

    data_folder: Path
    keys_folder: Path
    database_url: str
    listen_host: str
    listen_port: int
    network: Network
    dns: Dns = field(default_factory=Dns)
    https: bool = False
    web_threads: int = 16
    time_zone: ZoneInfo | None = None
    demo_people: Path | None = None
    testing: bool = False

    @property
    def listen(self) -> str:
        host = f"[{self.listen_host}]" if ":" in self.listen_host else self.listen_host
        return f"{host}:{self.listen_port}"


_KNOWN = {
    "DATA": "instance",
    "KEYS": "",
    "DATABASE": "",
    "LISTEN": "127.0.0.1:5000",
    "HOSTS": "",
    "DNS": "",
    "HTTPS": "no",
    "WEB_THREADS": "16",
    "TIME_ZONE": "",
    "DEMO_PEOPLE": "",
    "DEMO_INTERVAL": "",  # read by commands/demo.py alone
    "TESTING": "no",
    "FAIL_POINT": "",
}


def read_settings(environment: Mapping[str, str] = os.environ) -> Settings:
    """Raises SettingsError for a value that cannot be used, and for a name that nobody reads."""
    given = {
        name.removeprefix(PREFIX): value
        for name, value in environment.items()
        if name.startswith(PREFIX)
    }
    for name in given:
        if name not in _KNOWN:
            raise SettingsError(f"{PREFIX}{name} is not a setting. Known: {_list_of_names()}.")
    value = {**_KNOWN, **{name: text.strip() for name, text in given.items() if text.strip()}}
    testing = _switch("TESTING", value["TESTING"])
    if value["FAIL_POINT"] and not testing:
        raise SettingsError("POSTROOM_FAIL_POINT kills the process; it is for tests only.")
    data = Path(value["DATA"]).absolute()
    host, port = _listen(value["LISTEN"])
    return Settings(
        data_folder=data,
        keys_folder=Path(value["KEYS"]).absolute() if value["KEYS"] else data / "keys",
        database_url=_database(value["DATABASE"], data),
        listen_host=host,
        listen_port=port,
        network=_network(value["HOSTS"]),
        dns=_dns(value["DNS"]),
        https=_switch("HTTPS", value["HTTPS"]),
        web_threads=_number("WEB_THREADS", value["WEB_THREADS"], 1, 500),
        time_zone=_zone(value["TIME_ZONE"]),
        demo_people=Path(value["DEMO_PEOPLE"]).absolute() if value["DEMO_PEOPLE"] else None,
        testing=testing,
    )


def _list_of_names() -> str:
    return ", ".join(PREFIX + name for name in _KNOWN if name not in {"TESTING", "FAIL_POINT"})


def _database(url: str, data: Path) -> str:
    if url and not url.startswith("sqlite:///"):
        raise SettingsError("POSTROOM_DATABASE must begin with sqlite:/// for now.")
    return url or f"sqlite:///{data / 'postroom.sqlite'}"


def _listen(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    host = host.strip("[]")
    if not host:
        raise SettingsError("POSTROOM_LISTEN is an address and a port, such as 127.0.0.1:5000.")
    return host, _number("LISTEN", port, 1, 65535)


def _network(hosts: str) -> Network:
    try:
        return Network(hosts=Network.parse_hosts(hosts))
    except ValueError as error:
        raise SettingsError(f"POSTROOM_HOSTS: {error}") from error


def _dns(text: str) -> Dns:
    """The name server that *Find settings* asks; without one, those of the machine."""
    if not text:
        return Dns()
    address, colon, port = text.rpartition(":")
    try:
        ip_address(address if colon else text)
    except ValueError as error:
        raise SettingsError(
            f"POSTROOM_DNS is the IP address of a name server, with or without its port, such as "
            f"192.168.1.1:53, not {text!r}."
        ) from error
    return Dns((address,), _number("DNS", port, 1, 65535)) if colon else Dns((text,))


def _switch(name: str, text: str) -> bool:
    if text.lower() in {"yes", "1", "true", "on"}:
        return True
    if text.lower() in {"no", "0", "false", "off"}:
        return False
    raise SettingsError(f"{PREFIX}{name} is yes or no, not {text!r}.")


def _number(name: str, text: str, least: int, most: int) -> int:
    if not (text.isascii() and text.isdigit() and least <= int(text) <= most):
        raise SettingsError(
            f"{PREFIX}{name} ends in a number from {least} to {most}, not {text!r}."
        )
    return int(text)


def _zone(name: str) -> ZoneInfo | None:
    if not name:
        return None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise SettingsError(
            f"POSTROOM_TIME_ZONE is a name such as Europe/Berlin, not {name!r}."
        ) from error
