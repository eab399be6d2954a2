"""Settings of signing in. No defaults here: values live in ``davylamp/defaults.toml``."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from dashboards.signin.allowed import Rule, parse_rules
from dashboards.signin.errors import SignInSettingsError

if TYPE_CHECKING:
    from collector.access.secret_files import SecretFiles

_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})
MAX_SESSION_S: Final = 7 * 86_400
_CLAIM: Final = re.compile(r"[A-Za-z0-9_.:/-]{1,100}")


@dataclass(frozen=True, slots=True)
class OidcConfig:
    """Where people sign in, and who of them may what."""

    #: The provider's issuer identifier; empty = nobody signs in this way.
    issuer: str
    client_id: str
    #: File with the client's secret, plain or encrypted; empty = a public client (PKCE alone).
    client_secret_file: str
    #: ``<who>=<scope>``: an address, @domain or group:name, and read or admin.
    allowed: tuple[str, ...]
    #: The claim that lists a person's groups.
    groups_claim: str
    #: How browsers reach the pages, such as https://lamp.example; no path.
    public_url: str
    #: Seconds after which somebody has to sign in again.
    session_s: float
    #: A certificate authority's file beside the machine's own; empty = those alone.
    ca_file: str
    #: The key of sessions, made at the first start.
    session_key_file: Path
    #: How the client's secret is opened.
    secret_key_file: str
    environment_secret_key: str = field(repr=False)
    secrets_must_be_encrypted: bool

    @property
    def is_on(self) -> bool:
        """Whether people can sign in."""
        return bool(self.issuer)

    @property
    def is_secure(self) -> bool:
        """Whether browsers speak TLS to us, so that cookies may insist on it."""
        return self.public_url.startswith("https://")

    @property
    def redirect_uri(self) -> str:
        """Where the provider sends people back to; it has to know it."""
        return self.public_url.rstrip("/") + "/signin/callback"

    @property
    def secret_files(self) -> SecretFiles:
        """How the client's secret is opened."""
        # Pages without signing in need no cryptography.
        from collector.access.secret_files import SecretFiles  # noqa: PLC0415

        return SecretFiles(
            Path(self.secret_key_file) if self.secret_key_file else None,
            self.environment_secret_key,
            must_be_encrypted=self.secrets_must_be_encrypted,
        )

    @property
    def rules(self) -> tuple[Rule, ...]:
        """Who may what. Raises SignInSettingsError."""
        return parse_rules(self.allowed)


def check(config: OidcConfig, *, is_access_required: bool) -> None:
    """Refuse what cannot work, before anything is started. Raises SignInSettingsError."""
    if not config.is_on:
        return
    if not is_access_required:
        raise SignInSettingsError(
            "issuer is set, but nobody has to sign in without [access] required = true"
        )
    for name, url in (("issuer", config.issuer), ("public_url", config.public_url)):
        if not is_trusted_url(url):
            raise SignInSettingsError(f"{name} = {url!r}; accepted: https://.., http on loopback")
    if urlsplit(config.public_url).path.strip("/"):
        raise SignInSettingsError(f"public_url = {config.public_url!r}; accepted: without a path")
    if not config.client_id:
        raise SignInSettingsError("client_id is empty; accepted: that of the provider's client")
    if not _CLAIM.fullmatch(config.groups_claim):
        raise SignInSettingsError(f"groups_claim = {config.groups_claim!r}; accepted: as groups")
    if not 60 <= config.session_s <= MAX_SESSION_S:
        raise SignInSettingsError(
            f"session_s = {config.session_s}; accepted: 60 to {MAX_SESSION_S}"
        )
    if not config.rules:
        raise SignInSettingsError("allowed is empty: nobody could sign in")


def is_trusted_url(url: str) -> bool:
    """TLS, or a port of this machine; no user name, query or fragment."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        is_plain = not (parts.username or parts.password or parts.query or parts.fragment)
        _ = parts.port
    except ValueError:
        return False
    is_safe = parts.scheme == "https" or (parts.scheme == "http" and host in _LOOPBACK)
    return bool(host) and is_safe and is_plain
