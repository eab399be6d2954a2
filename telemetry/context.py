"""The canary arm of the request at hand, and how it travels.

Two carriers, because they answer different questions. W3C baggage is what the *next* service is
told. The request's labels are what *this* request's server span and duration metric get, also when
the arm is decided inside the handler, in a worker thread or in another task: those run in copies of
the context, so they share one mutable object rather than a value.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Final

from opentelemetry import baggage, trace
from opentelemetry import context as otel_context
from opentelemetry.context import Context

from telemetry import semconv
from telemetry.errors import InvalidLabelError

_DEPLOYMENT_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/+-]{0,127}")
DEPLOYMENT_ID_ALPHABET: Final = "1..128 letters, digits and . _ : / + -"


@dataclass(slots=True)
class RequestLabels:
    """Shared by every context copied from one request's."""

    labels: dict[str, str] = field(default_factory=dict)
    server_span: trace.Span = trace.INVALID_SPAN


request_labels: ContextVar[RequestLabels | None] = ContextVar(
    "davylamp_request_labels", default=None
)


def valid_label(key: str, value: object) -> bool:
    """Whether ``value`` may become the attribute ``key``: bounded alphabet, bounded length."""
    if not isinstance(value, str):
        return False
    if key == semconv.CANARY_COHORT:
        return value in semconv.COHORTS
    return _DEPLOYMENT_ID.fullmatch(value) is not None


def labels_from_baggage(context: Context | None = None) -> dict[str, str]:
    """The allow-listed baggage entries of ``context`` (default: current) with a valid value."""
    labels = {}
    for key in semconv.BAGGAGE_KEYS:
        value = baggage.get_baggage(key, context)
        if value is not None and valid_label(key, value):
            labels[key] = str(value)
    return labels


def labels_of_request(context: Context | None = None) -> Mapping[str, str]:
    """The labels of the server request being handled; baggage alone outside of one."""
    cell = request_labels.get()
    return labels_from_baggage(context) if cell is None else cell.labels


def set_cohort(cohort: str | None, deployment_id: str | None = None) -> None:
    """Put the current request into an arm, for its own telemetry and for its outgoing calls.

    ``cohort`` is ``baseline``, ``canary`` or None (in no canary). The baggage lasts until the
    request ends; use ``cohort()`` for a smaller scope. Raises InvalidLabelError.
    """
    otel_context.attach(_decide(cohort, deployment_id))


@contextmanager
def cohort(cohort: str | None, deployment_id: str | None = None) -> Iterator[None]:
    """Like ``set_cohort`` for the calls made inside the block.

    The request's own span and metric keep the arm after the block: a request has one arm.
    """
    token = otel_context.attach(_decide(cohort, deployment_id))
    try:
        yield
    finally:
        otel_context.detach(token)


def _decide(cohort: str | None, deployment_id: str | None) -> Context:
    chosen = {semconv.CANARY_COHORT: cohort, semconv.DEPLOYMENT_ID: deployment_id}
    for key, value in chosen.items():
        if value is not None and not valid_label(key, value):
            accepted = (
                " or ".join(sorted(semconv.COHORTS))
                if key == semconv.CANARY_COHORT
                else DEPLOYMENT_ID_ALPHABET
            )
            raise InvalidLabelError(f"{key} must be {accepted}, not {value!r}")
    labels = {key: value for key, value in chosen.items() if value is not None}
    context = otel_context.get_current()
    for key in semconv.BAGGAGE_KEYS:
        context = (
            baggage.set_baggage(key, labels[key], context)
            if key in labels
            else baggage.remove_baggage(key, context)
        )
    _label_open_spans(labels)
    return context


def _label_open_spans(labels: dict[str, str]) -> None:
    spans = [trace.get_current_span()]
    cell = request_labels.get()
    if cell is not None:
        cell.labels = labels
        spans.append(cell.server_span)
    for span in spans:
        if span.is_recording():
            span.set_attributes(labels)
