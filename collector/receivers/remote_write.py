"""Prometheus remote-write 1.0 and 2.0: POST /api/v1/write, as a plain ASGI application.

Answers by the specification (docs/specs/prw/remote_write_spec_2_0.md): 204 if all was taken; 400
with the reasons if some was not, the rest being durable all the same; 415 for another message or
encoding; 429 and 503 to try again. Every answer says how many samples were written.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from collector.access.desk import AccessDesk
from collector.access.errors import Forbidden
from collector.asgi import Application, Message, Receive, Send
from collector.config import LimitsConfig
from collector.model import Signal
from collector.pipeline.intake import INLINE_BYTES
from collector.receivers.body import HungUpError, read_body
from collector.receivers.in_flight import InFlight, Lease
from collector.receivers.refusal import INTERNAL, Refusal, http_headers, refusal_of
from collector.samples.decode import first_version
from collector.samples.intake import SampleIntake, TakenSamples
from collector.samples.snappy import decompress_block
from collector.selfmetrics import SelfMetrics
from collector.wire.errors import UnsupportedEncoding
from collector.wire.reasons import Reason

logger = logging.getLogger("collector.remote_write")

#: The second one is a Prometheus server's, for whoever takes the data source's address for both.
PATHS: Final = frozenset({"/api/v1/write", "/prometheus/api/v1/write"})
FIRST: Final = "prometheus.WriteRequest"
SECOND: Final = "io.prometheus.write.v2.Request"
_TYPE: Final = "application/x-protobuf"
_ACCEPTED: Final = f"{_TYPE}, {_TYPE};proto={FIRST}, {_TYPE};proto={SECOND}"


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    text: str
    written: int | None = None
    headers: tuple[tuple[bytes, bytes], ...] = ()


class RemoteWriteHttp:
    """The ASGI application; lives on one event loop."""

    def __init__(
        self,
        intake: SampleIntake,
        in_flight: InFlight,
        limits: LimitsConfig,
        metrics: SelfMetrics,
        rng: np.random.Generator,
        access: AccessDesk,
    ) -> None:
        self._access = access
        self._intake = intake
        self._in_flight = in_flight
        self._limits = limits
        self._metrics = metrics
        self._rng = rng

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """One request."""
        try:
            if scope["method"] != "POST":
                refused = Refusal("bad_method", 405, 12, "POST is the only method")
                answer = self._refused(refused)
            else:
                answer = await self._write(dict(scope["headers"]), receive)
        except HungUpError:
            self._metrics.answered("remote_write", Signal.SAMPLES, "hung_up")
            return
        await _send(send, answer)

    async def _write(self, headers: dict[bytes, bytes], receive: Receive) -> _Answer:
        try:
            self._admit(headers)
            message = _message_of(headers)
            with self._in_flight.lease() as lease:
                async with asyncio.timeout(self._limits.body_timeout_s):
                    raw = await read_body(headers, receive, lease, self._limits)
                compressed, plain, rejected = await self._decoded(raw, message, lease)
                taken = await self._intake.take(compressed, plain, rejected)
        except TimeoutError:
            slow = f"the body took longer than {self._limits.body_timeout_s} s"
            return self._refused(Refusal("slow_body", 408, 4, slow))
        except HungUpError:
            raise
        except Exception as error:
            refused = refusal_of(error, self._rng)
            if refused is None:
                logger.exception("a remote-write request failed")
                refused = INTERNAL
            return self._refused(refused)
        return self._taken(taken)

    def _admit(self, headers: Mapping[bytes, bytes]) -> None:
        """Raises AccessError."""
        caller = self._access.sender(headers.get(b"authorization", b"").decode("latin-1"))
        if not caller.binding.is_free:
            # A Prometheus server speaks for many services, in labels that it may rewrite.
            raise Forbidden(
                f"the token {caller.name!r} speaks for some services only, remote-write for any",
                accepted="a token that is not bound to services or environments",
            )

    async def _decoded(
        self, raw: bytes, message: str, lease: Lease
    ) -> tuple[bytes | None, bytes, Mapping[Reason, int]]:
        """The body if it is a first-version request as it is, its bytes, what is refused of it."""

        def work() -> tuple[bytes | None, bytes, Mapping[Reason, int]]:
            plain = decompress_block(raw, max_bytes=self._limits.max_body_bytes)
            if message == FIRST:
                return raw, plain, {}
            converted, rejected = first_version(plain, max_samples=self._limits.max_samples)
            return None, converted, rejected

        is_small = len(raw) <= INLINE_BYTES
        decoded = work() if is_small else await asyncio.to_thread(work)
        lease.grow_to(len(raw) + len(decoded[1]))
        return decoded

    def _taken(self, taken: TakenSamples) -> _Answer:
        if not taken.rejected:
            self._metrics.answered("remote_write", Signal.SAMPLES, "ok")
            return _Answer(204, "", taken.written)
        self._metrics.answered("remote_write", Signal.SAMPLES, "partial")
        return _Answer(400, taken.message() + "\n", taken.written)

    def _refused(self, refused: Refusal) -> _Answer:
        self._metrics.answered("remote_write", Signal.SAMPLES, refused.outcome)
        return _Answer(refused.http_status, refused.message + "\n", 0, tuple(http_headers(refused)))


class WriteFirst:
    """Remote-write beside an application: what every sender calls does not pass its middleware."""

    def __init__(self, write: RemoteWriteHttp, other: Application) -> None:
        self._write = write
        self._other = other

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """One request, or the application's start and stop."""
        is_write = scope["type"] == "http" and scope["path"] in PATHS
        await (self._write if is_write else self._other)(scope, receive, send)


def _message_of(headers: dict[bytes, bytes]) -> str:
    """Which message the sender says it sends. Raises UnsupportedEncoding."""
    encoding = headers.get(b"content-encoding", b"snappy").decode("latin-1").strip().lower()
    if encoding != "snappy":
        raise UnsupportedEncoding(f"content encoding {encoding[:40]!r}; accepted: snappy")
    declared = headers.get(b"content-type", b"").decode("latin-1")
    kind, *parameters = [part.strip() for part in declared.split(";")]
    if kind.lower() != _TYPE:
        raise UnsupportedEncoding(f"content type {declared[:80]!r}; accepted: {_ACCEPTED}")
    proto = next(
        (text.partition("=")[2].strip('"') for text in parameters if text.startswith("proto=")),
        FIRST,
    )
    if proto not in {FIRST, SECOND}:
        raise UnsupportedEncoding(f"message {proto[:80]!r}; accepted: {_ACCEPTED}")
    return proto


async def _send(send: Send, answer: _Answer) -> None:
    body = answer.text.encode()
    headers = [(b"content-length", str(len(body)).encode()), *answer.headers]
    if body:
        headers.append((b"content-type", b"text/plain; charset=utf-8"))
    if answer.written is not None:
        headers += [
            (b"x-prometheus-remote-write-samples-written", str(answer.written).encode()),
            (b"x-prometheus-remote-write-histograms-written", b"0"),
            (b"x-prometheus-remote-write-exemplars-written", b"0"),
        ]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
