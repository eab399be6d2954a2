"""The two cookies of signing in, under the installation's key for sessions."""

from __future__ import annotations

from typing import Final

from collector.access import sealed
from collector.access.errors import SealedError
from collector.access.secret_files import read_text
from dashboards.signin.config import OidcConfig
from dashboards.signin.cookies import Cookie
from dashboards.signin.errors import SignInSettingsError

SESSION_NAME: Final = "davylamp_session"
ATTEMPT_NAME: Final = "davylamp_signin"


def cookies(config: OidcConfig) -> tuple[Cookie, Cookie]:
    """Those of sessions and of attempts. Raises SignInSettingsError."""
    try:
        key = sealed.parse_keys(read_text(config.session_key_file), str(config.session_key_file))[0]
    except SealedError as error:
        raise SignInSettingsError(f"sessions have no key: {error}") from None
    # The prefix makes browsers refuse one that another host of the domain has set.
    prefix = "__Host-" if config.is_secure else ""
    return (
        Cookie(prefix + SESSION_NAME, "/", key, config.is_secure),
        Cookie(ATTEMPT_NAME, "/signin", key, config.is_secure),
    )
