"""Attribute values: encoded, as text, as JSON."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from collector.wire.values import encodings_of, make_plain, stored_json, stored_text


def of_list(*texts):
    value = AnyValue()
    for text in texts:
        value.array_value.values.add().string_value = text
    return value


def of_map(**texts):
    value = AnyValue()
    for key, text in texts.items():
        value.kvlist_value.values.add(key=key).value.string_value = text
    return value


@pytest.mark.parametrize(
    ("value", "text", "json"),
    [
        (AnyValue(), "", None),
        (AnyValue(string_value="é"), "é", "é"),
        (AnyValue(string_value="x" * 500), "x" * 500, "x" * 500),
        (AnyValue(int_value=-5), "-5", -5),
        (AnyValue(bool_value=False), "false", False),
        (AnyValue(double_value=0.5), "0.5", 0.5),
        (AnyValue(double_value=math.inf), "Infinity", "Infinity"),
        (AnyValue(double_value=math.nan), "NaN", "NaN"),
        (AnyValue(bytes_value=b"\x00\xff"), "AP8=", "AP8="),
        (of_list("a", 'b"'), '["a","b\\""]', ["a", 'b"']),
        (of_map(k="v"), '{"k":"v"}', {"k": "v"}),
    ],
)
def test_every_kind_reads(value, text, json):
    """From its encoding."""
    encoded = value.SerializeToString()
    assert stored_text(encoded) == text
    assert stored_json(encoded) == json


@given(st.one_of(st.text(), st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats()))
def test_a_value_is_found_by_its_text(plain):
    """Whatever its type was, its text leads to its encoding."""
    value = AnyValue()
    if isinstance(plain, bool):
        value.bool_value = plain
    elif isinstance(plain, int):
        value.int_value = plain
    elif isinstance(plain, float):
        value.double_value = plain
    else:
        value.string_value = plain
    encoded = value.SerializeToString()
    if isinstance(plain, float) and math.isnan(plain):
        return  # of many bit patterns one is found
    assert encoded in encodings_of(stored_text(encoded))


def test_only_lists_maps_and_bytes_become_text():
    """The rest keeps its type."""
    attributes = [
        KeyValue(key="n", value=AnyValue(int_value=1)),
        KeyValue(key="list", value=of_list("a")),
        KeyValue(key="raw", value=AnyValue(bytes_value=b"a")),
    ]
    make_plain(attributes)
    kinds = [one.value.WhichOneof("value") for one in attributes]
    assert kinds == ["int_value", "string_value", "string_value"]
    assert attributes[1].value.string_value == '["a"]'
