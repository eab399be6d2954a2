"""Settings of the collector. No defaults here: values live in ``davylamp/defaults.toml``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class StoreConfig:
    """Where telemetry is kept, for how long, and what a query may cost."""

    #: Folder of the embedded engine; created if missing. One process owns it.
    path: Path
    #: Ceiling of the engine's own memory, all queries and inserts together.
    max_memory_bytes: int
    #: Ceiling of one query's memory.
    query_memory_bytes: int
    #: A query that runs longer is stopped and answered with 503.
    query_timeout_s: float
    #: Connections for inserts and for queries; each runs one statement at a time.
    insert_connections: int
    query_connections: int
    #: How long raw spans, metric points and one-second rollups are kept after they arrived.
    retention_spans_s: int
    retention_points_s: int
    retention_rollups_s: int
    #: How far before ``from`` a cumulative series may have its previous point.
    series_look_back_s: float
    #: Distinct series one metric query may touch; more sets ``truncated`` in the reply.
    max_series_per_query: int
