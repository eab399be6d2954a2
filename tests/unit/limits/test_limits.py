"""The overload limits one by one, on a clock that moves when told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from collector.limits.lives import FILE, Life, Lives
from collector.limits.overload import Overload
from collector.limits.pressure import Pressure, Shed, resident_bytes
from collector.limits.rate import ItemRate
from collector.limits.series_book import SeriesBook
from collector.limits.skew import SkewWatch
from collector.model import Signal
from collector.pipeline.errors import MemoryShort, RateLimited
from collector.pipeline.recent import RecentBodies
from collector.wire.reasons import Reason
from davylamp.config import collector_config, load_settings
from telemetry.clock import FixedClock

CUMULATIVE, DELTA = 2, 1


@pytest.fixture
def clock():
    return FixedClock()


@pytest.fixture(scope="session")
def config():
    return collector_config(load_settings(environ={})).overload


def point(book, key, time=1, *, service="s", metric="m", kind=CUMULATIVE, reserved=False):
    """The reason against one point, None if it is taken."""
    admission = book.admission()
    owner = admission.owner(service, metric, is_reserved=reserved)
    return admission.reason_against(key, kind, time, owner, b"")


def test_the_rate_is_kept_and_the_burst_allowed(clock):
    """100 a second, 50 at once; a request that was too large is made good by waiting."""
    rate = ItemRate(100.0, 50, clock)
    assert rate.take(50)
    assert not rate.take(0)
    clock.advance(0.1)
    assert rate.take(60)
    clock.advance(0.4)
    assert not rate.take(0)
    clock.advance(0.2)
    assert rate.take(0)


@pytest.mark.parametrize(
    ("used", "level"),
    [(0, Shed.NOTHING), (79, Shed.NOTHING), (80, Shed.TRACES), (90, Shed.NEW_SERIES)],
)
def test_spans_give_way_before_series(config, clock, used, level):
    """By share of the memory; the kernel is asked only now and then."""
    small = replace(config, max_rss_bytes=100)
    values = iter([used, 0])
    pressure = Pressure(small, clock, lambda: next(values))
    assert pressure.level() is level
    assert pressure.level() is level
    clock.advance(1.0)
    assert pressure.level() is Shed.NOTHING


def test_the_kernel_tells_our_memory():
    """This process has more than 10 MB and less than all there is."""
    assert 10_000_000 < resident_bytes() < 10**13


def test_series_are_limited_in_all_by_service_and_by_metric(config, clock):
    """Known ones go on; the reserved part stays for what is judged."""
    small = replace(
        config,
        max_series=10,
        reserved_series=4,
        max_series_per_service=5,
        max_series_per_metric=3,
    )
    book = SeriesBook(small, clock)
    assert [point(book, n) for n in range(3)] == [None] * 3
    assert point(book, 3) is Reason.SERIES_LIMIT
    assert [point(book, n, metric="n") for n in (4, 5)] == [None] * 2
    assert point(book, 6, metric="o") is Reason.SERIES_LIMIT
    assert point(book, 6, metric="o", service="t") is None
    assert point(book, 7, metric="p", service="u") is Reason.SERIES_LIMIT
    assert [point(book, n, reserved=True) for n in range(20, 24)] == [None] * 4
    assert point(book, 24, reserved=True) is Reason.SERIES_LIMIT
    assert point(book, 0, time=2) is None
    assert len(book) == 10


def test_idle_series_make_room(config, clock):
    """Only those that were not heard."""
    small = replace(config, max_series=2, reserved_series=0, series_idle_s=60.0)
    book = SeriesBook(small, clock)
    assert [point(book, n) for n in range(2)] == [None] * 2
    clock.advance(50.0)
    assert point(book, 1, time=2) is None
    assert point(book, 2) is Reason.SERIES_LIMIT
    clock.advance(20.0)
    assert point(book, 2) is None
    assert point(book, 0) is Reason.SERIES_LIMIT


def test_the_first_point_at_a_time_stays(config, clock):
    """In any order of arrival, as far as times are remembered."""
    book = SeriesBook(config, clock)
    assert [point(book, 1, time=time) for time in (5, 3, 4, 9, 1)] == [None] * 5
    for time in (5, 3, 4, 9, 1):
        assert point(book, 1, time=time) is Reason.DUPLICATE_TIMESTAMP
    assert point(book, 2, time=5) is None


def test_a_series_is_cumulative_or_delta(config, clock):
    """The second kind is told apart from its first point on."""
    book = SeriesBook(config, clock)
    assert point(book, 1, time=1) is None
    assert point(book, 1, time=2, kind=DELTA) is Reason.TEMPORALITY_CONFLICT
    assert point(book, 1, time=3) is None


def test_what_did_not_become_durable_is_welcome_again(config, clock):
    """With its time, and with its place in the quota."""
    small = replace(config, max_series=2, reserved_series=0)
    book = SeriesBook(small, clock)
    assert point(book, 1, time=1) is None
    failed = book.admission()
    owner = failed.owner("s", "m", is_reserved=False)
    for key, time in ((1, 2), (2, 2)):
        assert failed.reason_against(key, CUMULATIVE, time, owner, b"") is None
    failed.undo()
    assert len(book) == 1
    assert point(book, 1, time=1) is Reason.DUPLICATE_TIMESTAMP
    assert point(book, 1, time=2) is None
    assert point(book, 3, time=2) is None


def test_closed_to_new_series(config, clock):
    """Known and reserved ones go on."""
    book = SeriesBook(config, clock)
    assert point(book, 1) is None
    book.is_closed_to_new = True
    assert point(book, 2) is Reason.NEW_SERIES_SHED
    assert point(book, 3, reserved=True) is None
    assert point(book, 1, time=2) is None


def test_reserved_names(config, clock):
    """Patterns of the settings, whole names only."""
    book = SeriesBook(replace(config, reserved_metrics=("a.b", "play.*")), clock)
    names = ("a.b", "play.x", "a.bc", "axb", "display.x")
    assert [book.is_reserved_name(name) for name in names] == [True, True, False, False, False]
    assert not SeriesBook(replace(config, reserved_metrics=()), clock).is_reserved_name("")


def test_skew_is_the_smallest_age(clock):
    """Of a window and the one before; ahead is negative, old news are forgotten."""
    watch = SkewWatch(clock)

    def hear(age_s, service="s"):
        watch.heard(service, clock.wall_unix_nano() - round(age_s * 1e9))

    def behind():
        return [round(one["behind_s"], 3) for one in watch.as_json()]

    hear(3.0)
    hear(1.5)
    hear(-3600.0, "ahead")
    assert behind() == [-3600.0, 1.5]
    clock.advance(61)
    hear(9.0)
    assert behind()[1] == 1.5
    clock.advance(61)
    hear(10.0)
    assert behind()[1] == 9.0
    assert watch.as_json()[0]["heard_s_ago"] == 122.0


def test_senders_are_bounded(clock):
    """The one that was not heard longest is forgotten."""
    watch = SkewWatch(clock)
    for number in range(1_001):
        watch.heard(str(number), 0)
    names = {one["service"] for one in watch.as_json()}
    assert len(names) == 1_000
    assert "0" not in names


def test_the_order_of_giving_way(config, clock):
    """Spans get 429 before points do; new series go last, reserved ones stay."""
    used = [0]
    overload = Overload(replace(config, max_rss_bytes=100), clock, rss_bytes=lambda: used[0])
    assert overload.before(Signal.TRACES) is None
    used[0] = 85
    clock.advance(1)
    with pytest.raises(MemoryShort):
        overload.before(Signal.TRACES)
    overload.before(Signal.METRICS)
    assert not overload.series.is_closed_to_new
    used[0] = 95
    clock.advance(1)
    overload.before(Signal.METRICS)
    assert overload.series.is_closed_to_new


def test_too_many_items_per_second(config, clock):
    """Every signal waits."""
    overload = Overload(replace(config, max_items_per_s=10.0, burst_items=10), clock)
    overload.before(Signal.METRICS)
    overload.after(20, {})
    for signal in Signal:
        with pytest.raises(RateLimited):
            overload.before(signal)
    clock.advance(1.5)
    overload.before(Signal.TRACES)


def begin(folder, config, clock, kills=0):
    return Lives(folder, config, clock, lambda: kills)


def test_two_deaths_for_want_of_memory_start_safe_mode(tmp_path, config, clock):
    """The kernel's count rose while the process lived, twice within ten minutes."""
    for kills in (0, 1):
        lives = begin(tmp_path, config, clock, kills)
        assert not lives.is_safe_mode
        lives.ready()
        clock.advance(60)
    assert begin(tmp_path, config, clock, 2).is_safe_mode


def test_deaths_before_it_was_ready_count_too(tmp_path, config, clock):
    """Whatever was read back ended it; a start that works ends the row."""
    for _ in range(2):
        assert not begin(tmp_path, config, clock).is_safe_mode
        clock.advance(5)
    lives = begin(tmp_path, config, clock)
    assert lives.is_safe_mode
    lives.ready()
    lives.ended()
    assert not begin(tmp_path, config, clock).is_safe_mode


def test_plain_kills_are_no_such_deaths(tmp_path, config, clock):
    """However many, and however fast."""
    for _ in range(5):
        lives = begin(tmp_path, config, clock, 7)
        assert not lives.is_safe_mode
        lives.ready()


def test_old_deaths_are_forgotten(tmp_path, config, clock):
    """Two in an hour are no loop; nor does a stepped clock make them one."""
    for _ in range(2):
        assert not begin(tmp_path, config, clock).is_safe_mode
        clock.advance(1_000)
    clock.step_wall(-10_000)
    assert not begin(tmp_path, config, clock).is_safe_mode


def test_a_broken_file_says_nothing(tmp_path, config, clock):
    """And is written anew."""
    (tmp_path / FILE).write_text("{")
    assert not begin(tmp_path, config, clock).is_safe_mode
    assert FILE in [path.name for path in tmp_path.iterdir()]
    assert Life(0.0, 0, "ready").died_of_memory is False


@pytest.mark.parametrize("step_s", [3_600, -3_600, 1])
def test_b33_a_step_of_our_clock_changes_no_limit(config, clock, step_s):
    """Rates, quotas, pauses and what is remembered go by the clock that never steps."""
    overload = Overload(
        replace(config, max_items_per_s=10.0, burst_items=10), clock, is_safe_mode=True
    )
    recent = RecentBodies(clock)
    recent.add(b"body", None)
    assert point(overload.series, 1, time=1) is None
    overload.after(15, {})
    left_s = overload.safe_mode_left_s
    clock.step_wall(step_s)
    with pytest.raises(RateLimited):
        overload.before(Signal.METRICS)
    assert overload.safe_mode_left_s == left_s
    assert b"body" in recent
    assert point(overload.series, 1, time=1) is Reason.DUPLICATE_TIMESTAMP


def test_coverage_is_the_share_of_steps_heard(clock):
    """Since the sender was first heard, at most 30 minutes; the running one does not count."""
    watch = SkewWatch(clock)

    def ratio():
        return watch.as_json()[0]["coverage_ratio"]

    watch.heard("s", clock.wall_unix_nano())
    assert ratio() == 1.0
    for _ in range(3):
        clock.advance(60)
        watch.heard("s", clock.wall_unix_nano())
    assert ratio() == 1.0
    clock.advance(120)
    assert ratio() == 0.8
    for _ in range(40):
        clock.advance(120)
        watch.heard("s", clock.wall_unix_nano())
    assert ratio() == 0.5
    clock.advance(6_000)
    assert ratio() == 0.0
