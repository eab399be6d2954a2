"""The ledger's tables. ``migrations/`` creates them; a test compares the two.

::

    canaries ─┬─ judge_states   the rule and the newest state of its judge
              ├─ looks          every look, whole
              └─ decisions ─┬─ decision_history
      lanes (sequence) ─────┤
                            └─ outbox ── attempts
    events   statuses   slo_points
    barred_digests   known_good   environment_locks   audit (chained) ── audit_head   leaders
    notices   notice_cursors   proposals   approved_settings
    kayenta_objects

Times are Unix nanoseconds, JSON is canonical text (sorted keys), so that digests can be made anew.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)

# SQLite numbers rows by itself only in a column of type INTEGER.
_ROW_ID = BigInteger().with_variant(Integer, "sqlite")

canaries = Table(
    "canaries",
    metadata,
    Column("deployment_id", String(128), primary_key=True),
    Column("environment", String(64), nullable=False),
    Column("service", String(64), nullable=False),
    Column("declaration_json", Text, nullable=False),
    Column("declared_unix_nano", BigInteger, nullable=False),
    Column("state", String(16), nullable=False),
    Column("reason", String(64), nullable=False),
    Column("summary", Text, nullable=False),
    Column("looks", Integer, nullable=False),
    Column("verdict_json", Text, nullable=True),
    Index(None, "state", "declared_unix_nano"),
    Index(None, "declared_unix_nano"),
)

judge_states = Table(
    "judge_states",
    metadata,
    Column("deployment_id", ForeignKey("canaries.deployment_id"), primary_key=True),
    Column("config_text", Text, nullable=False),
    Column("rule_digest", String(64), nullable=False),
    Column("state_json", Text, nullable=True),
    Column("saved_unix_nano", BigInteger, nullable=False),
)

looks = Table(
    "looks",
    metadata,
    Column("deployment_id", ForeignKey("canaries.deployment_id"), primary_key=True),
    Column("look_index", Integer, primary_key=True),
    Column("unix_nano", BigInteger, nullable=False),
    Column("look_json", Text, nullable=False),
    # What the judge was given (analysis.canary.tape); null of looks from before it was kept.
    Column("tape", LargeBinary, nullable=True),
)

lanes = Table(
    "lanes",
    metadata,
    Column("lane", String(129), primary_key=True),
    Column("sequence", BigInteger, nullable=False),
)

decisions = Table(
    "decisions",
    metadata,
    Column("decision_id", String(64), primary_key=True),
    # A canary is decided about once.
    Column("deployment_id", ForeignKey("canaries.deployment_id"), nullable=False, unique=True),
    Column("environment", String(64), nullable=False),
    Column("service", String(64), nullable=False),
    Column("lane", ForeignKey("lanes.lane"), nullable=False),
    Column("action", String(16), nullable=False),
    Column("mode", String(16), nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("state", String(16), nullable=False),
    Column("verdict", String(16), nullable=False),
    Column("summary", Text, nullable=False),
    Column("culprit_metric", String(128), nullable=True),
    Column("culprit_split", String(256), nullable=True),
    Column("evidence_sha256", String(64), nullable=False),
    Column("rule_sha256", String(64), nullable=False),
    Column("supersedes", String(64), nullable=True),
    Column("created_unix_nano", BigInteger, nullable=False),
    Column("expires_unix_nano", BigInteger, nullable=False),
    Column("delivered_unix_nano", BigInteger, nullable=True),
    Column("acknowledged_unix_nano", BigInteger, nullable=True),
    Column("completed_unix_nano", BigInteger, nullable=True),
    Column("confirmed_unix_nano", BigInteger, nullable=True),
    UniqueConstraint("lane", "sequence"),
    Index(None, "created_unix_nano"),
    Index(None, "state"),
)

decision_history = Table(
    "decision_history",
    metadata,
    Column("id", _ROW_ID, primary_key=True),
    Column("decision_id", ForeignKey("decisions.decision_id"), nullable=False, index=True),
    Column("unix_nano", BigInteger, nullable=False),
    Column("what", Text, nullable=False),
)

outbox = Table(
    "outbox",
    metadata,
    Column("webhook_id", String(64), primary_key=True),
    Column("decision_id", ForeignKey("decisions.decision_id"), nullable=False),
    Column("endpoint_id", String(64), nullable=False),
    Column("url", Text, nullable=False),
    Column("lane", String(129), nullable=False),
    Column("sequence", BigInteger, nullable=False),
    # The exact bytes of every attempt; never made anew.
    Column("body", LargeBinary, nullable=False),
    Column("state", String(16), nullable=False),
    Column("dead_reason", Text, nullable=True),
    Column("created_unix_nano", BigInteger, nullable=False),
    Column("due_unix_nano", BigInteger, nullable=False),
    Column("expires_unix_nano", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("lease_token", String(64), nullable=True),
    Column("lease_until_unix_nano", BigInteger, nullable=True),
    UniqueConstraint("decision_id", "endpoint_id"),
    Index(None, "state", "due_unix_nano"),
    Index(None, "lease_token"),
)

attempts = Table(
    "attempts",
    metadata,
    Column("id", _ROW_ID, primary_key=True),
    Column("webhook_id", ForeignKey("outbox.webhook_id"), nullable=False, index=True),
    Column("unix_nano", BigInteger, nullable=False),
    Column("status", Integer, nullable=True),
    Column("error", Text, nullable=True),
    Column("duration_s", Float, nullable=False),
)

events = Table(
    "events",
    metadata,
    Column("id", _ROW_ID, primary_key=True),
    Column("unix_nano", BigInteger, nullable=False, index=True),
    Column("kind", String(32), nullable=False),
    Column("service", String(64), nullable=False),
    Column("deployment_id", String(128), nullable=True),
    Column("title", Text, nullable=False),
    Column("detail", Text, nullable=False),
    # What programs need of it, such as an alert's labels.
    Column("about_json", Text, nullable=True),
)

statuses = Table(
    "statuses",
    metadata,
    Column("kind", String(32), primary_key=True),
    Column("name", String(256), primary_key=True),
    Column("unix_nano", BigInteger, nullable=False),
    Column("status_json", Text, nullable=False),
)

slo_points = Table(
    "slo_points",
    metadata,
    Column("name", String(256), primary_key=True),
    Column("unix_nano", BigInteger, primary_key=True),
    Column("error_ratio", Float, nullable=True),
    Column("budget_remaining_ratio", Float, nullable=True),
    Column("burn_rate_short", Float, nullable=True),
    Column("burn_rate_long", Float, nullable=True),
)

corrections = Table(
    "corrections",
    metadata,
    Column("correction_id", String(64), primary_key=True),
    Column("made_unix_nano", BigInteger, nullable=False),
    Column("author", String(200), nullable=False),
    Column("reason", Text, nullable=False),
    Column("category", String(64), nullable=False),
    # Names of objectives as a JSON list; empty = all of them.
    Column("objectives_json", Text, nullable=False),
    Column("when_json", Text, nullable=False),
    # Never deleted: withdrawn by somebody, for a reason.
    Column("withdrawn_json", Text, nullable=True),
)

slo_definitions = Table(
    "slo_definitions",
    metadata,
    Column("name", String(256), primary_key=True),
    Column("generation", Integer, primary_key=True),
    Column("since_unix_nano", BigInteger, nullable=False),
    Column("definition_json", Text, nullable=False),
)

policy_overrides = Table(
    "policy_overrides",
    metadata,
    Column("override_id", String(64), primary_key=True),
    # <policy>/<step>
    Column("step", String(200), nullable=False),
    # * = any
    Column("objective", String(200), nullable=False),
    Column("author", String(200), nullable=False),
    Column("reason", Text, nullable=False),
    Column("made_unix_nano", BigInteger, nullable=False),
    Column("expires_unix_nano", BigInteger, nullable=False),
)

silences = Table(
    "silences",
    metadata,
    Column("silence_id", String(64), primary_key=True),
    Column("starts_unix_nano", BigInteger, nullable=False),
    Column("ends_unix_nano", BigInteger, nullable=False),
    Column("updated_unix_nano", BigInteger, nullable=False),
    Column("author", String(200), nullable=False),
    Column("comment", Text, nullable=False),
    # [[name, operator, value], ...]
    Column("matchers_json", Text, nullable=False),
    Column("recurring_json", Text, nullable=True),
)

barred_digests = Table(
    "barred_digests",
    metadata,
    Column("id", _ROW_ID, primary_key=True),
    Column("environment", String(64), nullable=False),
    Column("service", String(64), nullable=False),
    Column("digest", String(128), nullable=False),
    # The rollback that was commanded; none when a person set the bar.
    Column("decision_id", ForeignKey("decisions.decision_id"), nullable=True),
    Column("reason", Text, nullable=False),
    Column("barred_unix_nano", BigInteger, nullable=False),
    # The bar lasts until a person ends it.
    Column("cleared_unix_nano", BigInteger, nullable=True),
    Index(None, "environment", "service", "digest"),
)

known_good = Table(
    "known_good",
    metadata,
    Column("environment", String(64), primary_key=True),
    Column("service", String(64), primary_key=True),
    Column("digest", String(128), primary_key=True),
    Column("reason", Text, nullable=False),
    Column("unix_nano", BigInteger, nullable=False),
)

environment_locks = Table(
    "environment_locks",
    metadata,
    Column("environment", String(64), primary_key=True),
    Column("reason", Text, nullable=False),
    Column("unix_nano", BigInteger, nullable=False),
)

audit = Table(
    "audit",
    metadata,
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("unix_nano", BigInteger, nullable=False),
    Column("actor", String(128), nullable=False),
    Column("action", String(64), nullable=False),
    Column("subject", String(256), nullable=False),
    Column("detail", Text, nullable=False),
    Column("previous_sha256", String(64), nullable=False),
    Column("sha256", String(64), nullable=False),
)

audit_head = Table(
    "audit_head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("sequence", BigInteger, nullable=False),
    Column("sha256", String(64), nullable=False),
)

kayenta_objects = Table(
    "kayenta_objects",
    metadata,
    Column("kind", String(32), primary_key=True),
    Column("object_id", String(128), primary_key=True),
    Column("name", String(256), nullable=False),
    # As JSON, since a configuration has several.
    Column("applications", Text, nullable=False),
    Column("status", String(16), nullable=False),
    Column("created_unix_nano", BigInteger, nullable=False),
    Column("updated_unix_nano", BigInteger, nullable=False),
    Column("body_json", Text, nullable=False),
    Index(None, "kind", "status", "created_unix_nano"),
)

leaders = Table(
    "leaders",
    metadata,
    Column("role", String(16), primary_key=True),
    # One higher with every new leader; its writes name it.
    Column("fence", BigInteger, nullable=False),
    Column("holder", String(128), nullable=False),
    # By the database's clock.
    Column("until_unix_nano", BigInteger, nullable=False),
)

notices = Table(
    "notices",
    metadata,
    Column("webhook_id", String(64), primary_key=True),
    Column("endpoint_id", String(64), nullable=False),
    Column("event_id", BigInteger, nullable=False),
    Column("kind", String(32), nullable=False),
    # Of what it tells; the second is none for an alert of an objective.
    Column("subject", String(256), nullable=False),
    Column("deployment_id", ForeignKey("canaries.deployment_id"), nullable=True),
    # As sent at every attempt, but for a routing key, which is never stored.
    Column("body", LargeBinary, nullable=False),
    Column("state", String(16), nullable=False),
    Column("created_unix_nano", BigInteger, nullable=False),
    Column("due_unix_nano", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("status", Integer, nullable=True),
    Column("error", Text, nullable=True),
    Index(None, "endpoint_id", "state", "due_unix_nano"),
    Index(None, "created_unix_nano"),
)

notice_cursors = Table(
    "notice_cursors",
    metadata,
    Column("endpoint_id", String(64), primary_key=True),
    # The newest event of the timeline that was looked at for this endpoint.
    Column("event_id", BigInteger, nullable=False),
)

approved_settings = Table(
    "approved_settings",
    metadata,
    # The newest are in force.
    Column("id", _ROW_ID, primary_key=True),
    Column("sha256", String(64), nullable=False),
    Column("settings_json", Text, nullable=False),
    Column("approved_by", Text, nullable=False),
    Column("unix_nano", BigInteger, nullable=False),
)

proposals = Table(
    "proposals",
    metadata,
    Column("proposal_id", String(64), primary_key=True),
    Column("kind", String(32), nullable=False),
    Column("environment", String(64), nullable=False),
    Column("service", String(64), nullable=False),
    Column("what", Text, nullable=False),
    # Of what it is about; another digest when it is approved refuses it.
    Column("state_sha256", String(64), nullable=False),
    # The token's name says who it was, the other one only what they are called.
    Column("proposer_token", String(128), nullable=False),
    Column("proposer_says", String(128), nullable=False),
    Column("reason", Text, nullable=False),
    Column("created_unix_nano", BigInteger, nullable=False),
    Column("expires_unix_nano", BigInteger, nullable=False),
    Column("approver_token", String(128), nullable=True),
    Column("approver_says", String(128), nullable=True),
    Column("approval_reason", Text, nullable=False),
    # Approved or withdrawn; one that expires is left as it is.
    Column("ended_unix_nano", BigInteger, nullable=True),
    Index(None, "ended_unix_nano", "expires_unix_nano"),
    Index(None, "created_unix_nano"),
)
