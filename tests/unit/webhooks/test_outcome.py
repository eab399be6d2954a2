"""What a status means."""

from __future__ import annotations

import pytest

from analysis.webhooks.outcome import OutcomeKind, of_status


@pytest.mark.parametrize(
    ("statuses", "kind", "reason", "waits"),
    [
        ((200, 202, 204, 299), "delivered", "accepted", False),
        ((301, 302, 303, 304, 307, 308), "retry", "redirect", False),
        ((400, 404, 408, 409, 425), "retry", "client_error", False),
        ((401, 403), "retry", "credentials", False),
        ((410,), "dead", "gone", False),
        ((413,), "dead", "too_large", False),
        ((415,), "dead", "unsupported_type", False),
        ((422,), "dead", "refused", False),
        ((429, 502, 503, 504), "retry", "throttled", True),
        ((500, 501, 505, 599), "retry", "server_error", False),
    ],
)
def test_a_status_and_its_consequence(statuses, kind, reason, waits):
    """2xx is success, a few 4xx can never succeed, everything else may later."""
    for status in statuses:
        outcome = of_status(status)
        assert (str(outcome.kind), outcome.reason) == (kind, reason)
        assert outcome.wants_retry_after is waits


def test_every_status_has_a_consequence():
    """No status is unknown, and only 2xx counts as delivered."""
    for status in range(100, 1000):
        delivered = of_status(status).kind is OutcomeKind.DELIVERED
        assert delivered is (200 <= status <= 299)
