"""Pyrra's objects as they are written: texts that nobody has looked into yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class IndicatorDraft:
    """One indicator: its selectors (errors, total, success, metric) and ``latency``, by name."""

    texts: Mapping[str, str]
    grouping: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Draft:
    """An object of kind ServiceLevelObjective. ``indicators`` by kind, of which there is one."""

    name: str
    namespace: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    target: str = ""  # percent
    window: str = ""
    description: str = ""
    indicators: Mapping[str, IndicatorDraft] = field(default_factory=dict)
    alert_burnrates: bool = True
    alert_absent: bool = True
    alert_name: str = ""
    absent_name: str = ""
    severities: tuple[str, str, str, str] = ("", "", "", "")
    absent_severity: str = ""
    performance_over_accuracy: bool = False
    description_as_label: bool = False
