"""``davylamp tokens``: make, list and revoke the tokens people and programs show.

They work on the file of tokens; running processes see every change at once.
"""

from __future__ import annotations

import argparse
import datetime as dt
import re
import secrets
from typing import Final

from collector.access.errors import BadTokenOrderError, TokenFileError
from collector.access.token_file import TokenFile
from collector.access.tokens import Order, Scope, Token, issue
from davylamp.config import Settings
from davylamp.errors import DavylampError
from telemetry.clock import SystemClock

_LIFETIME: Final = re.compile(r"([1-9][0-9]{0,8})([smhd])")
_UNIT_S: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_NS_PER_S: Final = 1_000_000_000


class TokensCommandError(DavylampError):
    """The command cannot be carried out; one sentence says why."""


def add_commands(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``tokens`` and what it can do to the program's commands."""
    tokens = subparsers.add_parser("tokens", help="who may send, read, deploy and administer")
    commands = tokens.add_subparsers(dest="tokens_command", required=True)
    create = commands.add_parser("create", help="make a token and print it, this once")
    create.add_argument("name", help="of the person or program that will show it")
    create.add_argument(
        "--scope", action="append", required=True, choices=list(Scope), help="may be repeated"
    )
    create.add_argument(
        "--service", action="append", default=[], help="it speaks for this service only; repeatable"
    )
    create.add_argument(
        "--environment", action="append", default=[], help="and in this environment only"
    )
    create.add_argument("--expires", default="", metavar="90d", help="default: it does not")
    commands.add_parser("list", help="every token, without its text")
    revoke = commands.add_parser("revoke", help="end a token now")
    revoke.add_argument("id", help="as list prints it")


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Carry the command out; returns the exit code. Raises TokensCommandError."""
    file = TokenFile(settings.tokens_file)
    now_unix_s = SystemClock().wall_unix_nano() / _NS_PER_S
    try:
        if options.tokens_command == "create":
            order = Order(
                options.name,
                tuple(options.scope),
                tuple(options.service),
                tuple(options.environment),
                _lifetime_s(options.expires),
            )
            token, text = issue(order, now_unix_s, secrets.token_bytes)
            file.add(token)
            # The text alone on a line, so that a script can take it.
            print(text)
        elif options.tokens_command == "list":
            for token in file.read().values():
                print(_line(token, now_unix_s))
        elif file.remove(options.id) is None:
            raise TokensCommandError(f"there is no token {options.id!r}; `list` prints the ids")
        else:
            print(f"{options.id} is revoked")
    except (BadTokenOrderError, TokenFileError) as error:
        raise TokensCommandError(str(error)) from None
    return 0


def _lifetime_s(text: str) -> float | None:
    if not text:
        return None
    found = _LIFETIME.fullmatch(text)
    if found is None:
        raise TokensCommandError(f"--expires {text!r}: a number with s, m, h or d is accepted")
    return float(int(found[1]) * _UNIT_S[found[2]])


def _line(token: Token, now_unix_s: float) -> str:
    bound = [
        f"{what}={','.join(sorted(names))}"
        for what, names in (
            ("services", token.binding.services),
            ("environments", token.binding.environments),
        )
        if names is not None
    ]
    if token.expires_unix_s is None:
        ends = "does not expire"
    else:
        at = dt.datetime.fromtimestamp(token.expires_unix_s, dt.UTC)
        ends = f"{'expired' if token.is_over(now_unix_s) else 'expires'} {at:%Y-%m-%dT%H:%M:%SZ}"
    words = [token.token_id, token.name, "+".join(sorted(token.scopes)), *bound, ends]
    return "  ".join(words)
