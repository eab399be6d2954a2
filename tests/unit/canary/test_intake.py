"""Blocks coming in: order, states, digest, who was heard."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.blocks import COUNT_MAX, Block, BlockState, CountArm, HistogramArm
from analysis.canary.intake import BlockFeed

S = 10**9
EDGES = np.array([1.0, 2.0, 4.0])


def count(second: int, baseline=True, canary=True, length: int = 1) -> Block:
    arm = CountArm(3, 4)
    return Block(
        second * S, (second + length) * S, arm if baseline else None, arm if canary else None
    )


def histogram(edges, counts) -> HistogramArm:
    return HistogramArm(np.asarray(edges, dtype=float), np.asarray(counts))


@pytest.mark.parametrize(
    ("baseline", "canary", "state"),
    [
        (None, None, BlockState.EMPTY),
        (CountArm(1, 1), None, BlockState.BASELINE_ONLY),
        (None, CountArm(1, 1), BlockState.CANARY_ONLY),
        (CountArm(0, 0), CountArm(1, 1), BlockState.PAIRED),
        (CountArm(1, 1), CountArm(0, COUNT_MAX + 1), BlockState.UNREADABLE),
        (CountArm(1, 1), histogram(EDGES, [0, 0, 0, 0]), BlockState.UNREADABLE),
        (histogram(EDGES, [0] * 4), histogram(EDGES, [1] * 4), BlockState.PAIRED),
        (histogram(EDGES, [0] * 4), histogram(EDGES[:2], [1] * 3), BlockState.PAIRED),
        (histogram(EDGES, [0] * 4), histogram([3.0, 5.0], [1] * 3), BlockState.INCOMPARABLE),
        (histogram(EDGES, [0] * 4), histogram([], [1]), BlockState.INCOMPARABLE),
        (histogram([], [4]), histogram([], [1]), BlockState.PAIRED),
        (histogram(EDGES, [0] * 4), histogram([2.0, 1.0], [1] * 3), BlockState.UNREADABLE),
        (histogram(EDGES, [0] * 4), histogram([1.0, np.nan], [1] * 3), BlockState.UNREADABLE),
        (histogram(EDGES, [0] * 4), histogram([1.0, np.inf], [1] * 3), BlockState.UNREADABLE),
        (histogram(EDGES, [0] * 4), histogram(EDGES, [1, -1, 0, 0]), BlockState.UNREADABLE),
        (histogram(EDGES, [0] * 4), histogram(EDGES, [2**62] * 4), BlockState.UNREADABLE),
    ],
)
def test_a_block_names_its_state(baseline, canary, state):
    assert Block(0, S, baseline, canary).state is state
    mirrored = {
        BlockState.BASELINE_ONLY: BlockState.CANARY_ONLY,
        BlockState.CANARY_ONLY: BlockState.BASELINE_ONLY,
    }
    assert Block(0, S, canary, baseline).state is mirrored.get(state, state)


def test_impossible_arms_cannot_be_made():
    for good, total in ((2, 1), (-1, 1), (0, -1)):
        with pytest.raises(ValueError, match="good"):
            CountArm(good, total)
    with pytest.raises(ValueError, match="one count more"):
        histogram(EDGES, [1, 2, 3])


def test_exponential_layouts_of_two_scales_share_their_edges():
    fine, coarse = 2.0 ** (np.arange(0, 17) / 4), 2.0 ** (np.arange(0, 9) / 2)
    pair = Block(0, S, histogram(fine, [1] * 18), histogram(coarse, [1] * 10))
    assert pair.state is BlockState.PAIRED


def test_blocks_come_out_in_order_once():
    feed = BlockFeed("m")
    taken = list(feed.take([count(2), count(0), count(1)]))
    assert [b.start_unix_nano for b in taken] == [0, S, 2 * S]
    assert list(feed.take([count(1), count(2)])) == []
    assert feed.skipped == {"late": 2}
    assert feed.taken == 3


def test_unusable_blocks_are_counted_by_name_and_heard():
    feed = BlockFeed("m")
    blocks = [count(0, canary=False), count(1, baseline=False), count(2, False, False)]
    assert list(feed.take(blocks)) == []
    assert feed.skipped == {"baseline_only": 1, "canary_only": 1, "empty": 1}
    assert feed.heard_unix_nano == {"baseline": S, "canary": 2 * S}
    assert feed.first_paired_unix_nano is None


def test_a_block_that_ends_before_it_starts_does_not_reopen_the_past():
    feed = BlockFeed("m")
    list(feed.take([count(0), count(5)]))
    assert list(feed.take([count(7, length=-6)])) == []
    assert list(feed.take([count(1), count(4)])) == []
    assert feed.skipped == {"unreadable": 1, "late": 2}
    assert feed.heard_unix_nano["canary"] == 6 * S


def test_the_digest_names_what_was_taken():
    def digest(*blocks: Block) -> str:
        feed = BlockFeed("m")
        list(feed.take(blocks))
        return feed.digest

    assert digest(count(0), count(1)) == digest(count(1), count(0))
    assert digest(count(0), count(1), count(1)) == digest(count(0), count(1))
    others = [digest(count(0)), digest(count(0, canary=False)), digest(count(0, length=2))]
    assert len({digest(count(0), count(1)), digest(), *others}) == 5
    other_key = BlockFeed("n")
    list(other_key.take([count(0)]))
    assert other_key.digest != digest(count(0))


def test_state_goes_on_where_it_stopped():
    feed, again = BlockFeed("m"), BlockFeed("m")
    list(feed.take([count(0), count(1, canary=False)]))
    again.restore(feed.to_state())
    for one in (feed, again):
        list(one.take([count(1), count(2)]))
    assert again.to_state() == feed.to_state()
