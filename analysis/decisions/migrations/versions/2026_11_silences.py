"""Silences; notices of alerts beside those of canaries."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "2026_11_silences"
down_revision = "2026_11_notices"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """What a notice tells of becomes a word of its own, for an alert has no canary."""
    op.create_table(
        "silences",
        sa.Column("silence_id", sa.String(length=64), nullable=False),
        sa.Column("starts_unix_nano", sa.BigInteger(), nullable=False),
        sa.Column("ends_unix_nano", sa.BigInteger(), nullable=False),
        sa.Column("updated_unix_nano", sa.BigInteger(), nullable=False),
        sa.Column("author", sa.String(length=200), nullable=False),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.Column("matchers_json", sa.Text(), nullable=False),
        sa.Column("recurring_json", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("silence_id", name=op.f("pk_silences")),
    )
    op.add_column("events", sa.Column("about_json", sa.Text(), nullable=True))
    op.add_column("notices", sa.Column("subject", sa.String(length=256), nullable=True))
    op.execute("UPDATE notices SET subject = deployment_id")
    with op.batch_alter_table("notices") as notices:
        notices.alter_column("subject", existing_type=sa.String(length=256), nullable=False)
        notices.alter_column("deployment_id", existing_type=sa.String(length=128), nullable=True)
