"""One request to a receiver: signed, timed, bounded, and what its answer means."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

import aiohttp

from analysis.config import EndpointConfig
from analysis.decisions.records import Lease
from analysis.errors import SecretError
from analysis.webhooks import outcome, signing
from analysis.webhooks.addresses import parse_networks
from analysis.webhooks.connector import GuardedConnector
from analysis.webhooks.events import CONTENT_TYPE
from analysis.webhooks.outcome import Outcome
from analysis.webhooks.schedule import parse_retry_after
from analysis.webhooks.targets import Rules, TargetError, parse_target
from collector.access.secret_files import PLAIN, SecretFiles

CONNECT_TIMEOUT_S: Final = 5.0
TOTAL_TIMEOUT_S: Final = 10.0
#: Reading of an answer's body stops here; its status counts whatever follows.
MAX_ANSWER_BYTES: Final = 16 * 1024
#: Of which this much is kept for people.
MAX_EXCERPT_CHARS: Final = 300
USER_AGENT: Final = "davylamp"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. ``status`` is None when nothing did; ``error`` is for people."""

    outcome: Outcome
    status: int | None
    error: str | None
    retry_after_s: float | None = None


def rules_of(endpoint: EndpointConfig) -> Rules:
    """Where this endpoint may lead. Raises TargetError if its settings cannot be read."""
    try:
        allowed = parse_networks(endpoint.allowed_networks)
    except ValueError as error:
        raise TargetError(f"allowed_networks: {error}; accepted: such as 10.1.0.0/16") from None
    return Rules(allowed=allowed, plain_http=endpoint.plain_http)


def new_session(rules: Rules) -> aiohttp.ClientSession:
    """A client that trusts nothing around it: no proxies from the environment, no cookies."""
    return aiohttp.ClientSession(
        connector=GuardedConnector(rules),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        auto_decompress=False,
        skip_auto_headers=("Accept-Encoding", "Accept"),
    )


async def send(
    session: aiohttp.ClientSession,
    endpoint: EndpointConfig,
    lease: Lease,
    now_unix_nano: int,
    most_s: float = TOTAL_TIMEOUT_S,
    files: SecretFiles = PLAIN,
) -> Answer:
    """Post a command once. Never raises for the world's doing.

    It ends before the command does, and within ``most_s`` seconds.
    """
    try:
        keys = signing.read_secrets(endpoint.secret_file, files)
    except SecretError as error:
        return Answer(outcome.NO_SECRET, None, str(error))
    seconds = now_unix_nano // 1_000_000_000
    headers = signing.headers(keys, lease.webhook_id, seconds, lease.body)
    headers["content-type"] = CONTENT_TYPE
    total_s = min(TOTAL_TIMEOUT_S, most_s, (lease.expires_unix_nano - now_unix_nano) / 1e9)
    return await post(
        session, endpoint, lease.body, headers, now_unix_nano=now_unix_nano, total_s=total_s
    )


async def post(
    session: aiohttp.ClientSession,
    endpoint: EndpointConfig,
    body: bytes,
    headers: dict[str, str],
    *,
    now_unix_nano: int,
    total_s: float,
) -> Answer:
    """One request of at most ``total_s`` seconds to where the endpoint's rules allow."""
    try:
        parse_target(endpoint.url, rules_of(endpoint))
    except TargetError as error:
        return Answer(outcome.REFUSED_TARGET, None, str(error))
    headers = {**headers, "user-agent": USER_AGENT}
    timeout = aiohttp.ClientTimeout(total=total_s, sock_connect=CONNECT_TIMEOUT_S)
    try:
        async with session.post(
            endpoint.url, data=body, headers=headers, timeout=timeout, allow_redirects=False
        ) as reply:
            return await _answer(reply, now_unix_nano)
    except TimeoutError:
        return Answer(outcome.NO_ANSWER, None, f"no answer within {total_s:.3g} s")
    except (aiohttp.ClientError, OSError, ValueError) as error:
        return Answer(outcome.NO_ANSWER, None, f"{type(error).__name__}: {error}")


async def _answer(reply: aiohttp.ClientResponse, now_unix_nano: int) -> Answer:
    meaning = outcome.of_status(reply.status)
    if meaning.kind is outcome.OutcomeKind.DELIVERED:
        return Answer(meaning, reply.status, None)
    hint = reply.headers.get("retry-after") if meaning.wants_retry_after else None
    return Answer(
        meaning, reply.status, await _excerpt(reply), parse_retry_after(hint, now_unix_nano)
    )


async def _excerpt(reply: aiohttp.ClientResponse) -> str:
    """The beginning of an answer's body as printable text; "" when it cannot be read."""
    parts = bytearray()
    try:
        while len(parts) < MAX_ANSWER_BYTES:
            part = await reply.content.read(MAX_ANSWER_BYTES - len(parts))
            if not part:
                break
            parts += part
    except (aiohttp.ClientError, TimeoutError, asyncio.IncompleteReadError, OSError):
        pass  # the status is what counts
    text = " ".join(parts.decode("utf-8", "replace").split())
    return "".join(c for c in text if c.isprintable())[:MAX_EXCERPT_CHARS]
