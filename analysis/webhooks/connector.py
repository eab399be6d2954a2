"""Connections that go only where the rules allow, decided on the address really connected to."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.client_reqrep import ClientRequest
from aiohttp.resolver import ThreadedResolver

from analysis.webhooks.targets import Rules, Target, TargetError, check_answers, check_peer


class GuardedConnector(aiohttp.TCPConnector):
    """Looks a name up once per attempt, checks every answer, and connects to none but those.

    No address is remembered between attempts: a name may point elsewhere by then. Connections are
    not kept either: commands are rare, and a kept one that its server has just closed would cost a
    failed attempt.
    """

    def __init__(self, rules: Rules, resolver: AbstractResolver | None = None) -> None:
        self._guard = _GuardedResolver(rules, resolver or ThreadedResolver())
        super().__init__(
            resolver=self._guard,
            use_dns_cache=False,
            force_close=True,
            limit=0,
        )

    async def _resolve_host(
        self, host: str, port: int, traces: Sequence[Any] | None = None
    ) -> list[ResolveResult]:
        # aiohttp does not ask its resolver about hosts that are addresses: those are checked too.
        del traces
        return await self._guard.resolve(host, port)

    async def _create_connection(
        self,
        req: ClientRequest,
        traces: list[Any],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - the signature of what is overridden
    ) -> Any:
        protocol = await super()._create_connection(req, traces, timeout)
        transport = protocol.transport
        peer = None if transport is None else transport.get_extra_info("peername")
        try:
            check_peer(self._guard.answers(req.url.raw_host or ""), str(peer[0] if peer else ""))
        except TargetError as error:
            protocol.close()
            raise aiohttp.ClientConnectionError(str(error)) from error
        return protocol


class _GuardedResolver(AbstractResolver):
    """Answers that break the rules are an error of the look-up."""

    def __init__(self, rules: Rules, inner: AbstractResolver) -> None:
        self._rules = rules
        self._inner = inner
        self._answers: dict[str, tuple[str, ...]] = {}

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        found = await self._inner.resolve(host, port, family)
        addresses = tuple(str(answer["host"]) for answer in found)
        # The scheme was judged when the URL was read; here only where it leads.
        try:
            check_answers(Target(host, port, is_tls=True, address=None), addresses, self._rules)
        except TargetError as error:
            raise OSError(None, str(error)) from error
        self._answers[host] = addresses
        return found

    def answers(self, host: str) -> tuple[str, ...]:
        """What the newest look-up of ``host`` led to."""
        return self._answers.get(host, ())

    async def close(self) -> None:
        self._answers.clear()
        await self._inner.close()
