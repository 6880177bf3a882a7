"""The standard services, as migrations put them in and keep them up to date.

Each edition of the providers is a file in ``providers/``. A migration names the edition before it
and its own; what an administrator set meanwhile stays: whether a service is hidden, its process
default, and its domains once they differ from those of the edition before.
"""

import json
import uuid
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

_EDITIONS = Path(__file__).with_name("providers")
_WITH_A_PASSWORD = frozenset({"password", "app_password"})


def bring_up_to_date(connection: Connection, edition: str, before: str | None) -> None:
    """Puts in what is missing, and changes what the providers changed.

    A provider whose name the company has given to a service of its own is left out. The table is
    read as it is at that migration; only columns that it has are written.
    """
    table = sa.Table("mail_service", sa.MetaData(), autoload_with=connection)
    former = {one["name"]: one for one in _read(before)} if before else {}
    rows = {
        row.name_key: row
        for row in connection.execute(
            sa.select(table).where(table.c.standard | table.c.deleted_at.is_(None))
        )
    }
    for position, provider in enumerate(_read(edition)):
        row = rows.get(provider["name"])
        values = {**_fixed(provider), "position": position}
        if row is None:
            connection.execute(table.insert().values(**values, **_at_first(provider)))
        elif row.standard:
            if provider["name"] in former and row.domains == former[row.name]["domains"]:
                values["domains"] = provider["domains"]
            changed = {
                column: value for column, value in values.items() if getattr(row, column) != value
            }
            if changed:
                grown = table.update().where(table.c.id == row.id)
                connection.execute(grown.values(**changed, version=row.version + 1))


def _read(edition: str) -> list[dict[str, Any]]:
    text = (_EDITIONS / f"{edition}.json").read_text(encoding="utf-8")
    providers: list[dict[str, Any]] = json.loads(text)["providers"]
    return providers


def _fixed(provider: dict[str, Any]) -> dict[str, Any]:
    """What nobody but the provider decides."""
    values: dict[str, Any] = {
        "sign_in": provider["sign_in"],
        "help_url": provider.get("help_url", ""),
        "imap_login_form": provider["login_form"].upper(),
        "smtp_login_form": provider.get("smtp_login_form", provider["login_form"]).upper(),
    }
    for protocol in ("imap", "smtp"):
        host, _, port = provider[f"{protocol}_server"].rpartition(":")
        values |= {
            f"{protocol}_host": host,
            f"{protocol}_port": int(port),
            f"{protocol}_security": provider[f"{protocol}_security"].upper(),
            f"{protocol}_non_standard": provider[f"{protocol}_non_standard"],
        }
    return values


def _at_first(provider: dict[str, Any]) -> dict[str, Any]:
    usable = not _WITH_A_PASSWORD.isdisjoint(provider["sign_in"])
    return {
        "uuid": uuid.uuid4().hex,
        "name": provider["name"],
        "name_key": provider["name"].casefold(),
        "standard": True,
        "domains": provider["domains"],
        "hidden": provider["hidden_at_first"] or not usable,
        "process_default": True,
        "ca_pem": "",
        "version": 1,
    }
