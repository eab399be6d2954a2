"""Settings of PromQL. No defaults here: values live in ``davylamp/defaults.toml``."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["PromqlConfig"]


@dataclass(frozen=True, slots=True)
class PromqlConfig:
    """How queries of the Prometheus API are answered, and what one may cost."""

    #: 3: ranges leave out their left edge; 2: they hold it, as Prometheus did before 3.0.
    prometheus_version: int
    #: Seconds an instant selector looks back for a sample.
    lookback_s: float
    #: Seconds between the steps of a subquery that names none.
    default_step_s: float
    #: Resource attributes that every series carries as labels, besides job and instance.
    promoted_resource_attributes: tuple[str, ...]
    #: Samples, and series of one selector, that a query may hold; over it 422.
    max_samples: int
    max_series: int
    #: Steps of a range query (over it 400) and of a subquery (over it 422).
    max_steps: int
    max_subquery_steps: int
    #: Seconds after which a query is stopped with 503.
    timeout_s: float
    #: Queries evaluated at once, and waiting; one more is answered 503.
    workers: int
    max_waiting: int
    #: Bytes of a form body; over it 413.
    max_body_bytes: int
