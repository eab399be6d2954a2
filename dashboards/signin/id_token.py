"""The ID token: who signed in, by the provider's signature (OpenID Connect Core 1.0, 3.1.3.7)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from authlib.oidc.core import CodeIDToken  # type: ignore[import-untyped]
from joserfc import jwt
from joserfc.errors import ExpiredTokenError, InvalidClaimError, JoseError, MissingClaimError
from joserfc.jwk import JWKRegistry, KeySet

from dashboards.signin.errors import BadAnswerError

#: Signatures only the provider can make: neither "none" nor a secret that we know, too.
ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384")
#: Clocks may differ this much.
LEEWAY_S: Final = 60
_KINDS: Final = frozenset({"RSA", "EC"})


class UnknownKeyError(Exception):
    """No key of the provider fits the token; it may have a new one."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What the token must say."""

    issuer: str
    client_id: str
    nonce: str
    access_token: str


def keys_of(document: Mapping[str, Any]) -> KeySet:
    """The signing keys of a JWKS that can be used here; the others are passed over."""
    found = []
    listed = document.get("keys")
    for one in listed if isinstance(listed, list) else []:
        if not isinstance(one, dict) or one.get("kty") not in _KINDS or one.get("use") == "enc":
            continue
        try:
            found.append(JWKRegistry.import_key(one))
        except (JoseError, ValueError, TypeError, KeyError):
            continue
    return KeySet(found)


def verified(text: str, keys: KeySet, expected: Expected, now_unix_s: float) -> Mapping[str, Any]:
    """The claims. Raises BadAnswerError, which says what is wrong; UnknownKeyError."""
    try:
        token = jwt.decode(text, keys, algorithms=ALGORITHMS)
    except JoseError as error:
        if error.error in {"invalid_key_id", "bad_signature", "missing_key"}:
            raise UnknownKeyError(_words(error)) from None
        raise BadAnswerError(f"the ID token cannot be read: {_words(error)}") from None
    except ValueError:
        raise BadAnswerError("the ID token cannot be read") from None
    claims = CodeIDToken(
        token.claims,
        token.header,
        options={
            "iss": {"essential": True, "value": expected.issuer},
            "aud": {"essential": True, "value": expected.client_id},
            "sub": {"essential": True},
            "nonce": {"essential": True, "value": expected.nonce},
        },
        params={
            "client_id": expected.client_id,
            "nonce": expected.nonce,
            "access_token": expected.access_token,
        },
    )
    try:
        claims.validate(now=int(now_unix_s), leeway=LEEWAY_S)
    except ExpiredTokenError:
        raise BadAnswerError("the ID token has expired; are both clocks right?") from None
    except (MissingClaimError, InvalidClaimError) as error:
        wrong = "is missing" if isinstance(error, MissingClaimError) else "is not ours"
        raise BadAnswerError(f"{error.claim} of the ID token {wrong}") from None
    except JoseError as error:
        raise BadAnswerError(f"the ID token is not for us: {_words(error)}") from None
    if not isinstance(claims["sub"], str) or not claims["sub"]:
        raise BadAnswerError("sub of the ID token is not text")
    return dict(claims)


def _words(error: JoseError) -> str:
    return str(error.description or error.error)
