"""Playback: did pressing play lead to a picture, and how long did it take.

Terms follow CTA-2066 and CMCD. Every metric is additive, so any ratio is a ratio of sums:
technical start failures are ``playback.starts{playback.outcome=failure_technical}`` over
``playback.start.attempts``.
Abandoned attempts are not failures, business refusals (no entitlement, wrong country) are not
technical, and only successful starts have a start-up duration.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from telemetry import semconv
from telemetry.context import labels_of_request, valid_label
from telemetry.errors import InvalidPlaybackError, OutcomeAlreadyRecordedError
from telemetry.provider import Telemetry

#: A start that takes longer than an hour is a device whose clock moved.
STARTUP_MAX_S: Final = 3600.0
LABEL_MAX_CHARS: Final = 128
_NEEDS_ERROR_TYPE: Final = frozenset(
    {semconv.OUTCOME_FAILURE_TECHNICAL, semconv.OUTCOME_FAILURE_BUSINESS}
)


@dataclass(frozen=True, slots=True)
class PlaybackStart:
    """One ended start attempt, as a beacon tells it.

    ``startup_duration_s`` is required for ``success`` and refused otherwise; ``error_type`` is
    required for the two failures and refused otherwise. ``cohort`` and ``deployment_id`` are what
    the *recorder* knows (the edge's sticky table), never what the device claims.
    """

    device_class: str
    outcome: str
    startup_duration_s: float | None = None
    error_type: str | None = None
    cdn_site: str | None = None
    isp: str | None = None
    cohort: str | None = None
    deployment_id: str | None = None


class Playback:
    """The three playback instruments of one process."""

    def __init__(self, telemetry: Telemetry) -> None:
        meter = telemetry.meter("telemetry.playback")
        attempts = semconv.PLAYBACK_START_ATTEMPTS
        starts = semconv.PLAYBACK_STARTS
        duration = semconv.PLAYBACK_STARTUP_DURATION
        self._attempts = meter.create_counter(attempts.name, attempts.unit, attempts.description)
        self._starts = meter.create_counter(starts.name, starts.unit, starts.description)
        self._duration = meter.create_histogram(duration.name, duration.unit, duration.description)

    def start(
        self,
        *,
        device_class: str,
        cdn_site: str | None = None,
        isp: str | None = None,
        cohort: str | None = None,
        deployment_id: str | None = None,
    ) -> PlaybackSession:
        """Count an attempt; the session takes exactly one outcome.

        Without ``cohort`` and ``deployment_id`` the arm of the current request applies.
        Raises InvalidPlaybackError.
        """
        if cohort is None and deployment_id is None:
            labels = labels_of_request()
            cohort = labels.get(semconv.CANARY_COHORT)
            deployment_id = labels.get(semconv.DEPLOYMENT_ID)
        attributes = _attributes(device_class, cdn_site, isp, cohort, deployment_id)
        self._attempts.add(1, attributes)
        return PlaybackSession(self, attributes)

    def record(self, start: PlaybackStart) -> None:
        """Count an attempt and its outcome at once; nothing is counted when it is invalid.

        Raises InvalidPlaybackError.
        """
        attributes = _attributes(
            start.device_class, start.cdn_site, start.isp, start.cohort, start.deployment_id
        )
        _check_outcome(start.outcome, start.startup_duration_s, start.error_type)
        self._attempts.add(1, attributes)
        self._count(attributes, start.outcome, start.startup_duration_s, start.error_type)

    def _count(
        self,
        attributes: Mapping[str, str],
        outcome: str,
        startup_duration_s: float | None,
        error_type: str | None,
    ) -> None:
        ended = {**attributes, semconv.PLAYBACK_OUTCOME: outcome}
        if error_type is not None:
            ended[semconv.ERROR_TYPE] = error_type
        self._starts.add(1, ended)
        if startup_duration_s is not None:
            self._duration.record(startup_duration_s, attributes)


class PlaybackSession:
    """One start attempt that is still open. ``outcome`` is None until it ends."""

    def __init__(self, playback: Playback, attributes: Mapping[str, str]) -> None:
        self._playback = playback
        self._attributes = attributes
        self.outcome: str | None = None

    def first_frame(self, startup_duration_s: float) -> None:
        """The picture is there, ``startup_duration_s`` seconds after pressing play."""
        self._end(semconv.OUTCOME_SUCCESS, startup_duration_s, None)

    def fail(self, error_type: str) -> None:
        """It broke; ``error_type`` is a short, low-cardinality class such as ``manifest_5xx``."""
        self._end(semconv.OUTCOME_FAILURE_TECHNICAL, None, error_type)

    def refuse(self, error_type: str) -> None:
        """The viewer may not play this; ``error_type`` says why, such as ``not_entitled``."""
        self._end(semconv.OUTCOME_FAILURE_BUSINESS, None, error_type)

    def abandon(self) -> None:
        """The viewer left before the first frame and before any error."""
        self._end(semconv.OUTCOME_ABANDONED, None, None)

    def _end(self, outcome: str, startup_duration_s: float | None, error_type: str | None) -> None:
        """Raises OutcomeAlreadyRecordedError, InvalidPlaybackError (the session stays open)."""
        if self.outcome is not None:
            raise OutcomeAlreadyRecordedError(
                f"this playback session already ended as {self.outcome}; it cannot be {outcome}"
            )
        _check_outcome(outcome, startup_duration_s, error_type)
        self.outcome = outcome
        self._playback._count(  # noqa: SLF001 - the session is the other half of Playback
            self._attributes, outcome, startup_duration_s, error_type
        )


def _attributes(
    device_class: str,
    cdn_site: str | None,
    isp: str | None,
    cohort: str | None,
    deployment_id: str | None,
) -> dict[str, str]:
    if device_class not in semconv.DEVICE_CLASSES:
        accepted = ", ".join(sorted(semconv.DEVICE_CLASSES))
        raise InvalidPlaybackError(f"device class must be one of {accepted}, not {device_class!r}")
    optional = {
        semconv.PLAYBACK_CDN_SITE: cdn_site,
        semconv.PLAYBACK_ISP: isp,
        semconv.CANARY_COHORT: cohort,
        semconv.DEPLOYMENT_ID: deployment_id,
    }
    present = {key: value for key, value in optional.items() if value is not None}
    for key, value in present.items():
        known = key in semconv.BAGGAGE_KEYS
        if (known and not valid_label(key, value)) or not 0 < len(value) <= LABEL_MAX_CHARS:
            raise InvalidPlaybackError(f"{key} cannot be {value!r}")
    return {semconv.PLAYBACK_DEVICE_CLASS: device_class, **present}


def _check_outcome(outcome: str, startup_duration_s: float | None, error_type: str | None) -> None:
    if outcome not in semconv.OUTCOMES:
        accepted = ", ".join(sorted(semconv.OUTCOMES))
        raise InvalidPlaybackError(f"outcome must be one of {accepted}, not {outcome!r}")
    if (startup_duration_s is not None) != (outcome == semconv.OUTCOME_SUCCESS):
        raise InvalidPlaybackError("success, and only success, has a start-up duration")
    if startup_duration_s is not None and not (
        math.isfinite(startup_duration_s) and 0.0 <= startup_duration_s <= STARTUP_MAX_S
    ):
        raise InvalidPlaybackError(
            f"start-up duration must be 0..{STARTUP_MAX_S:.0f} s, not {startup_duration_s!r}"
        )
    if bool(error_type) != (outcome in _NEEDS_ERROR_TYPE):
        raise InvalidPlaybackError("failures, and only failures, have an error type")
    if error_type is not None and len(error_type) > LABEL_MAX_CHARS:
        raise InvalidPlaybackError(f"error type is longer than {LABEL_MAX_CHARS} characters")
