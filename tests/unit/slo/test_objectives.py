"""Running objectives come from OpenSLO files: what is not watched is refused by name."""

from __future__ import annotations

from fractions import Fraction

import pytest

from analysis.slo.errors import SloError, SloFileError
from analysis.slo.objectives import Guard, check_steps, load_objectives, shipped_text
from analysis.slo.openslo.errors import DefinitionError
from analysis.slo.openslo.model import BudgetingMethod
from analysis.slo.openslo.time_windows import Period
from analysis.slo.openslo.validate import Verdict, validate

SHIPPED = shipped_text()


def load(text):
    return load_objectives({"objectives.yaml": text})


def changed(old, new, count=1):
    """The shipped file with the first places of a text replaced."""
    assert old in SHIPPED
    return SHIPPED.replace(old, new, count)


def annotated(**annotations):
    lines = "".join(f'\n    davylamp/{k.replace("_", "-")}: "{v}"' for k, v in annotations.items())
    return changed("name: playback-starts\n", f"name: playback-starts\n  annotations:{lines}\n")


def test_the_shipped_file_is_openslo_without_a_warning():
    report = validate({"objectives.yaml": SHIPPED})
    assert (report.verdict, report.findings) == (Verdict.VALID, ())


def test_shipped_objectives():
    month, hour = load(SHIPPED)
    assert (month.target_ratio, month.window_s, month.budget_ratio) == (0.99, 30 * 86_400, 0.01)
    assert (hour.window_s, len(hour.policy.windows)) == (3600, 3)
    assert month.policy.guard == Guard(2, 1e-4)
    assert month.outcome("success") == "good"
    assert month.outcome("failure_technical") == "bad"
    assert month.outcome("abandoned") is None
    for window in (*month.policy.windows, *hour.policy.windows):
        assert window.long_window_s == 12 * window.short_window_s


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("Occurrences", "RatioTimeslices", r"timeSliceWindow"),
        ("isRolling: true", "isRolling: false", r"calendar"),
        ("target: 0.99\n", "target: 0\n", r"objectives\[0\]\.target"),
        ("target: 0.99\n", "target: 0.9999999999999\n", r"objectives\[0\]\.target"),
        ("target: 0.99\n", "target: 0.9\n", r"threshold: got 14\.4.*less than 10,"),
        ("alertPolicyRef: page-1h", "alertPolicyRef: nobody", r"alertPolicies\[0\]"),
        ("- alertPolicyRef: page-1h", "- page-1h", r"alertPolicies\[0\]"),
        ("type: davylamp", "type: prometheus", r"metricSource\.type: got 'prometheus'"),
        ("counter: true", "counter: false", r"counter: got False"),
        ("values: [success]", "values: [success, other]", r"some of total's values"),
        ("values: [success]", "values: [1]", r"a list of texts"),
        ("values: [success]", "value: success", r"metricSource\.spec"),
        ("lookbackWindow: 1h", "lookbackWindow: 5w", r"lookbackWindow|at most the time window"),
        ("op: gt\n", "op: gte\n", r"condition\.op: got 'gte', accepted: 'gt'"),
        ("alertAfter: 0m", "alertAfter: 5m", r"alertAfter: got 300"),
        ("severity: page", "severity: shout", r"severity: got 'shout', accepted: page or ticket"),
        ("alertWhenResolved: true", "alertWhenResolved: false", r"alertWhenResolved"),
        ("  target: timeline", "  target: email", r"notificationTargets"),
        ("kind: SLO", "kind: Surprise", r"kind"),
        ("target: 0.99\n", "target: 0.99\n      target: 0.5\n", r"target"),
    ],
)
def test_a_wrong_objective_names_its_place(old, new, message):
    with pytest.raises((SloFileError, DefinitionError), match=message):
        load(changed(old, new))


def by_slices(method, window="5m", also=""):
    slices = f"target: 0.99\n      timeSliceWindow: {window}\n{also}"
    text = changed("budgetingMethod: Occurrences", f"budgetingMethod: {method}")
    return load(text.replace("target: 0.99\n", slices, 1))


def test_time_slices_are_watched_with_their_length_and_target():
    month, hour = by_slices("Timeslices", "5m", "      timeSliceTarget: 0.95\n")
    assert (month.method, month.slice_s) == (BudgetingMethod.TIMESLICES, 300)
    assert month.slice_target_ratio == Fraction(95, 100)
    assert month.period(30 * 86_400 + 299).end_unix_s == 30 * 86_400, "the last one that is over"
    assert (hour.method, hour.slice_s) == (BudgetingMethod.OCCURRENCES, None)
    month, _ = by_slices("RatioTimeslices")
    assert (month.method, month.slice_s) == (BudgetingMethod.RATIO_TIMESLICES, 300)
    assert month.slice_target_ratio is None
    check_steps([month, hour], 60)
    with pytest.raises(SloFileError, match="timeSliceWindow: got 300, accepted: a multiple of fle"):
        check_steps([month, hour], 7)


@pytest.mark.parametrize(
    ("window", "message"),
    [
        ("7m", r"duration: got 2592000, accepted: a whole number of time slices of 420 s"),
        ("10m", r"page-1h: lookbackWindow: got 3600, accepted: 12 times a whole number of time"),
    ],
)
def test_slices_that_do_not_fit_the_windows_are_refused(window, message):
    with pytest.raises(SloFileError, match=message):
        by_slices("RatioTimeslices", window)


def by_calendar(duration="1M", start="2026-01-01 00:00:00"):
    calendar = f'calendar: {{startTime: "{start}", timeZone: Europe/Warsaw}}'
    return load(
        changed("isRolling: true", calendar).replace("duration: 30d", f"duration: {duration}", 1)
    )


def test_a_calendar_month_is_the_zones_month():
    month, hour = by_calendar()
    period = month.period(1_793_000_000)  # in October 2026, an hour longer in Warsaw
    assert (period.start_unix_s, period.length_s) == (1_790_805_600, 31 * 86_400 + 3_600)
    assert month.bearing(1_793_000_000).end_unix_s == period.end_unix_s
    assert month.memory_s > 31 * 86_400 + 3_600
    assert month.period(1_700_000_000) is None, "before the first"
    assert (hour.calendar, hour.period(7_200)) == (None, Period(3_600, 7_200))


def test_a_calendar_of_years_or_shorter_than_a_lookback_is_refused():
    by_calendar("1Y")
    with pytest.raises(SloFileError, match="got '2Y', accepted: calendar periods of at most"):
        by_calendar("2Y")
    with pytest.raises(SloFileError, match="lookbackWindow: got 259200"):
        by_calendar("1d")


def test_the_guard_can_be_given():
    month, hour = load(annotated(min_failures=5, p_value="1e-6"))
    assert month.policy.guard == Guard(5, 1e-6)
    assert hour.policy.guard == Guard()


@pytest.mark.parametrize(
    "annotations",
    [
        {"min_failures": 0},
        {"min_failures": "2.5"},
        {"p_value": 0},
        {"p_value": "nan"},
        {"p_value": "x"},
        {"surprise": 1},
    ],
)
def test_a_guard_that_cannot_be_is_refused(annotations):
    with pytest.raises(SloFileError, match="davylamp/"):
        load(annotated(**annotations))


def test_an_objective_without_alerts_is_watched():
    month, _ = load(
        changed(
            """  alertPolicies:
    - alertPolicyRef: page-1h
    - alertPolicyRef: page-6h
    - alertPolicyRef: ticket-1d
    - alertPolicyRef: ticket-3d
""",
            "",
        )
    )
    assert month.policy.windows == ()


def test_a_name_given_twice_is_refused():
    with pytest.raises(SloError, match=r"metadata\.name"):
        load(changed("name: playback-starts-hour", "name: playback-starts"))


@pytest.mark.parametrize("text", ["", "{", "just words", "[" * 1000, "? [a]\n: b", "\x00"])
def test_what_is_no_definition_is_a_typed_error(text):
    with pytest.raises(SloError):
        load(text)


def test_bad_events_are_what_total_has_beside_the_good_ones():
    bad = changed("        good:", "        bad:").replace("[success]", "[failure_technical]", 1)
    assert load(bad) == load(SHIPPED)
    wrong = changed("        good:", "        bad:").replace("[success]", "[other]", 1)
    with pytest.raises(SloFileError, match=r"bad: got \['other'\], accepted: some of total"):
        load(wrong)
    raw = changed("        good:", "        rawType: failure\n        raw:")
    start, end = raw.index("        total:"), raw.index("  timeWindow:")
    with pytest.raises(SloFileError, match="got 'raw failure ratio', accepted: good/total or bad"):
        load(raw[:start] + raw[end:])


def several(*targets):
    return load(changed("    - target: 0.99\n", "".join(f"    - {one}\n" for one in targets)))


def test_every_target_of_an_slo_is_watched_under_its_own_name():
    loose, tight, hour = several("target: 0.99", "{target: 0.995, displayName: tight}")
    assert (loose.name, loose.target_ratio) == ("playback-starts/0", 0.99)
    assert (tight.name, tight.target_ratio) == ("playback-starts/tight", 0.995)
    assert loose.display_name == "Pressing play leads to a picture: 99.0000%"
    assert tight.display_name == "Pressing play leads to a picture: tight"
    assert (loose.good, loose.policy) == (tight.good, tight.policy)
    assert hour.name == "playback-starts-hour"


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (("target: 0.99", '{target: 0.995, displayName: "0"}'), "every name once"),
        (("target: 0.99", f"{{target: 0.99, displayName: {'x' * 101}}}"), "got '101 characters'"),
        (("target: 0.99", "target: 0"), r"objectives\[1\]\.target"),
        (("target: 0.99", "target: 0.9"), r"threshold: got 14\.4"),
    ],
)
def test_targets_that_cannot_be_are_refused(targets, message):
    with pytest.raises(SloFileError, match=message):
        several(*targets)
