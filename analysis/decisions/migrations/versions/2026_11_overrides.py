"""Overrides of error-budget policies."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "2026_11_overrides"
down_revision = "2026_11_silences"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "policy_overrides",
        sa.Column("override_id", sa.String(length=64), nullable=False),
        sa.Column("step", sa.String(length=200), nullable=False),
        sa.Column("objective", sa.String(length=200), nullable=False),
        sa.Column("author", sa.String(length=200), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("made_unix_nano", sa.BigInteger(), nullable=False),
        sa.Column("expires_unix_nano", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("override_id", name=op.f("pk_policy_overrides")),
    )
