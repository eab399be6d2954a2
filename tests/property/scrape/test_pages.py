"""Both parsers against prometheus-client's as a second opinion, and against anything at all."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as om_families
from prometheus_client.parser import text_string_to_metric_families as text_families

from collector.scrape.errors import BadExposition
from collector.scrape.openmetrics import parse_openmetrics
from collector.scrape.text_format import parse_text

NAMES = st.from_regex(r"[a-z_:][a-z0-9_:]{0,6}", fullmatch=True)
LABEL_NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,4}", fullmatch=True)
VALUES = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
LABELS = st.dictionaries(LABEL_NAMES, VALUES, max_size=3)
NUMBERS = st.one_of(
    st.floats(width=64), st.integers(-(10**18), 10**18), st.sampled_from([math.inf, -math.inf])
)
TIMES = st.one_of(st.none(), st.integers(-(10**15), 10**15))
SPACE = st.sampled_from([" ", "\t", "  "])


def escaped(text):
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def spelled(value):
    if isinstance(value, int):
        return str(value)
    if math.isnan(value):
        return "NaN"
    return {math.inf: "+Inf", -math.inf: "-Inf"}.get(value, repr(value))


@st.composite
def text_pages(draw):
    lines = []
    for name in draw(st.lists(NAMES, max_size=5, unique=True)):
        if draw(st.booleans()):
            lines.append(f"# HELP {name} {escaped(draw(VALUES))}")
        labels = draw(LABELS)
        inside = ",".join(f'{key}="{escaped(value)}"' for key, value in labels.items())
        braces = "{" + inside + draw(st.sampled_from(["", ","] if inside else [""])) + "}"
        time = draw(TIMES)
        line = name + (braces if inside or draw(st.booleans()) else "") + draw(SPACE)
        lines.append(line + spelled(draw(NUMBERS)) + ("" if time is None else f" {time}"))
        lines += draw(st.sampled_from([[], [""], ["# just a comment"]]))
    return "\n".join(lines) + "\n"


def ours(page):
    return [
        (dict(page.new[key]), value, time)
        for key, value, time in zip(page.keys, page.values, page.times_ms, strict=True)
    ]


def theirs(families):
    return [
        (
            {"__name__": one.name, **{key: value for key, value in one.labels.items() if value}},
            float(one.value),  # whole numbers are exact there, a sample is a double
            None if one.timestamp is None else float(one.timestamp),
        )
        for family in families
        for one in family.samples
    ]


def same(left, right):
    return left == right or (math.isnan(left) and math.isnan(right))


@given(text_pages())
@settings(max_examples=80, deadline=None)
def test_text_pages_read_as_the_second_opinion_reads_them(page):
    """Labels, values and times of every sample."""
    found = ours(parse_text(page.encode(), ()))
    other = theirs(text_families(page))
    assert len(found) == len(other)
    for (labels, value, time), (labels_2, value_2, time_2) in zip(found, other, strict=True):
        assert labels == labels_2
        assert same(value, value_2)
        assert (time is None) == (time_2 is None)
        # Theirs are seconds in a float.
        assert time is None or math.isclose(time / 1000, time_2, rel_tol=1e-12, abs_tol=1e-3)


@st.composite
def open_metrics_pages(draw):
    lines = []
    names = st.lists(st.from_regex(r"[a-z]{1,6}", fullmatch=True), max_size=4, unique=True)
    for name in draw(names):
        lines.append(f"# TYPE {name} counter")
        if draw(st.booleans()):
            lines.append(f"# HELP {name} {escaped(draw(VALUES))}")
        inside = ",".join(f'{key}="{escaped(value)}"' for key, value in draw(LABELS).items())
        braces = "{" + inside + "}" if inside else ""
        value = draw(st.floats(0, 1e300))
        line = f"{name}_total{braces} {value!r}"
        time = draw(st.one_of(st.none(), st.integers(0, 10**12)))
        if time is not None:
            line += f" {time / 1000}"
        if draw(st.booleans()):
            # Escapes in an exemplar are more than the second opinion reads.
            text = draw(st.from_regex(r"[a-z0-9]{0,9}", fullmatch=True))
            line += f' # {{trace_id="{text}"}} {draw(st.floats(-9, 9))!r}'
        lines.append(line)
    return "\n".join([*lines, "# EOF"]) + "\n"


@given(open_metrics_pages())
@settings(max_examples=80, deadline=None)
def test_openmetrics_pages_read_as_the_second_opinion_reads_them(page):
    """Exemplars too."""
    found = parse_openmetrics(page.encode(), ())
    samples = [one for family in om_families(page) for one in family.samples]
    assert len(found.keys) == len(samples)
    for index, (labels, value, time) in enumerate(ours(found)):
        other = samples[index]
        kept = {key: text for key, text in other.labels.items() if text}
        assert labels == {"__name__": other.name, **kept}
        assert value == other.value
        if time is not None:
            assert time == pytest.approx(float(other.timestamp) * 1000, abs=1)
        exemplar = found.exemplars.get(index)
        assert (exemplar is None) == (other.exemplar is None)
        if exemplar is not None:
            assert exemplar.value == other.exemplar.value
            assert dict(exemplar.labels) == {k: v for k, v in other.exemplar.labels.items() if v}


@given(st.one_of(text_pages(), open_metrics_pages()), st.data())
@settings(max_examples=120, deadline=None)
def test_bent_pages_are_read_or_refused_with_a_line(page, data):
    """Bytes replaced, taken out or put in: a page or a BadExposition, nothing else."""
    raw = bytearray(page.encode())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(raw)))
        marks = st.sampled_from([b'"', b"{", b"}", b"\\", b"\n"])
        new = data.draw(st.one_of(st.binary(max_size=3), marks))
        raw[place : place + data.draw(st.integers(0, 3))] = new
    check_total(bytes(raw))


@given(st.binary(max_size=200))
@settings(max_examples=120, deadline=None)
def test_any_bytes_are_read_or_refused_with_a_line(raw):
    """Both parsers are total."""
    check_total(raw)
    check_total(raw + b"\n# EOF\n")


def check_total(raw):
    for parse in (parse_text, parse_openmetrics):
        line = 1
        try:
            page = parse(raw, ())
        except BadExposition as refused:
            line = refused.line
            page = None
        assert 1 <= line <= raw.count(b"\n") + 1
        if page is not None:
            assert len(page.keys) == len(page.values) == len(page.times_ms)
            assert set(page.keys) == set(page.new)
