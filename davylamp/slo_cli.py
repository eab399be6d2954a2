"""``davylamp slo``: check objective files on the command line.

``davylamp slo validate FILE...`` reads all files together, since they may refer to each other,
prints one line per finding and ends with 0 if nothing is wrong (warnings allowed), else with 1.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from analysis.slo.openslo.document import BYTES_MAX
from analysis.slo.openslo.findings import Finding, Level
from analysis.slo.openslo.validate import Profile, Report, Verdict, validate
from davylamp.errors import DavylampError


class UnreadableFileError(DavylampError):
    """A file that cannot be read: which, and why."""


def add_commands(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``slo`` and what it can do to the program's commands."""
    slo = subparsers.add_parser("slo", help="check objective files")
    commands = slo.add_subparsers(dest="slo_command", required=True)
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


def run(options: argparse.Namespace) -> int:
    """Do what was asked for. Raises UnreadableFileError."""
    texts = {name: _read(name) for name in options.files}
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
