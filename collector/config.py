"""Settings of the collector. No defaults here: values live in ``davylamp/defaults.toml``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from collector.access.config import AccessConfig
from collector.limits.config import OverloadConfig
from collector.promql.config import PromqlConfig
from collector.scrape.config import ScrapeConfig


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


@dataclass(frozen=True, slots=True)
class WalConfig:
    """The write-ahead log: what is in it has been acknowledged and will be stored."""

    #: Folder of the segments; created if missing. One process owns it.
    path: Path
    #: Age at which a segment with data goes to the store; the wait until data can be queried.
    #: Each insert costs about 60 ms of a core however little it holds.
    traces_interval_s: float
    metrics_interval_s: float
    samples_interval_s: float
    logs_interval_s: float
    #: Size at which a segment is closed whatever its age.
    max_segment_bytes: int
    #: Bytes acknowledged or being written but not yet stored; over it senders are told to wait.
    max_backlog_bytes: int
    #: A request whose bytes are not durable after so long is answered 503; they may become it.
    max_wait_s: float
    #: With less free space than this nothing is acknowledged, so that the store can still work.
    min_free_bytes: int


@dataclass(frozen=True, slots=True)
class LimitsConfig:
    """What one request, one item and all requests together may cost."""

    #: Size of a request as sent, and after decompression.
    max_request_bytes: int
    max_body_bytes: int
    #: Bytes of all requests being received and checked at once.
    max_in_flight_bytes: int
    #: A body that takes longer to arrive is answered 408.
    body_timeout_s: float
    #: Spans, data points, log records or Prometheus samples of one request.
    max_spans: int
    max_points: int
    max_logs: int
    max_samples: int
    #: Series of Prometheus samples, all that were ever seen; more are refused.
    max_sample_series: int
    #: A sample may be so much older than the newest of its series.
    max_out_of_order_s: float
    #: Attributes, events, links, array elements and buckets of one request, all items together.
    max_elements: int
    #: Size of one span, metric point, log record or resource; attributes and buckets in one.
    max_item_bytes: int
    max_attributes: int
    max_buckets: int
    #: Length of a metric's name or unit.
    max_name_bytes: int
    #: Items stamped further ahead of, or behind, our clock are rejected.
    max_future_s: float
    max_past_s: float


@dataclass(frozen=True, slots=True)
class CollectorConfig:
    """Everything the collector needs to know; port 0 means "any free port"."""

    #: Address to listen on; wider than loopback only where everybody shows a token.
    host: str
    otlp_grpc_port: int
    otlp_http_port: int
    #: Read API, self-metrics and health.
    api_port: int
    store: StoreConfig
    promql: PromqlConfig
    wal: WalConfig
    limits: LimitsConfig
    overload: OverloadConfig
    scrape: ScrapeConfig
    access: AccessConfig
