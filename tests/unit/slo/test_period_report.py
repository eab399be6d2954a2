"""Three forms of one report; names are text, and what is not known is not a number."""

from __future__ import annotations

import csv
import io

from analysis.slo.openslo.time_windows import Period
from analysis.slo.period_report import as_csv, as_html, as_json


def row(**changes):
    return {
        "name": "starts",
        "display_name": "",
        "service": "playback",
        "objective_ratio": 0.999,
        "sli_ratio": 0.9985,
        "total": 2000,
        "bad": 3,
        "budget_remaining_ratio": -0.5,
        "covered_ratio": 1.0,
        "data_state": "covered",
        "alert_counts": {"page": 2},
        "alerts": [],
        "budgeting_method": "Occurrences",
        "budget_projected_remaining_ratio": None,
    } | changes


EMPTY = row(name="idle", sli_ratio=None, budget_remaining_ratio=None, total=0, bad=0,
            data_state="empty", covered_ratio=0.0, alert_counts={})  # fmt: skip
REPORT = as_json(Period(0, 86_400), [row(), EMPTY])


def test_csv_has_a_line_each_and_leaves_unknown_cells_empty():
    first, second = csv.DictReader(io.StringIO(as_csv(REPORT)))
    assert (first["name"], first["pages"], first["tickets"]) == ("starts", "2", "0")
    assert float(first["budget_remaining_ratio"]) == -0.5
    assert (second["sli_ratio"], second["budget_remaining_ratio"]) == ("", "")


def test_the_page_says_overspent_and_no_events():
    page = as_html(REPORT)
    assert "overspent by 50 %" in page
    assert "no events" in page
    assert "1970-01-01 00:00 to 1970-01-02 00:00 UTC" in page


def test_time_slices_are_called_so():
    shares = row(budgeting_method="RatioTimeslices", total=288, bad=1.25)
    report = as_json(Period(0, 1), [shares | {"budget_projected_remaining_ratio": 0.5}, row()])
    page = as_html(report)
    assert "<td class=n>288 slices</td><td class=n>1.25</td>" in page
    assert "<td class=n>2000</td><td class=n>3</td>" in page
    first, second = csv.DictReader(io.StringIO(as_csv(report)))
    assert (first["budgeting_method"], first["bad"]) == ("RatioTimeslices", "1.25")
    assert first["budget_projected_remaining_ratio"] == "0.5"
    assert second["budget_projected_remaining_ratio"] == ""


def test_names_are_text():
    report = as_json(Period(0, 1), [row(display_name="<script>x</script>", service="<b>")])
    page = as_html(report)
    assert "<script>" not in page
    assert "<b>" not in page
