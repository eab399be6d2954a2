"""OTLP/HTTP: POST /v1/traces, /v1/metrics, /v1/logs; protobuf or JSON; a plain ASGI app."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import Final

import numpy as np

from collector.access.desk import AccessDesk
from collector.asgi import Message, Receive, Send
from collector.config import LimitsConfig
from collector.model import Signal
from collector.pipeline.intake import INLINE_BYTES, Intake, Taken
from collector.receivers import replies
from collector.receivers.body import HungUpError, read_body
from collector.receivers.in_flight import InFlight, Lease
from collector.receivers.refusal import INTERNAL, Refusal, http_headers, refusal_of
from collector.selfmetrics import SelfMetrics
from collector.wire.compression import decompress
from collector.wire.errors import UnsupportedEncoding
from collector.wire.otlp_json import json_to_protobuf

logger = logging.getLogger("collector.http")

_SIGNAL_OF_PATH: Final = {
    "/v1/traces": Signal.TRACES,
    "/v1/metrics": Signal.METRICS,
    "/v1/logs": Signal.LOGS,
    # Where Prometheus takes OTLP, for senders that were pointed at one.
    "/api/v1/otlp/v1/metrics": Signal.METRICS,
}
_PATHS: Final = ", ".join(_SIGNAL_OF_PATH)


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    body: bytes
    content_type: str
    headers: tuple[tuple[bytes, bytes], ...] = ()


class OtlpHttp:
    """The ASGI application; lives on one event loop."""

    def __init__(
        self,
        intake: Intake,
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
        if scope["type"] != "http":
            return
        headers = dict(scope["headers"])
        signal = _SIGNAL_OF_PATH.get(scope["path"])
        content_type = _content_type(headers)
        try:
            if signal is None:
                refused = Refusal("not_found", 404, 5, f"this endpoint takes {_PATHS}")
                answer = self._refused("none", refused, content_type)
            elif scope["method"] != "POST":
                refused = Refusal("bad_method", 405, 12, "POST is the only method")
                answer = self._refused(signal, refused, content_type)
            else:
                answer = await self._export(signal, headers, content_type, receive)
        except HungUpError:
            self._metrics.answered("http", signal or "none", "hung_up")
            return
        await _send(send, answer)

    async def _export(
        self, signal: Signal, headers: dict[bytes, bytes], content_type: str, receive: Receive
    ) -> _Answer:
        try:
            caller = self._access.sender(headers.get(b"authorization", b"").decode("latin-1"))
            with self._in_flight.lease() as lease:
                async with asyncio.timeout(self._limits.body_timeout_s):
                    raw = await read_body(headers, receive, lease, self._limits)
                body = await self._decoded(signal, raw, headers, content_type, lease)
                taken = await self._intake.take(signal, body, caller.binding)
        except TimeoutError:
            slow = f"the body took longer than {self._limits.body_timeout_s} s"
            return self._refused(signal, Refusal("slow_body", 408, 4, slow), content_type)
        except HungUpError:
            raise
        except Exception as error:
            refused = refusal_of(error, self._rng)
            if refused is None:
                logger.exception("a request of %s failed", signal)
                refused = INTERNAL
            return self._refused(signal, refused, content_type)
        return self._accepted(signal, taken, content_type)

    async def _decoded(
        self,
        signal: Signal,
        raw: bytes,
        headers: dict[bytes, bytes],
        content_type: str,
        lease: Lease,
    ) -> bytes:
        """``raw`` as OTLP protobuf."""
        if content_type not in {replies.PROTOBUF, replies.JSON}:
            raise UnsupportedEncoding(
                f"content type {content_type[:80]!r}; accepted: {replies.PROTOBUF}, {replies.JSON}"
            )
        encoding = headers.get(b"content-encoding", b"").decode("latin-1").strip().lower()

        def decode() -> bytes:
            body = decompress(raw, encoding, max_bytes=self._limits.max_body_bytes)
            return json_to_protobuf(signal, body) if content_type == replies.JSON else body

        is_small = len(raw) <= INLINE_BYTES
        body = decode() if is_small else await asyncio.to_thread(decode)
        lease.grow_to(len(raw) + len(body))
        return body

    def _accepted(self, signal: Signal, taken: Taken, content_type: str) -> _Answer:
        self._metrics.answered("http", signal, "partial" if taken.rejected_count else "ok")
        write = replies.success_json if content_type == replies.JSON else replies.success
        return _Answer(200, write(signal, taken), content_type)

    def _refused(self, signal: Signal | str, refused: Refusal, content_type: str) -> _Answer:
        self._metrics.answered("http", signal, refused.outcome)
        is_protobuf = content_type == replies.PROTOBUF
        return _Answer(
            refused.http_status,
            replies.failure(refused, content_type),
            replies.PROTOBUF if is_protobuf else replies.JSON,
            tuple(http_headers(refused)),
        )


def _content_type(headers: dict[bytes, bytes]) -> str:
    return headers.get(b"content-type", b"").decode("latin-1").partition(";")[0].strip().lower()


async def _send(send: Send, answer: _Answer) -> None:
    headers = [
        (b"content-type", answer.content_type.encode("latin-1")),
        (b"content-length", str(len(answer.body)).encode()),
        *answer.headers,
    ]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})
