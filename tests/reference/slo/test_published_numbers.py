"""Numbers others published: retyped for everybody, and read in place where the cases are.

Source of the retyped ones: Beyer, Murphy, Rensin, Kawahara, Thorne (editors), The Site Reliability
Workbook (2018), chapter 5 "Alerting on SLOs", https://sre.google/workbook/alerting-on-slos/
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from analysis.slo.budget import error_budget
from analysis.slo.burn_rate import burn_rate, evaluate
from analysis.slo.objectives import BurnWindow, Guard, load_objectives, shipped_text
from analysis.slo.openslo.burn_math import factor
from analysis.slo.openslo.exact import exact
from analysis.slo.sliced_counts import WindowSum

ROOT = Path(__file__).parents[3]
DATA = Path(os.environ.get("DAVYLAMP_REFERENCE_DATA", ROOT / ".." / "shared" / "data")) / "slo"
CASES = DATA / "cases_open.json"
FOUND = json.loads(CASES.read_text(encoding="utf-8")) if CASES.exists() else {}
needs_data = pytest.mark.skipif(
    not FOUND, reason=f"reference data is not at {CASES} (DAVYLAMP_REFERENCE_DATA)"
)

# severity, long, short, burn rate, share of a 30-day budget: table 5-8, and the 24 h line of the
# example expression below it.
WORKBOOK = [
    ("page", "1h", "5m", 14.4, 0.02),
    ("page", "6h", "30m", 6.0, 0.05),
    ("ticket", "1d", "2h", 3.0, 0.10),
    ("ticket", "3d", "6h", 1.0, 0.10),
]
NO_GUARD = Guard(1, 0.999999)


HOUR_S = 3_600
DURATION_S = {"5m": 300, "30m": 1_800, "1h": 3_600, "2h": 7_200, "6h": 21_600}
DURATION_S |= {"1d": 86_400, "3d": 259_200}


def test_the_shipped_policies_are_the_workbooks():
    month, _ = load_objectives({"objectives.yaml": shipped_text()})
    assert [
        (w.severity, w.long_window_s, w.short_window_s, w.factor) for w in month.policy.windows
    ] == [
        (severity, DURATION_S[long], DURATION_S[short], burn)
        for severity, long, short, burn, _ in WORKBOOK
    ]
    for _, long, _, burn, share in WORKBOOK:
        assert factor(exact(share), month.window_s, DURATION_S[long]) == exact(burn)


@pytest.mark.parametrize(
    ("burn", "bad_of_million", "days_to_exhaustion"),
    [(1, 1_000, 30.0), (2, 2_000, 15.0), (10, 10_000, 3.0), (1000, 1_000_000, 0.03)],
)
def test_burn_rates_of_table_5_4(burn, bad_of_million, days_to_exhaustion):
    """99.9 % over 30 days; the last one is quoted as 43 minutes."""
    window = WindowSum(1_000_000 - bad_of_million, bad_of_million, 1.0)
    assert burn_rate(window, 0.001) == pytest.approx(burn)
    assert 30 / burn_rate(window, 0.001) == pytest.approx(days_to_exhaustion)
    assert error_budget(window, 0.001).remaining_ratio == pytest.approx(1 - burn)


@pytest.mark.parametrize(("burn", "is_firing"), [(35, False), (37, True)])
def test_an_alert_at_36_misses_a_burn_of_35(burn, is_firing):
    """Approach 4: a threshold of 36 over one hour, budget gone in 20.5 hours without an alert."""
    seen = WindowSum(1_000_000 - burn * 1000, burn * 1000, 1.0)
    window = BurnWindow("page", 36.0, 3600, 300)
    assert evaluate(window, seen, seen, 0.001, NO_GUARD).firing is is_firing


@pytest.mark.parametrize(("bad", "is_firing"), [(1440, False), (1444, True), (1446, True)])
def test_burn_rates_are_not_rounded(bad, is_firing):
    """Above means above: 14.44 and 14.46 pass 14.4, exactly 14.4 does not."""
    seen = WindowSum(100_000 - bad, bad, 1.0)
    found = evaluate(BurnWindow("page", 14.4, 3600, 300), seen, seen, 0.001, NO_GUARD)
    assert found.firing is is_firing


def group(name):
    return FOUND.get(name, [])


def short_name(case):
    return case["id"]


@needs_data
def test_the_cases_hold_what_is_read_here():
    for name in ("sre_workbook", "burn_policies", "sloth_burn_factors", "peer_measured"):
        assert group(name), name


@needs_data
def test_table_5_8_as_stored():
    (table,) = (case for case in group("sre_workbook") if case["id"] == "wb:t5-8")
    rows = [(r["severity"], r["long"], r["short"], r["burn"], r["budget"]) for r in table["rows"]]
    assert rows
    assert set(rows) <= set(WORKBOOK)


@needs_data
@pytest.mark.parametrize(
    "case", [c for c in group("burn_policies") if "exact_budget" in str(c)], ids=short_name
)
def test_a_vendors_factor_follows_from_its_exact_share(case):
    """And not from a share that its documents round."""
    for row in case["rows"]:
        period_s, long_s = case["period_days"] * 86_400, row["long_h"] * HOUR_S
        found = factor(exact(row["exact_budget"]), period_s, long_s)
        assert float(found) == pytest.approx(row["burn"], rel=1e-12)
        if abs(row["quoted_budget"] - row["exact_budget"]) > 1e-9:
            assert factor(exact(row["quoted_budget"]), period_s, long_s) != exact(row["burn"])


@needs_data
def test_remaining_budget_of_published_examples():
    (case,) = (c for c in group("burn_policies") if c["id"] == "bp:datadog-remaining")
    for example in case["examples"]:
        good = round(example["status"] * 1000)
        budget = error_budget(
            WindowSum(good, 100_000 - good, 1.0), round(1 - example["target"] / 100, 12)
        )
        assert budget.remaining_ratio == pytest.approx(example["remaining"] / 100)


@needs_data
@pytest.mark.parametrize(
    "case", [c for c in group("peer_measured") if "true_burn" in c], ids=short_name
)
def test_where_a_peer_rounds_we_do_not(case):
    bad = round(case["true_burn"] * 1000)
    seen = WindowSum(1_000_000 - bad, bad, 1.0)
    found = evaluate(BurnWindow("page", case["threshold"], 3600, 300), seen, seen, 0.001, NO_GUARD)
    assert found.firing is case["correct_alert"]


@needs_data
@pytest.mark.parametrize(
    "case", [c for c in group("peer_measured") if "event_weighted_remaining" in c], ids=short_name
)
def test_budgets_are_weighted_by_events(case):
    """1000 requests a minute by day, 10 by night, 30 days; one hour of total outage."""
    total = 30 * (12 * 60 * 1000 + 12 * 60 * 10)
    bad = 60 * 10 if "night" in case["id"] else 60 * 1000
    if "zero_traffic" in case["id"]:
        total -= 10 * 10  # ten quiet night minutes
    found = error_budget(WindowSum(total - bad, bad, 1.0), 0.001)
    assert found.remaining_ratio == pytest.approx(case["event_weighted_remaining"], abs=2e-4)
