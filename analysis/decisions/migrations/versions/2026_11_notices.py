"""Notices to people's other tools."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "2026_11_notices"
down_revision = "2026_11_leaders"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables; an endpoint without a cursor begins with what comes next."""
    op.create_table(
        "notices",
        sa.Column("webhook_id", sa.String(length=64), nullable=False),
        sa.Column("endpoint_id", sa.String(length=64), nullable=False),
        sa.Column("event_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("deployment_id", sa.String(length=128), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("created_unix_nano", sa.BigInteger(), nullable=False),
        sa.Column("due_unix_nano", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["deployment_id"], ["canaries.deployment_id"], name=op.f("fk_notices_deployment_id")
        ),
        sa.PrimaryKeyConstraint("webhook_id", name=op.f("pk_notices")),
    )
    for columns in (["endpoint_id", "state", "due_unix_nano"], ["created_unix_nano"]):
        name = op.f(f"ix_notices_{'_'.join(columns)}")
        op.create_index(name, "notices", columns, unique=False)
    op.create_table(
        "notice_cursors",
        sa.Column("endpoint_id", sa.String(length=64), nullable=False),
        sa.Column("event_id", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("endpoint_id", name=op.f("pk_notice_cursors")),
    )
