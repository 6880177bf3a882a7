"""What a person sets for a mailbox, disconnecting it, and tests that lead to none."""

import sqlalchemy as sa
from alembic import op
from alembic.operations import BatchOperations

revision = "20261127"
down_revision = "20261126"
branch_labels = None
depends_on = None

_STATES = (
    "CONNECTING",
    "WORKING",
    "UNREACHABLE",
    "REMOVING",
    "LOGIN_REFUSED",
    "APP_PASSWORD_WANTED",
    "CERTIFICATE_REFUSED",
    "OVER_QUOTA",
    "SECRET_LOST",
    "SERVICE_DELETED",
    "MOVED",
)
_PURPOSES = ("CONNECT", "PASSWORD", "TRY")
_ONE_PAIR = "(service_id IS NULL) <> (own_servers_id IS NULL)"


def _only(batch_op: BatchOperations, check: str, column: str, words: tuple[str, ...]) -> None:
    batch_op.drop_constraint(op.f(check), type_="check")
    batch_op.create_check_constraint(op.f(check), sa.column(column).in_(words))


def _pair(batch_op: BatchOperations, rule: str) -> None:
    name = op.f("ck_connection_test_one_pair_of_servers")
    batch_op.drop_constraint(name, type_="check")
    batch_op.create_check_constraint(name, sa.text(rule))


def upgrade() -> None:
    with op.batch_alter_table("connection_test") as batch_op:
        _only(
            batch_op,
            "ck_connection_test_connection_purpose",
            "purpose",
            (*_PURPOSES, "CHECK", "KEPT"),
        )
        _pair(batch_op, f"purpose = 'KEPT' OR ({_ONE_PAIR})")
    with op.batch_alter_table("mailbox") as batch_op:
        _only(batch_op, "ck_mailbox_mailbox_state", "state", (*_STATES, "DISCONNECTED"))
        batch_op.add_column(sa.Column("signature", sa.Text(), nullable=False, server_default=""))
        batch_op.add_column(
            sa.Column("notifies", sa.Boolean(), nullable=False, server_default=sa.false())
        )
        batch_op.add_column(
            sa.Column(
                "process_choice",
                sa.Enum(
                    "COMPANY",
                    "ALLOWED",
                    "NOT_ALLOWED",
                    name="process_choice",
                    native_enum=False,
                    create_constraint=True,
                    length=40,
                ),
                nullable=False,
                server_default="COMPANY",
            )
        )
        batch_op.add_column(sa.Column("position", sa.Integer(), nullable=False, server_default="0"))
        batch_op.add_column(
            sa.Column("default_sender", sa.Boolean(), nullable=False, server_default=sa.false())
        )
        batch_op.create_index(
            "uq_mailbox_default_sender",
            ["user_id"],
            unique=True,
            sqlite_where=sa.text("default_sender"),
            postgresql_where=sa.text("default_sender"),
        )
    op.execute("UPDATE mailbox SET position = id")
    op.execute(
        "UPDATE mailbox SET default_sender = true"
        " WHERE id IN (SELECT min(id) FROM mailbox GROUP BY user_id)"
    )


def downgrade() -> None:
    # A kept password belongs to a form, and a mailbox without one of its own cannot be used.
    op.execute("DELETE FROM connection_test WHERE purpose IN ('CHECK', 'KEPT')")
    op.execute("UPDATE mailbox SET state = 'SECRET_LOST' WHERE state = 'DISCONNECTED'")
    with op.batch_alter_table("mailbox") as batch_op:
        batch_op.drop_index("uq_mailbox_default_sender")
        batch_op.drop_constraint(op.f("ck_mailbox_process_choice"), type_="check")
        for name in ("default_sender", "position", "process_choice", "notifies", "signature"):
            batch_op.drop_column(name)
        _only(batch_op, "ck_mailbox_mailbox_state", "state", _STATES)
    with op.batch_alter_table("connection_test") as batch_op:
        _pair(batch_op, _ONE_PAIR)
        _only(batch_op, "ck_connection_test_connection_purpose", "purpose", _PURPOSES)
