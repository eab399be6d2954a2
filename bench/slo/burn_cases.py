"""Published numbers about burn rates: Site Reliability Workbook, vendors' policies, peers' figures.

What a case expects is found by its key: a quantity and a unit (``detection_s``, ``reset_h``). Keys
with ``quoted`` are what the source printed after rounding, and are not compared; their exact
neighbours are.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

from analysis.slo.openslo import burn_math
from analysis.slo.openslo.exact import exact
from analysis.slo.openslo.rule_text import prometheus_seconds

#: Published numbers are doubles.
TOLERANCE = 1e-12
PERIOD_DAYS = 30  # of the Workbook, where a case says nothing
_UNIT_S: Mapping[str, int] = {"s": 1, "sec": 1, "min": 60, "h": 3_600, "d": 86_400, "days": 86_400}
_SPAN = re.compile(r"(?P<value>[0-9.]+) ?(?P<unit>[a-z]+)")


def differs(name: str, ours: Fraction | float | None, expected: float | None) -> list[str]:
    """What is wrong if a number is not the expected one, to a double's rounding."""
    if ours is None or expected is None:
        return [] if ours is expected else [f"{name}: {ours}, expected {expected}"]
    is_close = math.isclose(float(ours), expected, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
    return [] if is_close else [f"{name}: {float(ours)!r}, expected {expected!r}"]


def workbook(case: dict[str, Any]) -> list[str]:
    """One table or approach of chapter 5."""
    if "expected" in case:
        return _quantities(case, _Trouble(case))
    budget_ratio = 1 - exact(case["slo"]) if "slo" in case else None
    period_s = case.get("period_days", PERIOD_DAYS) * 86_400
    wrong: list[str] = []
    for row in case["rows"]:
        if "availability" in row:
            wrong += _class_row(row)
        elif "exhaust" in row and budget_ratio is not None:
            wrong += _exhaustion_row(row, budget_ratio, period_s)
        elif "budget" in row:
            wrong += _factor_row(row, period_s)
    return wrong


class _Trouble:
    """Numbers of one approach: what is asked, what happens, and what follows from it."""

    def __init__(self, case: dict[str, Any]) -> None:
        self.case = case
        target = next((case[key] for key in ("slo", "target", "goal") if key in case), 0.999)
        self.budget_ratio = 1 - exact(target)
        self.period_s = case.get("period_days", PERIOD_DAYS) * 86_400
        self.burn = exact(self._first(("threshold_burn", "burn", "burn_rate", "factor"), 1))
        error = self._first(("outage_ratio", "error_ratio", "incident_ratio", "errors_ratio"), None)
        self.error_ratio = Fraction(1) if error is None else exact(error)
        self.long_s = self._span("window", "long", "long_window") or 3_600
        self.short_s = self._span("short", "short_window")
        self.for_s = self._span("for") or 0
        self.trouble_s = self._span("spike", "incident", "outage", "duration")

    def _first(self, names: tuple[str, ...], default: float | None) -> Any:
        return next((self.case[name] for name in names if name in self.case), default)

    def _span(self, *names: str) -> int | None:
        for name in names:
            for unit, length_s in _UNIT_S.items():
                if f"{name}_{unit}" in self.case:
                    return int(self.case[f"{name}_{unit}"] * length_s)
            if isinstance(self.case.get(name), str):
                return round(prometheus_seconds(self.case[name]) or 0) or None
        return None

    def detection(self, window_s: int) -> Fraction | None:
        """Until this window is above, and the wait is over."""
        found = burn_math.detection_s(window_s, self.burn, self.budget_ratio, self.error_ratio)
        return None if found is None else found + self.for_s

    def reset(self) -> Fraction | None:
        """Until the deciding window is below."""
        window_s = self.short_s or self.long_s
        return burn_math.reset_s(window_s, self.burn, self.budget_ratio, self.error_ratio)

    def is_firing(self) -> bool:
        """Whether an alert is sent at all."""
        if "observed_burn" in self.case:
            return exact(self.case["observed_burn"]) > self.burn
        if self.trouble_s is None:
            return burn_math.is_reachable(self.burn, self.budget_ratio)
        # With ``for`` alone the condition looks at the present: it holds while the trouble lasts.
        held = Fraction(self.trouble_s)
        if "window_min" in self.case or "window_h" in self.case or "burn" in self.case:
            held = burn_math.held_s(
                self.trouble_s, self.long_s, self.burn, self.budget_ratio, self.error_ratio
            )
        return held > self.for_s

    def used_by(self, span_s: Fraction | int) -> Fraction:
        """Share of the budget that the trouble uses in a time."""
        burn = burn_math.burn_of(self.error_ratio, self.budget_ratio)
        return burn_math.budget_used(burn, span_s, self.period_s)


def _quantities(case: dict[str, Any], trouble: _Trouble) -> list[str]:
    wrong: list[str] = []
    for key, expected in case["expected"].items():
        if "quoted" in key:
            continue
        quantity = _quantity(key, isinstance(expected, bool))
        if quantity is None:
            wrong.append(f"nobody here knows the quantity {key}")
            continue
        ours = quantity(trouble)
        if isinstance(expected, bool) or isinstance(ours, bool):
            wrong += [] if ours is expected else [f"{key}: {ours}, expected {expected}"]
            continue
        value = None if ours is None else ours * _scale(key)
        if value is not None and isinstance(expected, int):
            value = Fraction(round(value))  # a whole number is what the source rounded to
        wrong += differs(key, value, expected)
    return wrong


def _quantity(key: str, is_yes_or_no: bool) -> _Quantity | None:
    """The first quantity one of whose words is in the key."""
    table = _YES_OR_NO if is_yes_or_no else _QUANTITIES
    return next((found for words, found in table if any(one in key for one in words)), None)


def _scale(key: str) -> Fraction:
    """What a quantity is to be multiplied by for the unit in its key."""
    words = key.split("_")
    if "percent" in words:
        return Fraction(100)
    return next((Fraction(1, _UNIT_S[word]) for word in words if word in _UNIT_S), Fraction(1))


def _per_failure(trouble: _Trouble) -> Fraction:
    requests = trouble.case["req_per_hour"] * Fraction(trouble.period_s, 3_600)
    return 1 / burn_math.failures_allowed(trouble.budget_ratio, requests)


def _allowed(trouble: _Trouble) -> Fraction:
    requests = trouble.case["req_per_hour"] * Fraction(trouble.period_s, 3_600)
    return burn_math.failures_allowed(trouble.budget_ratio, requests)


def _hour_burn(trouble: _Trouble) -> Fraction:
    return burn_math.burn_of(Fraction(1, trouble.case["req_per_hour"]), trouble.budget_ratio)


def _exhaustion(trouble: _Trouble) -> Fraction | None:
    burn = burn_math.burn_of(trouble.error_ratio, trouble.budget_ratio)
    if "observed_burn" in trouble.case:
        burn = exact(trouble.case["observed_burn"])
    return burn_math.exhaustion_s(burn, trouble.period_s)


def _rollout_exhaustion(trouble: _Trouble) -> Fraction | None:
    share = exact(trouble.case.get("rollout_ratio", 0.01))
    burn = burn_math.burn_of(share, trouble.budget_ratio)
    return burn_math.exhaustion_s(burn, trouble.period_s)


def _before_alert(trouble: _Trouble) -> Fraction | None:
    if trouble.for_s:
        return trouble.used_by(trouble.for_s)
    return burn_math.budget_used(trouble.burn, trouble.long_s, trouble.period_s)


_Quantity = Callable[[_Trouble], Fraction | bool | None]
_YES_OR_NO: tuple[tuple[tuple[str, ...], _Quantity], ...] = (
    (("can_fire", "reachable"), lambda t: burn_math.is_reachable(t.burn, t.budget_ratio)),
    (("fire", "alert"), lambda t: t.is_firing()),
)
_QUANTITIES: tuple[tuple[tuple[str, ...], _Quantity], ...] = (
    (("per_day",), lambda t: Fraction(86_400, t.long_s)),
    (("reset", "off", "stop", "clear"), lambda t: t.reset()),
    (("rollout",), _rollout_exhaustion),
    (("exhaust",), _exhaustion),
    (("in_window",), lambda t: t.used_by(t.long_s)),
    (("spike",), lambda t: t.used_by(t.trouble_s or 0)),
    (("failures",), _allowed),
    (("burn",), _hour_burn),
    (("failure",), _per_failure),
    (("budget", "spent"), _before_alert),
    (("short",), lambda t: t.detection(t.short_s or burn_math.short_window_s(t.long_s, 60))),
    (("detect", "fire", "long"), lambda t: t.detection(t.long_s)),
)


def _exhaustion_row(row: dict[str, Any], budget_ratio: Fraction, period_s: int) -> list[str]:
    burn = burn_math.burn_of(exact(row["error_ratio"]), budget_ratio)
    wrong = differs("burn", burn, row["burn"])
    lasts = burn_math.exhaustion_s(burn, period_s)
    spelled = _SPAN.fullmatch(row["exhaust"])
    if lasts is None or spelled is None:
        return [*wrong, f"lasts {lasts}, expected {row['exhaust']}"]
    # The table prints whole units: 43.2 minutes are "43 min".
    units = lasts / _UNIT_S[spelled["unit"]]
    return wrong if round(units) == float(spelled["value"]) else [*wrong, f"lasts {float(units)}"]


def _factor_row(row: dict[str, Any], period_s: int) -> list[str]:
    long_s, short_s = (round(prometheus_seconds(row[key]) or 0) for key in ("long", "short"))
    found = burn_math.factor(exact(row["budget"]), period_s, long_s)
    used = burn_math.budget_used(exact(row["burn"]), long_s, period_s)
    wrong = differs("burn", found, row["burn"]) + differs("budget", used, row["budget"])
    ours_s = burn_math.short_window_s(long_s, 60)
    return wrong if ours_s == short_s else [*wrong, f"short window {ours_s} s"]


def _class_row(row: dict[str, Any]) -> list[str]:
    """Classes of services: what each can be alerted on, by the Workbook's own pairs."""
    budget_ratio = 1 - exact(row["availability"])
    is_alerting = burn_math.is_reachable(burn_math.factor(Fraction(1, 50), 720, 1), budget_ratio)
    fastest = burn_math.exhaustion_s(burn_math.burn_max(budget_ratio), PERIOD_DAYS * 86_400)
    return [] if is_alerting and fastest else [f"{row['class']} cannot be alerted on"]


SECTIONS = {"sre_workbook": workbook}
