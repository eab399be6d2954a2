"""Definitions the tests start from."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

SLO = """\
apiVersion: openslo/v1
kind: SLO
metadata:
  name: checkout
spec:
  service: shop
  indicator:
    metadata:
      name: availability
    spec:
      ratioMetric:
        counter: true
        good:
          metricSource:
            type: Prometheus
            spec: {query: good}
        total:
          metricSource:
            type: Prometheus
            spec: {query: total}
  timeWindow:
    - duration: 28d
      isRolling: true
  budgetingMethod: Occurrences
  objectives:
    - target: 0.999
"""

SLI = """\
apiVersion: openslo/v1
kind: SLI
metadata: {name: latency}
spec:
  thresholdMetric:
    metricSource:
      metricSourceRef: prom
      spec: {query: latency_seconds}
"""

DATA_SOURCE = """\
apiVersion: openslo/v1
kind: DataSource
metadata: {name: prom}
spec:
  type: Prometheus
  connectionDetails: {url: "http://localhost:9090"}
"""

CONDITION = """\
apiVersion: openslo/v1
kind: AlertCondition
metadata: {name: fast}
spec:
  severity: page
  condition: {kind: burnrate, op: gte, threshold: 14.4, lookbackWindow: 1h, alertAfter: 0m}
"""

POLICY = """\
apiVersion: openslo/v1
kind: AlertPolicy
metadata: {name: page-us}
spec:
  alertWhenBreaching: true
  conditions:
    - conditionRef: fast
  notificationTargets:
    - targetRef: on-call
"""

TARGET = """\
apiVersion: openslo/v1
kind: AlertNotificationTarget
metadata: {name: on-call}
spec: {target: email}
"""

SERVICE = """\
apiVersion: openslo/v1
kind: Service
metadata: {name: shop}
spec: {}
"""

THRESHOLD_SLO = """\
apiVersion: openslo/v1
kind: SLO
metadata: {name: fast-enough}
spec:
  service: shop
  indicatorRef: latency
  timeWindow:
    - duration: 1M
      calendar: {startTime: "2026-01-01 00:00:00", timeZone: Europe/Warsaw}
  budgetingMethod: Timeslices
  objectives:
    - op: lte
      value: 0.5
      target: 0.99
      timeSliceTarget: 0.95
      timeSliceWindow: 5m
  alertPolicies:
    - alertPolicyRef: page-us
"""

_FILES = (SLO, SLI, DATA_SOURCE, CONDITION, POLICY, TARGET, SERVICE, THRESHOLD_SLO)
ALL_KINDS = "---\n".join(_FILES)


@pytest.fixture
def texts() -> SimpleNamespace:
    """The definitions above by name, valid together."""
    return SimpleNamespace(
        slo=SLO,
        sli=SLI,
        data_source=DATA_SOURCE,
        condition=CONDITION,
        policy=POLICY,
        target=TARGET,
        service=SERVICE,
        threshold_slo=THRESHOLD_SLO,
        all_kinds=ALL_KINDS,
    )
