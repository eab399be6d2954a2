"""The control plane's own metrics, in one registry made per process (never the global one)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from analysis.decisions.canaries import MAX_OPEN_CANARIES
from analysis.decisions.ledger import Ledger
from analysis.errors import LedgerUnavailableError
from analysis.webhooks.breaker import BreakerState, EndpointHealth

#: Seconds; milliseconds are expected, the limit of a lease is the worst.
LATENCY_BUCKETS_S: Final = (
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
)  # fmt: skip


class Metrics:
    """What is counted while the process runs."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self.attempts = Counter(
            "davylamp_delivery_attempts",
            "Requests to receivers by what was done about the answer and why.",
            ("outcome", "reason"),
            registry=registry,
        )
        self.notices = Counter(
            "davylamp_notice_attempts",
            "Notices to people's tools by what was done about the answer and why.",
            ("outcome", "reason"),
            registry=registry,
        )
        self.first_attempt = Histogram(
            "davylamp_decision_to_first_attempt_seconds",
            "From the decision to the first byte of its first request.",
            buckets=LATENCY_BUCKETS_S,
            registry=registry,
        )
        self.attempt_duration = Histogram(
            "davylamp_delivery_attempt_duration_seconds",
            "Duration of one request to a receiver.",
            buckets=LATENCY_BUCKETS_S,
            registry=registry,
        )
        self.stale_leases = Counter(
            "davylamp_delivery_stale_leases",
            "Attempts whose lease was over before their result was recorded.",
            registry=registry,
        )
        self.expired = Counter(
            "davylamp_deliveries_expired",
            "Commands given up because nobody accepted them in time.",
            registry=registry,
        )
        self.ledger_failures = Counter(
            "davylamp_ledger_unavailable",
            "Times the ledger could not be used, by who wanted it.",
            ("user",),
            registry=registry,
        )
        self.proposals = Counter(
            "davylamp_proposals",
            "Changes that need two people, by what became of them.",
            ("outcome",),
            registry=registry,
        )
        self.leads = Gauge(
            "davylamp_analysis_leads",
            "1 while this process judges and delivers, 0 while it stands by.",
            registry=registry,
        )
        self.requests = Counter(
            "davylamp_analysis_api_requests",
            "Requests to the API by route and status.",
            ("route", "status"),
            registry=registry,
        )


class EndpointMetrics(Collector):
    """How receivers fare, read when asked."""

    def __init__(self, endpoints: Callable[[], Sequence[EndpointHealth]]) -> None:
        self._endpoints = endpoints

    def collect(self) -> Iterable[Metric]:
        """One series of each for every endpoint in the settings."""
        found = self._endpoints()
        is_shut = GaugeMetricFamily(
            "davylamp_endpoint_breaker_open",
            "1 while the endpoint is asked one request at a time, with pauses.",
            labels=("endpoint",),
        )
        under_way = GaugeMetricFamily(
            "davylamp_endpoint_requests_under_way",
            "Requests begun and not answered.",
            labels=("endpoint",),
        )
        for one in found:
            is_shut.add_metric((one.endpoint_id,), float(one.breaker is not BreakerState.CLOSED))
            under_way.add_metric((one.endpoint_id,), one.under_way)
        yield is_shut
        yield under_way

    def describe(self) -> Iterable[Metric]:
        """Empty: endpoints are known only when read."""
        return ()


class ProposalMetrics(Collector):
    """What waits for a second person, read when asked."""

    def __init__(self, open_count: Callable[[], int], limit: int) -> None:
        self._open_count = open_count
        self._limit = limit

    def collect(self) -> Iterable[Metric]:
        """Nothing while the ledger cannot be read."""
        try:
            count = self._open_count()
        except LedgerUnavailableError:
            return
        text = "Proposals that wait for a second person."
        yield GaugeMetricFamily("davylamp_proposals_open", text, count)
        text = "Proposals that may wait at once."
        yield GaugeMetricFamily("davylamp_proposals_open_limit", text, self._limit)

    def describe(self) -> Iterable[Metric]:
        """Empty: registering must not read."""
        return ()


class LedgerMetrics(Collector):
    """What the ledger holds, read when asked: right also after a restart."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def collect(self) -> Iterable[Metric]:
        """Counts by state; nothing while the ledger cannot be read."""
        try:
            totals = self._ledger.totals()
            guards = self._ledger.guards.counts()
        except LedgerUnavailableError:
            return
        yield GaugeMetricFamily(
            "davylamp_outbox_pending", "Commands still to be delivered.", totals.pending
        )
        yield CounterMetricFamily("davylamp_looks", "Looks at canaries.", totals.looks)
        yield GaugeMetricFamily(
            "davylamp_open_canaries_limit", "Canaries that may be open.", MAX_OPEN_CANARIES
        )
        for name, text in (
            ("locks", "Environments in which nothing is commanded."),
            ("barred", "Releases barred until a person clears them."),
            ("kill_switch", "1 while the kill switch stops every command."),
            ("settings_not_approved", "1 while settings that nobody approved hold commands."),
        ):
            yield GaugeMetricFamily(f"davylamp_guard_{name}", text, guards[name])
        for name, text, counts in (
            ("davylamp_canaries", "Canaries by state.", totals.canaries),
            ("davylamp_decisions", "Decisions by state.", totals.decisions),
            ("davylamp_deliveries", "Commands by state of delivery.", totals.deliveries),
        ):
            family = GaugeMetricFamily(name, text, labels=("state",))
            for state, count in counts.items():
                family.add_metric((state,), count)
            yield family
        verdicts = CounterMetricFamily(
            "davylamp_verdicts", "Final verdicts by kind.", labels=("kind",)
        )
        for kind, count in totals.verdicts.items():
            verdicts.add_metric((kind,), count)
        yield verdicts

    def describe(self) -> Iterable[Metric]:
        """Empty: names are known only when read, and registering must not read."""
        return ()
