"""What Kayenta's API keeps: configurations, executions, fetched metrics."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "2026_11_kayenta"
down_revision = "2026_11_guards"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "kayenta_objects",
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("object_id", sa.String(length=128), nullable=False),
        sa.Column("name", sa.String(length=256), nullable=False),
        sa.Column("applications", sa.Text(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("created_unix_nano", sa.BigInteger(), nullable=False),
        sa.Column("updated_unix_nano", sa.BigInteger(), nullable=False),
        sa.Column("body_json", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "object_id", name=op.f("pk_kayenta_objects")),
    )
    op.create_index(
        op.f("ix_kayenta_objects_kind_status_created_unix_nano"),
        "kayenta_objects",
        ["kind", "status", "created_unix_nano"],
        unique=False,
    )
