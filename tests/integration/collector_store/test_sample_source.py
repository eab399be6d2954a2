"""Series of samples looked up in memory answer as the store's own index does."""

from __future__ import annotations

import itertools
import random
from dataclasses import replace

import numpy as np
import pytest

from collector.promql.errors import TooManySamples
from collector.promql.limits import Meter, QueryLimits
from collector.promql.matchers import Matcher
from collector.promql.sample_source import SampleSource
from collector.samples.native import block
from collector.store.errors import StoreError
from telemetry.clock import FixedClock

LIMITS = QueryLimits(
    max_samples=1_000_000, max_series=5_000, max_steps=1, max_subquery_steps=1, timeout_s=60.0
)
#: Ahead of every clock, so that retention leaves it alone.
T0_MS = 2_000_000_000_000
STEP_MS = 15_000
_files = itertools.count()


class Written:
    """Puts series and samples into the store as its writer does: first the rows, then samples."""

    def __init__(self, store, folder) -> None:
        self._store, self._folder = store, folder
        count = "SELECT if(count() = 0, 0, max(series_id) + 1) AS n FROM sample_series"
        self._numbers = itertools.count(store.query(count)["n"][0].as_py())
        self._metrics = itertools.count(store.query(count)["n"][0].as_py() + 1_000_000)
        self._metric_ids: dict[str, int] = {}

    def add(self, sets, times_ms=(T0_MS,)) -> list[int]:
        """Their numbers; each has the value of its number at every time."""
        for labels in sets:
            if labels["__name__"] not in self._metric_ids:
                self._metric_ids[labels["__name__"]] = next(self._metrics)
        numbers = [next(self._numbers) for _ in sets]
        metrics = np.array([self._metric_ids[one["__name__"]] for one in sets], dtype=np.uint32)
        ids = np.array(numbers, dtype=np.uint32)
        pairs = [sorted((k.encode(), v.encode()) for k, v in one.items()) for one in sets]
        self._insert(
            "sample_series",
            metric_name=[one["__name__"].encode() for one in sets],
            metric_id=metrics,
            series_id=ids,
            names=[[name for name, _ in one] for one in pairs],
            label_values=[[value for _, value in one] for one in pairs],
        )
        count = len(times_ms)
        if count:
            self._insert(
                "samples",
                metric_id=np.repeat(metrics, count),
                series_id=np.repeat(ids, count),
                time_unix_ms=np.tile(np.array(times_ms, dtype=np.int64), len(sets)),
                mantissa=np.repeat(ids, count).astype(np.int64),
                exponent=np.zeros(count * len(sets), dtype=np.uint8),
            )
        return numbers

    def _insert(self, table, **columns) -> None:
        near = self._folder / f"segment-{next(_files)}"
        rows = len(next(iter(columns.values())))
        self._store.insert_block(table, block(tuple(columns.items()), rows), near, None)


@pytest.fixture
def written(store, tmp_path):
    return Written(store, tmp_path)


def meter(**changes) -> Meter:
    return Meter(replace(LIMITS, **changes), FixedClock(0))


def plain(points):
    return sorted((labels, times.tolist(), values.tolist()) for labels, times, values in points)


def of(name: str) -> list[Matcher]:
    return [Matcher("__name__", "=", name)]


def test_answers_as_the_store_does_whatever_is_asked(store, written):
    """Random selectors and windows over series with odd labels, some without samples there."""
    draw = random.Random(7)
    values = ("", "a", "b", "a'b\\", "ü\n", "ab")
    for part in range(3):
        sets = [
            {"__name__": f"any_{draw.choice('xyz')}", "n": f"{part}-{n}"}
            | {name: value for name in ("job", "zone") if (value := draw.choice(values))}
            for n in range(80)
        ]
        written.add(sets, [T0_MS + (part * 4 + step) * STEP_MS for step in range(4)])
    in_memory, in_store = SampleSource(store), SampleSource(store, max_indexed_series=0)
    patterns = ("a.*", "|b", ".+", ".*", "[^a]*", "a|b|ab", "any_[xy]")
    answered = 0
    for _ in range(40):
        matchers = [Matcher("__name__", "=~", "any_.*")]
        for _ in range(draw.randint(1, 3)):
            operator = draw.choice(("=", "!=", "=~", "!~"))
            value = draw.choice(patterns if "~" in operator else (*values, "any_x"))
            matchers.append(Matcher(draw.choice(("__name__", "job", "zone")), operator, value))
        start_ms = T0_MS + draw.randint(-2, 13) * STEP_MS
        end_ms = start_ms + draw.randint(0, 6) * STEP_MS
        mine = in_memory.points(matchers, start_ms, end_ms, meter())
        assert plain(mine) == plain(in_store.points(matchers, start_ms, end_ms, meter()))
        sets = in_memory.label_sets(matchers, start_ms, end_ms, meter())
        assert sorted(sets) == sorted(in_store.label_sets(matchers, start_ms, end_ms, meter()))
        assert sorted(sets) == [labels for labels, _, _ in plain(mine)]
        answered += bool(mine)
    assert answered > 10


def test_a_new_series_is_seen_at_once(store, written):
    """What is kept in memory never hides what was acknowledged since."""
    source = SampleSource(store)
    assert source.points(of("fresh"), T0_MS, T0_MS, meter()) == []
    for count in (1, 2, 3):
        written.add([{"__name__": "fresh", "n": f"{count}"}])
        assert len(source.points(of("fresh"), T0_MS, T0_MS, meter())) == count
        assert len(source.label_sets(of("fresh"), T0_MS, T0_MS, meter())) == count


def test_samples_that_retention_dropped_take_their_series_along(store, written):
    """The row of a series outlives its samples."""
    numbers = written.add([{"__name__": "gone", "n": f"{n}"} for n in range(3)])
    source = SampleSource(store)
    assert len(source.points(of("gone"), T0_MS, T0_MS, meter())) == 3
    with store.administration() as run:
        run(
            f"ALTER TABLE samples DELETE WHERE series_id = {numbers[1]} SETTINGS mutations_sync = 1"
        )
    kept = source.points(of("gone"), T0_MS, T0_MS, meter())
    assert [dict(labels)["n"] for labels, _, _ in kept] == ["0", "2"]
    assert len(source.label_sets(of("gone"), T0_MS, T0_MS, meter())) == 2


def test_more_series_than_are_kept_in_memory_are_asked_of_the_store(store, written):
    """Also those that come in after the memory was given up."""
    numbers = written.add([{"__name__": "many", "n": f"{n}"} for n in range(5)])
    source = SampleSource(store, max_indexed_series=numbers[-1] + 1)
    assert len(source.points(of("many"), T0_MS, T0_MS, meter())) == 5
    written.add([{"__name__": "many", "n": "one more"}])
    assert len(source.points(of("many"), T0_MS, T0_MS, meter())) == 6
    written.add([{"__name__": "many", "n": "and one"}])
    assert len(source.label_sets(of("many"), T0_MS, T0_MS, meter())) == 7


def test_years_of_samples_come_in_order(store, written):
    """However wide the window is, samples are sorted by time in each series."""
    year_ms = 31_536_000_000
    times = [T0_MS + year_ms, T0_MS, T0_MS - 12 * year_ms, T0_MS + 2 * year_ms]
    written.add([{"__name__": "long", "n": f"{n}"} for n in range(2)], times)
    found = SampleSource(store).points(of("long"), 0, T0_MS * 2, meter())
    kept = [time for time in sorted(times) if time >= T0_MS]
    assert [[t for t in times.tolist() if t >= T0_MS] for _, times, _ in found] == [kept, kept]


def test_only_series_with_samples_there_count_against_the_limit(store, written):
    """Series that had samples at another time do not make a selector too wide."""
    written.add([{"__name__": "wide", "n": f"{n}"} for n in range(4)], [T0_MS])
    written.add([{"__name__": "wide", "n": f"{n}"} for n in range(4, 8)], [T0_MS + STEP_MS])
    source = SampleSource(store)
    few = {"max_series": 5}
    assert len(source.points(of("wide"), T0_MS, T0_MS, meter(**few))) == 4
    assert len(source.label_sets(of("wide"), T0_MS, T0_MS, meter(**few))) == 4
    with pytest.raises(TooManySamples):
        source.points(of("wide"), T0_MS, T0_MS + STEP_MS, meter(**few))


def test_an_insert_counts_when_it_ended_also_a_failed_one(store, tmp_path):
    """A failed insert may have left rows behind, so it counts."""
    before = store.inserts("sample_series")
    with pytest.raises(StoreError):
        store.insert_block("sample_series", b"no block", tmp_path / "segment", None)
    assert store.inserts("sample_series") == before + 1
