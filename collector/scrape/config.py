"""Settings of the scraper. No defaults here: values live in ``davylamp/defaults.toml``."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ScrapeConfig:
    """Where the targets are written down, and what all of them together may cost."""

    #: YAML file with ``global`` and ``scrape_configs``, as Prometheus reads it; empty = none.
    config_path: str
    #: How often the file and the discovery files it names are looked at for changes.
    refresh_s: float
    #: Ceilings; a job may set lower ones (``body_size_limit``, ``sample_limit``).
    max_targets: int
    max_body_bytes: int
    max_samples: int
    #: Labels of one series, and the bytes of a label's name and value.
    max_labels: int
    max_label_name_bytes: int
    max_label_value_bytes: int
