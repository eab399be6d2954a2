"""Label sets: sorted pairs of name and value, without empty values.

A tuple compares, hashes and sorts as a label set does, so nothing else is needed to group series
by their labels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from collector.promql.strings import go_quoted

__all__ = [
    "EMPTY",
    "NAME",
    "Labels",
    "Signature",
    "drop_name",
    "format_labels",
    "is_label_name",
    "keep",
    "label",
    "make_labels",
    "signature_function",
    "with_labels",
    "without",
]

Labels = tuple[tuple[str, str], ...]
Signature = Callable[[Labels], Labels]

NAME: Final = "__name__"
EMPTY: Final[Labels] = ()
#: Labels that say what a metric is; an operation that makes another quantity drops them.
METADATA_LABELS: Final = frozenset({NAME, "__type__", "__unit__"})


def make_labels(pairs: Mapping[str, str] | Iterable[tuple[str, str]]) -> Labels:
    """A label set of ``pairs``; a later pair of the same name wins, empty values are left out."""
    return tuple(sorted((name, value) for name, value in dict(pairs).items() if value))


def label(labels: Labels, name: str) -> str:
    """The value of a label, "" if the set has none of that name."""
    for known, value in labels:
        if known == name:
            return value
    return ""


def drop_name(labels: Labels) -> Labels:
    """The set without the metric's name."""
    return tuple(pair for pair in labels if pair[0] not in METADATA_LABELS)


def keep(labels: Labels, names: frozenset[str]) -> Labels:
    """The set with only the labels of ``names``."""
    return tuple(pair for pair in labels if pair[0] in names)


def without(labels: Labels, names: frozenset[str]) -> Labels:
    """The set without the labels of ``names``."""
    return tuple(pair for pair in labels if pair[0] not in names)


def with_labels(labels: Labels, changes: Mapping[str, str]) -> Labels:
    """The set with labels set or, where the new value is empty, removed."""
    return make_labels({**dict(labels), **changes})


def signature_function(names: Iterable[str], *, is_on: bool) -> Signature:
    """What two series must have in common to match: the labels ``on`` names, or all others."""
    if is_on:
        wanted = frozenset(names)
        return lambda labels: keep(labels, wanted)
    unwanted = frozenset(names) | {NAME}
    return lambda labels: without(labels, unwanted)


def is_label_name(name: str) -> bool:
    """Whether Prometheus 3 takes the text for a label's name: any UTF-8, but not nothing."""
    if name == "":
        return False
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def format_labels(labels: Labels) -> str:
    """``{a="b", c="d"}``, the name among them, as Prometheus prints a label set in messages."""
    inner = ", ".join(f"{name}={go_quoted(value)}" for name, value in labels)
    return "{" + inner + "}"
