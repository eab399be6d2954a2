"""A rule's YAML: what it says, where it says it, and what it leaves to the shipped rule.

::

    apiVersion: davylamp/v1
    kind: CanaryRule
    metadata: {name: checkout}
    spec:                      # what is not said is as in the shipped rule
      horizon_s: 900
      metrics:                 # a metric of the shipped rule by its name, or one of your own
        - name: http.server.errors
          fail_margin: 0.01
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Final

import yaml

from analysis.canary.errors import CanaryConfigError, Problem
from analysis.slo.openslo.document import Node, locate, read_documents
from analysis.slo.openslo.errors import DocumentError

API_VERSION: Final = "davylamp/v1"
KIND: Final = "CanaryRule"
#: Metrics of one rule: each costs its share of alpha.
MAX_METRICS: Final = 50
_TOP_KEYS: Final = ("apiVersion", "kind", "metadata", "spec")
Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class RuleDocument:
    """One rule as it was written, and with what it leaves out."""

    root: Node
    #: Values of the rule but for its metrics.
    values: Mapping[str, Any]
    #: Each metric's values; its place in the file is its place here.
    metrics: tuple[Mapping[str, Any], ...]

    def place(self, path: Path) -> tuple[int, int]:
        """Line and column, from 1, of a path below ``spec``, or of the nearest thing above it."""
        _, line, column, _ = locate(self.root, ("spec", *path))
        return line, column


def default_rule_text() -> str:
    """Text of the shipped ``defaults.yaml``."""
    return _resource("defaults.yaml")


def read_rule(text: str) -> RuleDocument:
    """Raises CanaryConfigError with line and column; values are not looked at yet."""
    try:
        documents = read_documents(text)
    except DocumentError as error:
        raise _wrong(error.line, error.column, "file", error.problem, error.accepted) from error
    if len(documents) != 1:
        raise _wrong(1, 1, "file", f"{len(documents)} documents", "one YAML document, a CanaryRule")
    (root,) = documents
    _check_head(root)
    spec = root.get("spec")
    if spec is None or spec.kind != "mapping":
        raise _wrong(root.line, root.column, "spec", _given(spec), "a mapping")
    _refuse_doubled(spec, "spec")
    metrics = spec.get("metrics")
    if metrics is None or not metrics.items:
        raise _wrong(spec.line, spec.column, "metrics", _given(metrics), "at least one metric")
    if len(metrics.items) > MAX_METRICS:
        given = f"{len(metrics.items)} metrics"
        raise _wrong(metrics.line, metrics.column, "metrics", given, f"at most {MAX_METRICS}")
    said = {name: value for name, value in spec.plain().items() if name != "metrics"}
    return RuleDocument(
        root,
        {**_shipped_values(), **said},
        tuple(_completed(one) for one in metrics.items),
    )


def _check_head(root: Node) -> None:
    if root.kind != "mapping":
        raise _wrong(root.line, root.column, "file", root.given(), "a mapping")
    _refuse_doubled(root, "file")
    for entry in root.entries:
        if entry.key not in _TOP_KEYS:
            raise _wrong(
                entry.line, entry.column, entry.key, entry.node.given(), _listed(_TOP_KEYS)
            )
    for key, wanted in (("apiVersion", API_VERSION), ("kind", KIND)):
        node = root.get(key)
        if node is None or node.value != wanted:
            line, column = (root.line, root.column) if node is None else (node.line, node.column)
            raise _wrong(line, column, key, _given(node), wanted)


def _completed(node: Node) -> Mapping[str, Any]:
    """A metric with what the shipped rule, then its kind, has in its place."""
    if node.kind != "mapping":
        raise _wrong(node.line, node.column, "metrics", node.given(), "a mapping with a name")
    name_node = node.get("name")
    name = None if name_node is None else name_node.value
    if not isinstance(name, str) or not name:
        raise _wrong(node.line, node.column, "metrics.name", _given(name_node), "a name")
    _refuse_doubled(node, f"metrics[{name}]")
    said = {**_shipped_metrics().get(name, {}), **node.plain()}
    kinds = _defaults_of_kinds()
    # Of no known kind: so that the kind is the one thing that is wrong, not all it would bring.
    of_kind = kinds.get(str(said.get("kind")), kinds["histogram"])
    return {"label": name, "source_metric": name, **of_kind, **said}


def _refuse_doubled(node: Node, where: str) -> None:
    seen: set[str] = set()
    for entry in node.entries:
        if entry.key in seen:
            raise _wrong(entry.line, entry.column, f"{where}.{entry.key}", "it twice", "it once")
        seen.add(entry.key)


@cache
def _shipped_values() -> Mapping[str, Any]:
    spec: dict[str, Any] = yaml.safe_load(default_rule_text())["spec"]
    return {name: value for name, value in spec.items() if name != "metrics"}


@cache
def _shipped_metrics() -> Mapping[str, Mapping[str, Any]]:
    found = yaml.safe_load(default_rule_text())["spec"]["metrics"]
    return {one["name"]: one for one in found}


@cache
def _defaults_of_kinds() -> Mapping[str, Mapping[str, Any]]:
    found: Mapping[str, Mapping[str, Any]] = yaml.safe_load(_resource("metric_defaults.yaml"))
    return found


def _resource(name: str) -> str:
    return resources.files("analysis.canary").joinpath(name).read_text("utf-8")


def _given(node: Node | None) -> str:
    return "nothing" if node is None else node.given()


def _listed(names: tuple[str, ...]) -> str:
    return f"one of {', '.join(names)}"


def _wrong(line: int, column: int, where: str, given: str, accepted: str) -> CanaryConfigError:
    return CanaryConfigError(where, given, accepted, line=line, column=column)


def placed(document: RuleDocument, problems: Iterator[Problem]) -> tuple[Problem, ...]:
    """Problems with their lines, in the order of the file."""
    found = [problem.at(*document.place(problem.path)) for problem in problems]
    return tuple(sorted(found, key=lambda problem: (problem.line, problem.column)))
