"""Cookies that nobody but us can read or make: sealed, with an end and a purpose inside."""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from typing import Any, Final

import orjson

from collector.access import sealed
from collector.access.errors import SealedError
from collector.access.sealed import SealingKey

#: Browsers keep no larger one.
MAX_COOKIE_CHARS: Final = 4_000


@dataclass(frozen=True, slots=True)
class Cookie:
    """One kind of cookie. What is sealed for one does not open as another."""

    name: str
    path: str
    key: SealingKey = field(repr=False)
    #: Only over TLS.
    is_secure: bool

    def made(self, content: Mapping[str, Any], now_unix_s: float, lifetime_s: float) -> str:
        """A Set-Cookie header. Raises ValueError for what does not fit."""
        body = orjson.dumps({**content, "ends": now_unix_s + lifetime_s}).decode()
        nonce = os.urandom(sealed.NONCE_BYTES)
        text = sealed.seal(body, self.key, self.name, nonce).removeprefix(sealed.PREFIX)
        value = base64.urlsafe_b64encode(base64.b64decode(text)).decode().rstrip("=")
        if len(value) > MAX_COOKIE_CHARS:
            raise ValueError(f"a cookie of {len(value)} characters")
        return self._header(value, f"Max-Age={int(lifetime_s)}")

    def ended(self) -> str:
        """A Set-Cookie header that takes it away."""
        return self._header("", "Max-Age=0")

    def content(self, header: str, now_unix_s: float) -> Mapping[str, Any] | None:
        """What is in a request's Cookie header; None: nothing of ours, or its time is over."""
        jar: SimpleCookie = SimpleCookie()
        try:
            jar.load(header)
            text = jar[self.name].value
            raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
            body, _ = sealed.unseal(
                sealed.PREFIX + base64.b64encode(raw).decode(), [self.key], self.name
            )
        except (CookieError, KeyError, ValueError, binascii.Error, SealedError):
            return None
        found: Mapping[str, Any] = orjson.loads(body)
        return found if now_unix_s < found["ends"] else None

    def _header(self, value: str, age: str) -> str:
        words = [f"{self.name}={value}", f"Path={self.path}", age, "HttpOnly", "SameSite=Lax"]
        return "; ".join([*words, "Secure"] if self.is_secure else words)
