"""Files of any dialect: which it is, its objectives as OpenSLO v1, and its Prometheus rules."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

import yaml

from analysis.slo.openslo.document import read_documents
from analysis.slo.openslo.errors import ConversionError, DefinitionError
from analysis.slo.openslo.findings import Level
from analysis.slo.openslo.from_older import V1, to_v1
from analysis.slo.openslo.model import build
from analysis.slo.openslo.pyrra.from_openslo import from_openslo
from analysis.slo.openslo.pyrra.read import is_pyrra
from analysis.slo.openslo.pyrra.read import read as read_pyrra
from analysis.slo.openslo.pyrra.rules import Options as PyrraOptions
from analysis.slo.openslo.pyrra.rules import rule_groups as pyrra_groups
from analysis.slo.openslo.pyrra.to_openslo import to_openslo as pyrra_to_openslo
from analysis.slo.openslo.rule_groups import RuleGroup
from analysis.slo.openslo.sloth.generate import Options as SlothOptions
from analysis.slo.openslo.sloth.generate import rule_groups as sloth_groups
from analysis.slo.openslo.sloth.spec import is_sloth
from analysis.slo.openslo.sloth.spec import read as read_sloth
from analysis.slo.openslo.sloth.to_openslo import to_openslo as sloth_to_openslo
from analysis.slo.openslo.to_rules import to_rules
from analysis.slo.openslo.validate import Profile, Report, validate

Document = dict[str, Any]
_LINE_CHARS: Final = 1_000


class Dialect(StrEnum):
    """Whose files these are."""

    OPENSLO = "openslo"
    SLOTH = "sloth"
    PYRRA = "pyrra"


def dialect_of(file: str, text: str) -> Dialect:
    """Of every document in a file. Raises DocumentError, ConversionError if they are mixed."""
    found = {
        Dialect.SLOTH if is_sloth(node) else Dialect.PYRRA if is_pyrra(node) else Dialect.OPENSLO
        for node in read_documents(text)
    }
    if len(found) > 1:
        raise ConversionError(file, f"documents of several dialects: {', '.join(sorted(found))}")
    return found.pop() if found else Dialect.OPENSLO


def convert(
    files: Mapping[str, str], sloth: SlothOptions, time_slice_window: str | None = None
) -> list[Document]:
    """Everything in the files as OpenSLO v1, an object that two files have once.

    Raises DocumentError, DefinitionError or ConversionError.
    """
    documents: list[Document] = []
    openslo: dict[str, str] = {}
    for file, text in files.items():
        match dialect_of(file, text):
            case Dialect.SLOTH:
                documents += sloth_to_openslo(read_sloth(file, text), sloth.default_period_s)
            case Dialect.PYRRA:
                documents += pyrra_to_openslo(read_pyrra(file, text))
            case Dialect.OPENSLO:
                openslo[file] = text
    for definition in _sound(validate(openslo, Profile.SDK)).definitions:
        documents += to_v1(definition, time_slice_window)
    return [one for index, one in enumerate(documents) if one not in documents[:index]]


def rules(
    files: Mapping[str, str],
    sloth: SlothOptions,
    pyrra: PyrraOptions,
    time_slice_window: str | None = None,
    target: Dialect = Dialect.SLOTH,
) -> tuple[RuleGroup, ...]:
    """Prometheus rules for everything in the files: in the dialect of each, ``target`` for OpenSLO.

    Raises DocumentError, DefinitionError or ConversionError.
    """
    groups: list[RuleGroup] = []
    openslo: dict[str, str] = {}
    for file, text in files.items():
        match dialect_of(file, text):
            case Dialect.SLOTH:
                groups += sloth_groups(read_sloth(file, text), sloth)
            case Dialect.PYRRA:
                for objective in read_pyrra(file, text):
                    groups += pyrra_groups(objective, pyrra)
            case Dialect.OPENSLO:
                openslo[file] = text
    report = validate(openslo)
    if any(one.version != V1 for one in report.definitions):
        # Older versions are judged as what they are converted to.
        report = validate({"as v1": as_yaml(convert(openslo, sloth, time_slice_window))})
    slos = build(report)
    if target is Dialect.PYRRA:
        return (*groups, *(one for slo in slos for one in pyrra_groups(from_openslo(slo), pyrra)))
    return (*groups, *to_rules(slos, sloth))


def as_yaml(documents: list[Document]) -> str:
    """Documents as one file."""
    return yaml.safe_dump_all(
        documents, sort_keys=False, width=_LINE_CHARS, allow_unicode=True, explicit_start=True
    )


def _sound(report: Report) -> Report:
    errors = tuple(one for one in report.findings if one.level is not Level.WARNING)
    if errors:
        raise DefinitionError(errors)
    return report
