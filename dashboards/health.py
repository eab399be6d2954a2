"""How a service is doing, from its error ratio and when it was last heard."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from dashboards.answers.collector import Instance, Service
from dashboards.theme import Status

#: Shares of failed requests from which a service is watched, and is failing.
WARN_ERROR_RATIO: Final = 0.01
BAD_ERROR_RATIO: Final = 0.05
#: A service not heard for this long is silent.
SILENT_S: Final = 30.0

_ORDER: Final = {Status.BAD: 0, Status.WARN: 1, Status.UNKNOWN: 2, Status.OK: 3}


def is_silent(service: Service, now_unix_nano: int) -> bool:
    """Whether nothing was heard of it lately."""
    return now_unix_nano - service.last_seen_unix_nano > SILENT_S * 1e9


def live_instances(service: Service, now_unix_nano: int) -> list[Instance]:
    """Instances heard lately; the others have gone or fallen silent."""
    oldest = now_unix_nano - SILENT_S * 1e9
    return [i for i in service.instances if i.last_seen_unix_nano >= oldest]


def with_recent_rates(
    services: tuple[Service, ...], recent: tuple[Service, ...]
) -> tuple[Service, ...]:
    """All services of the long window with the rates of the short one: the state is now's."""
    now = {service.name: service for service in recent}
    return tuple(
        replace(
            service,
            request_rate_per_s=now[service.name].request_rate_per_s,
            error_ratio=now[service.name].error_ratio,
            p50_s=now[service.name].p50_s,
            p95_s=now[service.name].p95_s,
            p99_s=now[service.name].p99_s,
        )
        if service.name in now
        else replace(
            service, request_rate_per_s=None, error_ratio=None, p50_s=None, p95_s=None, p99_s=None
        )
        for service in services
    )


def service_status(service: Service, now_unix_nano: int) -> Status:
    """Silent is unknown; else the share of failed requests decides."""
    if is_silent(service, now_unix_nano):
        return Status.UNKNOWN
    ratio = service.error_ratio
    if ratio is None:
        return Status.OK  # heard, but answers no requests: a caller, a batch job
    if ratio >= BAD_ERROR_RATIO:
        return Status.BAD
    return Status.WARN if ratio >= WARN_ERROR_RATIO else Status.OK


def status_word(service: Service, now_unix_nano: int) -> str:
    """The status as the word of the service table."""
    if is_silent(service, now_unix_nano):
        return "silent"
    return {Status.BAD: "failing", Status.WARN: "errors", Status.OK: "ok"}[
        service_status(service, now_unix_nano)
    ]


def worst_first(services: tuple[Service, ...], now_unix_nano: int) -> list[Service]:
    """Failing, then watched, then silent, then fine; within each by errors, then by p99."""
    return sorted(
        services,
        key=lambda s: (
            _ORDER[service_status(s, now_unix_nano)],
            -(s.error_ratio or 0.0),
            -(s.p99_s or 0.0),
            s.name,
        ),
    )
