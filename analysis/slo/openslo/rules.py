"""What must hold: a small language of rules over decoded records, and checking them.

It checks in the order and with the stops of the official SDK, so that the same mistakes are
reported at the same properties: a property that is required and absent is not looked at further, a
group of rules with ``stop`` ends at its first broken one, and a reference and an inline definition
exclude each other before either is looked into.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from analysis.slo.openslo.findings import Path
from analysis.slo.openslo.shapes import Record, Value

Predicate = Callable[[Any], bool]


@dataclass(frozen=True, slots=True)
class Broken:
    """A rule that does not hold at ``path``. ``at_key``: it is about the name, not the value."""

    path: Path
    code: str
    accepted: str
    at_key: bool = False


@dataclass(frozen=True, slots=True)
class Check:
    """One condition on a value. ``code``: the official name of the rule, "" if it has none."""

    code: str
    accepted: str
    holds: Predicate

    def broken(self, value: Value) -> Iterator[tuple[str, str]]:
        """Code and what is accepted, if it does not hold."""
        if not self.holds(value):
            yield self.code, self.accepted


@dataclass(frozen=True, slots=True)
class InTurn:
    """Conditions of which only the first broken one is reported, under a common name."""

    code: str
    checks: tuple[Check, ...]

    def broken(self, value: Value) -> Iterator[tuple[str, str]]:
        """Code and what is accepted, of the first condition that does not hold."""
        for check in self.checks:
            for code, accepted in check.broken(value):
                yield ":".join(part for part in (self.code, code) if part), accepted
                return


Condition = Check | InTurn


@dataclass(frozen=True, slots=True)
class Field:
    """Rules of one property, or of the record itself where ``name`` is empty.

    ``required``: absent is an error. ``optional``: absent is fine and ends it; a property whose
    shape is Optional is that anyway. ``inside``: rules of the value's own properties. ``stop``:
    end at the first broken rule (None: as the rules this belongs to say).
    """

    name: str = ""
    checks: tuple[Condition, ...] = ()
    inside: tuple[Rules, ...] = ()
    required: bool = False
    optional: bool = False
    when: Predicate | None = None
    stop: bool | None = None

    def broken(self, record: Record, *, stop: bool) -> Iterator[Broken]:
        """Everything that does not hold here, with paths from this record."""
        path: Path = (self.name,) if self.name else ()
        value = record[self.name] if self.name else record
        shape = record.shape.fields[self.name] if self.name else record.shape
        if shape.is_zero(value):
            if self.required:
                yield Broken(path, "required", "a value: it is required")
                return
            if self.optional or value is None:
                return
        stop = stop if self.stop is None else self.stop
        for part in (*self.checks, *self.inside):
            found = list(_broken(part, value, path))
            yield from found
            if found and stop:
                return


@dataclass(frozen=True, slots=True)
class Each:
    """Rules of a list and of each of its items. ``reported``: its name in paths, if another."""

    name: str
    checks: tuple[Condition, ...] = ()
    inside: tuple[Rules, ...] = ()
    when: Predicate | None = None
    stop: bool | None = None
    reported: str = ""

    def broken(self, record: Record, *, stop: bool) -> Iterator[Broken]:
        """Everything that does not hold here, with paths from this record."""
        items = record[self.name] or ()
        name = self.reported or self.name
        stop = stop if self.stop is None else self.stop
        found = [one for check in self.checks for one in _broken(check, items, (name,))]
        yield from found
        if found and stop:
            return
        for number, item in enumerate(items):
            for rules in self.inside:
                for one in rules.broken(item):
                    yield Broken((name, number, *one.path), one.code, one.accepted, one.at_key)


@dataclass(frozen=True, slots=True)
class Names:
    """Rules of a mapping's keys and values."""

    name: str
    keys: tuple[Condition, ...] = ()
    values: tuple[Condition, ...] = ()
    when: Predicate | None = None

    def broken(self, record: Record, *, stop: bool) -> Iterator[Broken]:
        """Everything that does not hold here, with paths from this record."""
        del stop
        for key, value in (record[self.name] or {}).items():
            path = (self.name, key)
            for check in self.keys:
                for code, accepted in check.broken(key):
                    yield Broken(path, code, accepted, at_key=True)
            for check in self.values:
                for code, accepted in check.broken(value):
                    yield Broken(path, code, accepted)


@dataclass(frozen=True, slots=True)
class Rules:
    """Rules of one record, in order. ``stop``: end at the first property with a broken one."""

    properties: tuple[Field | Each | Names, ...]
    when: Predicate | None = None
    stop: bool = False

    def broken(self, record: Record) -> Iterator[Broken]:
        """Everything that does not hold, with paths from this record."""
        if self.when is not None and not self.when(record):
            return
        for rule in self.properties:
            if rule.when is not None and not rule.when(record):
                continue
            found = list(rule.broken(record, stop=self.stop))
            yield from found
            if found and self.stop:
                return


def _broken(part: Condition | Rules, value: Value, path: Path) -> Iterator[Broken]:
    if isinstance(part, Rules):
        for one in part.broken(value):
            yield Broken((*path, *one.path), one.code, one.accepted, one.at_key)
        return
    for code, accepted in part.broken(value):
        yield Broken(path, code, accepted)


# --- conditions used by several kinds -----------------------------------------------------------


def exactly_one(*names: str) -> Check:
    """Of these properties or groups one must be given, and only one."""
    return Check(
        "mutually_exclusive",
        f"exactly one of {', '.join(names)}",
        lambda record: sum(record.has(name) for name in names) == 1,
    )


def at_most_one(*names: str) -> Check:
    """Of these properties none or one may be given."""
    return Check(
        "mutually_exclusive",
        f"at most one of {', '.join(names)}",
        lambda record: sum(record.has(name) for name in names) <= 1,
    )


def one_of(*accepted: str) -> Check:
    """One of these values."""
    return Check("one_of", " or ".join(accepted), lambda value: value in accepted)


def equal_to(accepted: str) -> Check:
    """Exactly this value."""
    return Check("equal_to", accepted, lambda value: bool(value == accepted))


def chars_max(limit: int) -> Check:
    """A text of at most so many characters."""
    return Check(
        "string_max_length", f"at most {limit} characters", lambda text: len(text) <= limit
    )
