"""Who is asking: from an Authorization header to a caller with scopes and a binding."""

from __future__ import annotations

import base64
import binascii
import hmac
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from collector.access.config import AccessConfig
from collector.access.errors import Forbidden, TokenFileError, Unauthenticated
from collector.access.token_file import Stamp, TokenFile
from collector.access.tokens import FREE, PREFIX, Binding, Scope, Token, id_in
from telemetry.clock import Clock

logger = logging.getLogger("davylamp.access")

ACCEPTED: Final = "Authorization: Bearer <token>"
#: A header may not be longer than this; ours has 65 characters after "Bearer ".
MAX_HEADER_CHARS: Final = 1_024
_NS_PER_S: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody, with what they may do."""

    #: The name of the token that was shown; empty for who showed none.
    name: str
    scopes: frozenset[Scope]
    binding: Binding = FREE

    def require(self, scope: Scope) -> None:
        """Raises Forbidden, or Unauthenticated for who showed no token."""
        if scope in self.scopes:
            return
        if not self.name:
            raise Unauthenticated(f"this needs a token with the scope {scope}", accepted=ACCEPTED)
        raise Forbidden(
            f"the token {self.name!r} may {', '.join(sorted(self.scopes))}, not {scope}",
            accepted=f"a token with the scope {scope}",
        )


#: The installation itself, and whoever reads its own token.
OWNER: Final = Caller("owner", frozenset(Scope))
#: Whoever connects on loopback while tokens are not required.
LOCAL: Final = Caller("", frozenset({Scope.INGEST, Scope.READ}))


class AccessDesk:
    """Both files are looked at for every question: a revoked token is over at once."""

    def __init__(self, config: AccessConfig, clock: Clock) -> None:
        self._config = config
        self._clock = clock
        self._file = TokenFile(config.tokens_file)
        self._stamp: Stamp | None = None
        self._tokens: Mapping[str, Token] = {}

    def caller(self, authorization: str | None) -> Caller:
        """Raises Unauthenticated. A token that is shown counts, also where none is required."""
        text = shown_token(authorization)
        # The owner's is no token of the file, so its own file need not be read for those that are.
        if text and id_in(text) is None and self._is_owner(text):
            return OWNER
        if text.startswith(PREFIX):
            return self._named(text)
        if not self._config.required:
            return LOCAL
        what = "the token is unknown" if text else "there is no token"
        raise Unauthenticated(what, accepted=ACCEPTED)

    def sender(self, authorization: str | None) -> Caller:
        """A caller who may send telemetry. Raises Unauthenticated or Forbidden."""
        caller = self.caller(authorization)
        caller.require(Scope.INGEST)
        return caller

    def _named(self, text: str) -> Caller:
        token_id = id_in(text)
        token = self._kept().get(token_id) if token_id else None
        if token is None or not token.is_text(text):
            raise Unauthenticated("the token is unknown or revoked", accepted=ACCEPTED)
        if token.is_over(self._clock.wall_unix_nano() / _NS_PER_S):
            raise Unauthenticated(f"the token {token.name!r} has expired", accepted=ACCEPTED)
        return Caller(token.name, token.scopes, token.binding)

    def _kept(self) -> Mapping[str, Token]:
        try:
            stamp = self._file.stamp()
            if stamp != self._stamp:
                self._tokens = self._file.read()
                self._stamp = stamp
        except TokenFileError:
            # Closed, not open: what was revoked may stand in the part that cannot be read.
            logger.exception("nobody is let in by a token")
            self._tokens, self._stamp = {}, None
        return self._tokens

    def _is_owner(self, text: str) -> bool:
        try:
            owner = self._config.owner_file.read_text().strip()
        except OSError:
            return False
        # An empty file would let an empty token in.
        return bool(owner) and hmac.compare_digest(text.encode(), owner.encode())


def shown_token(authorization: str | None) -> str:
    """The token in a header: that of Bearer, or the password of Basic; empty if there is none."""
    if not authorization or len(authorization) > MAX_HEADER_CHARS:
        return ""
    scheme, _, value = authorization.strip().partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() != "basic":
        return ""
    try:
        return base64.b64decode(value.strip(), validate=True).decode().partition(":")[2]
    except (binascii.Error, UnicodeDecodeError):
        return ""
