"""Time that does not count against budgets, with who said so and why."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "2026_11_corrections"
down_revision = "2026_11_tape"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "corrections",
        sa.Column("correction_id", sa.String(length=64), nullable=False),
        sa.Column("made_unix_nano", sa.BigInteger(), nullable=False),
        sa.Column("author", sa.String(length=200), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("category", sa.String(length=64), nullable=False),
        sa.Column("objectives_json", sa.Text(), nullable=False),
        sa.Column("when_json", sa.Text(), nullable=False),
        sa.Column("withdrawn_json", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("correction_id", name=op.f("pk_corrections")),
    )
