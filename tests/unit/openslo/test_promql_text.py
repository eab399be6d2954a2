"""PromQL as text: where it stops being PromQL, and one spelling for equal queries."""

from __future__ import annotations

import pytest

from analysis.slo.openslo.promql_text import normalised, problem_of, selector_of


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        ("sum(rate(a[5m]))", None),
        ("sum(rate(abc{[1m]))", "1:14: parse error: unexpected character inside braces: '['"),
        ("a{", "1:3: parse error: unexpected end of input inside braces"),
        ("$$$", "1:1: parse error: unexpected character: '$'"),
        ('a{b="c}', "1:5: parse error: unterminated quoted string"),
        ('a{b="{["} +\n  $', "2:3: parse error: unexpected character: '$'"),
    ],
)
def test_problems_have_a_place(expression, problem):
    """As Prometheus words them."""
    found = problem_of(expression)
    assert (None if found is None else str(found)) == problem


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("sum by(a,b)(x)", "sum(x) by (b, a)"),
        ('x{a="1",b="2"}', "x{ b='2', a='1' }"),
        ("sum by() (x)", "sum(x)"),
        ("(x)", "x"),
        ("rate(x[60s])", "rate(x[1m])"),
        ("a / on(x) group_left b", "a / on (x) group_left() (b)"),
        ("14.40 * 1e-3", "14.4 * 0.001"),
    ],
)
def test_equal_queries_have_one_spelling(one, other):
    """Spaces, brackets, order of names, units."""
    assert normalised(one) == normalised(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a - b - c", "a - (b - c)"),
        ("sum without() (x)", "sum(x)"),
        ("x > bool 1", "x > 1"),
        ("a / on(x) group_left b", "a / on(x) group_right b"),
        ("x offset 1m", "x"),
        ('x{a="1"}', 'x{a=~"1"}'),
        ("a and on(x) b", "a and ignoring(x) b"),
    ],
)
def test_different_queries_do_not(one, other):
    """What means something else is spelt otherwise."""
    assert normalised(one) != normalised(other)


def test_selectors_in_parts():
    """Only plain ones."""
    assert selector_of('up{job="a",x!~"b"}') == ("up", (("job", "=", "a"), ("x", "!~", "b")))
    assert selector_of("sum(up)") is None
