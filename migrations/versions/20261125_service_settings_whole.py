"""Service settings: servers without a service, the company's switch, notices, providers."""

import sqlalchemy as sa
from alembic import op
from alembic.operations import BatchOperations

from migrations.standard_services import bring_up_to_date

revision = "20261125"
down_revision = "ffd14e4b3635"
branch_labels = None
depends_on = None

_STATES = (
    "CONNECTING",
    "WORKING",
    "UNREACHABLE",
    "LOGIN_REFUSED",
    "APP_PASSWORD_WANTED",
    "CERTIFICATE_REFUSED",
    "OVER_QUOTA",
    "SECRET_LOST",
)
_NEW_STATES = ("REMOVING", "SERVICE_DELETED", "MOVED")


def _only_states(batch_op: BatchOperations, states: tuple[str, ...]) -> None:
    batch_op.drop_constraint(op.f("ck_mailbox_mailbox_state"), type_="check")
    batch_op.create_check_constraint(
        op.f("ck_mailbox_mailbox_state"), sa.column("state").in_(states)
    )


def _one_pair(batch_op: BatchOperations, table: str) -> None:
    batch_op.create_check_constraint(
        op.f(f"ck_{table}_one_pair_of_servers"),
        sa.text("(service_id IS NULL) <> (own_servers_id IS NULL)"),
    )


# The change log only grows. Removing a person empties the author's id, and nothing else.
_COLUMNS = ("id", "at", "author_name", "action", "subject", "subject_name", "changes", "mac")
_REFUSED = "BEGIN SELECT RAISE(ABORT, 'the change log is append-only'); END"
_SAME = " AND ".join(f"NEW.{name} IS OLD.{name}" for name in _COLUMNS)
_TRIGGERS = {
    "change_log_entry_keep_deleted": "BEFORE DELETE ON change_log_entry",
    "change_log_entry_keep_changed": "BEFORE UPDATE ON change_log_entry"
    f" WHEN NOT (NEW.author_id IS NULL AND {_SAME})",
    # REPLACE deletes without a word to the first of them.
    "change_log_entry_keep_replaced": "BEFORE INSERT ON change_log_entry"
    " WHEN EXISTS (SELECT 1 FROM change_log_entry WHERE id = NEW.id)",
}
_INDEXES = {
    "ix_change_log_entry_at_id": (["at", "id"], None),
    "ix_change_log_entry_subject_at_id": (["subject", "at", "id"], None),
    "ix_change_log_entry_author_id_at_id": (["author_id", "at", "id"], "author_id IS NOT NULL"),
    "ix_change_log_entry_author_name_at_id": (["author_name", "at", "id"], "author_id IS NULL"),
}


def _protect_change_log() -> None:
    for name, (columns, condition) in _INDEXES.items():
        where = sa.text(condition) if condition else None
        op.create_index(
            name, "change_log_entry", columns, sqlite_where=where, postgresql_where=where
        )
    if op.get_bind().dialect.name == "sqlite":
        for name, when in _TRIGGERS.items():
            op.execute(f"CREATE TRIGGER {name} {when} {_REFUSED}")


def _release_change_log() -> None:
    if op.get_bind().dialect.name == "sqlite":
        for name in _TRIGGERS:
            op.execute(f"DROP TRIGGER {name}")
    for name in _INDEXES:
        op.drop_index(name, "change_log_entry")


def upgrade() -> None:
    _protect_change_log()
    op.create_table(
        "company_settings",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("other_allowed", sa.Boolean(), nullable=False),
        sa.Column("other_process_default", sa.Boolean(), nullable=False),
        sa.Column("employee_networks", sa.JSON(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_company_settings_one_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_company_settings")),
    )
    op.create_table(
        "own_servers",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("imap_host", sa.String(length=253), nullable=False),
        sa.Column("imap_port", sa.Integer(), nullable=False),
        sa.Column(
            "imap_security",
            sa.Enum(
                "NONE",
                "STARTTLS",
                "TLS",
                name="imap_security",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("imap_non_standard", sa.Boolean(), nullable=False),
        sa.Column("smtp_host", sa.String(length=253), nullable=False),
        sa.Column("smtp_port", sa.Integer(), nullable=False),
        sa.Column(
            "smtp_security",
            sa.Enum(
                "NONE",
                "STARTTLS",
                "TLS",
                name="smtp_security",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("smtp_non_standard", sa.Boolean(), nullable=False),
        sa.Column("ca_pem", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "imap_non_standard OR (imap_port NOT IN (25, 465, 587) AND ((imap_port = 143 AND imap_security IN ('NONE', 'STARTTLS')) OR (imap_port = 993 AND imap_security = 'TLS') OR imap_port NOT IN (143, 993)))",
            name=op.f("ck_own_servers_imap_port_security"),
        ),
        sa.CheckConstraint(
            "imap_non_standard OR imap_host LIKE 'imap._%'",
            name=op.f("ck_own_servers_imap_host_label"),
        ),
        sa.CheckConstraint(
            "smtp_non_standard OR (smtp_port NOT IN (143, 993) AND ((smtp_port = 25 AND smtp_security = 'NONE') OR (smtp_port = 465 AND smtp_security = 'TLS') OR (smtp_port = 587 AND smtp_security = 'STARTTLS') OR smtp_port NOT IN (25, 465, 587)))",
            name=op.f("ck_own_servers_smtp_port_security"),
        ),
        sa.CheckConstraint(
            "smtp_non_standard OR smtp_host LIKE 'smtp._%'",
            name=op.f("ck_own_servers_smtp_host_label"),
        ),
        sa.CheckConstraint(
            "imap_port BETWEEN 1 AND 65535", name=op.f("ck_own_servers_imap_port_range")
        ),
        sa.CheckConstraint(
            "smtp_port BETWEEN 1 AND 65535", name=op.f("ck_own_servers_smtp_port_range")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_own_servers")),
    )
    op.create_table(
        "settings_search",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("uuid", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("domain", sa.String(length=253), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "WAITING",
                "RUNNING",
                "SUCCEEDED",
                "FAILED",
                name="connection_test_state",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("found", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["user.id"],
            name=op.f("fk_settings_search_user_id_user"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_settings_search")),
        sa.UniqueConstraint("uuid", name=op.f("uq_settings_search_uuid")),
    )
    with op.batch_alter_table("settings_search", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_settings_search_user_id"), ["user_id"], unique=False)

    op.create_table(
        "notice",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("mailbox_id", sa.Integer(), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                "SERVERS_CHANGED",
                name="notice_kind",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["mailbox_id"],
            ["mailbox.id"],
            name=op.f("fk_notice_mailbox_id_mailbox"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["user.id"], name=op.f("fk_notice_user_id_user"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notice")),
    )
    with op.batch_alter_table("notice", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_notice_mailbox_id"), ["mailbox_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_notice_user_id"), ["user_id"], unique=False)

    with op.batch_alter_table("connection_test", schema=None) as batch_op:
        _one_pair(batch_op, "connection_test")
        batch_op.add_column(
            sa.Column(
                "purpose",
                sa.Enum(
                    "CONNECT",
                    "PASSWORD",
                    "TRY",
                    name="connection_purpose",
                    native_enum=False,
                    create_constraint=True,
                    length=40,
                ),
                nullable=False,
                server_default="CONNECT",
            )
        )
        batch_op.add_column(sa.Column("own_servers_id", sa.Integer(), nullable=True))
        batch_op.add_column(
            sa.Column("smtp_login", sa.String(length=320), nullable=False, server_default="")
        )
        batch_op.add_column(sa.Column("findings", sa.JSON(), nullable=False, server_default="{}"))
        batch_op.alter_column("service_id", existing_type=sa.INTEGER(), nullable=True)
        batch_op.create_foreign_key(
            batch_op.f("fk_connection_test_own_servers_id_own_servers"),
            "own_servers",
            ["own_servers_id"],
            ["id"],
        )

    with op.batch_alter_table("mailbox", schema=None) as batch_op:
        _one_pair(batch_op, "mailbox")
        _only_states(batch_op, (*_STATES, *_NEW_STATES))
        batch_op.add_column(sa.Column("own_servers_id", sa.Integer(), nullable=True))
        batch_op.add_column(
            sa.Column("smtp_login", sa.String(length=320), nullable=False, server_default="")
        )
        batch_op.add_column(
            sa.Column("agreed_domains", sa.JSON(), nullable=False, server_default="[]")
        )
        batch_op.add_column(sa.Column("last_received_at", sa.DateTime(), nullable=True))
        batch_op.add_column(sa.Column("last_sent_at", sa.DateTime(), nullable=True))
        batch_op.alter_column("service_id", existing_type=sa.INTEGER(), nullable=True)
        batch_op.create_index(
            "ix_mailbox_state_next_contact_at", ["state", "next_contact_at"], unique=False
        )
        batch_op.create_unique_constraint(
            batch_op.f("uq_mailbox_own_servers_id"), ["own_servers_id"]
        )
        batch_op.create_foreign_key(
            batch_op.f("fk_mailbox_own_servers_id_own_servers"),
            "own_servers",
            ["own_servers_id"],
            ["id"],
        )

    op.execute("INSERT INTO company_settings VALUES (1, true, true, '[]', 1)")
    bring_up_to_date(op.get_bind(), "2026-11", None)


def downgrade() -> None:
    _release_change_log()
    for table in ("connection_test", "mailbox"):
        op.execute(f"DELETE FROM {table} WHERE service_id IS NULL")  # noqa: S608 - two names of ours
    op.execute(
        "UPDATE mailbox SET state = 'UNREACHABLE' WHERE state IN ('REMOVING', 'SERVICE_DELETED', 'MOVED')"
    )
    with op.batch_alter_table("mailbox", schema=None) as batch_op:
        batch_op.drop_constraint(op.f("ck_mailbox_one_pair_of_servers"), type_="check")
        _only_states(batch_op, _STATES)
        batch_op.drop_constraint(
            batch_op.f("fk_mailbox_own_servers_id_own_servers"), type_="foreignkey"
        )
        batch_op.drop_constraint(batch_op.f("uq_mailbox_own_servers_id"), type_="unique")
        batch_op.drop_index("ix_mailbox_state_next_contact_at")
        batch_op.alter_column("service_id", existing_type=sa.INTEGER(), nullable=False)
        batch_op.drop_column("last_sent_at")
        batch_op.drop_column("last_received_at")
        batch_op.drop_column("agreed_domains")
        batch_op.drop_column("smtp_login")
        batch_op.drop_column("own_servers_id")

    with op.batch_alter_table("connection_test", schema=None) as batch_op:
        batch_op.drop_constraint(op.f("ck_connection_test_one_pair_of_servers"), type_="check")
        batch_op.drop_constraint(op.f("ck_connection_test_connection_purpose"), type_="check")
        batch_op.drop_constraint(
            batch_op.f("fk_connection_test_own_servers_id_own_servers"), type_="foreignkey"
        )
        batch_op.alter_column("service_id", existing_type=sa.INTEGER(), nullable=False)
        batch_op.drop_column("findings")
        batch_op.drop_column("smtp_login")
        batch_op.drop_column("own_servers_id")
        batch_op.drop_column("purpose")

    with op.batch_alter_table("notice", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_notice_user_id"))
        batch_op.drop_index(batch_op.f("ix_notice_mailbox_id"))

    op.drop_table("notice")
    with op.batch_alter_table("settings_search", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_settings_search_user_id"))

    op.drop_table("settings_search")
    op.drop_table("own_servers")
    op.drop_table("company_settings")
