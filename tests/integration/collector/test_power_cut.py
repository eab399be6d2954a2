"""The power fails under the collector: what it acknowledged is there afterwards, once."""

from __future__ import annotations

import numpy as np
import pytest

from bench.durability import CannotMountError, power_cut


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_every_acknowledged_item_survives_a_power_cut(tmp_path, seed):
    """Spans, points and samples; the disk is a file that is copied at an arbitrary moment."""
    try:
        found = power_cut(tmp_path, np.random.default_rng(seed))
    except CannotMountError as error:
        pytest.skip(f"cannot mount a file system here: {error}")
    assert found["acknowledged"] > 100
    assert (found["lost"], found["doubled"], found["never_sent"]) == (0, 0, 0)
