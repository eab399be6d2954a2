"""One or more files of definitions in, everything that is wrong with them out.

Profile ``sdk`` gives the verdicts of the official SDK. Profile ``strict``, the default, adds what
the specification's text asks for, references between documents, and warnings about what is allowed
but probably not meant.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from analysis.slo.openslo import lint, strict
from analysis.slo.openslo.definition import Definition
from analysis.slo.openslo.dialect import KINDS, Kind
from analysis.slo.openslo.document import Node, read_documents
from analysis.slo.openslo.errors import DocumentError
from analysis.slo.openslo.findings import Finding, Level, Path, path_text
from analysis.slo.openslo.rules import Broken
from analysis.slo.openslo.shapes import decode
from analysis.slo.openslo.v1alpha import V1ALPHA
from analysis.slo.openslo.vocabulary import V1, V2ALPHA

VERSIONS: Final[Mapping[str, Mapping[str, Kind]]] = {
    "openslo/v1": V1,
    "openslo/v1alpha": V1ALPHA,
    "openslo.com/v2alpha": V2ALPHA,
}


class Profile(StrEnum):
    """Whose rules apply."""

    SDK = "sdk"
    STRICT = "strict"


class Verdict(StrEnum):
    """What is to be thought of a file."""

    VALID = "valid"
    INVALID = "invalid"
    DECODE_ERROR = "decode_error"


@dataclass(frozen=True, slots=True)
class Report:
    """What was read, and what is wrong with it."""

    definitions: tuple[Definition, ...]
    findings: tuple[Finding, ...]

    @property
    def verdict(self) -> Verdict:
        """Warnings do not count."""
        levels = {finding.level for finding in self.findings}
        if Level.DECODE in levels:
            return Verdict.DECODE_ERROR
        return Verdict.INVALID if Level.ERROR in levels else Verdict.VALID


def validate(files: Mapping[str, str], profile: Profile = Profile.STRICT) -> Report:
    """Judge the texts of files, by name. Together they must hold everything they refer to.

    Findings are in the order of their places.
    """
    findings: list[Finding] = []
    definitions: list[Definition] = []
    for file, text in files.items():
        try:
            documents = read_documents(text)
        except DocumentError as error:
            findings.append(_unreadable(file, error))
            continue
        for number, node in enumerate(_objects(documents)):
            found = _decode(file, number, node, findings)
            if found is not None:
                definitions.append(found)
    for definition in definitions:
        kind = VERSIONS[definition.version][definition.kind]
        findings += _broken(definition, kind)
    if profile is Profile.STRICT:
        findings += strict.check(definitions)
        findings += lint.check(definitions)
    order = {file: number for number, file in enumerate(files)}
    findings.sort(key=lambda one: (order[one.file], one.line, one.column))
    return Report(tuple(definitions), tuple(findings))


def _objects(documents: Sequence[Node]) -> Sequence[Node]:
    """A document is one object or a list of them."""
    objects: list[Node] = []
    for document in documents:
        objects += document.items if document.kind == "list" else (document,)
    return objects


def _unreadable(file: str, error: DocumentError) -> Finding:
    return Finding(
        Level.DECODE,
        "document",
        file,
        0,
        "",
        error.line,
        error.column,
        error.problem,
        error.accepted,
    )


def _decode(file: str, number: int, node: Node, findings: list[Finding]) -> Definition | None:
    """An object by its version and kind; everything that does not fit becomes a finding."""

    def refuse(path: Path, wrong: Node, accepted: str) -> None:
        text = path_text(path)
        findings.append(
            Finding(
                Level.DECODE,
                "decode",
                file,
                number,
                text,
                wrong.line,
                wrong.column,
                wrong.given(),
                accepted,
            )
        )

    version, kind = _text(node, "apiVersion"), _text(node, "kind")
    kinds = VERSIONS.get(version)
    if kinds is None:
        refuse(("apiVersion",), node.get("apiVersion") or node, " or ".join(VERSIONS))
        return None
    if kind not in kinds:
        refuse(("kind",), node.get("kind") or node, " or ".join(k for k in KINDS if k in kinds))
        return None
    before = len(findings)
    record = decode(kinds[kind].shape, node, refuse)
    if len(findings) > before:
        return None
    return Definition(file, number, version, kind, node, record)


def _text(node: Node, key: str) -> str:
    found = node.get(key)
    return found.value if found is not None and isinstance(found.value, str) else ""


def _broken(definition: Definition, kind: Kind) -> list[Finding]:
    found: dict[Broken, None] = dict.fromkeys(kind.rules.broken(definition.record))
    return [
        definition.finding(Level.ERROR, one.code, one.path, one.accepted, at_key=one.at_key)
        for one in found
    ]
