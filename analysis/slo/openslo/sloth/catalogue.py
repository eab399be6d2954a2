"""Sloth's alert windows: four pairs per period, each with the share of the budget it stands for.

Factors are computed as Sloth computes them, in doubles and in its order, so that they print alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from analysis.slo.openslo.document import Node
from analysis.slo.openslo.errors import ConversionError
from analysis.slo.openslo.findings import Path, path_text
from analysis.slo.openslo.rule_text import prometheus_duration, prometheus_seconds
from analysis.slo.openslo.shapes import Number, Record, Struct, Text, decode

DAY_S: Final = 86_400


@dataclass(frozen=True, slots=True)
class WindowPair:
    """A short and a long window, and the percentage of the budget spent in the long one."""

    short_s: int
    long_s: int
    budget_percent: float


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Windows for objectives over one period."""

    period_s: int
    page_quick: WindowPair
    page_slow: WindowPair
    ticket_quick: WindowPair
    ticket_slow: WindowPair

    @property
    def pairs(self) -> tuple[WindowPair, ...]:
        """All four."""
        return (self.page_quick, self.page_slow, self.ticket_quick, self.ticket_slow)

    def windows_s(self) -> list[int]:
        """Every window, shortest first."""
        return sorted({span for pair in self.pairs for span in (pair.short_s, pair.long_s)})

    def factor(self, pair: WindowPair) -> float:
        """The burn rate above which a pair alerts."""
        hours = pair.budget_percent * (self.period_s / 3_600) / 100
        return hours / (pair.long_s / 3_600)


def workbook(period_s: int) -> Catalogue:
    """The Site Reliability Workbook's windows and shares of the budget, for any period."""
    return Catalogue(
        period_s,
        page_quick=WindowPair(5 * 60, 3_600, 2),
        page_slow=WindowPair(30 * 60, 6 * 3_600, 5),
        ticket_quick=WindowPair(2 * 3_600, DAY_S, 10),
        ticket_slow=WindowPair(6 * 3_600, 3 * DAY_S, 10),
    )


BUILT_IN: Final[tuple[Catalogue, ...]] = (workbook(28 * DAY_S), workbook(30 * DAY_S))


def catalogue_for(period_s: int, catalogues: Sequence[Catalogue]) -> Catalogue:
    """The windows of a period, the last ones given first. Raises ConversionError."""
    found = next((one for one in reversed(catalogues) if one.period_s == period_s), None)
    if found is None:
        periods = ", ".join(sorted({prometheus_duration(one.period_s) for one in catalogues}))
        raise ConversionError(
            "period", f"no alert windows for {prometheus_duration(period_s)}, accepted: {periods}"
        )
    return found


_PAIR: Final = Struct({"errorBudgetPercent": Number(), "shortWindow": Text(), "longWindow": Text()})
_SEVERITY: Final = Struct({"quick": _PAIR, "slow": _PAIR})
_SHAPE: Final = Struct(
    {
        "apiVersion": Text(("sloth.slok.dev/v1",)),
        "kind": Text(("AlertWindows",)),
        "spec": Struct({"sloPeriod": Text(), "page": _SEVERITY, "ticket": _SEVERITY}),
    }
)


def read_catalogue(document: Node) -> Catalogue:
    """A document of kind AlertWindows. Raises ConversionError."""
    problems: list[str] = []

    def refuse(path: Path, node: Node, accepted: str) -> None:
        where = f"line {node.line}, {path_text(path)}"
        problems.append(f"{where}: {node.given()}, accepted: {accepted}")

    record: Record = decode(_SHAPE, document, refuse)
    if problems:
        raise ConversionError("AlertWindows", "; ".join(problems))
    spec = record["spec"]
    return Catalogue(
        _span_s("spec.sloPeriod", spec["sloPeriod"]),
        **{
            f"{severity}_{speed}": _pair(f"spec.{severity}.{speed}", spec[severity][speed])
            for severity in ("page", "ticket")
            for speed in ("quick", "slow")
        },
    )


def _pair(where: str, record: Mapping[str, object] | Record) -> WindowPair:
    percent = record["errorBudgetPercent"]
    if not isinstance(percent, int | float) or not 0 < percent <= 100:
        raise ConversionError(f"{where}.errorBudgetPercent", f"{percent}, accepted: above 0 to 100")
    return WindowPair(
        _span_s(f"{where}.shortWindow", record["shortWindow"]),
        _span_s(f"{where}.longWindow", record["longWindow"]),
        percent,
    )


def _span_s(where: str, text: object) -> int:
    seconds = prometheus_seconds(str(text))
    if not seconds or seconds != round(seconds):
        raise ConversionError(where, f"{text!r}, accepted: a duration such as 5m, 6h or 30d")
    return round(seconds)
