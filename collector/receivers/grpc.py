"""OTLP/gRPC: trace, metrics and logs services, as raw bytes in and out."""

from __future__ import annotations

import logging
from typing import Any, Final, NoReturn

import grpc
import numpy as np

from collector.access.desk import AccessDesk
from collector.model import Signal
from collector.pipeline.intake import Intake
from collector.receivers import replies
from collector.receivers.in_flight import InFlight
from collector.receivers.refusal import INTERNAL, Refusal, refusal_of
from collector.selfmetrics import SelfMetrics

logger = logging.getLogger("collector.grpc")

_SERVICES: Final = {
    "opentelemetry.proto.collector.trace.v1.TraceService": Signal.TRACES,
    "opentelemetry.proto.collector.metrics.v1.MetricsService": Signal.METRICS,
    "opentelemetry.proto.collector.logs.v1.LogsService": Signal.LOGS,
}
_CODES: Final = {code.value[0]: code for code in grpc.StatusCode}


class OtlpGrpc:
    """Handlers for a grpc.aio server; lives on one event loop."""

    def __init__(
        self,
        intake: Intake,
        in_flight: InFlight,
        metrics: SelfMetrics,
        rng: np.random.Generator,
        access: AccessDesk,
    ) -> None:
        self._access = access
        self._intake = intake
        self._in_flight = in_flight
        self._metrics = metrics
        self._rng = rng

    def handlers(self) -> list[grpc.GenericRpcHandler]:
        """One per service, each with the method Export."""
        return [
            grpc.method_handlers_generic_handler(
                service, {"Export": grpc.unary_unary_rpc_method_handler(self._export_of(signal))}
            )
            for service, signal in _SERVICES.items()
        ]

    def _export_of(self, signal: Signal) -> Any:
        async def export(body: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
            try:
                caller = self._access.sender(_authorization(context))
                with self._in_flight.lease() as lease:
                    lease.grow_to(len(body))
                    taken = await self._intake.take(signal, body, caller.binding)
            except Exception as error:
                refused = refusal_of(error, self._rng)
                if refused is None:
                    logger.exception("a request of %s failed", signal)
                    refused = INTERNAL
                self._metrics.answered("grpc", signal, refused.outcome)
                await _abort(context, refused)
            self._metrics.answered("grpc", signal, "partial" if taken.rejected_count else "ok")
            return replies.success(signal, taken)

        return export


def _authorization(context: grpc.aio.ServicerContext[bytes, bytes]) -> str | None:
    for key, value in context.invocation_metadata() or ():
        if key == "authorization" and isinstance(value, str):
            return value
    return None


async def _abort(context: grpc.aio.ServicerContext[bytes, bytes], refused: Refusal) -> NoReturn:
    code = _CODES[refused.grpc_code]
    if refused.retry_after_s is None:
        await context.abort(code, refused.message)
    await context.abort(
        code,
        refused.message,
        trailing_metadata=(
            ("grpc-status-details-bin", replies.status(refused)),
            # Where the Python exporter looks; the standard place above it ignores.
            ("google.rpc.retryinfo-bin", replies.retry_info(refused)),
        ),
    )
