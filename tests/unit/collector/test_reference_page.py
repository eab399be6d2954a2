"""The reference page and the code name the same things."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

from prometheus_client import CollectorRegistry

from collector.config import LimitsConfig, WalConfig
from collector.limits.config import OverloadConfig
from collector.limits.overload import Overload
from collector.scrape.config import ScrapeConfig
from collector.selfmetrics import SelfMetrics
from collector.wire.reasons import Reason, Repair
from davylamp.config import collector_config, load_settings
from telemetry.clock import FixedClock

SHOWN = (LimitsConfig, WalConfig, OverloadConfig, ScrapeConfig)
PAGE = (Path(__file__).parents[3] / "docs/reference/ingest.md").read_text()


def named(pattern):
    return set(re.findall(rf"`({pattern})`", PAGE))


def test_every_reason_is_on_the_page():
    """And no reason that does not exist."""
    section = PAGE.split("## Why an item is rejected")[1].split("## Limits")[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    assert set(re.findall(r"`(\w+)`", "".join(rows))) == {str(reason) for reason in Reason}
    assert all(f"`{repair}`" in section for repair in Repair)


def test_every_limit_is_on_the_page():
    """With its name in the settings."""
    settings = {field.name for config in SHOWN for field in fields(config)}
    assert settings - {"path", "config_path"} <= named(r"\w+")


def test_every_self_metric_is_on_the_page():
    """And no metric that does not exist."""
    registry = CollectorRegistry()
    metrics = SelfMetrics(registry)
    config = collector_config(load_settings(environ={}))
    metrics.show_limits(config.limits, config.wal, config.overload)
    metrics.show_state(
        pending_bytes=lambda: 0, pending_items=lambda: 0, in_flight_bytes=lambda: 0, lag_s=lambda: 0
    )
    metrics.show_overload(Overload(config.overload, FixedClock()))
    exposed = {
        family.name + ("_total" if family.type == "counter" else "")
        for family in registry.collect()
    }
    assert named(r"davylamp_\w+") == exposed
