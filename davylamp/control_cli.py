"""``davylamp guards`` and ``davylamp audit``: what holds commands, and proof of what was done.

``guards stop`` and ``guards go`` only touch a file of the state folder, so that they work while
everything else is down; the other commands ask the running analysis. ``audit verify`` reads the
database itself and changes nothing.
"""

from __future__ import annotations

import argparse
import getpass
import json
import os
import re
import sqlite3
from pathlib import Path
from typing import Any, Final

from sqlalchemy import create_engine, make_url
from sqlalchemy.exc import SQLAlchemyError

from analysis.decisions import audit
from analysis.decisions.engines import named_driver
from analysis.decisions.kill_switch import KillSwitch
from davylamp.asking import ask_analysis
from davylamp.config import Settings, analysis_config
from davylamp.errors import DavylampError
from davylamp.proposals_cli import add_who

_RELEASE_COMMANDS: Final = {
    "clear": "end the bar of a release that was rolled back",
    "bar": "no canary of this release, no promotion, no rollback to it",
    "known-good": "a rollback may lead to this release",
}
_LOCK_COMMANDS: Final = {
    "lock": "command nothing in an environment; * = in any",
    "release": "end a lock, also one that a storm of rollbacks has set",
}
_SERVICE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_HEAD: Final = re.compile(r"([0-9]{1,18}):([0-9a-f]{64})")


class ControlCommandError(DavylampError):
    """The command cannot be carried out; one sentence says why."""


def add_commands(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``guards`` and ``audit`` to the program's commands."""
    guards = subparsers.add_parser("guards", help="what holds commands: look, stop, clear, lock")
    commands = guards.add_subparsers(dest="guards_command", required=True)
    commands.add_parser("show", help="kill switch, limits, locks, barred and known releases")
    stop = commands.add_parser("stop", help="throw the kill switch (a file; needs nothing else)")
    stop.add_argument("--reason", default="", help="shown to everybody")
    go = commands.add_parser("go", help="take the kill switch back")
    for one in (stop, go):
        one.add_argument("--service", default="", help="only for this service")
    for name, text in _RELEASE_COMMANDS.items():
        one = commands.add_parser(name, help=text)
        for argument in ("environment", "service", "digest"):
            one.add_argument(argument)
        add_who(one)
    for name, text in _LOCK_COMMANDS.items():
        one = commands.add_parser(name, help=text)
        one.add_argument("environment")
        add_who(one)
    one = commands.add_parser(
        "settings", help="propose that commands may be sent under the settings `show` shows"
    )
    one.add_argument("sha256", help="as shown, so that it is what you have read")
    add_who(one)
    log = subparsers.add_parser("audit", help="check the audit log")
    verify = log.add_subparsers(dest="audit_command", required=True).add_parser(
        "verify", help="every row follows from the one before; prints the newest"
    )
    verify.add_argument("--noted", default="", help="a head printed earlier, NUMBER:SHA256")


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Carry the command out; returns the exit code. Raises ControlCommandError, AskingError."""
    if options.command == "audit":
        return _verify(analysis_config(settings).database_url, options.noted)
    command = options.guards_command
    if command in ("stop", "go"):
        return _switch(analysis_config(settings).guards.kill_switch_file, options)
    if command == "show":
        answer = ask_analysis(settings, "guards")
    else:
        names = ("environment", "service", "digest", "sha256", "who", "reason")
        body = {name: getattr(options, name) for name in names if hasattr(options, name)}
        answer = ask_analysis(settings, f"guards/{command}", body, options.token_file)
    print(json.dumps(answer, indent=1))
    return 0


def _switch(path: Path, options: argparse.Namespace) -> int:
    service = options.service
    if service and not _SERVICE.fullmatch(service):
        raise ControlCommandError(f"{service!r} is not the name of a service")
    switch = KillSwitch(path)
    file = switch.of_service(service) if service else path
    what = f"commands about {service}" if service else "commands"
    try:
        if options.guards_command == "stop":
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            text = options.reason or f"thrown by {getpass.getuser()}"
            file.write_text(text + "\n")
            print(f"stopped: no {what} are sent while {file} exists; what was queued is given up")
        else:
            file.unlink(missing_ok=True)
            print(f"{what} may be sent again")
    except OSError as error:
        raise ControlCommandError(f"{file}: {error.strerror}") from None
    return 0


def _verify(database_url: str, noted_text: str) -> int:
    noted = None
    if noted_text:
        match = _HEAD.fullmatch(noted_text)
        if match is None:
            raise ControlCommandError("--noted must be NUMBER:SHA256, as verify prints it")
        noted = audit.Head(int(match[1]), match[2])
    try:
        with _reader(database_url).connect() as connection:
            newest = audit.head(connection)
            broken = audit.verify(audit.rows(connection), newest, noted)
    except SQLAlchemyError as error:
        cause = str(getattr(error, "orig", None) or error).splitlines()[0]
        raise ControlCommandError(f"the audit log cannot be read: {cause}") from None
    if broken is not None:
        print(f"BROKEN at row {broken.sequence}: {broken.problem}")
        return 1
    print(f"{newest.sequence} rows, every one follows from the one before")
    print(f"head {newest.sequence}:{newest.sha256}")
    return 0


def _reader(database_url: str) -> Any:
    """Reads beside the running analysis; one view of the whole log, and no writing."""
    url = named_driver(make_url(database_url))
    if url.get_backend_name() != "sqlite":
        return create_engine(url, isolation_level="REPEATABLE READ")
    path = Path(url.database or "")
    if not os.access(path, os.R_OK):
        raise ControlCommandError(f"there is no ledger at {path}")

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
        connection.isolation_level = None
        connection.execute("BEGIN")
        return connection

    return create_engine("sqlite://", creator=connect)
