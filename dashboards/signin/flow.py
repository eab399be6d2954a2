"""One sign-in: from the redirect to the provider to a person and their scopes.

The browser keeps state, nonce and verifier sealed in a cookie, so that only the browser that set
out can come back, to whichever process: state guards against another's answer, nonce against
another's token, the verifier (PKCE, RFC 7636) against a stolen code.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from authlib.oauth2.rfc6749.parameters import prepare_grant_uri  # type: ignore[import-untyped]
from authlib.oauth2.rfc7636 import create_s256_code_challenge  # type: ignore[import-untyped]

from collector.access.tokens import Scope
from dashboards.signin.allowed import Person, only_named, person_of, require_known
from dashboards.signin.config import OidcConfig
from dashboards.signin.errors import BadAnswerError
from dashboards.signin.id_token import Expected, UnknownKeyError, verified
from dashboards.signin.provider import Metadata, Provider, Tokens
from telemetry.clock import Clock

#: Somebody may take this long at the provider.
ATTEMPT_S: Final = 600.0
_SCOPE: Final = "openid email profile"
_NONCE_BYTES: Final = 32
#: PKCE wants 43 to 128 characters; 48 bytes have 64.
_VERIFIER_BYTES: Final = 48


@dataclass(frozen=True, slots=True)
class Attempt:
    """What the browser keeps while somebody is at the provider."""

    state: str
    nonce: str
    verifier: str
    #: A path of ours to go on to.
    onward: str

    def to_json(self) -> dict[str, str]:
        """For the cookie."""
        return {
            "state": self.state,
            "nonce": self.nonce,
            "verifier": self.verifier,
            "onward": self.onward,
        }


class SignInFlow:
    """Of one set of settings."""

    def __init__(self, config: OidcConfig, clock: Clock) -> None:
        """Raises SignInSettingsError."""
        self._config = config
        self._clock = clock
        self._rules = config.rules
        self._provider = Provider(config, clock)

    async def begin(self, onward: str) -> tuple[str, Attempt]:
        """Where to send the browser, and what it keeps. Raises ProviderError."""
        metadata = await self._provider.metadata()
        attempt = Attempt(
            secrets.token_urlsafe(_NONCE_BYTES),
            secrets.token_urlsafe(_NONCE_BYTES),
            secrets.token_urlsafe(_VERIFIER_BYTES),
            onward,
        )
        url: str = prepare_grant_uri(
            metadata.authorization_endpoint,
            self._config.client_id,
            "code",
            self._config.redirect_uri,
            _SCOPE,
            attempt.state,
            nonce=attempt.nonce,
            code_challenge=create_s256_code_challenge(attempt.verifier),
            code_challenge_method="S256",
        )
        return url, attempt

    async def finish(self, attempt: Attempt, answer: Mapping[str, str]) -> Person:
        """The person who came back, with the groups that matter. Raises SignInError."""
        self._check(attempt, answer)
        metadata = await self._provider.metadata()
        tokens = await self._provider.exchange(metadata, answer["code"], attempt.verifier)
        claims = await self._claims(metadata, tokens, attempt)
        is_thin = "email" not in claims or self._config.groups_claim not in claims
        if is_thin and metadata.userinfo_endpoint:
            more = await self._provider.userinfo(metadata, tokens, claims["sub"])
            claims = {**more, **claims}
        person = person_of(claims, self._config.groups_claim)
        require_known(person, self._rules)
        return only_named(person, self._rules)

    def scopes(self, person: Person) -> frozenset[Scope]:
        """What somebody who has signed in may now. Raises NotAllowedError."""
        return require_known(person, self._rules)

    def _check(self, attempt: Attempt, answer: Mapping[str, str]) -> None:
        if not hmac.compare_digest(attempt.state.encode(), answer.get("state", "").encode()):
            raise BadAnswerError("state is not that of this browser's sign-in")
        if answer.get("iss", self._config.issuer) != self._config.issuer:
            raise BadAnswerError("another provider has answered (iss)")
        if "error" in answer:
            raise BadAnswerError(f"the provider says {answer['error'][:100]!r}")
        if not answer.get("code"):
            raise BadAnswerError("the provider's answer has no code")

    async def _claims(
        self, metadata: Metadata, tokens: Tokens, attempt: Attempt
    ) -> Mapping[str, Any]:
        expected = Expected(
            self._config.issuer, self._config.client_id, attempt.nonce, tokens.access_token
        )
        now_s = self._clock.wall_unix_nano() / 1e9
        try:
            return verified(tokens.id_token, metadata.keys, expected, now_s)
        except UnknownKeyError:
            # It may sign with a key that is new since we asked.
            metadata = await self._provider.metadata(is_fresh=True)
        try:
            return verified(tokens.id_token, metadata.keys, expected, now_s)
        except UnknownKeyError as error:
            raise BadAnswerError(f"the ID token is not signed by the provider: {error}") from None
