"""Every event is taken once, or is known to be late or stray, however it is polled."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.canary.config import default_config_text, load_canary_config
from analysis.reading.answers import parse_blocks
from analysis.reading.canary_blocks import blocks_of, newest_by_arm
from analysis.reading.config import ReadingConfig
from analysis.reading.roster import DeclaredArm, Roster
from analysis.reading.sources import sources_of
from analysis.reading.steps import SECOND_NS, StepBook, closed_until

START = 1_790_000_000 * SECOND_NS
ROSTER = Roster(
    "d-1",
    "playback",
    DeclaredArm("2.3.0", frozenset({"b-0"})),
    DeclaredArm("2.4.0", frozenset({"c-0"})),
)
SOURCE = next(
    source
    for source in sources_of(load_canary_config(default_config_text()), ROSTER)
    if source.is_scoped
)
CONFIG = ReadingConfig(
    request_timeout_s=3.0,
    max_answer_bytes=8_000_000,
    settle_min_s=0.3,
    settle_max_s=3.0,
    step_s=1,
    low_traffic_step_s=4,
    low_traffic_events_per_s=1.0,
    catch_up_max_steps=60,
    audit_tile_s=20,
    audit_age_s=30,
    prime_s=30,
)
TILE_NS = CONFIG.audit_tile_s * SECOND_NS
SECONDS = 60
LONG_AFTER = START + 1_000 * SECOND_NS

#: (sender, second, 5xx or not, events, seconds until it is stored)
REPORT = st.tuples(
    st.sampled_from(["b-0", "c-0", "c-9"]),
    st.integers(0, SECONDS - 1),
    st.booleans(),
    st.integers(0, 9),
    st.one_of(st.floats(0, 2), st.floats(0, 90)),
)
POLLS = st.lists(st.floats(0.1, 25), min_size=1, max_size=40)


def _answer(reports, start, step_ns, *, now):
    """What the collector would say now: stored reports at or after ``start``, in steps."""
    cells: dict[tuple[str, bool], Counter[int]] = {}
    for sender, second, is_error, events, lag_s in reports:
        at = START + second * SECOND_NS
        is_stored = at + round((1 + lag_s) * SECOND_NS) <= now
        if is_stored and start <= at < now:
            step = start + (at - start) // step_ns * step_ns
            cells.setdefault((sender, is_error), Counter())[step] += events
    groups = [
        {
            "attributes": {
                "davylamp.canary.cohort": "baseline" if sender == "b-0" else "canary",
                "service.instance.id": sender,
                "service.version": "2.3.0" if sender == "b-0" else "2.4.0",
                "http.response.status_code": "503" if is_error else "200",
            },
            "bounds": [0.1],
            "blocks": [
                {"start_unix_nano": at, "counts": [count, 0], "instance_count": 1}
                for at, count in sorted(steps.items())
            ],
        }
        for (sender, is_error), steps in cells.items()
    ]
    return parse_blocks(
        {
            "kind": "histogram",
            "truncated": False,
            "from_unix_nano": start,
            "to_unix_nano": max(now, start + 1),
            "step_s": step_ns / SECOND_NS,
            "groups": groups,
        }
    )


def _poll(book, reports, now, taken):
    """One look as the watch does it; the blocks go to ``taken``. Returns the stray events."""
    step_ns = book.step_s(CONFIG, longest_s=5.0) * SECOND_NS
    answer = _answer(reports, book.taken_until_unix_nano, step_ns, now=now)
    until = closed_until(
        book.taken_until_unix_nano,
        step_ns,
        newest_unix_nano=newest_by_arm(SOURCE, answer, ROSTER),
        now_unix_nano=now,
        upto_unix_nano=answer.to_unix_nano,
        config=CONFIG,
    )
    found = blocks_of(SOURCE, answer, ROSTER, until)
    for start in range(answer.from_unix_nano, until, step_ns):
        events = {arm: found.events.get((arm, start), 0) for arm in ("baseline", "canary")}
        book.take(start, start + step_ns, events, TILE_NS)
    book.stray_events += found.stray_events
    for key, blocks in found.blocks.items():
        taken.setdefault(key, []).extend(blocks)


def _all_polls(reports, waits_s):
    book, taken, now = StepBook.starting(START), {}, START
    for wait_s in waits_s:
        now += round(wait_s * SECOND_NS)
        _poll(book, reports, now, taken)
    return book, taken


@settings(max_examples=60, deadline=None)
@given(st.lists(REPORT, max_size=60), POLLS)
def test_what_was_sent_is_what_was_taken_plus_what_came_late(reports, waits_s):
    """Of the steps that closed, once everything is stored and counted again."""
    book, taken = _all_polls(reports, waits_s)
    until = book.taken_until_unix_nano
    sent = sum(
        events
        for sender, second, _, events, _ in reports
        if sender != "c-9" and START + second * SECOND_NS < until
    )
    in_blocks = sum(
        arm.total
        for b in taken.get("http.server.errors", [])
        for arm in (b.baseline, b.canary)
        if arm
    )
    assert sum(book.taken_events.values()) == in_blocks
    # Count the tiles again; the last one may be half taken, then it is counted by hand.
    while (tile := book.due_tile(LONG_AFTER, CONFIG)) is not None:
        book.audited(tile, _between(reports, tile.start_unix_nano, tile.end_unix_nano), TILE_NS)
    audited = (until // TILE_NS) * TILE_NS
    rest = _between(reports, max(audited, START), until)
    rest_taken = _events_in(taken, since=audited)
    late = book.late_events + rest - rest_taken
    assert sent == in_blocks + late
    assert late >= 0


def _events_in(taken, since=0):
    return sum(
        arm.total
        for block in taken.get("http.server.errors", [])
        if block.start_unix_nano >= since
        for arm in (block.baseline, block.canary)
        if arm
    )


def _between(reports, start, end):
    return sum(
        events
        for sender, second, _, events, _ in reports
        if sender != "c-9" and start <= START + second * SECOND_NS < end
    )


@settings(max_examples=60, deadline=None)
@given(st.lists(REPORT, max_size=60), POLLS)
def test_no_step_is_taken_twice_and_none_is_left_out(reports, waits_s):
    """The blocks of a metric touch each other from the first to the last."""
    book, taken = _all_polls(reports, waits_s)
    for blocks in taken.values():
        edges = [START, *(block.end_unix_nano for block in blocks)]
        assert edges[:-1] == [block.start_unix_nano for block in blocks]
        assert book.taken_until_unix_nano == edges[-1]


@settings(max_examples=60, deadline=None)
@given(st.lists(REPORT.filter(lambda r: r[0] == "c-9"), max_size=30), POLLS)
def test_strays_alone_close_no_step(reports, waits_s):
    """Whoever was not declared is neither an arm nor a sign that the collector keeps up."""
    book, taken = _all_polls(reports, waits_s)
    assert book.taken_until_unix_nano == START
    assert not any(taken.values())


@settings(max_examples=60, deadline=None)
@given(st.lists(REPORT, max_size=60), POLLS, POLLS)
def test_without_lag_the_poll_pattern_changes_no_number(reports, waits_s, other_waits_s):
    """Everything is stored within the step: two readers see the same seconds alike."""
    prompt = [(*report[:4], 0.0) for report in reports]
    both = [_all_polls(prompt, waits) for waits in (waits_s, other_waits_s)]
    upto = min(book.taken_until_unix_nano for book, _ in both)
    first, second = (
        {
            second: sum(
                arm.total
                for block in taken.get("http.server.errors", [])
                for arm in (block.baseline, block.canary)
                if arm and block.end_unix_nano <= upto
                if (block.start_unix_nano - START) // TILE_NS == second
            )
            for second in range((upto - START) // TILE_NS)
        }
        for _, taken in both
    )
    assert first == second
