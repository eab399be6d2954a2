"""Generations of objectives."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "2026_11_definitions"
down_revision = "2026_11_proposals"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "slo_definitions",
        sa.Column("name", sa.String(length=256), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("since_unix_nano", sa.BigInteger(), nullable=False),
        sa.Column("definition_json", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", "generation", name=op.f("pk_slo_definitions")),
    )
