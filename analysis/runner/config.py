"""Settings of the runner; no defaults here, values live in ``davylamp/defaults.toml``."""

from __future__ import annotations

from dataclasses import dataclass

from analysis.errors import StartError
from analysis.reading.config import ReadingConfig


@dataclass(frozen=True, slots=True)
class RunnerConfig:
    """How often things are looked at, and when silence means something."""

    #: Seconds between looks at a canary.
    look_interval_s: float
    #: A canary whose newest data, of either arm, is older than this is held: stale.
    stale_after_s: float
    #: Seconds between attempts to prove that a decision was carried out.
    confirm_interval_s: float
    #: Silence that proves that an instance is gone.
    confirm_silent_s: float
    #: Width of the slices in which the whole fleet's events are counted, whole seconds.
    fleet_step_s: int
    #: History of the fleet read at start, so that a restart does not forget.
    fleet_backfill_s: int
    #: Objectives and signals older than this have no data.
    fleet_stale_s: float
    #: Seconds between points of SLO history.
    slo_history_interval_s: float
    #: Files that replace the shipped ones; empty = the shipped one.
    objectives_path: str
    #: OpenSLO documents read together with the objectives; empty = none.
    alerting_path: str
    #: Error-budget policies; empty = none.
    budget_policy_path: str
    signals_path: str
    #: Base address of an Alertmanager that burn-rate alerts are sent to; empty = none.
    alertmanager_url: str
    reading: ReadingConfig


def check(config: RunnerConfig) -> None:
    """Refuse what cannot work. Raises StartError."""
    where = "[analysis.runner]"
    for name in (
        "look_interval_s",
        "stale_after_s",
        "confirm_interval_s",
        "confirm_silent_s",
        "fleet_step_s",
        "fleet_backfill_s",
        "fleet_stale_s",
        "slo_history_interval_s",
    ):
        if not getattr(config, name) > 0:
            raise StartError(f"{where} {name} = {getattr(config, name)} must be above 0")
    if config.alertmanager_url and not config.alertmanager_url.startswith(("http://", "https://")):
        raise StartError(f"{where} alertmanager_url must be empty or http(s)://host[:port]")
    reading = config.reading
    for name in (
        "request_timeout_s",
        "max_answer_bytes",
        "settle_max_s",
        "step_s",
        "catch_up_max_steps",
        "audit_tile_s",
        "audit_age_s",
    ):
        if not getattr(reading, name) > 0:
            raise StartError(f"{where} reading.{name} = {getattr(reading, name)} must be above 0")
    if not 0 <= reading.settle_min_s <= reading.settle_max_s:
        raise StartError(f"{where} reading.settle_min_s must lie between 0 and settle_max_s")
    if reading.low_traffic_step_s % reading.step_s or reading.low_traffic_step_s < reading.step_s:
        raise StartError(f"{where} reading.low_traffic_step_s must be a multiple of step_s")
    if reading.audit_tile_s % reading.low_traffic_step_s:
        raise StartError(f"{where} reading.audit_tile_s must be a multiple of low_traffic_step_s")
    if reading.audit_age_s < reading.settle_max_s:
        raise StartError(f"{where} reading.audit_age_s must be at least settle_max_s")
