"""What the kinds of OpenSLO v1 and v2alpha share, and where the two versions differ.

The versions differ in names and in metric sources, so that one set of functions builds the kinds of
both from a Dialect. The rules are those of the official SDK, in its order (OpenSLO/go-sdk, May
2026); where the specification's text asks for more, ``strict`` does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from analysis.slo.openslo.conditions import DESCRIPTION_CHARS_MAX, DNS_LABEL, OPERATORS, at_least
from analysis.slo.openslo.rules import (
    Check,
    Field,
    Names,
    Rules,
    chars_max,
    equal_to,
    exactly_one,
    one_of,
)
from analysis.slo.openslo.shapes import Struct, Text

KINDS: Final = (
    "SLO",
    "SLI",
    "DataSource",
    "Service",
    "AlertPolicy",
    "AlertCondition",
    "AlertNotificationTarget",
)
KIND_SHAPE: Final = Text(KINDS)
DESCRIPTION: Final = Field("description", (chars_max(DESCRIPTION_CHARS_MAX),))
ONE_ITEM: Final = Check("slice_length", "exactly one item", lambda items: len(items) == 1)


@dataclass(frozen=True, slots=True)
class Kind:
    """Shape and rules of one kind in one version."""

    shape: Struct
    rules: Rules


@dataclass(frozen=True, slots=True)
class Dialect:
    """What differs between versions."""

    version: str
    service: str  # name of the property that names the service
    indicator: str  # name of the inline indicator; its reference is called <indicator>Ref
    duration_units: tuple[str, ...]
    #: Kinds whose empty spec is reported as such, not by what it lacks.
    spec_required: frozenset[str]
    alert_after_required: bool
    metadata_shape: Struct
    metadata_rules: tuple[Field | Names, ...]
    metric_shape: Struct
    metric_rules: Rules

    @property
    def indicator_ref(self) -> str:
        """Name of the property that refers to an SLI."""
        return f"{self.indicator}Ref"


def duration_rules(units: Sequence[str]) -> Rules:
    """One of these units, and no negative number."""
    return Rules(
        (
            Field("unit", (one_of(*units),), required=True),
            Field("value", (at_least(0),)),
        )
    )


def metadata_field(dialect: Dialect) -> Field:
    """Metadata, which every object must have."""
    return Field("metadata", inside=(Rules(dialect.metadata_rules),), required=True)


def op_field() -> Field:
    """A comparison."""
    return Field("op", (one_of(*OPERATORS),), required=True)


def inline(dialect: Dialect, kind: str, ref: str, spec: Struct, spec_rules: Rules) -> Kind:
    """A reference to an object of a kind, or the object itself."""
    shape = Struct(
        {ref: Text(), "kind": KIND_SHAPE, "metadata": dialect.metadata_shape, "spec": spec},
        {"a reference": frozenset((ref,)), "a spec": frozenset(("kind", "metadata", "spec"))},
    )
    by_ref = Rules((Field(ref, (DNS_LABEL,), required=True),))
    by_spec = Rules(
        (
            Field("kind", (equal_to(kind),), required=True),
            metadata_field(dialect),
            Field("spec", inside=(spec_rules,), required=True),
        )
    )
    rules = Rules(
        (
            Field(checks=(exactly_one("a reference", "a spec"),)),
            Field(inside=(by_ref,), when=lambda one: one.has("a reference"), stop=False),
            Field(inside=(by_spec,), when=lambda one: one.has("a spec"), stop=False),
        ),
        stop=True,
    )
    return Kind(shape, rules)


def top_level(dialect: Dialect, kind: str, spec: Struct, spec_rules: Rules) -> Kind:
    """An object of its own."""
    shape = Struct(
        {
            "apiVersion": Text(),
            "kind": KIND_SHAPE,
            "metadata": dialect.metadata_shape,
            "spec": spec,
        }
    )
    rules = Rules(
        (
            Field("apiVersion", (equal_to(dialect.version),), required=True),
            Field("kind", (equal_to(kind),), required=True),
            metadata_field(dialect),
            Field("spec", inside=(spec_rules,), required=kind in dialect.spec_required),
        )
    )
    return Kind(shape, rules)
