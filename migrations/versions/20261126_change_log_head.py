"""How many entries the change log has: the newest ones cannot be cut off unnoticed."""

import hashlib
import hmac

import sqlalchemy as sa
from alembic import op
from flask import current_app

revision = "20261126"
down_revision = "20261125"
branch_labels = None
depends_on = None

_REFUSED = "BEGIN SELECT RAISE(ABORT, 'the change log is append-only'); END"
_TRIGGERS = {
    "change_log_head_only_grows": "BEFORE UPDATE ON change_log_head"
    " WHEN NEW.id <> 1 OR NEW.entries <> OLD.entries + 1",
    "change_log_head_stays": "BEFORE DELETE ON change_log_head",
    "change_log_head_not_replaced": "BEFORE INSERT ON change_log_head",
}


def upgrade() -> None:
    head = op.create_table(
        "change_log_head",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("entries", sa.Integer(), nullable=False),
        sa.Column("mac", sa.String(length=64), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_change_log_head_one_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_change_log_head")),
    )
    macs = sa.text("SELECT mac FROM change_log_entry ORDER BY id")
    found = op.get_bind().execute(macs).scalars().all()
    text = f"head {len(found)} {found[-1] if found else '0' * 64}"
    key = current_app.extensions["postroom_keys"].change_log
    mac = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    op.bulk_insert(head, [{"id": 1, "entries": len(found), "mac": mac}])
    if op.get_bind().dialect.name == "sqlite":
        for name, when in _TRIGGERS.items():
            op.execute(f"CREATE TRIGGER {name} {when} {_REFUSED}")


def downgrade() -> None:
    op.drop_table("change_log_head")
