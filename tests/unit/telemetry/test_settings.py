"""Settings: arguments, then environment, then defaults; nonsense is refused with a sentence."""

from __future__ import annotations

import subprocess
import sys

import pytest

from telemetry import resource
from telemetry.errors import InvalidSettingError
from telemetry.settings import resolve


def resolved(environ=None, **changes):
    arguments = {
        "given": {},
        "endpoint": None,
        "export_interval_s": None,
        "span_delay_s": None,
        "export_timeout_s": None,
        "temporality": None,
        "cardinality_limit": 2000,
    } | changes
    return resolve("playback", environ=environ or {}, **arguments)


def test_defaults():
    """Only the service name is needed."""
    settings = resolved()
    assert settings.traces_url == "http://127.0.0.1:4318/v1/traces"
    assert (
        settings.export_interval_s,
        settings.span_delay_s,
        settings.export_timeout_s,
    ) == (5.0, 1.0, 8.0)
    assert settings.temporality == "cumulative"
    assert resolved().instance_id != settings.instance_id


def test_environment_fills_what_is_not_given():
    """OpenTelemetry's milliseconds become seconds; arguments win over variables."""
    environ = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9000/",
        "OTEL_METRIC_EXPORT_INTERVAL": "1000",
        "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": "DELTA",
        "OTEL_RESOURCE_ATTRIBUTES": "service.version=1.2,team=play%20back",
        "DAVYLAMP_REGION": "north",
        "DAVYLAMP_ZONE": "north-a",
    }
    settings = resolved(environ, given={"zone": "north-b"})
    assert settings.metrics_url == "http://127.0.0.1:9000/v1/metrics"
    assert (settings.export_interval_s, settings.temporality) == (1.0, "delta")
    assert (settings.version, settings.region, settings.zone) == ("1.2", "north", "north-b")
    assert settings.extra_resource == (("team", "play back"),)


def test_the_resource_says_who_and_not_how_it_was_started():
    """No host, process or command-line attributes; fields that were not given are absent."""
    attributes = resource.build(resolved(given={"version": "7", "instance_id": "i-1"})).attributes
    assert {k: v for k, v in attributes.items() if not k.startswith("telemetry.sdk.")} == {
        "service.name": "playback",
        "service.version": "7",
        "service.instance.id": "i-1",
    }


@pytest.mark.parametrize(
    ("environ", "changes"),
    [
        ({}, {"endpoint": "127.0.0.1:4318"}),
        ({}, {"export_interval_s": 0.0}),
        ({}, {"export_timeout_s": float("inf")}),
        ({}, {"temporality": "lowmemory"}),
        ({}, {"cardinality_limit": 0}),
        ({"OTEL_METRIC_EXPORT_INTERVAL": "soon"}, {}),
        ({"OTEL_RESOURCE_ATTRIBUTES": "team"}, {}),
    ],
)
def test_nonsense_is_refused(environ, changes):
    """A bad setting stops the process at start-up, not later."""
    with pytest.raises(InvalidSettingError):
        resolved(environ, **changes)


def run_python(code, **environ):
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environ
    )


def test_importing_is_light():
    """`import telemetry`, and even setup, load nothing heavy and start no thread."""
    heavy = ["numpy", "scipy", "dash", "sqlalchemy", "pydantic", "grpc", "fastapi", "aiohttp"]
    light = run_python(
        "import telemetry, sys\n"
        f"print([m for m in {[*heavy, 'opentelemetry']} if m in sys.modules])\n"
        "import telemetry.testing\n"
        "print('opentelemetry' in sys.modules)\n"
        "import telemetry.provider, telemetry.playback, threading\n"
        f"print([m for m in {heavy} if m in sys.modules], threading.active_count())\n"
    )
    assert light.stdout.splitlines() == ["[]", "False", "[] 1"], light.stderr


def test_a_library_that_chose_the_old_conventions_first_is_a_loud_error():
    """Milliseconds in a metric called duration would poison every comparison."""
    loud = run_python(
        "from opentelemetry.instrumentation import _semconv\n"
        "_semconv._OpenTelemetrySemanticConventionStability._initialize()\n"
        "import telemetry\n"
        "telemetry.setup('x')\n"
    )
    assert "SemconvConflictError" in loud.stderr
    doubled = run_python("import telemetry.fastapi", OTEL_SEMCONV_STABILITY_OPT_IN="http/dup")
    assert "SemconvConflictError" in doubled.stderr


def test_the_opt_in_keeps_what_others_chose():
    """An existing opt-in for databases survives."""
    kept = run_python(
        "import telemetry.fastapi, os; print(os.environ['OTEL_SEMCONV_STABILITY_OPT_IN'])",
        OTEL_SEMCONV_STABILITY_OPT_IN="database",
    )
    assert kept.stdout.strip() == "database,http", kept.stderr
