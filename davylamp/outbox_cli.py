"""``davylamp outbox``: what was not delivered, why, and sending it again."""

from __future__ import annotations

import argparse
import json
from typing import Any, Final
from urllib.parse import quote, urlencode

from davylamp.asking import ask_analysis
from davylamp.config import Settings
from davylamp.proposals_cli import add_who, line

STATES: Final = ("dead", "pending", "delivered", "any")


def add_commands(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``outbox`` to the program's commands."""
    outbox = subparsers.add_parser("outbox", help="commands to receivers: list, show, replay")
    commands = outbox.add_subparsers(dest="outbox_command", required=True)
    rows = commands.add_parser("list", help="one line each, newest first")
    rows.add_argument("--state", choices=STATES, default="dead", help="default: dead")
    rows.add_argument("--endpoint", default="", help="only of this endpoint_id")
    rows.add_argument("--from", dest="start", default="now-30d", help="default: now-30d")
    rows.add_argument("--limit", type=int, default=100)
    show = commands.add_parser("show", help="body, every attempt, whether it may be sent again")
    show.add_argument("webhook_id")
    replay = commands.add_parser("replay", help="send a dead letter again: same id, same bytes")
    replay.add_argument("webhook_id")
    add_who(replay)
    commands.add_parser("endpoints", help="breaker and requests under way of every endpoint")


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Carry the command out; returns the exit code. Raises AskingError."""
    match options.outbox_command:
        case "list":
            _list(options, settings)
        case "show":
            path = f"outbox/{quote(options.webhook_id, safe='')}"
            print(json.dumps(ask_analysis(settings, path), indent=1))
        case "replay":
            path = f"outbox/{quote(options.webhook_id, safe='')}/replay"
            body = {"who": options.who, "reason": options.reason}
            answer = ask_analysis(settings, path, body, options.token_file)
            if "proposal_id" in answer:
                print(f"another person approves: {line(answer)}")
            else:
                print(f"{answer['webhook_id']} is {answer['state']} again")
        case "endpoints":
            for one in ask_analysis(settings, "endpoints")["endpoints"]:
                print(f"{one['endpoint_id']}  {one['breaker']}  {one['under_way']} under way")
    return 0


def _list(options: argparse.Namespace, settings: Settings) -> None:
    asked = {"state": options.state, "from": options.start, "limit": options.limit}
    if options.endpoint:
        asked["endpoint_id"] = options.endpoint
    found = ask_analysis(settings, f"outbox?{urlencode(asked)}")["deliveries"]
    for row in found:
        print(_line(row))
    print(f"{len(found)} {'' if options.state == 'any' else options.state + ' '}rows")


def _line(row: dict[str, Any]) -> str:
    attempts = row["attempts"]
    last = attempts[-1] if attempts else None
    status = "not sent" if last is None else (last["status"] or "no answer")
    why = row["dead_reason"] or ""
    where = f"{row['endpoint_id']}  {row['lane']}"
    return f"{row['webhook_id']}  {row['state']}  {where}  {len(attempts)} x  {status}  {why}"
