"""References between objects: an SLO to its indicator, a policy to its condition, and so on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from analysis.slo.openslo.definition import Definition, walk
from analysis.slo.openslo.findings import Finding, Path
from analysis.slo.openslo.shapes import Record

#: Property that refers -> kind it refers to. An object refers to objects of its own version.
KIND_OF: Final[Mapping[str, str]] = {
    "indicatorRef": "SLI",
    "sliRef": "SLI",
    "alertPolicyRef": "AlertPolicy",
    "conditionRef": "AlertCondition",
    "targetRef": "AlertNotificationTarget",
    "metricSourceRef": "DataSource",
    "dataSourceRef": "DataSource",
}


class References:
    """All objects that were read together, by version, kind and name."""

    def __init__(self, definitions: Sequence[Definition]) -> None:
        self._by_name: dict[tuple[str, str, str], Definition] = {}
        self._twice: list[Definition] = []
        for definition in definitions:
            key = (definition.version, definition.kind, definition.name)
            if definition.name and self._by_name.setdefault(key, definition) is not definition:
                self._twice.append(definition)

    def find(self, version: str, kind: str, name: str) -> Definition | None:
        """The object of this name; of two the first."""
        return self._by_name.get((version, kind, name))

    def has_any(self, version: str, kind: str) -> bool:
        """Whether any object of the kind was read."""
        return any(key[:2] == (version, kind) for key in self._by_name)

    def indicator(self, definition: Definition, owner: Record) -> Record | None:
        """The SLI spec that an SLO or one of its objectives names or holds, if it is there."""
        inline, ref = names_of_indicator(definition.version)
        if owner[inline] is not None:
            spec: Record = owner[inline]["spec"]
            return spec
        found = self.find(definition.version, "SLI", owner[ref] or "")
        return None if found is None else found.spec

    def check(self, definitions: Sequence[Definition]) -> Iterator[Finding]:
        """Names given twice, and references to nothing."""
        for definition in self._twice:
            accepted = f"a name no other {definition.kind} has"
            yield definition.error("duplicate_name", ("metadata", "name"), accepted)
        for definition in definitions:
            for path, kind, name in references_of(definition):
                if self.find(definition.version, kind, name) is None:
                    accepted = f"the name of a {kind} in the files read together"
                    yield definition.error("unresolved_reference", path, accepted)


def names_of_indicator(version: str) -> tuple[str, str]:
    """The properties of an SLO that hold, and that refer to, its indicator."""
    return ("sli", "sliRef") if version.endswith("v2alpha") else ("indicator", "indicatorRef")


def references_of(definition: Definition) -> Iterator[tuple[Path, str, str]]:
    """Every reference: where, to which kind, to which name."""
    for one in walk(definition.record):
        if one.name in KIND_OF and isinstance(one.value, str) and one.value:
            yield one.path, KIND_OF[one.name], one.value
