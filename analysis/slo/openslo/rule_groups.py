"""Rules of Prometheus as frozen objects, and the file they are written to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml


@dataclass(frozen=True, slots=True)
class Rule:
    """A recording rule (``record``) or an alert (``alert``). ``for_text``: how long, "" at once."""

    expr: str
    record: str = ""
    alert: str = ""
    for_text: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)

    def plain(self) -> dict[str, Any]:
        """As in a rule file; what is empty is left out."""
        content = {
            "record": self.record,
            "alert": self.alert,
            "expr": self.expr,
            "for": self.for_text,
            "labels": dict(sorted(self.labels.items())),
            "annotations": dict(sorted(self.annotations.items())),
        }
        return {key: value for key, value in content.items() if value}


@dataclass(frozen=True, slots=True)
class RuleGroup:
    """Rules that are evaluated together. ``interval``: how often, "" as the server does."""

    name: str
    rules: tuple[Rule, ...]
    interval: str = ""

    def plain(self) -> dict[str, Any]:
        """As in a rule file."""
        content: dict[str, Any] = {"name": self.name}
        if self.interval:
            content["interval"] = self.interval
        return {**content, "rules": [rule.plain() for rule in self.rules]}


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines as blocks, so that expressions can be read."""


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = "|" if "\n" in value else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)


def rule_file(groups: Sequence[RuleGroup]) -> str:
    """A rule file for Prometheus."""
    content = {"groups": [group.plain() for group in groups]}
    return yaml.dump(content, Dumper=_Dumper, sort_keys=False, width=1_000, allow_unicode=True)
