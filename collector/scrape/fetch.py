"""One page over HTTP, within its time, its size and its host."""

from __future__ import annotations

import asyncio
import base64
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiohttp
from yarl import URL

from collector.receivers.in_flight import InFlight, Lease
from collector.scrape.errors import FetchFailed, LimitPassed
from collector.scrape.jobs import Credentials
from collector.scrape.targets import Target
from collector.wire.compression import decompress
from collector.wire.errors import Malformed, TooLarge, UnsupportedEncoding

OPENMETRICS: Final = "application/openmetrics-text"
TEXT: Final = "text/plain"
ACCEPT: Final = (
    f"{OPENMETRICS};version=1.0.0;escaping=allow-utf-8;q=0.7,{OPENMETRICS};version=1.0.0;q=0.6,"
    f"{OPENMETRICS};version=0.0.1;q=0.5,"
    f"{TEXT};version=1.0.0;escaping=allow-utf-8;q=0.4,{TEXT};version=0.0.4;q=0.3,*/*;q=0.1"
)
MAX_REDIRECTS: Final = 5
MAX_SECRET_BYTES: Final = 65_536
_CHUNK_BYTES: Final = 65_536
_REDIRECTS: Final = frozenset((301, 302, 303, 307, 308))


@dataclass(frozen=True, slots=True)
class Fetched:
    """A page and the format it is in: OPENMETRICS or TEXT."""

    body: bytes
    content_type: str


class Fetcher:
    """Asks targets; lives on one event loop. ``close`` it in the end."""

    def __init__(self, in_flight: InFlight) -> None:
        self._in_flight = in_flight
        # Neither cookies nor a proxy of the environment: a target is asked directly, as written.
        self._session = aiohttp.ClientSession(
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            connector=aiohttp.TCPConnector(limit=0, limit_per_host=0),
            timeout=aiohttp.ClientTimeout(total=None),
        )

    async def close(self) -> None:
        """Close every connection."""
        await self._session.close()

    async def fetch(self, target: Target) -> Fetched:
        """The page; raises FetchFailed, LimitPassed or BacklogFull (too much is arriving)."""
        try:
            async with asyncio.timeout(target.timeout_s):
                with self._in_flight.lease() as lease:
                    return await self._followed(target, lease)
        except TimeoutError:
            raise FetchFailed("timeout", f"no page within {target.timeout_s:g} s") from None
        except (aiohttp.ClientError, ValueError, OSError) as error:
            said = str(error) or type(error).__name__
            raise FetchFailed("unreachable", said[:300]) from None

    async def _followed(self, target: Target, lease: Lease) -> Fetched:
        headers = await _headers(target)
        url = URL(target.url)
        for _ in range(MAX_REDIRECTS + 1):
            async with self._session.get(url, headers=headers, allow_redirects=False) as answer:
                if answer.status in _REDIRECTS:
                    url = _next(url, answer, target)
                    continue
                if answer.status != 200:
                    raise FetchFailed("status", f"answered {answer.status}, not 200")
                content_type = _format_of(answer, target)
                raw = await _read(answer, target, lease)
                body = await asyncio.to_thread(_plain, raw, answer, target)
                lease.grow_to(len(raw) + len(body))
                return Fetched(body, content_type)
        raise FetchFailed("redirect", f"more than {MAX_REDIRECTS} redirects")


async def _headers(target: Target) -> dict[str, str]:
    headers = {
        "Accept": ACCEPT,
        "Accept-Encoding": "gzip" if target.job.is_compressed else "identity",
        "User-Agent": "davylamp",
        "X-Prometheus-Scrape-Timeout-Seconds": f"{target.timeout_s:g}",
    }
    if target.job.credentials is not None:
        headers["Authorization"] = await asyncio.to_thread(_authorization, target.job.credentials)
    return headers


def _authorization(credentials: Credentials) -> str:
    secret = credentials.secret
    if credentials.secret_file is not None:
        secret = _secret_of(credentials.secret_file)
    if credentials.kind == "Basic":
        secret = base64.b64encode(f"{credentials.user}:{secret}".encode()).decode()
    return f"{credentials.kind} {secret}"


def _secret_of(path: Path) -> str:
    try:
        with path.open("rb") as file:
            secret = file.read(MAX_SECRET_BYTES).decode().strip()
    except (OSError, UnicodeDecodeError):
        raise FetchFailed("credentials", f"{path} cannot be read") from None
    if not secret.isprintable():
        raise FetchFailed("credentials", f"{path} holds characters a header cannot")
    return secret


def _next(url: URL, answer: aiohttp.ClientResponse, target: Target) -> URL:
    """Where a redirect leads. Off the target's own host it would be somebody else's page."""
    location = answer.headers.get("Location", "")
    if not target.job.follow_redirects or not location:
        raise FetchFailed("redirect", f"answered {answer.status}, which is not followed")
    following = url.join(URL(location))
    is_same = (following.scheme, following.host, following.port) == (url.scheme, url.host, url.port)
    if not is_same:
        raise FetchFailed("redirect", f"redirects to another host: {following.authority[:200]}")
    return following


def _format_of(answer: aiohttp.ClientResponse, target: Target) -> str:
    said = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if said in {OPENMETRICS, TEXT}:
        return said
    if not target.job.fallback_content_type:
        raise FetchFailed(
            "content_type", f"content type {said[:80]!r}; accepted: {OPENMETRICS}, {TEXT}"
        )
    return target.job.fallback_content_type


async def _read(answer: aiohttp.ClientResponse, target: Target, lease: Lease) -> bytes:
    limit = target.job.limits.body_bytes
    declared = answer.content_length or 0
    if declared > limit:
        raise _too_large(limit)
    chunks: list[bytes] = []
    size = 0
    async for chunk in answer.content.iter_chunked(_CHUNK_BYTES):
        size += len(chunk)
        if size > limit:
            raise _too_large(limit)
        lease.grow_to(size)
        chunks.append(chunk)
    return b"".join(chunks)


def _plain(raw: bytes, answer: aiohttp.ClientResponse, target: Target) -> bytes:
    encoding = answer.headers.get("Content-Encoding", "").strip().lower()
    limit = target.job.limits.body_bytes
    try:
        return decompress(raw, encoding, max_bytes=limit)
    except TooLarge:
        raise _too_large(limit) from None
    except (Malformed, UnsupportedEncoding) as error:
        raise FetchFailed("encoding", str(error)) from None


def _too_large(limit: int) -> LimitPassed:
    return LimitPassed("body_size_limit", f"the page has more than {limit} bytes")
