"""The grammar: what is read, and what is said, and where, of what cannot be read."""

from __future__ import annotations

import math

import pytest

from collector.promql.errors import ParseError
from collector.promql.nodes import (
    Aggregate,
    At,
    Binary,
    Call,
    Cardinality,
    MatrixSelector,
    Number,
    Paren,
    String,
    Subquery,
    Unary,
    ValueType,
    VectorSelector,
)
from collector.promql.parser import MAX_DEPTH, MAX_QUERY_CHARS, parse, parse_selector


def shape(node) -> str:
    """The tree with every operation in brackets."""
    if isinstance(node, Binary):
        return f"({shape(node.left)} {node.operator} {shape(node.right)})"
    if isinstance(node, Unary):
        return f"({node.operator}{shape(node.expression)})"
    if isinstance(node, Paren):
        return shape(node.expression)
    if isinstance(node, Number):
        return f"{node.value:g}"
    if isinstance(node, VectorSelector):
        return node.name
    if isinstance(node, MatrixSelector):
        return f"{node.selector.name}[{node.range_ms}]"
    if isinstance(node, Subquery):
        return f"{shape(node.expression)}[{node.range_ms}:{node.step_ms}]"
    if isinstance(node, Call):
        return f"{node.function.name}<{' '.join(map(shape, node.arguments))}>"
    assert isinstance(node, Aggregate)
    return f"{node.operator}<{shape(node.expression)}>"


@pytest.mark.parametrize(
    ("query", "tree"),
    [
        ("1 + 2 * 3 ^ 4 ^ 5", "(1 + (2 * (3 ^ (4 ^ 5))))"),
        ("a - b - c", "((a - b) - c)"),
        ("a / b % c atan2 d", "(((a / b) % c) atan2 d)"),
        ("a or b and c unless d", "(a or ((b and c) unless d))"),
        ("a and b == c + d", "(a and (b == (c + d)))"),
        ("-a ^ 2", "(-(a ^ 2))"),
        ("-a * b", "((-a) * b)"),
        ("2 ^ -a ^ b", "(2 ^ (-(a ^ b)))"),
        ("- -1", "1"),
        ("+-+1", "-1"),
        ("-1 ^ 2", "(-(1 ^ 2))"),
        ("(a + b) * c", "((a + b) * c)"),
        ("SUM(a) BY (x) OR Avg(b)", "(sum<a> or avg<b>)"),
        ("sum(a)[5m:1m]", "sum<a>[300000:60000]"),
        ("a[1h30m5s3ms]", "a[5405003]"),
        ("a[90]", "a[90000]"),
        ("a[1.5]", "a[1500]"),
        ("rate(a[5m])[1h:]", "rate<a[300000]>[3600000:None]"),
        ("start() + end()", "(start<> + end<>)"),
        ("a # comment\n+ # another\n b", "(a + b)"),
    ],
)
def test_operators_bind_as_in_prometheus(query, tree):
    """Precedence, associativity, signs, brackets, comments."""
    assert shape(parse(query)) == tree


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1.0), ("1.5e3", 1500.0), (".5", 0.5), ("2.", 2.0), ("0x1F", 31.0), ("0X_ff", 255.0),
        ("010", 8.0), ("08", 8.0), ("1_000.5", 1000.5), ("Inf", math.inf), ("-inf", -math.inf),
        ("1h", 3600.0), ("100ms", 0.1), ("+0.2", 0.2),
    ],
)  # fmt: skip
def test_numbers(text, value):
    """Decimal, hexadecimal, octal, special values, and durations as seconds."""
    tree = parse(text)
    assert isinstance(tree, Number)
    assert tree.value == value


def test_nan_is_a_number():
    """In any case of letters."""
    assert math.isnan(parse("nAN").value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (r'"a\n\t\"\\"', 'a\n\t"\\'),
        (r"'it\'s'", "it's"),
        (r"`raw \n`", r"raw \n"),
        (r'"\x41\101é\U0001F600"', "AAé😀"),
        (r'"\xff"', "\ufffd"),
        ('""', ""),
    ],
)
def test_strings(text, value):
    """Escapes of Go; raw strings have none; bytes that are no text are replaced."""
    assert parse(text) == String(value, 0, len(text))


@pytest.mark.parametrize(
    ("query", "offset_ms", "at"),
    [
        ("a offset 5m", 300_000, None),
        ("a offset -5m", -300_000, None),
        ("a offset 50", 50_000, None),
        ("a @ 1.5", 0, At(1500)),
        ("a @ -5", 0, At(-5000)),
        ("a @ 100s", 0, At(100_000)),
        ("a @ start()", 0, At(edge="start")),
        ("a @ end() offset 1m", 60_000, At(edge="end")),
        ("a offset 1m @ 3", 60_000, At(3000)),
    ],
)
def test_offset_and_at(query, offset_ms, at):
    """In any order, numbers are seconds, negative ones look ahead."""
    tree = parse(query)
    assert (tree.offset_ms, tree.at) == (offset_ms, at)
    window = parse(f"rate({query.replace('a ', 'a[1m] ', 1)})").arguments[0]
    assert (window.selector.offset_ms, window.selector.at) == (offset_ms, at)


def test_matchers_and_names():
    """Quoted names in braces, keywords as metrics and labels, a trailing comma."""
    tree = parse('{"my.metric", "a b"="1", on=~"x|y", c!="", d!~"z",}')
    assert [str(matcher) for matcher in tree.matchers] == [
        '__name__="my.metric"', 'a b="1"', 'on=~"x|y"', 'c!=""', 'd!~"z"',
    ]  # fmt: skip
    for word in ("sum", "by", "offset", "and", "start", "count_values", "fill"):
        assert parse(word).name == word
    grouped = parse('sum by (on, "a b", bool, and) (x)')
    assert grouped.grouping == ("on", "a b", "bool", "and")


def test_vector_matching():
    """bool, on, group_right, include and fill."""
    tree = parse("a == bool on (x, y) group_right (z) fill_left(-1) fill_right(2) b")
    assert tree.is_bool
    assert tree.matching.cardinality is Cardinality.ONE_TO_MANY
    assert (tree.matching.labels, tree.matching.is_on) == (("x", "y"), True)
    assert tree.matching.include == ("z",)
    assert (tree.matching.fill_left, tree.matching.fill_right) == (-1.0, 2.0)
    assert parse("a and b").matching.cardinality is Cardinality.MANY_TO_MANY
    assert parse("a + 1").matching is None
    assert (parse("1 + 1").type, parse("a + 1").type) == (ValueType.SCALAR, ValueType.VECTOR)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("", "unknown position: parse error: no expression found in input"),
        ("  # only a comment", "1:1: parse error: no expression found in input"),
        ("a b", '1:3: parse error: unexpected identifier "b"'),
        ("1 +", "1:4: parse error: unexpected end of input"),
        ("*a", "1:1: parse error: unexpected <op:*>"),
        ("a\n + * b", "2:4: parse error: unexpected <op:*>"),
        ("é", "1:1: parse error: unexpected character: 'é'"),
        ('"é" x', '1:6: parse error: unexpected identifier "x"'),
        ("(a", "1:3: parse error: unclosed left parenthesis"),
        ("a)", "1:3: parse error: unexpected right parenthesis ')'"),
        ("a]", "1:2: parse error: unexpected right bracket ']'"),
        ("a{", "1:3: parse error: unexpected end of input inside braces"),
        ("a{b}", ('1:4: parse error: unexpected "}" in label matching, expected label matching '
         "operator")),
        ("a{b=c}", ('1:5: parse error: unexpected identifier "c" in label matching, expected '
         "string")),
        ('a{b="c" d="e"}', ('1:9: parse error: unexpected identifier "d" in label matching, '
         'expected "," or "}"')),
        ('a{b="c"', "1:8: parse error: unexpected end of input inside braces"),
        ('a{b="c', "1:5: parse error: unterminated quoted string"),
        ("`a", "1:1: parse error: unterminated raw string"),
        (r'"\q"', "1:1: parse error: unknown escape sequence U+0071 'q'"),
        ('a{b=~"("}', "1:3: parse error: error parsing regexp: missing ): ^(?s:()$: `^(?s:()$`"),
        ("{}", "1:1: parse error: vector selector must contain at least one non-empty matcher"),
        ('{a=~".*"}', ("1:1: parse error: vector selector must contain at least one non-empty "
         "matcher")),
        ('a{__name__="b"}', '1:1: parse error: metric name must not be set twice: "a" or "b"'),
        ("1_", '1:1: parse error: bad number or duration syntax: "1_"'),
        ("5w1y", '1:1: parse error: not a valid duration string: "5w1y"'),
        ("a[0s]", "1:3: parse error: duration must be greater than 0"),
        ("a[x]", "1:3: parse error: unexpected character in duration expression: 'x'"),
        ("(a)[5m]", "1:4: parse error: ranges only allowed for vector selectors"),
        ("a offset 1m [5m]", "1:13: parse error: no offset modifiers allowed before range"),
        ("a @ 1 [5m]", "1:7: parse error: no @ modifiers allowed before range"),
        ("a offset 1m offset 2m", "1:1: parse error: offset may not be set multiple times"),
        ("a @ 1 @ 2", "1:1: parse error: @ <timestamp> may not be set multiple times"),
        ("a @ Inf", "1:1: parse error: timestamp out of bounds for @ modifier: inf"),
        ("1 offset 1m", ("1:1: parse error: offset modifier must be preceded by an instant vector "
         "selector or range vector selector or a subquery")),
        ("foo(a)", '1:1: parse error: unknown function with name "foo"'),
        ("RATE(a[5m])", '1:1: parse error: unknown function with name "RATE"'),
        ("rate(a)", ('1:6: parse error: expected type range vector in call to function "rate", got '
         "instant vector")),
        ("rate(a[5m], 1)", '1:1: parse error: expected 1 argument(s) in call to "rate", got 2'),
        ('label_join(a, "b")', ('1:1: parse error: expected at least 3 argument(s) in call to '
         '"label_join", got 2')),
        ("round(a, 1, 2)", ('1:1: parse error: expected at most 2 argument(s) in call to "round", '
         "got 3")),
        ("abs(a,)", "1:6: parse error: trailing commas not allowed in function call args"),
        ("sum()", "1:1: parse error: no arguments for aggregate expression provided"),
        ("topk(a)", ("1:1: parse error: wrong number of arguments for aggregate expression "
         "provided, expected 2, got 1")),
        ("topk(a, b)", ("1:6: parse error: expected type scalar in aggregation parameter, got "
         "instant vector")),
        ("sum(a[5m])", ("1:5: parse error: expected type instant vector in aggregation expression, "
         "got range vector")),
        ("sum by a (b)", ('1:8: parse error: unexpected identifier "a" in grouping opts, expected '
         '"("')),
        ("1 > 2", "1:3: parse error: comparisons between scalars must use BOOL modifier"),
        ("a + bool b", "1:3: parse error: bool modifier can only be used on comparison operators"),
        ("a or 1", '1:1: parse error: set operator "or" not allowed in binary scalar expression'),
        ("a + on(b) 1", "1:1: parse error: vector matching only allowed between instant vectors"),
        ("a and on(b) group_left c", '1:1: parse error: no grouping allowed for "and" operation'),
        ("a + on(b) group_left(b) c", ('1:3: parse error: label "b" must not occur in ON and GROUP '
         "clause at once")),
        ('"a" + 1', ("1:1: parse error: binary expression must contain only scalar and instant "
         "vector types")),
        ('-"a"', ("1:1: parse error: unary expression only allowed on expressions of type scalar "
         'or instant vector, got "string"')),
        ("(1)[5m:1m]", ("1:1: parse error: subquery is only allowed on instant vector, got scalar "
         "instead")),
        ("info(a, b)", ("1:9: parse error: expected label selectors only, got vector selector "
         "instead")),
    ],
)  # fmt: skip
def test_errors_name_the_place(query, message):
    """Line, column in bytes, and Prometheus' words."""
    with pytest.raises(ParseError) as raised:
        parse(query)
    assert str(raised.value) == message


def test_a_meaning_that_is_wrong_gives_way_to_a_syntax_error():
    """As in Prometheus, types are looked at once the grammar is right."""
    with pytest.raises(ParseError, match="unexpected end of input"):
        parse("rate(a) + ")


@pytest.mark.parametrize("opened", ["(", "-", "abs(", "1^", "sum("])
def test_nesting_is_bounded(opened):
    """Deep nesting is refused with words; it would end the process otherwise."""
    with pytest.raises(ParseError, match=f"nested deeper than {MAX_DEPTH}"):
        parse(opened * 5000 + "a")


def test_long_chains_are_not_deep():
    """A thousand terms are read, and keep their order."""
    tree = parse("+".join(f"m{number}" for number in range(1000)))
    names = []
    while isinstance(tree, Binary):
        names.append(tree.right.name)
        tree = tree.left
    assert [tree.name, *reversed(names)] == [f"m{number}" for number in range(1000)]


def test_a_query_has_a_largest_size():
    """Named in the message."""
    with pytest.raises(ParseError, match=f"accepted are {MAX_QUERY_CHARS}"):
        parse(" " * (MAX_QUERY_CHARS + 1))


def test_bare_selectors():
    """What match[] takes: no offset, no range, nothing after it; empty braces are the caller's."""
    assert [str(m) for m in parse_selector('up{job="a"}')] == ['job="a"', '__name__="up"']
    assert parse_selector("{}") == ()
    for text, message in (
        ("x[5m]", '1:2: parse error: unexpected "["'),
        ("x offset 5m", "1:3: parse error: unexpected <offset>"),
        ("sum(x)", '1:4: parse error: unexpected "("'),
        ("1", '1:1: parse error: unexpected number "1"'),
    ):
        with pytest.raises(ParseError) as raised:
            parse_selector(text)
        assert str(raised.value) == message
