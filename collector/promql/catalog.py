"""What there is to query: series, label names and values, metadata."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, Final

from collector.promql.errors import BadData
from collector.promql.http_params import Parameters
from collector.promql.labels import NAME, Labels, is_label_name, label
from collector.promql.limits import Meter
from collector.promql.matchers import Matcher
from collector.promql.otlp_labels import TARGET_INFO
from collector.promql.parser import parse_selector
from collector.promql.source import StoreSource
from collector.promql.strings import go_quoted

__all__ = ["TRUNCATED", "Catalog"]

TRUNCATED: Final = "results truncated due to limit"
_BOUND: Final = "le"
_ESCAPED: Final = re.compile(r"_(?:(_)|([0-9a-fA-F]{1,6})_)")


class Catalog:
    """Answers from the source; ``meter`` makes one meter per question."""

    def __init__(self, source: StoreSource, meter: Callable[[], Meter]) -> None:
        self._source = source
        self._meter = meter

    def series(self, parameters: Parameters) -> list[dict[str, str]]:
        """Label sets of the series that any selector matches."""
        if not parameters.texts("match[]"):
            raise BadData("no match[] parameter provided")
        return [dict(labels) for labels in self._label_sets(parameters, with_bounds=True)]

    def label_names(self, parameters: Parameters) -> list[str]:
        """Names of all labels of the series matched."""
        found = self._label_sets(parameters, with_bounds=False)
        return sorted({name for labels in found for name, _ in labels})

    def label_values(self, parameters: Parameters, name: str) -> list[str]:
        """Values of one label over the series matched."""
        name = _unescaped(name)
        if not is_label_name(name):
            raise BadData(f"invalid label name: {go_quoted(name)}")
        if name == NAME and not parameters.texts("match[]"):
            return self._metric_names(parameters)
        found = self._label_sets(parameters, with_bounds=name == _BOUND)
        return sorted({label(labels, name) for labels in found} - {""})

    def metadata(self, parameters: Parameters) -> dict[str, list[dict[str, Any]]]:
        """Type and unit by metric; OTLP descriptions are not kept, so ``help`` is empty."""
        wanted = parameters.text("metric")
        limit, per_metric = parameters.limit(), parameters.limit("limit_per_metric")
        found: dict[str, list[dict[str, Any]]] = {}
        for family in self._source.families(*Parameters({}, 0).bounds_ms()):
            if wanted and family.name != wanted:
                continue
            entry = {"type": family.type, "help": "", "unit": family.unit_word}
            entries = found.setdefault(family.name, [])
            if entry not in entries and not (per_metric and len(entries) >= per_metric):
                entries.append(entry)
        names = sorted(found)[: limit or None]
        return {name: found[name] for name in names}

    def _metric_names(self, parameters: Parameters) -> list[str]:
        bounds = parameters.bounds_ms()
        names = {name for family in self._source.families(*bounds) for name in family.parts()}
        names.update(self._source.sample_names(*bounds))
        if self._source.index.targets(*bounds):
            names.add(TARGET_INFO)
        return sorted(names)

    def _label_sets(self, parameters: Parameters, *, with_bounds: bool) -> Sequence[Labels]:
        start_ms, end_ms = parameters.bounds_ms()
        selectors = [_selector(text) for text in parameters.texts("match[]")] or [()]
        meter = self._meter()
        found = {
            labels
            for matchers in selectors
            for labels in self._source.label_sets(
                matchers, start_ms, end_ms, meter, with_bounds=with_bounds
            )
        }
        return sorted(found)


def _selector(text: str) -> tuple[Matcher, ...]:
    try:
        matchers = parse_selector(text)
    except BadData as error:
        raise BadData(f'invalid parameter "match[]": {error}') from None
    if all(matcher.matches_empty() for matcher in matchers):
        raise BadData(
            'invalid parameter "match[]": match[] must contain at least one non-empty matcher'
        )
    return matchers


def _unescaped(name: str) -> str:
    """A name that Prometheus' "U__" scheme spells for a URL: ``U__http_2e_route``."""
    if not name.startswith("U__"):
        return name

    def character(match: re.Match[str]) -> str:
        if match[1]:
            return "_"
        code = int(match[2], 16)
        return chr(code) if code <= 0x10FFFF else match[0]

    return _ESCAPED.sub(character, name[3:])
