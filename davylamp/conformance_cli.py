"""``davylamp webhooks conformance``: is a receiver of commands right? One line for each check."""

from __future__ import annotations

import argparse
import asyncio
import os
import re
from collections.abc import Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Final

from analysis.errors import SecretError
from analysis.webhooks.conformance import (
    ENVIRONMENT,
    Audience,
    Check,
    Messages,
    checks,
    judge_acted,
)
from analysis.webhooks.conformance_run import Finding, run_checks
from analysis.webhooks.signing import read_secrets
from analysis.webhooks.targets import TargetError
from davylamp.config import Settings, analysis_config
from davylamp.errors import DavylampError
from telemetry.clock import SystemClock

#: Names as an endpoint or an environment may have them.
_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
#: Seconds a receiver has, after its last answer, to act and to write it down.
ACTED_WAIT_S: Final = 10.0
ACTED_POLL_S: Final = 0.1
#: And then this long to do something wrong besides.
ACTED_SETTLE_S: Final = 0.5
#: Of what a receiver wrote down, the end is read.
ACTED_MAX_BYTES: Final = 4 * 1024 * 1024


class ConformanceCommandError(DavylampError):
    """The checks cannot be sent; one sentence says why."""


def add_commands(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``webhooks conformance`` to the program's commands."""
    webhooks = subparsers.add_parser("webhooks", help="check your receiver of commands")
    commands = webhooks.add_subparsers(dest="webhooks_command", required=True)
    check = commands.add_parser(
        "conformance",
        help="send rehearsals to a receiver and judge its answers; ends with 1 if any is wrong",
        description="Sends signed rehearsals of commands, forged and stale ones among them, to "
        "your own receiver and judges its answers.",
    )
    check.add_argument("url", metavar="URL", help="of the receiver, http or https")
    check.add_argument(
        "--secret-file",
        type=Path,
        required=True,
        help="whsec_ or whsk_ secrets, one a line, whose counterparts the receiver holds",
    )
    check.add_argument(
        "--endpoint-id", default=None, help="in the audience; default: that of the settings"
    )
    check.add_argument(
        "--environment",
        default=ENVIRONMENT,
        help=f"in the audience; default: {ENVIRONMENT}, for which a receiver acts on nothing",
    )
    check.add_argument(
        "--acted",
        type=Path,
        default=None,
        metavar="FILE",
        help="where the receiver writes a line with the decision_id of each command it obeys",
    )


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Carry the command out; returns the exit code. Raises ConformanceCommandError."""
    endpoint_id = options.endpoint_id or analysis_config(settings).endpoint.endpoint_id
    for option, name in (("--endpoint-id", endpoint_id), ("--environment", options.environment)):
        if not _NAME.fullmatch(name):
            raise ConformanceCommandError(
                f"{option} {name!r} is not accepted; use 1 to 64 of A-Z a-z 0-9 . _ -"
            )
    audience = Audience(endpoint_id, options.environment, settings.url("analysis", "api_port"))
    files = analysis_config(settings).secret_files
    messages = Messages(audience, SystemClock().wall_unix_nano(), os.urandom)
    try:
        planned = checks(messages, read_secrets(options.secret_file, files))
        return asyncio.run(_run(options.url, planned, options.acted))
    except (SecretError, TargetError) as error:
        raise ConformanceCommandError(str(error)) from None


async def _run(url: str, planned: Sequence[Check], acted_file: Path | None) -> int:
    passed = failed = 0
    async with aclosing(run_checks(url, planned, SystemClock())) as found:
        async for finding in found:
            print("\n".join(_lines(finding)), flush=True)
            passed += finding.passed
            failed += not finding.passed
    left = len(planned) - passed - failed
    if acted_file is not None and not left:
        wrong = await _acted(planned, acted_file)
        print(_line(not wrong, "what was acted upon", "each once, no other", f"{len(wrong)} wrong"))
        print("".join(f"      {one}\n" for one in wrong), end="")
        passed += not wrong
        failed += bool(wrong)
    not_run = f", {left} not run" if left else ""
    print(f"{passed} passed, {failed} failed{not_run}")
    return int(failed > 0)


def _lines(finding: Finding) -> list[str]:
    check = finding.check
    got = "no answer" if finding.status is None else str(finding.status)
    lines = [_line(finding.passed, check.name, check.expected.value, got)]
    if not finding.passed:
        lines.append(f"      {check.meaning}")
        if finding.said:
            lines.append(f"      it said: {finding.said}")
    return lines


def _line(passed: bool, name: str, expected: str, got: str) -> str:
    return f"{'ok  ' if passed else 'FAIL'}  {name}: expected {expected}, got {got}"


async def _acted(planned: Sequence[Check], path: Path) -> list[str]:
    """What is wrong with what was done, once nothing is missing or the time is over."""
    wrong: list[str] = []
    for _ in range(round(ACTED_WAIT_S / ACTED_POLL_S)):
        wrong = judge_acted(planned, _tail(path))
        if not wrong:
            await asyncio.sleep(ACTED_SETTLE_S)
            return judge_acted(planned, _tail(path))
        await asyncio.sleep(ACTED_POLL_S)
    return wrong


def _tail(path: Path) -> list[str]:
    try:
        with path.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - ACTED_MAX_BYTES))
            return file.read().decode(errors="replace").splitlines()
    except FileNotFoundError:
        return []  # nothing was done yet
    except OSError as error:
        raise ConformanceCommandError(f"{path} cannot be read: {error.strerror}") from None
