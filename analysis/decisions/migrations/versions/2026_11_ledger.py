"""The first tables: canaries, decisions, outbox, timeline."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "2026_11_ledger"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create everything."""
    _canaries()
    _decisions()
    _outbox()
    _timeline()


def _canaries() -> None:
    op.create_table(
        "canaries",
        sa.Column("deployment_id", sa.String(length=128), nullable=False),
        sa.Column("environment", sa.String(length=64), nullable=False),
        sa.Column("service", sa.String(length=64), nullable=False),
        sa.Column("declaration_json", sa.Text(), nullable=False),
        sa.Column("declared_unix_nano", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.String(length=64), nullable=False),
        sa.Column("summary", sa.Text(), nullable=False),
        sa.Column("looks", sa.Integer(), nullable=False),
        sa.Column("verdict_json", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("deployment_id", name=op.f("pk_canaries")),
    )
    op.create_index(
        op.f("ix_canaries_declared_unix_nano"), "canaries", ["declared_unix_nano"], unique=False
    )
    op.create_index(
        op.f("ix_canaries_state_declared_unix_nano"),
        "canaries",
        ["state", "declared_unix_nano"],
        unique=False,
    )
    op.create_table(
        "judge_states",
        sa.Column("deployment_id", sa.String(length=128), nullable=False),
        sa.Column("config_text", sa.Text(), nullable=False),
        sa.Column("rule_digest", sa.String(length=64), nullable=False),
        sa.Column("state_json", sa.Text(), nullable=True),
        sa.Column("saved_unix_nano", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["deployment_id"],
            ["canaries.deployment_id"],
            name=op.f("fk_judge_states_deployment_id"),
        ),
        sa.PrimaryKeyConstraint("deployment_id", name=op.f("pk_judge_states")),
    )
    op.create_table(
        "looks",
        sa.Column("deployment_id", sa.String(length=128), nullable=False),
        sa.Column("look_index", sa.Integer(), nullable=False),
        sa.Column("unix_nano", sa.BigInteger(), nullable=False),
        sa.Column("look_json", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["deployment_id"], ["canaries.deployment_id"], name=op.f("fk_looks_deployment_id")
        ),
        sa.PrimaryKeyConstraint("deployment_id", "look_index", name=op.f("pk_looks")),
    )


def _decisions() -> None:
    op.create_table(
        "lanes",
        sa.Column("lane", sa.String(length=129), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("lane", name=op.f("pk_lanes")),
    )
    op.create_table(
        "decisions",
        sa.Column("decision_id", sa.String(length=64), nullable=False),
        sa.Column("deployment_id", sa.String(length=128), nullable=False),
        sa.Column("environment", sa.String(length=64), nullable=False),
        sa.Column("service", sa.String(length=64), nullable=False),
        sa.Column("lane", sa.String(length=129), nullable=False),
        sa.Column("action", sa.String(length=16), nullable=False),
        sa.Column("mode", sa.String(length=16), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("verdict", sa.String(length=16), nullable=False),
        sa.Column("summary", sa.Text(), nullable=False),
        sa.Column("culprit_metric", sa.String(length=128), nullable=True),
        sa.Column("culprit_split", sa.String(length=256), nullable=True),
        sa.Column("evidence_sha256", sa.String(length=64), nullable=False),
        sa.Column("rule_sha256", sa.String(length=64), nullable=False),
        sa.Column("supersedes", sa.String(length=64), nullable=True),
        sa.Column("created_unix_nano", sa.BigInteger(), nullable=False),
        sa.Column("expires_unix_nano", sa.BigInteger(), nullable=False),
        sa.Column("delivered_unix_nano", sa.BigInteger(), nullable=True),
        sa.Column("acknowledged_unix_nano", sa.BigInteger(), nullable=True),
        sa.Column("completed_unix_nano", sa.BigInteger(), nullable=True),
        sa.Column("confirmed_unix_nano", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["deployment_id"], ["canaries.deployment_id"], name=op.f("fk_decisions_deployment_id")
        ),
        sa.ForeignKeyConstraint(["lane"], ["lanes.lane"], name=op.f("fk_decisions_lane")),
        sa.PrimaryKeyConstraint("decision_id", name=op.f("pk_decisions")),
        sa.UniqueConstraint("deployment_id", name=op.f("uq_decisions_deployment_id")),
        sa.UniqueConstraint("lane", "sequence", name=op.f("uq_decisions_lane_sequence")),
    )
    op.create_index(
        op.f("ix_decisions_created_unix_nano"), "decisions", ["created_unix_nano"], unique=False
    )
    op.create_index(op.f("ix_decisions_state"), "decisions", ["state"], unique=False)
    op.create_table(
        "decision_history",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("decision_id", sa.String(length=64), nullable=False),
        sa.Column("unix_nano", sa.BigInteger(), nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["decision_id"], ["decisions.decision_id"], name=op.f("fk_decision_history_decision_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_decision_history")),
    )
    op.create_index(
        op.f("ix_decision_history_decision_id"), "decision_history", ["decision_id"], unique=False
    )


def _outbox() -> None:
    op.create_table(
        "outbox",
        sa.Column("webhook_id", sa.String(length=64), nullable=False),
        sa.Column("decision_id", sa.String(length=64), nullable=False),
        sa.Column("endpoint_id", sa.String(length=64), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("lane", sa.String(length=129), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("dead_reason", sa.Text(), nullable=True),
        sa.Column("created_unix_nano", sa.BigInteger(), nullable=False),
        sa.Column("due_unix_nano", sa.BigInteger(), nullable=False),
        sa.Column("expires_unix_nano", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("lease_token", sa.String(length=64), nullable=True),
        sa.Column("lease_until_unix_nano", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["decision_id"], ["decisions.decision_id"], name=op.f("fk_outbox_decision_id")
        ),
        sa.PrimaryKeyConstraint("webhook_id", name=op.f("pk_outbox")),
        sa.UniqueConstraint(
            "decision_id", "endpoint_id", name=op.f("uq_outbox_decision_id_endpoint_id")
        ),
    )
    op.create_index(op.f("ix_outbox_lease_token"), "outbox", ["lease_token"], unique=False)
    op.create_index(
        op.f("ix_outbox_state_due_unix_nano"), "outbox", ["state", "due_unix_nano"], unique=False
    )
    op.create_table(
        "attempts",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("webhook_id", sa.String(length=64), nullable=False),
        sa.Column("unix_nano", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("duration_s", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(
            ["webhook_id"], ["outbox.webhook_id"], name=op.f("fk_attempts_webhook_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_attempts")),
    )
    op.create_index(op.f("ix_attempts_webhook_id"), "attempts", ["webhook_id"], unique=False)


def _timeline() -> None:
    op.create_table(
        "events",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("unix_nano", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("service", sa.String(length=64), nullable=False),
        sa.Column("deployment_id", sa.String(length=128), nullable=True),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_events")),
    )
    op.create_index(op.f("ix_events_unix_nano"), "events", ["unix_nano"], unique=False)
    op.create_table(
        "statuses",
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=256), nullable=False),
        sa.Column("unix_nano", sa.BigInteger(), nullable=False),
        sa.Column("status_json", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "name", name=op.f("pk_statuses")),
    )
    op.create_table(
        "slo_points",
        sa.Column("name", sa.String(length=256), nullable=False),
        sa.Column("unix_nano", sa.BigInteger(), nullable=False),
        sa.Column("error_ratio", sa.Float(), nullable=True),
        sa.Column("budget_remaining_ratio", sa.Float(), nullable=True),
        sa.Column("burn_rate_short", sa.Float(), nullable=True),
        sa.Column("burn_rate_long", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("name", "unix_nano", name=op.f("pk_slo_points")),
    )
