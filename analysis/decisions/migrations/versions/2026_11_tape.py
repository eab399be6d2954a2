"""Beside each look what the judge was given, so that it can be judged again."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "2026_11_tape"
down_revision = "2026_11_kayenta"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column."""
    op.add_column("looks", sa.Column("tape", sa.LargeBinary(), nullable=True))
