"""The service map."""

from __future__ import annotations

import random

import pytest

from dashboards.answers.collector import Topology
from dashboards.figures.base import Message
from dashboards.figures.topology import layers, places, topology_chart
from dashboards.theme import LIGHT, Status


def graph(make, *pairs, nodes=(), errors=0):
    edges = tuple(make.edge(*pair, errors=errors) for pair in pairs)
    names = {name for pair in pairs for name in pair} | set(nodes)
    return Topology(tuple(sorted(names)), edges, 60.0)


def test_a_layer_is_the_longest_chain_of_callers(make):
    """Short cuts do not pull a service forward."""
    found = layers(graph(make, ("edge", "play"), ("play", "profiles"), ("edge", "profiles")))
    assert found == {"edge": 0, "play": 1, "profiles": 2}


@pytest.mark.parametrize(
    "pairs",
    [
        [("a", "b"), ("b", "a")],
        [("a", "b"), ("b", "c"), ("c", "b")],
        [("a", "a")],
        [("a", "b"), ("b", "c"), ("c", "a"), ("x", "a")],
    ],
)
def test_circles_of_calls_end(make, pairs):
    """Every service gets a layer, and a call that closes no circle leads to the right."""
    found = layers(graph(make, *pairs))
    assert set(found) == {name for pair in pairs for name in pair}
    assert max(found.values()) < len(found)


def test_a_long_chain_is_no_problem(make):
    """Deeper than Python's stack."""
    pairs = [(f"s{n}", f"s{n + 1}") for n in range(3000)]
    assert layers(graph(make, *pairs))["s3000"] == 3000


def test_positions_depend_on_names_only(make):
    """The order of the answer must not make the map jump."""
    pairs = [("edge", "play"), ("edge", "rows"), ("play", "profiles"), ("play", "steering")]
    expected = places(graph(make, *pairs))
    for seed in range(5):
        mixed = random.Random(seed).sample(pairs, len(pairs))
        assert places(graph(make, *mixed)) == expected
    spots = [(p.x, p.y) for p in expected.values()]
    assert len(set(spots)) == len(spots)


def test_failing_calls_look_different_and_are_named(make):
    """Dashed, in the status colour, with a shape in the label and in the sentence."""
    chart = topology_chart(graph(make, ("edge", "play"), errors=6), {"play": Status.BAD}, LIGHT)
    line = chart.figure["data"][0]["line"]
    assert (line["dash"], line["color"]) == ("dash", LIGHT.bad)
    (label,) = chart.figure["layout"]["annotations"]
    assert label["text"] == "■ 1/s · 10.0 % fail"
    assert "edge → play 10.0 %" in chart.summary


def test_services_without_calls_are_counted_and_not_drawn(make):
    """They stand in the table; a lone point on a map of calls says nothing."""
    chart = topology_chart(graph(make, ("edge", "play"), nodes=["lonely"]), {}, LIGHT)
    nodes = chart.figure["data"][-1]
    assert set(nodes["text"]) == {"edge", "play"}
    assert "1 service not drawn" in chart.summary


def test_a_map_without_calls_is_a_sentence(make):
    """No empty frame."""
    assert isinstance(topology_chart(graph(make, nodes=["a"]), {}, LIGHT), Message)


def test_shapes_and_colours_follow_the_service(make):
    """A silent service is an open diamond."""
    chart = topology_chart(
        graph(make, ("edge", "play")), {"edge": Status.OK, "play": Status.UNKNOWN}, LIGHT
    )
    nodes = chart.figure["data"][-1]
    drawn = dict(zip(nodes["text"], nodes["marker"]["symbol"], strict=True))
    assert drawn == {"edge": "circle", "play": "diamond-open"}
