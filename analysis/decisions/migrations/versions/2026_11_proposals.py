"""Changes that loosen the guards wait for a second person."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "2026_11_proposals"
down_revision = "2026_11_overrides"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Both start empty."""
    op.create_table(
        "proposals",
        sa.Column("proposal_id", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("environment", sa.String(length=64), nullable=False),
        sa.Column("service", sa.String(length=64), nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("state_sha256", sa.String(length=64), nullable=False),
        sa.Column("proposer_token", sa.String(length=128), nullable=False),
        sa.Column("proposer_says", sa.String(length=128), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("created_unix_nano", sa.BigInteger(), nullable=False),
        sa.Column("expires_unix_nano", sa.BigInteger(), nullable=False),
        sa.Column("approver_token", sa.String(length=128), nullable=True),
        sa.Column("approver_says", sa.String(length=128), nullable=True),
        sa.Column("approval_reason", sa.Text(), nullable=False),
        sa.Column("ended_unix_nano", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("proposal_id", name=op.f("pk_proposals")),
    )
    op.create_index(
        op.f("ix_proposals_ended_unix_nano_expires_unix_nano"),
        "proposals",
        ["ended_unix_nano", "expires_unix_nano"],
    )
    op.create_index(op.f("ix_proposals_created_unix_nano"), "proposals", ["created_unix_nano"])
    op.create_table(
        "approved_settings",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("settings_json", sa.Text(), nullable=False),
        sa.Column("approved_by", sa.Text(), nullable=False),
        sa.Column("unix_nano", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_approved_settings")),
    )
