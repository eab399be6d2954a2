"""Who leads a shared ledger."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "2026_11_leaders"
down_revision = "2026_11_corrections"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table; empty = nobody leads."""
    op.create_table(
        "leaders",
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("holder", sa.String(length=128), nullable=False),
        sa.Column("until_unix_nano", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("role", name=op.f("pk_leaders")),
    )
