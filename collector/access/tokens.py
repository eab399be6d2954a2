"""What a token is: a name, scopes, the services it speaks for, an end; of its text only a digest.

A text is ``dvl_<id>_<secret>``: the prefix lets secret scanners find one that leaked, the id lets
people name one without showing it, the secret has 256 bits, so that a plain SHA-256 keeps it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from collector.access.errors import BadTokenOrderError

PREFIX: Final = "dvl_"
ID_BYTES: Final = 6
SECRET_BYTES: Final = 32
MAX_NAME_CHARS: Final = 100
#: What the installation's own token is called in books and audits.
RESERVED_NAMES: Final = frozenset({"owner"})
#: Services and environments of one token.
MAX_BOUND: Final = 200
_TEXT: Final = re.compile(r"dvl_([0-9a-f]{12})_[A-Za-z0-9_-]{43}")
_NAME: Final = re.compile(r"[\w.@+-][\w .@+-]*")


class Scope(StrEnum):
    """One thing a token allows."""

    #: Send telemetry.
    INGEST = "ingest"
    #: Read telemetry, verdicts, decisions and pages.
    READ = "read"
    #: Declare canaries and report what became of commands.
    DEPLOY = "deploy"
    #: Change what guards commands.
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Binding:
    """The services and environments a token speaks for; None = all."""

    services: frozenset[str] | None = None
    environments: frozenset[str] | None = None

    @property
    def is_free(self) -> bool:
        """Whether it binds nothing."""
        return self.services is None and self.environments is None

    def allows(self, services: Iterable[str], environments: Iterable[str]) -> bool:
        """Whether every name given is one of its own; none given is no name of its own."""
        return _within(services, self.services) and _within(environments, self.environments)


#: Of who may speak for every service.
FREE: Final = Binding()


def _within(names: Iterable[str], bound: frozenset[str] | None) -> bool:
    if bound is None:
        return True
    given = set(names)
    return bool(given) and given <= bound


@dataclass(frozen=True, slots=True)
class Token:
    """One token as it is kept. Times in seconds since the epoch."""

    token_id: str
    name: str
    #: SHA-256 of the text, in hex.
    digest: str
    scopes: frozenset[Scope]
    binding: Binding
    created_unix_s: int
    #: None: it does not end by itself.
    expires_unix_s: int | None

    def is_over(self, now_unix_s: float) -> bool:
        """Whether its time has passed."""
        return self.expires_unix_s is not None and now_unix_s >= self.expires_unix_s

    def is_text(self, text: str) -> bool:
        """Whether ``text`` is its own; takes as long whatever is wrong with it."""
        return hmac.compare_digest(_digest(text), self.digest)

    def to_json(self) -> dict[str, Any]:
        """For the file of tokens; there is nothing in it that lets anybody in."""
        services, environments = self.binding.services, self.binding.environments
        return {
            "id": self.token_id,
            "name": self.name,
            "sha256": self.digest,
            "scopes": sorted(self.scopes),
            "services": None if services is None else sorted(services),
            "environments": None if environments is None else sorted(environments),
            "created": self.created_unix_s,
            "expires": self.expires_unix_s,
        }

    @staticmethod
    def from_json(found: Mapping[str, Any]) -> Token:
        """Raises KeyError, TypeError or ValueError for what ``to_json`` did not write."""
        return Token(
            str(found["id"]),
            str(found["name"]),
            str(found["sha256"]),
            frozenset(Scope(scope) for scope in found["scopes"]),
            Binding(_names(found["services"]), _names(found["environments"])),
            int(found["created"]),
            None if found["expires"] is None else int(found["expires"]),
        )


def _names(found: Any) -> frozenset[str] | None:
    return None if found is None else frozenset(map(str, found))


@dataclass(frozen=True, slots=True)
class Order:
    """A token to be made. ``services`` and ``environments`` empty: not bound."""

    name: str
    scopes: tuple[str, ...]
    services: tuple[str, ...] = ()
    environments: tuple[str, ...] = ()
    lifetime_s: float | None = None


def issue(order: Order, now_unix_s: float, draw: Callable[[int], bytes]) -> tuple[Token, str]:
    """The token to keep and the text to hand over, once. Raises BadTokenOrderError.

    ``draw(n)`` gives n unpredictable bytes.
    """
    if (
        len(order.name) > MAX_NAME_CHARS
        or not _NAME.fullmatch(order.name)
        or order.name in RESERVED_NAMES
    ):
        raise BadTokenOrderError(
            f"name {order.name[:MAX_NAME_CHARS]!r}: 1 to {MAX_NAME_CHARS} letters, digits, "
            f"blanks and . _ @ + - are accepted, but not {', '.join(sorted(RESERVED_NAMES))}"
        )
    known = ", ".join(Scope)
    try:
        scopes = frozenset(Scope(scope) for scope in order.scopes)
    except ValueError as error:
        raise BadTokenOrderError(f"{error}; accepted: {known}") from None
    if not scopes:
        raise BadTokenOrderError(f"a token without a scope allows nothing; accepted: {known}")
    if order.lifetime_s is not None and not order.lifetime_s > 0:
        raise BadTokenOrderError(f"a lifetime of {order.lifetime_s:g} s is over at once")
    for names in (order.services, order.environments):
        if len(names) > MAX_BOUND or any(not name for name in names):
            raise BadTokenOrderError(f"at most {MAX_BOUND} names, none empty, are accepted")
    token_id = draw(ID_BYTES).hex()
    secret = base64.urlsafe_b64encode(draw(SECRET_BYTES)).decode().rstrip("=")
    text = f"{PREFIX}{token_id}_{secret}"
    created = int(now_unix_s)
    expires = None if order.lifetime_s is None else created + int(order.lifetime_s)
    binding = Binding(
        frozenset(order.services) if order.services else None,
        frozenset(order.environments) if order.environments else None,
    )
    return Token(token_id, order.name, _digest(text), scopes, binding, created, expires), text


def id_in(text: str) -> str | None:
    """The id in a token's text; None for what is no token of ours."""
    found = _TEXT.fullmatch(text)
    return found[1] if found else None


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
