"""What can go wrong, drawn.

::

    TelemetryError
    ├── SetupError                      the process cannot be observed as asked
    │   ├── SetupConflictError          set up twice with different settings
    │   ├── NotSetUpError               used before setup()
    │   ├── InvalidSettingError         a setting or environment variable has no meaning
    │   └── SemconvConflictError        another library chose the old HTTP conventions first
    ├── InstrumentationError
    │   └── AppAlreadyRunningError      instrument_app() came after the first request
    ├── DeliveryGivenUpError            out of time for one export; counted, never seen by callers
    ├── InvalidLabelError               a cohort or deployment id outside its alphabet
    └── PlaybackError
        ├── OutcomeAlreadyRecordedError a playback session got a second outcome
        └── InvalidPlaybackError        a device class, duration or outcome has no meaning

Errors are raised to the programmer at start-up or at the call.
While a service runs, failing to deliver telemetry is counted (``telemetry.stats()``), never raised.
"""

from __future__ import annotations


class TelemetryError(Exception):
    """Anything the instrumentation library raises on purpose."""


class SetupError(TelemetryError):
    """The process cannot be observed as asked."""


class SetupConflictError(SetupError):
    """``setup()`` was called a second time with other settings; call ``shutdown()`` between."""


class NotSetUpError(SetupError):
    """A process-wide function was called before ``setup()``."""


class InvalidSettingError(SetupError):
    """A setting or environment variable has no meaning; the message says what is accepted."""


class SemconvConflictError(SetupError):
    """HTTP instrumentation was already bound to the old conventions (milliseconds)."""


class InstrumentationError(TelemetryError):
    """An application or client cannot be instrumented."""


class AppAlreadyRunningError(InstrumentationError):
    """``instrument_app()`` came after the middleware stack was built, so it would do nothing."""


class DeliveryGivenUpError(TelemetryError):
    """One export ran out of time; becomes ``dropped`` in the stats, never reaches a caller."""


class InvalidLabelError(TelemetryError):
    """A cohort or deployment id outside its alphabet; it would become an unbounded label."""


class PlaybackError(TelemetryError):
    """A playback event contradicts the rules of its metrics."""


class OutcomeAlreadyRecordedError(PlaybackError):
    """A playback session got a second outcome; starts would exceed attempts."""


class InvalidPlaybackError(PlaybackError):
    """A device class, duration or outcome has no meaning; the message says what is accepted."""
