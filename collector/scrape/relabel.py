"""Relabelling: rules that rename, rewrite, keep and drop label sets, as Prometheus has them.

Rules run over many label sets at once, one after the other, because a pattern is matched against
a column of texts for the price of one.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from collector.promql.regex import InvalidRegexError, Regex
from collector.scrape.document import Value

Labels = dict[str, str]

ACTIONS: Final = frozenset(
    ("replace", "keep", "drop", "hashmod", "labelmap", "labeldrop", "labelkeep")
)
_KEYS: Final = (
    *("source_labels", "separator", "regex", "modulus"),
    *("target_label", "replacement", "action"),
)
DEFAULT_REGEX: Final = "(.*)"
DEFAULT_REPLACEMENT: Final = "$1"
#: A target label, which may hold ``$1`` or ``${name}``.
_TARGET: Final = re.compile(
    r"(?:[a-zA-Z_]|\$(?:\{\w+\}|\w++))(?:\w|\$(?:\{\w+\}|\w++))*+", re.ASCII
)


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule."""

    action: str
    source_labels: tuple[str, ...]
    separator: str
    #: Anchored on both sides; known by its pattern.
    pattern: str
    regex: Regex = field(compare=False)
    modulus: int
    target_label: str
    replacement: str


def read_rules(value: Value | None) -> tuple[Rule, ...]:
    """``relabel_configs`` or ``metric_relabel_configs``. Raises BadScrapeFile."""
    return () if value is None else tuple(_rule(item) for item in value.items())


def _rule(value: Value) -> Rule:
    given = value.mapping(_KEYS)

    def text(name: str, default: str) -> str:
        return given[name].text() if name in given else default

    action = text("action", "replace").lower()
    if action not in ACTIONS:
        raise given["action"].wrong(f"{action[:100]!r}", ", ".join(sorted(ACTIONS)))
    _check_fields(value, given, action)
    pattern = text("regex", DEFAULT_REGEX)
    try:
        regex = Regex(pattern)
    except InvalidRegexError as error:
        raise given["regex"].wrong(str(error), "a regular expression of RE2") from None
    sources = given["source_labels"].items() if "source_labels" in given else []
    return Rule(
        action=action,
        source_labels=tuple(item.text() for item in sources),
        separator=text("separator", ";"),
        pattern=pattern,
        regex=regex,
        modulus=given["modulus"].integer(low=1) if "modulus" in given else 0,
        target_label=text("target_label", ""),
        replacement=text("replacement", DEFAULT_REPLACEMENT),
    )


def _check_fields(value: Value, given: dict[str, Value], action: str) -> None:
    if action in {"replace", "hashmod"}:
        target = given.get("target_label")
        if target is None:
            raise value.wrong(f"{action} needs a target_label")
        if not _TARGET.fullmatch(target.text()):
            raise target.wrong(f"{target.text()[:100]!r} is no label name", "letters, digits, _")
    elif "target_label" in given:
        raise given["target_label"].wrong(f"{action} has no target_label")
    if (action == "hashmod") != ("modulus" in given):
        raise value.wrong("modulus belongs to hashmod, and hashmod needs it")
    if action in {"labeldrop", "labelkeep"}:
        for name in given.keys() - {"regex", "action"}:
            raise given[name].wrong(f"{action} has only a regex")


def relabelled(rules: Sequence[Rule], sets: Sequence[Labels]) -> list[Labels | None]:
    """Each label set after all rules, None where it was dropped; the given sets stay as they are.

    A label that became empty is gone.
    """
    results: list[Labels | None] = [dict(one) for one in sets]
    for rule in rules:
        left = [index for index, one in enumerate(results) if one is not None]
        if not left:
            break
        labels = [one for one in results if one is not None]
        for index, kept in zip(left, _STEPS[rule.action](rule, labels), strict=True):
            results[index] = kept
    return results


Step = Callable[[Rule, list[Labels]], list[Labels | None]]


def _sources(rule: Rule, sets: list[Labels]) -> list[str]:
    return [rule.separator.join(one.get(name, "") for name in rule.source_labels) for one in sets]


def _keep(rule: Rule, sets: list[Labels]) -> list[Labels | None]:
    found = rule.regex.matches(_sources(rule, sets))
    return [one if is_match else None for one, is_match in zip(sets, found, strict=True)]


def _drop(rule: Rule, sets: list[Labels]) -> list[Labels | None]:
    found = rule.regex.matches(_sources(rule, sets))
    return [None if is_match else one for one, is_match in zip(sets, found, strict=True)]


def _replace(rule: Rule, sets: list[Labels]) -> list[Labels | None]:
    sources = _sources(rule, sets)
    names: list[str | None] = [rule.target_label] * len(sets)
    if "$" in rule.target_label:
        names = rule.regex.expand(rule.target_label, sources)
    values = rule.regex.expand(rule.replacement, sources)
    for one, name, value in zip(sets, names, values, strict=True):
        if name is not None and value is not None and _is_plain_name(name):
            _set(one, name, value)
    return list(sets)


def _hashmod(rule: Rule, sets: list[Labels]) -> list[Labels | None]:
    for one, source in zip(sets, _sources(rule, sets), strict=True):
        digest = hashlib.md5(source.encode(), usedforsecurity=False).digest()
        _set(one, rule.target_label, str(int.from_bytes(digest[8:], "big") % rule.modulus))
    return list(sets)


def _labelmap(rule: Rule, sets: list[Labels]) -> list[Labels | None]:
    names = list(dict.fromkeys(name for one in sets for name in one))
    renamed = dict(zip(names, rule.regex.expand(rule.replacement, names), strict=True))
    for one in sets:
        for name, value in list(one.items()):
            new = renamed[name]
            if new:
                _set(one, new, value)
    return list(sets)


def _labeldrop(rule: Rule, sets: list[Labels]) -> list[Labels | None]:
    return _with_names(rule, sets, is_kept=False)


def _labelkeep(rule: Rule, sets: list[Labels]) -> list[Labels | None]:
    return _with_names(rule, sets, is_kept=True)


def _with_names(rule: Rule, sets: list[Labels], *, is_kept: bool) -> list[Labels | None]:
    names = list(dict.fromkeys(name for one in sets for name in one))
    found = dict(zip(names, rule.regex.matches(names), strict=True))
    return [{name: value for name, value in one.items() if found[name] is is_kept} for one in sets]


def _set(labels: Labels, name: str, value: str) -> None:
    if value:
        labels[name] = value
    else:
        labels.pop(name, None)


def _is_plain_name(name: str) -> bool:
    return name.isascii() and name.isidentifier()


_STEPS: Final[dict[str, Step]] = {
    "keep": _keep,
    "drop": _drop,
    "replace": _replace,
    "hashmod": _hashmod,
    "labelmap": _labelmap,
    "labeldrop": _labeldrop,
    "labelkeep": _labelkeep,
}
