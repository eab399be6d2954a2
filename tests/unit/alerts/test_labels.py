"""Conditions as people and amtool type them; identities as Prometheus has them."""

from __future__ import annotations

import pytest

from analysis.alerts.labels import fingerprint, fits, read_condition
from analysis.errors import BadRequestError


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("alertname=foo", ("alertname", "=", "foo")),
        ('alertname="foo bar"', ("alertname", "=", "foo bar")),
        (' slo =~ "play.*|home" ', ("slo", "=~", "play.*|home")),
        ("severity!=page", ("severity", "!=", "page")),
        ("severity!~", ("severity", "!~", "")),
        (r'a="say \"x\" \\ \n"', ("a", "=", 'say "x" \\ \n')),
        ('a="', ("a", "=", '"')),
    ],
)
def test_conditions(text, read):
    found = read_condition(text)
    assert (found.name, found.operator, found.value) == read


@pytest.mark.parametrize("text", ["", "=x", "1a=x", "a", "a=~(", "a=~(?=x)", "a=" + "x" * 1_000])
def test_what_is_no_condition_is_refused(text):
    with pytest.raises(BadRequestError) as caught:
        read_condition(text)
    assert "severity=" in caught.value.accepted


def test_a_missing_label_reads_as_empty():
    assert fits([read_condition("x="), read_condition("y!=z")], {})
    assert not fits([read_condition("x=~.+")], {})
    assert not fits([read_condition("x=pla")], {"x": "play"})
    assert not fits([read_condition("x=~pla")], {"x": "play"})


def test_fingerprints_do_not_hang_on_order():
    one, other = fingerprint({"a": "b", "c": "d"}), fingerprint({"c": "d", "a": "b"})
    assert one == other != fingerprint({"a": "bc", "": "d"})
