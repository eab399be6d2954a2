"""An execution as Kayenta tells it: what Orca, Gate and Argo read.

Source: CanaryExecutionStatusResponse.java; ``complete``, ``status`` and
``result.judgeResult.score.score`` are what callers decide by.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from analysis.kayenta_api.canary_config import iso

NOT_STARTED: Final = "not_started"
RUNNING: Final = "running"
SUCCEEDED: Final = "succeeded"
TERMINAL: Final = "terminal"
CANCELED: Final = "canceled"
OPEN: Final = frozenset((NOT_STARTED, RUNNING))
#: In the order they are gone through; the names are Kayenta's own.
STAGES: Final = ("setupCanary", "fetchMetrics", "mixMetrics", "judge")


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asked for an execution, as told in the query."""

    application: str
    parent_pipeline_id: str | None
    metrics_account: str | None
    configuration_account: str | None
    storage_account: str | None


def begun(
    execution_id: str,
    asked: Asked,
    config: Mapping[str, Any],
    config_id: str | None,
    request: Mapping[str, Any],
    now_ms: int,
) -> dict[str, Any]:
    """A new execution."""
    return {
        "application": asked.application,
        "parentPipelineExecutionId": asked.parent_pipeline_id,
        "pipelineId": execution_id,
        "stageStatus": dict.fromkeys(STAGES, NOT_STARTED),
        "complete": False,
        "status": NOT_STARTED,
        "config": dict(config),
        "canaryConfigId": config_id,
        "canaryExecutionRequest": dict(request),
        "metricsAccountName": asked.metrics_account,
        "configurationAccountName": asked.configuration_account,
        "storageAccountName": asked.storage_account,
        **_moment("buildTime", now_ms),
    }


def running(status: Mapping[str, Any], now_ms: int) -> dict[str, Any]:
    """Work on it has begun."""
    stages = dict.fromkeys(STAGES, NOT_STARTED) | {STAGES[0]: SUCCEEDED, STAGES[1]: RUNNING}
    return {**status, "status": RUNNING, "stageStatus": stages, **_moment("startTime", now_ms)}


def succeeded(
    status: Mapping[str, Any],
    judge_result: Mapping[str, Any],
    pair_list_id: str,
    duration_s: int,
    now_ms: int,
) -> dict[str, Any]:
    """It was judged; whether the canary passed is for the caller's thresholds to say."""
    return {
        **status,
        "complete": True,
        "status": SUCCEEDED,
        "stageStatus": dict.fromkeys(STAGES, SUCCEEDED),
        "metricSetPairListId": pair_list_id,
        "result": {
            "judgeResult": dict(judge_result),
            "canaryDuration": iso_duration(duration_s),
            "warnings": warnings(judge_result),
        },
        **_moment("endTime", now_ms),
    }


def failed(status: Mapping[str, Any], message: str, now_ms: int) -> dict[str, Any]:
    """It could not be judged; that is never a score."""
    stages = {
        name: TERMINAL if state == RUNNING else state
        for name, state in status["stageStatus"].items()
    }
    return {
        **status,
        "complete": True,
        "status": TERMINAL,
        "stageStatus": stages,
        "exception": {"details": {"error": "Unexpected Task Failure", "errors": [message]}},
        **_moment("endTime", now_ms),
    }


def canceled(status: Mapping[str, Any], now_ms: int) -> dict[str, Any]:
    """Somebody ended it."""
    return {**status, "complete": True, "status": CANCELED, **_moment("endTime", now_ms)}


def warnings(judge_result: Mapping[str, Any]) -> list[str]:
    """Kayenta's own: few points make the test weak."""
    few = [
        result["name"]
        for result in judge_result["results"]
        if result["controlMetadata"]["stats"]["count"] < 50
    ]
    if not few:
        return []
    return [f"fewer than 50 data points of the control: {', '.join(sorted(set(few)))}"]


def iso_duration(seconds: int) -> str:
    """As Java's Duration writes it."""
    hours, rest = divmod(seconds, 3600)
    minutes, left = divmod(rest, 60)
    parts = ((hours, "H"), (minutes, "M"), (left, "S"))
    return "PT" + ("".join(f"{count}{unit}" for count, unit in parts if count) or "0S")


def _moment(name: str, now_ms: int) -> dict[str, Any]:
    return {f"{name}Millis": now_ms, f"{name}Iso": iso(now_ms)}
