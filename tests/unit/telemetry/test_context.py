"""The canary arm in baggage: validated, scoped, and shared with copies of the context."""

from __future__ import annotations

import contextvars

import pytest
from opentelemetry import context as otel_context

from telemetry.context import (
    RequestLabels,
    cohort,
    labels_from_baggage,
    labels_of_request,
    request_labels,
    set_cohort,
)
from telemetry.errors import InvalidLabelError


def test_a_cohort_block_sets_and_restores_baggage():
    """Outgoing calls inside the block are told, those after it are not."""
    with cohort("canary", "d-1"):
        assert labels_from_baggage() == {
            "davylamp.canary.cohort": "canary",
            "deployment.id": "d-1",
        }
        with cohort(None):
            assert labels_from_baggage() == {}
    assert labels_from_baggage() == {}


@pytest.mark.parametrize(
    ("arm", "deployment_id"),
    [("gold", "d"), ("", "d"), ("canary", ""), ("canary", "a b"), ("canary", "x" * 129)],
)
def test_labels_outside_their_alphabet_are_refused(arm, deployment_id):
    """A free-text arm would be an unbounded label."""
    with pytest.raises(InvalidLabelError), cohort(arm, deployment_id):
        pass


def test_a_copied_context_labels_the_original_request():
    """Worker threads run in a copy of the context; the request's labels are shared with it."""

    def handle() -> None:
        request_labels.set(RequestLabels())
        contextvars.copy_context().run(set_cohort, "canary", "d-1")
        assert labels_of_request()["davylamp.canary.cohort"] == "canary"

    contextvars.copy_context().run(handle)
    assert labels_of_request(otel_context.Context()) == {}


def test_spans_take_the_arm_of_their_context(telemetry_capture):
    """Every span started inside an arm is labelled, also manual ones."""
    tracer = telemetry_capture.telemetry.tracer("test")
    with cohort("canary", "d-1"), tracer.start_as_current_span("inside"):
        pass
    with tracer.start_as_current_span("outside"):
        pass
    inside, outside = telemetry_capture.spans()
    assert inside.attributes["davylamp.canary.cohort"] == "canary"
    assert dict(outside.attributes) == {}
