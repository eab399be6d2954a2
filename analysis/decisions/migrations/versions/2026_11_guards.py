"""What guards remember, and the audit log."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "2026_11_guards"
down_revision = "2026_11_ledger"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables; empty ones say the truth: nothing is barred, locked or known good."""
    op.create_table(
        "barred_digests",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("environment", sa.String(length=64), nullable=False),
        sa.Column("service", sa.String(length=64), nullable=False),
        sa.Column("digest", sa.String(length=128), nullable=False),
        sa.Column("decision_id", sa.String(length=64), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("barred_unix_nano", sa.BigInteger(), nullable=False),
        sa.Column("cleared_unix_nano", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["decision_id"],
            ["decisions.decision_id"],
            name=op.f("fk_barred_digests_decision_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_barred_digests")),
    )
    op.create_index(
        op.f("ix_barred_digests_environment_service_digest"),
        "barred_digests",
        ["environment", "service", "digest"],
        unique=False,
    )
    op.create_table(
        "known_good",
        sa.Column("environment", sa.String(length=64), nullable=False),
        sa.Column("service", sa.String(length=64), nullable=False),
        sa.Column("digest", sa.String(length=128), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("unix_nano", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("environment", "service", "digest", name=op.f("pk_known_good")),
    )
    op.create_table(
        "environment_locks",
        sa.Column("environment", sa.String(length=64), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("unix_nano", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("environment", name=op.f("pk_environment_locks")),
    )
    _audit()


def _audit() -> None:
    op.create_table(
        "audit",
        sa.Column("sequence", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("unix_nano", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.String(length=128), nullable=False),
        sa.Column("action", sa.String(length=64), nullable=False),
        sa.Column("subject", sa.String(length=256), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("previous_sha256", sa.String(length=64), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("sequence", name=op.f("pk_audit")),
    )
    op.create_table(
        "audit_head",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_head")),
    )
