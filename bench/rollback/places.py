"""Where a webhook may go: addresses, URLs, names that change their mind."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from analysis.webhooks import outcome
from analysis.webhooks.addresses import refusal
from analysis.webhooks.connector import GuardedConnector
from analysis.webhooks.targets import Rules, TargetError, check_answers, check_peer, parse_target

Case = Mapping[str, Any]
PLAIN_HTTP = "block-unless-plain-http-allowed"


def judge_address(case: Case) -> list[str]:
    """Block or allow."""
    said = "allow" if refusal(case["address"]) is None else "block"
    return [] if said == case["expected"] else [f"{said}: {refusal(case['address'])}"]


def other_packages(cases: list[dict[str, Any]]) -> Mapping[str, int]:
    """Right answers of other address checks, as the file records them."""
    right: Counter[str] = Counter()
    for case in cases:
        for name, said in case.get("observed", {}).items():
            right[name] += said == case["expected"]
    return dict(right)


def judge_url(case: Case) -> list[str]:
    """A URL as it stands, or a host together with what it resolves to."""
    url = case.get("url") or f"https://{case['host']}/"
    answers = [case["getaddrinfo"]] if case.get("getaddrinfo") else ["8.8.8.8"]
    said = _said(url, answers, Rules())
    wanted = case["expected"]
    if wanted == PLAIN_HTTP:
        with_plain = _said(url, answers, Rules(ports=frozenset({80, 443}), plain_http=True))
        return [] if (said, with_plain) == ("block", "allow") else [f"{said}, then {with_plain}"]
    return [] if said == wanted else [said]


def _said(url: str, answers: Sequence[str], rules: Rules) -> str:
    try:
        target = parse_target(url, rules)
        check_answers(target, [target.address] if target.address else answers, rules)
    except TargetError:
        return "block"
    return "allow"


def judge_rebinding(case: Case) -> list[str]:
    """Names that change between look-ups, mixed answers, redirects, another peer than checked."""
    if "response" in case:
        meaning = outcome.of_status(case["response"]["status"])
        is_failure = meaning.kind is not outcome.OutcomeKind.DELIVERED
        return [] if is_failure else ["a redirect counts as delivered"]
    if "answers" in case:
        return asyncio.run(_dialled(case))
    return asyncio.run(_wrong_peer())


class _Answers(AbstractResolver):
    """Gives one prepared answer after the other, the last one for ever."""

    def __init__(self, answers: Sequence[Sequence[str]]) -> None:
        self._answers = list(answers)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        del family
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        return [
            ResolveResult(
                hostname=host, host=one, port=port, family=socket.AF_INET, proto=0, flags=0
            )
            for one in answer
        ]

    async def close(self) -> None:
        """Nothing is held."""


async def _dialled(case: Case) -> list[str]:
    """Two attempts; nothing may be dialled but what is public in an answer that is wholly so."""
    dialled: list[str] = []

    class Recorded(GuardedConnector):
        async def _wrap_create_connection(self, *args: Any, addr_infos: Any, **more: Any) -> Any:
            # No packet leaves this machine: what would be dialled is what is asked.
            del args, more
            dialled.extend(info[4][0] for info in addr_infos)
            raise aiohttp.ClientConnectionError("not dialled")

    connector = Recorded(Rules(), _Answers(case["answers"]))
    async with aiohttp.ClientSession(connector=connector) as session:
        for _ in range(2):
            try:
                await session.post("https://hooks.example.com/")
            except (aiohttp.ClientError, OSError):
                continue
    wrong = [address for address in dialled if refusal(address) is not None]
    return [f"dialled {address}" for address in wrong]


async def _wrong_peer() -> list[str]:
    """A connection that ends elsewhere than was checked is closed before a byte is sent."""
    got: list[bytes] = []

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        got.append(await reader.read(65_536))
        writer.close()

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]

    class Diverted(GuardedConnector):
        def _convert_hosts_to_addr_infos(self, hosts: Any) -> Any:
            found = super()._convert_hosts_to_addr_infos(hosts)
            return [
                (f, kind, proto, name, ("127.0.0.1", port)) for f, kind, proto, name, _ in found
            ]

    problems = []
    connector = Diverted(Rules(plain_http=True), _Answers([["8.8.8.8"]]))
    async with server, aiohttp.ClientSession(connector=connector) as session:
        try:
            await session.post("http://hooks.example.com:443/", data=b"secret")
            problems.append("the request was sent")
        except aiohttp.ClientConnectionError as error:
            if "was not among the addresses checked" not in str(error):
                problems.append(str(error))
        await asyncio.sleep(0.05)
    try:
        check_peer(["8.8.8.8"], "127.0.0.1")
        problems.append("the peer is accepted")
    except TargetError:
        pass
    return problems + [f"{len(b)} bytes arrived" for b in got if b]
