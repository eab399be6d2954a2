"""What is sent to the browser, and what a part says when its source is silent."""

from __future__ import annotations

import pytest
from dash import no_update
from plotly.io.json import to_json_plotly

from dashboards.answers.reading import Source, Unavailable, Why
from dashboards.figures.base import Chart, Message
from dashboards.live import Block, PartKind, Rows, outputs, update

T0 = 1_790_000_000_000_000_000
PARTS = {"a": PartKind.CHART, "b": PartKind.ROWS, "c": PartKind.BLOCK}
SILENT = Unavailable(Source.COLLECTOR, Why.UNREACHABLE, "The collector does not answer at x")


def contents(value=1):
    return {
        "a": Chart({"data": [{"y": [value]}], "layout": {}}, "one"),
        "b": Rows([{"id": value}], "rows"),
        "c": Block("text"),
    }


def test_an_update_has_exactly_the_outputs_of_the_page():
    """Else Dash refuses it in the browser only."""
    assert set(update(PARTS, contents(), {}, T0)) == set(outputs("p", PARTS))


def test_what_the_browser_already_has_is_not_sent_again():
    """Equal parts are skipped, changed ones sent whole."""
    first = update(PARTS, contents(1), {}, T0)
    assert first["a.main"]["data"] == [{"y": [1]}]
    second = update(PARTS, contents(1), first["shown"], T0 + 1)
    assert {key for key, value in second.items() if value is not no_update} == {"shown"}
    third = update(PARTS, contents(2), second["shown"], T0 + 2)
    changed = {key.split(".")[0] for key, value in third.items() if value is not no_update}
    assert changed == {"a", "b", "shown"}


@pytest.mark.parametrize("part", sorted(PARTS))
def test_without_a_picture_silence_is_a_sentence_with_advice(part):
    """No bare axes, no empty table."""
    found = update(PARTS, contents() | {part: SILENT}, {}, T0)
    assert found[f"{part}.class"] == "part is-empty"
    assert found[f"{part}.main"] is no_update
    words = to_json_plotly(found[f"{part}.note"])
    assert "does not answer at x" in words
    assert "davylamp run collector" in words


@pytest.mark.parametrize("part", sorted(PARTS))
def test_with_a_picture_silence_keeps_it_and_says_how_old_it_is(part):
    """The time is that of the last live picture, however long the silence lasts."""
    shown = update(PARTS, contents(), {}, T0)["shown"]
    for later in (5, 60, 600):
        found = update(PARTS, contents() | {part: SILENT}, shown, T0 + later * 1_000_000_000)
        shown = found["shown"]
        if later == 5:
            assert found[f"{part}.class"] == "part is-stale"
            assert found[f"{part}.main"] is no_update
            assert "as of 14:13:20 UTC" in to_json_plotly(found[f"{part}.note"])
        else:
            assert found[f"{part}.note"] is no_update, "still the same words"
    back = update(PARTS, contents(), shown, T0 + 700_000_000_000)
    assert back[f"{part}.class"] == "part"


def test_no_data_is_not_stale():
    """A source that answers "nothing" empties the part."""
    shown = update(PARTS, contents(), {}, T0)["shown"]
    found = update(PARTS, contents() | {"a": Message("Nothing.", "Do x.")}, shown, T0)
    assert found["a.class"] == "part is-empty"
    assert "Nothing." in to_json_plotly(found["a.note"])


def test_grids_grow_with_their_rows_within_bounds():
    """At least five rows of room, at most what the part allows."""
    heights = [Rows([{}] * n, "", 8).height_px for n in (0, 5, 7, 8, 500)]
    assert heights[0] == heights[1] < heights[2] < heights[3] == heights[4]
