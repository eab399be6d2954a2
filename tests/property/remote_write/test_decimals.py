"""Decimal mantissas lose nothing, whatever the bits."""

from __future__ import annotations

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from collector.samples.decimals import RAW, from_decimals, to_decimals

BITS = arrays(np.int64, st.integers(0, 20), elements=st.integers(-(2**63), 2**63 - 1))
STALE = 0x7FF0000000000002


@given(BITS)
@example(np.array([STALE, -(2**63), 0, 1], dtype=np.int64))
def test_every_double_comes_back_bit_by_bit(bits):
    """NaN with its payload, minus zero and subnormals included."""
    values = bits.view(np.float64)
    back = from_decimals(*to_decimals(values))
    assert back.view(np.int64).tolist() == bits.tolist()


@given(st.lists(st.decimals(-(10**5), 10**5, places=6, allow_nan=False), max_size=20))
def test_short_decimals_come_back_and_none_keeps_its_bits(numbers):
    """What metrics mostly are takes the compact form."""
    values = np.array([float(number) for number in numbers])
    mantissas, exponents = to_decimals(values)
    assert from_decimals(mantissas, exponents).tolist() == values.tolist()
    assert RAW not in exponents[~((values == 0) & np.signbit(values))]
