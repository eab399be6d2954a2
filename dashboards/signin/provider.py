"""The provider over HTTP: its discovery document, its keys, and a code for tokens."""

from __future__ import annotations

import base64
import logging
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote_plus

import aiohttp
import orjson
from joserfc.jwk import KeySet

from collector.access.errors import SealedError
from collector.access.secret_files import SecretKind
from dashboards.signin.config import OidcConfig, is_trusted_url
from dashboards.signin.errors import BadAnswerError, ProviderError, SignInSettingsError
from dashboards.signin.id_token import keys_of
from telemetry.clock import Clock

logger = logging.getLogger("dashboards.signin")

TIMEOUT_S: Final = 10.0
MAX_ANSWER_BYTES: Final = 512 * 1024
#: The discovery document and the keys are asked for again after this long.
FRESH_S: Final = 3_600.0
_DISCOVERY: Final = "/.well-known/openid-configuration"
_ENDPOINTS: Final = ("authorization_endpoint", "token_endpoint", "jwks_uri")


@dataclass(frozen=True, slots=True)
class Metadata:
    """What of the discovery document is used."""

    authorization_endpoint: str
    token_endpoint: str
    #: Empty: it has none.
    userinfo_endpoint: str
    takes_basic: bool
    keys: KeySet = field(repr=False)
    read_at_s: float


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a code was exchanged for."""

    id_token: str = field(repr=False)
    access_token: str = field(repr=False)


class Provider:
    """Every method raises ProviderError when the provider cannot be asked or makes no sense."""

    def __init__(self, config: OidcConfig, clock: Clock) -> None:
        """Raises SignInSettingsError for files that cannot be read."""
        self._config = config
        self._clock = clock
        self._kept: Metadata | None = None
        self._tls = ssl.create_default_context()
        try:
            if config.ca_file:
                self._tls.load_verify_locations(config.ca_file)
            self._secret()
        except OSError as error:  # ssl.SSLError is one
            raise SignInSettingsError(f"ca_file {config.ca_file}: {error.strerror}") from None
        except SealedError as error:
            raise SignInSettingsError(f"client_secret_file: {error}") from None

    async def metadata(self, *, is_fresh: bool = False) -> Metadata:
        """The provider's addresses and keys; ``is_fresh``: asked for now, not remembered."""
        kept = self._kept
        if kept is not None and not is_fresh and kept.read_at_s + FRESH_S > self._now_s():
            return kept
        issuer = self._config.issuer
        found = await self._ask("GET", issuer.rstrip("/") + _DISCOVERY)
        # Else somebody who answers there could send people, and their codes, anywhere.
        if found.get("issuer") != issuer:
            raise ProviderError(
                f"the provider calls itself {str(found.get('issuer'))[:200]!r}, not {issuer!r}"
            )
        for name in _ENDPOINTS:
            if not _is_endpoint(found.get(name)):
                raise ProviderError(f"{name} of the provider is missing or is not https")
        userinfo = found.get("userinfo_endpoint")
        ways = found.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        self._kept = Metadata(
            authorization_endpoint=str(found["authorization_endpoint"]),
            token_endpoint=str(found["token_endpoint"]),
            userinfo_endpoint=str(userinfo) if _is_endpoint(userinfo) else "",
            takes_basic="client_secret_basic" in ways if isinstance(ways, list) else True,
            keys=keys_of(await self._ask("GET", found["jwks_uri"])),
            read_at_s=self._now_s(),
        )
        return self._kept

    async def exchange(self, metadata: Metadata, code: str, verifier: str) -> Tokens:
        """Tokens for a code. Raises BadAnswerError when the provider refuses it."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._config.redirect_uri,
            "code_verifier": verifier,
        }
        headers: dict[str, str] = {}
        try:
            secret = self._secret()
        except SealedError as error:
            logger.warning("nobody can sign in: %s", error)
            raise ProviderError("the client's secret cannot be read; the log says why") from None
        client_id = self._config.client_id
        if secret and metadata.takes_basic:
            # Both are form-encoded first: RFC 6749, 2.3.1.
            pair = f"{quote_plus(client_id)}:{quote_plus(secret)}".encode()
            headers["Authorization"] = "Basic " + base64.b64encode(pair).decode()
        else:
            form |= {"client_id": client_id} | ({"client_secret": secret} if secret else {})
        found = await self._ask("POST", metadata.token_endpoint, form=form, headers=headers)
        id_token, access_token = found.get("id_token"), found.get("access_token")
        if not isinstance(id_token, str) or not isinstance(access_token, str):
            raise ProviderError("the provider gave no ID token or no access token")
        return Tokens(id_token, access_token)

    async def userinfo(self, metadata: Metadata, tokens: Tokens, subject: str) -> Mapping[str, Any]:
        """More claims about the same person. Raises BadAnswerError for another one's."""
        headers = {"Authorization": f"Bearer {tokens.access_token}"}
        found = await self._ask("GET", metadata.userinfo_endpoint, headers=headers)
        if found.get("sub") != subject:
            raise BadAnswerError("the provider's userinfo is about somebody else")
        return found

    def _secret(self) -> str:
        if not self._config.client_secret_file:
            return ""
        path = Path(self._config.client_secret_file)
        return self._config.secret_files.read(path, SecretKind.OIDC_CLIENT).strip()

    async def _ask(
        self,
        method: str,
        url: str,
        *,
        form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Mapping[str, Any]:
        """One request, no redirects, a bounded JSON object. Messages hold the URL, nothing sent."""
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        connector = aiohttp.TCPConnector(ssl=self._tls)
        try:
            async with (
                aiohttp.ClientSession(
                    timeout=timeout, connector=connector, cookie_jar=aiohttp.DummyCookieJar()
                ) as session,
                session.request(
                    method,
                    url,
                    data=form,
                    headers={"Accept": "application/json", **(headers or {})},
                    allow_redirects=False,
                ) as reply,
            ):
                raw = await _limited(reply)
                status = reply.status
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            raise ProviderError(f"{url} cannot be asked: {type(error).__name__}") from None
        try:
            found = orjson.loads(raw)
        except orjson.JSONDecodeError:
            found = None
        if status in (400, 401) and form is not None:
            why = found.get("error") if isinstance(found, dict) else None
            raise BadAnswerError(f"the provider refuses the code: {str(why)[:100]}")
        if status != 200 or not isinstance(found, dict):
            raise ProviderError(f"{url} answers {status} and no JSON object")
        return found

    def _now_s(self) -> float:
        return self._clock.monotonic_s()


def _is_endpoint(url: object) -> bool:
    # Some providers' endpoints have a query.
    return isinstance(url, str) and is_trusted_url(url.partition("?")[0])


async def _limited(reply: aiohttp.ClientResponse) -> bytes:
    """Raises ValueError for more than MAX_ANSWER_BYTES."""
    raw = b""
    async for part in reply.content.iter_any():
        raw += part
        if len(raw) > MAX_ANSWER_BYTES:
            raise ValueError
    return raw
