"""``davylamp proposals``: what waits for a second person, approved or taken back."""

from __future__ import annotations

import argparse
import getpass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from davylamp.asking import ask_analysis
from davylamp.config import Settings

STATES: Final = ("open", "approved", "withdrawn", "expired", "any")


def add_commands(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``proposals`` to the program's commands."""
    proposals = subparsers.add_parser(
        "proposals", help="changes that wait for a second person: list, approve, withdraw"
    )
    commands = proposals.add_subparsers(dest="proposals_command", required=True)
    rows = commands.add_parser("list", help="one line each, newest first")
    rows.add_argument("--state", choices=STATES, default="open", help="default: open")
    for name, text in (
        ("approve", "make the change; not with the token that proposed it"),
        ("withdraw", "it cannot be approved any more"),
    ):
        one = commands.add_parser(name, help=text)
        one.add_argument("proposal_id")
        add_who(one)


def add_who(parser: argparse.ArgumentParser) -> None:
    """Who does it and why; two people show two tokens."""
    parser.add_argument("--who", default=getpass.getuser(), help="default: your user name")
    parser.add_argument("--reason", required=True, help="kept in the audit log")
    parser.add_argument(
        "--token-file",
        type=Path,
        default=None,
        help="file with a token of your own; default: the installation's",
    )


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Carry the command out; returns the exit code. Raises AskingError."""
    if options.proposals_command == "list":
        found = ask_analysis(settings, f"proposals?state={options.state}")["proposals"]
        for one in found:
            print(line(one))
        print(f"{len(found)} proposals")
        return 0
    name = quote(options.proposal_id, safe="")
    body = {"who": options.who, "reason": options.reason}
    path = f"proposals/{name}/{options.proposals_command}"
    print(line(ask_analysis(settings, path, body, options.token_file)))
    return 0


def line(one: dict[str, Any]) -> str:
    """A proposal in one line."""
    people = one["proposed_by"] + (f" and {one['approved_by']}" if one["approved_by"] else "")
    return f"{one['proposal_id']}  {one['state']}  {people}  {one['title']}: {one['reason']}"
