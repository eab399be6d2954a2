"""Error-budget policies as YAML.

::

    apiVersion: davylamp/v1
    kind: ErrorBudgetPolicy
    metadata: {name: playback}
    spec:
      objectives: [playback-starts]        # none: every objective
      steps:
        - name: low
          when: {remainingAtMost: 0.25}
          severity: ticket                 # as the default
          actions: [notify]                # as the default
        - name: spent
          when: {remainingAtMost: 0}
          severity: page
          actions: [notify, freeze]
        - name: burst
          when: {spentAtLeast: 0.2, within: 1h}
          actions: [notify, freeze, rollBack]
        - name: soon
          when: {exhaustedWithin: 3d}
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any, Final

from analysis.slo.budget_policy import (
    Condition,
    ExhaustedWithin,
    PolicyAction,
    PolicyStep,
    RemainingAtMost,
    SpentAtLeast,
)
from analysis.slo.errors import SloFileError
from analysis.slo.objectives import SEVERITIES
from analysis.slo.openslo.document import Node, locate, read_documents
from analysis.slo.openslo.durations import duration_s
from analysis.slo.openslo.findings import Path, path_text
from analysis.slo.openslo.shapes import (
    Duration,
    List,
    Number,
    Optional,
    Record,
    Struct,
    Text,
    decode,
)

API_VERSION: Final = "davylamp/v1"
KIND: Final = "ErrorBudgetPolicy"
MAX_STEPS: Final = 50
#: The shortest time a budget is looked at over.
MIN_WITHIN_S: Final = 60
_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_NAME_ACCEPTED: Final = "1 to 63 of a-z, 0-9 and '-', letters or digits at both ends"
_WHEN: Final = "remainingAtMost, spentAtLeast with within, or exhaustedWithin"
_SHAPE: Final = Struct(
    {
        "apiVersion": Text((API_VERSION,)),
        "kind": Text((KIND,)),
        "metadata": Struct({"name": Text()}),
        "spec": Struct(
            {
                "objectives": List(Text()),
                "steps": List(
                    Struct(
                        {
                            "name": Text(),
                            "when": Struct(
                                {
                                    "remainingAtMost": Optional(Number()),
                                    "spentAtLeast": Optional(Number()),
                                    "within": Duration(),
                                    "exhaustedWithin": Duration(),
                                }
                            ),
                            "severity": Text(SEVERITIES),
                            "actions": List(Text(tuple(PolicyAction))),
                        }
                    )
                ),
            }
        ),
    }
)


def read_policies(text: str, file: str, windows_s: Mapping[str, int]) -> tuple[PolicyStep, ...]:
    """Every step of every document. ``windows_s``: the objectives there are, with their windows.

    Raises SloFileError with file, line and path, and DocumentError.
    """
    found = [
        step for root in read_documents(text) for step in _Reader(root, file, windows_s).steps()
    ]
    names = [step.full_name for step in found]
    if len(set(names)) < len(names):
        doubled = next(name for name in names if names.count(name) > 1)
        raise SloFileError(f"{file}: steps", doubled, "every step of a policy named once")
    return tuple(found)


class _Reader:
    """One document."""

    def __init__(self, root: Node, file: str, windows_s: Mapping[str, int]) -> None:
        self._root = root
        self._file = file
        self._windows_s = windows_s

    def steps(self) -> list[PolicyStep]:
        document = decode(_SHAPE, self._root, self._refuse_node)
        for name in ("apiVersion", "kind", "metadata", "spec"):
            if not document.has(name):
                self._refuse((name,), "nothing", "a value")
        policy = self._name(document["metadata"]["name"], ("metadata", "name"))
        spec = document["spec"]
        objectives = spec["objectives"] or ()
        for number, name in enumerate(objectives):
            if name not in self._windows_s:
                accepted = ", ".join(sorted(self._windows_s))
                self._refuse(("spec", "objectives", number), name, accepted)
        steps = spec["steps"] or ()
        if not 1 <= len(steps) <= MAX_STEPS:
            self._refuse(("spec", "steps"), f"{len(steps)} steps", f"1 to {MAX_STEPS} steps")
        return [
            self._step(policy, objectives, step, ("spec", "steps", number))
            for number, step in enumerate(steps)
        ]

    def _step(
        self, policy: str, objectives: Collection[str], step: Record, path: Path
    ) -> PolicyStep:
        about = objectives or self._windows_s.keys()
        shortest_s = min(self._windows_s[name] for name in about)
        return PolicyStep(
            policy=policy,
            name=self._name(step["name"], (*path, "name")),
            objectives=frozenset(objectives),
            condition=self._condition(step["when"], shortest_s, (*path, "when")),
            severity=step["severity"] or "ticket",
            actions=frozenset(
                PolicyAction(one) for one in step["actions"] or (PolicyAction.NOTIFY,)
            ),
        )

    def _condition(self, when: Record, shortest_s: int, path: Path) -> Condition:
        kinds = {name for name in when.present if name != "within"}
        if len(kinds) != 1 or ("within" in when.present) != (kinds == {"spentAtLeast"}):
            self._refuse(path, ", ".join(sorted(when.present)) or "nothing", _WHEN)
        (kind,) = kinds
        if kind == "remainingAtMost":
            return RemainingAtMost(self._ratio(when, kind, path, low=-1_000.0, high=1.0))
        if kind == "spentAtLeast":
            ratio = self._ratio(when, kind, path, low=1e-6, high=1_000.0)
            return SpentAtLeast(ratio, self._within(when, "within", path, shortest_s))
        # A budget that a rate of late empties after a window's length is not used up by it.
        return ExhaustedWithin(self._within(when, kind, path, shortest_s))

    def _ratio(self, when: Record, kind: str, path: Path, *, low: float, high: float) -> float:
        ratio = float(when[kind])
        if not low <= ratio <= high:
            self._refuse((*path, kind), str(ratio), f"{low:g} to {high:g}")
        return ratio

    def _within(self, when: Record, kind: str, path: Path, shortest_s: int) -> int:
        within_s = duration_s(when[kind])
        if within_s is None or not MIN_WITHIN_S <= within_s <= shortest_s:
            given = f"{when[kind]['value']}{when[kind]['unit']}"
            accepted = f"1m to the objective's window, {shortest_s} s"
            self._refuse((*path, kind), given, accepted)
        return int(within_s or 0)

    def _name(self, name: str, path: Path) -> str:
        if not _NAME.fullmatch(name):
            self._refuse(path, name, _NAME_ACCEPTED)
        return name

    def _refuse_node(self, path: Path, node: Node, accepted: str) -> None:
        self._raise(path, node.line, node.column, node.given(), accepted)

    def _refuse(self, path: Path, given: str, accepted: str) -> None:
        _, line, column, _ = locate(self._root, path)
        self._raise(path, line, column, given, accepted)

    def _raise(self, path: Path, line: int, column: int, given: Any, accepted: str) -> None:
        where = f"{self._file}:{line}:{column}: {path_text(path)}"
        raise SloFileError(where, given, accepted)
