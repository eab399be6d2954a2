"""A token for somebody who has signed in: named after them, over when their session is.

So that the audit log of the other APIs names a person whom the provider knows, and nobody has to
hand out tokens that last.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from collector.access.errors import BadTokenOrderError, TokenFileError
from collector.access.token_file import TokenFile
from collector.access.tokens import Order, Scope, issue
from dashboards.signin.allowed import Person
from dashboards.signin.errors import NotAllowedError, NotMadeError

#: Tokens of one person that are not over.
MAX_LIVE: Final = 5


@dataclass(frozen=True, slots=True)
class Holder:
    """Who gets it, what it allows and when it is over."""

    person: Person
    scopes: frozenset[Scope]
    ends_unix_s: float


def hand_out(
    file: TokenFile, holder: Holder, now_unix_s: float, draw: Callable[[int], bytes]
) -> str:
    """Make a token and return its text, this once. Raises NotAllowedError, NotMadeError.

    ``draw(n)`` gives n unpredictable bytes. Those of the same name that are over make room.
    """
    name = holder.person.email
    if not name:
        # A subject may be worded like the name of another token.
        raise NotAllowedError("a token needs an address that the provider has verified")
    order = Order(name, tuple(holder.scopes), lifetime_s=holder.ends_unix_s - now_unix_s)
    try:
        token, text = issue(order, now_unix_s, draw)
        named = [one for one in file.read().values() if one.name == name]
        over = [one for one in named if one.is_over(now_unix_s)]
        if len(named) - len(over) >= MAX_LIVE:
            raise NotMadeError(
                f"{name} has {MAX_LIVE} tokens already; they end with their sessions, or by "
                "davylamp tokens revoke"
            )
        for one in over:
            file.remove(one.token_id)
        file.add(token)
    except BadTokenOrderError as error:
        raise NotAllowedError(f"no token can be named so: {error}") from None
    except TokenFileError as error:
        raise NotMadeError(f"the token cannot be kept: {error}") from None
    return text
