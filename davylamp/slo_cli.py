"""``davylamp slo``: objective files on the command line, and questions about running objectives.

``davylamp slo validate FILE...`` reads all files together, since they may refer to each other,
prints one line per finding and ends with 0 if nothing is wrong (warnings allowed), else with 1.
``convert`` prints them as OpenSLO v1, ``rules`` as Prometheus rules; both also take older versions,
Sloth's and Pyrra's files, and print nothing but what is wrong if anything is.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from analysis.slo.openslo.dialects import Dialect, as_yaml, convert, rules
from analysis.slo.openslo.document import BYTES_MAX
from analysis.slo.openslo.errors import ConversionError, DefinitionError, OpenSloError
from analysis.slo.openslo.findings import Finding, Level
from analysis.slo.openslo.pyrra.rules import Options as PyrraOptions
from analysis.slo.openslo.rule_groups import rule_file
from analysis.slo.openslo.rule_text import prometheus_seconds
from analysis.slo.openslo.sloth.generate import Options as SlothOptions
from analysis.slo.openslo.validate import Profile, Report, Verdict, validate
from davylamp import slo_live_cli
from davylamp.errors import DavylampError


class UnreadableFileError(DavylampError):
    """A file that cannot be read: which, and why."""


def add_commands(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``slo`` and what it can do to the program's commands."""
    slo = subparsers.add_parser("slo", help="check, convert, export, explain and try objectives")
    commands = slo.add_subparsers(dest="slo_command", required=True)
    slo_live_cli.add_commands(commands)
    check = commands.add_parser(
        "validate", help="what is wrong with OpenSLO files, with line, column and property"
    )
    _add_files(check)
    check.add_argument(
        "--profile",
        choices=[profile.value for profile in Profile],
        default=Profile.STRICT.value,
        help="sdk: as the official validator; strict (default): also the specification's text, "
        "references and warnings",
    )
    check.add_argument("--json", action="store_true", help="findings as one JSON object")
    convert = commands.add_parser("convert", help="OpenSLO, Sloth or Pyrra files as OpenSLO v1")
    export = commands.add_parser("rules", help="Prometheus rules for them")
    for command in (convert, export):
        _add_files(command)
        command.add_argument(
            "--time-slice-window", metavar="5m", help="for v1alpha files, which do not say it"
        )
        command.add_argument(
            "--default-slo-period", metavar="30d", default="30d", help="for Sloth files"
        )
    export.add_argument(
        "--dialect",
        choices=[Dialect.SLOTH.value, Dialect.PYRRA.value],
        default=Dialect.SLOTH.value,
        help="of the rules for OpenSLO files; others keep their own",
    )
    export.add_argument("--external-url", default="", help="of Pyrra's pages, linked from alerts")
    export.add_argument(
        "--prometheus-3", action="store_true", help="Pyrra's buckets in both spellings, 1 and 1.0"
    )


def run(options: argparse.Namespace) -> int:
    """Do what was asked for. Raises UnreadableFileError."""
    texts = {name: _read(name) for name in options.files}
    if options.slo_command == "validate":
        return _validate(options, texts)
    try:
        print(_exported(options, texts), end="")
    except DefinitionError as error:
        for finding in error.findings:
            print(finding, file=sys.stderr)
    except OpenSloError as error:
        print(error, file=sys.stderr)
    else:
        return 0
    return 1


def _exported(options: argparse.Namespace, texts: Mapping[str, str]) -> str:
    period_s = prometheus_seconds(options.default_slo_period)
    if not period_s or period_s % 60:
        given = options.default_slo_period
        raise ConversionError("--default-slo-period", f"{given!r}, accepted: 28d, 30d and the like")
    sloth = SlothOptions(version=version("davylamp"), default_period_s=round(period_s))
    if options.slo_command == "convert":
        return as_yaml(convert(texts, sloth, options.time_slice_window))
    pyrra = PyrraOptions(options.external_url, options.prometheus_3)
    target = Dialect(options.dialect)
    return rule_file(rules(texts, sloth, pyrra, options.time_slice_window, target))


def _validate(options: argparse.Namespace, texts: Mapping[str, str]) -> int:
    report = validate(texts, Profile(options.profile))
    if options.json:
        print(json.dumps(_as_json(report)))
    else:
        _print(report, len(texts))
    return 0 if report.verdict is Verdict.VALID else 1


def _add_files(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "files", nargs="+", metavar="FILE", help="YAML or JSON; - for standard input"
    )


def _read(name: str) -> str:
    try:
        if name == "-":
            return sys.stdin.read(BYTES_MAX + 1)
        with Path(name).open(encoding="utf-8") as file:
            return file.read(BYTES_MAX + 1)  # one more, so that too much is seen as too much
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no UTF-8 text"
        raise UnreadableFileError(f"cannot read {name}: {reason}") from error


def _as_json(report: Report) -> dict[str, Any]:
    return {
        "verdict": report.verdict.value,
        "objects": len(report.definitions),
        "findings": [asdict(finding) for finding in report.findings],
    }


def _print(report: Report, files: int) -> None:
    for finding in report.findings:
        print(finding)
    counts = [
        _count(report.findings, (Level.DECODE, Level.ERROR), "error"),
        _count(report.findings, (Level.WARNING,), "warning"),
    ]
    objects = len(report.definitions)
    print(
        f"{objects} object{'s' * (objects != 1)} in {files} file{'s' * (files != 1)}: "
        f"{report.verdict.value} ({', '.join(counts)})"
    )


def _count(findings: Sequence[Finding], levels: Sequence[Level], word: str) -> str:
    number = sum(finding.level in levels for finding in findings)
    return f"{number} {word}{'s' * (number != 1)}"
