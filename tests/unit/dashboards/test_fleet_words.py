"""The fleet's sentence, the service table, objectives and events."""

from __future__ import annotations

from dataclasses import replace

from plotly.io.json import to_json_plotly

from dashboards.answers.analysis import Anomaly, CalendarPeriod, Event, Slo
from dashboards.answers.collector import Operation
from dashboards.components.events import MAX_EVENTS, chart_markers, listed
from dashboards.components.headline import headline
from dashboards.components.operation_rows import operation_rows
from dashboards.components.service_rows import service_rows
from dashboards.components.slo_tiles import budget_words, slo_tiles
from dashboards.health import live_instances, service_status, with_recent_rates, worst_first
from dashboards.playback import Starts
from dashboards.theme import Status

SECOND_NS = 1_000_000_000
NOW = 1_790_000_000 * SECOND_NS
STARTS = Starts((), 47.94, 0.9941, 60.0)


def slo(name="s", *, state="ok", left=0.38):
    return Slo(name, "playback", name, 0.99, 3600.0, state, 99.0, 100.0, 0.01, left, (), NOW, "sum")


def anomaly(state):
    return Anomaly("m", "steering", {}, state, None, 0.01, 0.05, "odd")


def test_a_quiet_fleet_in_one_sentence(make):
    """What leads, then the viewers' numbers."""
    found = headline([make.service()], STARTS, [slo()], [anomaly("normal")], [], NOW)
    assert found.status is Status.OK
    assert found.text == "All quiet. 47.9 plays/s, 99.4 % start successfully."


def test_the_worst_thing_leads(make):
    """Budget before failing services before anomalies before errors."""
    bad, warn = make.service("edge", errors=0.2), make.service("rows", errors=0.02)
    odd = [anomaly("anomalous")]
    for services, slos, anomalies, expected in (
        ([bad, warn], [slo(state="burning")], odd, "Error budget burning: s."),
        ([bad, warn], [slo()], odd, "Failing: edge."),
        ([warn], [slo()], odd, "Unusual: steering."),
        ([warn], [slo()], [], "Errors above 1 %: rows."),
        ([], [], [], "No service has been heard in this window."),
    ):
        assert headline(services, STARTS, slos, anomalies, [], NOW).lead == expected


def test_without_playback_the_sentence_counts_requests(make):
    """A fleet of stock OpenTelemetry services has a sentence too."""
    found = headline([make.service(rate=4.0), make.service("b", rate=8.0)], None, [], [], [], NOW)
    assert found.text == "All quiet. 12/s requests in 2 services."


def test_services_stand_worst_first(make):
    """Failing, erring, silent, fine; then by p99."""
    services = (
        make.service("fine", p99_s=0.1),
        make.service("slow", p99_s=2.0),
        make.service("silent", seen_s=90),
        make.service("failing", errors=0.3),
        make.service("erring", errors=0.02),
    )
    names = [s.name for s in worst_first(services, NOW)]
    assert names == ["failing", "erring", "silent", "slow", "fine"]


def test_a_silent_service_is_neither_good_nor_bad(make):
    """Whatever its last numbers were."""
    assert service_status(make.service(errors=0.5, seen_s=31), NOW) is Status.UNKNOWN
    (row,) = service_rows([make.service(seen_s=31)], NOW)
    assert (row["status"], row["instances"]) == ("silent", 0)


def test_rates_are_the_last_minutes_and_missing_ones_are_dashes(make):
    """A service heard earlier but not lately has no rate, not rate 0."""
    lately = make.service("a", rate=5.0)
    merged = with_recent_rates((make.service("a", rate=1.0), make.service("b")), (lately,))
    rows = {row["name"]: row for row in service_rows(merged, NOW)}
    assert rows["a"]["rate_text"] == "5/s"
    assert rows["b"]["rate_text"] == "–"


def test_instances_that_left_do_not_count(make):
    """The table says how many there are now."""
    assert live_instances(make.service(seen_s=29), NOW)
    assert not live_instances(make.service(seen_s=31), NOW)


def test_operations_by_impact():
    """Requests times median, as a share of all; the most costly first."""
    rows = operation_rows(
        [
            Operation("often", 900, 9, 0.01, 0.02),
            Operation("slow", 100, 0, 0.31, 0.9),
            Operation("unknown", 0, 0, None, None),
        ],
        60.0,
    )
    assert [(r["name"], r["impact_text"]) for r in rows] == [
        ("slow", "78 %"),
        ("often", "22 %"),
        ("unknown", "0 %"),
    ]
    assert rows[1]["errors_text"] == "1.00 %"
    assert rows[2]["errors_text"] == "–"


def test_an_overspent_budget_is_never_clipped():
    """It says by how much."""
    assert budget_words(-3.02) == "overspent by 302 %"
    assert budget_words(0.384) == "38 %"
    assert budget_words(None) == "–"


def test_a_tile_never_says_within_budget_of_a_spent_one():
    """Also when nothing burns any more; what burns is said first."""
    spent, burning = slo(left=-0.04), slo(left=-0.04, state="burning")
    assert "budget spent" in to_json_plotly(slo_tiles([spent]))
    assert "within budget" not in to_json_plotly(slo_tiles([spent]))
    assert "budget burning" in to_json_plotly(slo_tiles([burning]))
    assert "within budget" in to_json_plotly(slo_tiles([slo(left=0.0)]))


def test_the_worst_objective_stands_first():
    """Burning, then the least budget."""
    words = to_json_plotly(
        slo_tiles([slo("rich", left=0.9), slo("poor", left=0.1), slo("hot", state="burning")])
    )
    assert words.index('"hot"') < words.index('"poor"') < words.index('"rich"')


def event(kind, at=0, service="playback"):
    return Event(NOW + at, kind, service, None, kind, "")


def test_the_rail_is_bounded_and_leaves_out_the_canarys_inner_steps():
    """Those are in its report."""
    many = [event("verdict"), event("canary_state")] * 100
    assert len(listed(many)) == MAX_EVENTS
    assert {e.kind for e in listed(many)} == {"verdict"}


def test_charts_are_marked_with_their_services_events():
    """Deliveries and acknowledgements are in the rail only."""
    events = [
        event("verdict"),
        event("verdict", service="edge"),
        event("delivered"),
        event("completed", service=""),
    ]
    assert [m.glyph for m in chart_markers(events, "playback")] == ["⚖", "↩"]
    assert len(chart_markers(events)) == 3


def test_a_calendar_budget_has_both_numbers_each_with_its_label():
    """Berlin's November: midnight there is 23:00 UTC."""
    period = CalendarPeriod(1_793_487_600 * 10**9, 1_796_079_600 * 10**9, "Europe/Berlin")
    shown = to_json_plotly(
        slo_tiles([replace(slo(left=0.25), projected_remaining_ratio=0.9, calendar=period)])
    ).replace("\\u002f", "/")
    for text in (
        "since 2026-11-01 00:00 Europe/Berlin",
        "budget left so far",
        "25 %",
        "projected to 2026-12-01 00:00 Europe/Berlin",
        "90 %",
    ):
        assert text in shown
    assert "projected" not in to_json_plotly(slo_tiles([slo()]))


def test_a_budget_of_slices_says_what_is_counted():
    one = replace(slo(left=0.25), projected_remaining_ratio=0.5, slice_s=300.0)
    shown = to_json_plotly(slo_tiles([one]))
    for text in ("slices of 5 min over 1 h", "of slices with events", "of all slices", "50 %"):
        assert text in shown
