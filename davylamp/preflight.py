"""Is this machine able to run it now? Every answer is a sentence that says what to do."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import random
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from davylamp.config import Settings
from davylamp.errors import PreflightError

MIN_PYTHON: Final = (3, 11)
#: Above this the scheduler's noise would be blamed on the canary.
BUSY_RATIO_MAX: Final = 0.75
BUSY_SAMPLE_S: Final = 1.0
#: Below the range from which Linux gives ports to outgoing connections (32768 and up).
FREE_PORTS: Final = range(20_000, 32_000)
FREE_PORT_TRIES: Final = 50

#: Every listener: section, key, what it is called in a message.
LISTENERS: Final = (
    ("collector", "otlp_grpc_port", "OTLP/gRPC"),
    ("collector", "otlp_http_port", "OTLP/HTTP"),
    ("collector", "api_port", "the collector's read API"),
    ("analysis", "api_port", "the analysis API"),
    ("dashboards", "port", "the dashboards"),
    ("samples", "controller_port", "the sample deployer"),
    ("samples", "edge_port", "the sample edge"),
)


def check_python() -> None:
    """Raises PreflightError when this interpreter is too old."""
    if sys.version_info < MIN_PYTHON:
        have = ".".join(map(str, sys.version_info[:2]))
        raise PreflightError(f"Python 3.11 or newer is needed, this is {have}")


def choose_ports(settings: Settings) -> Mapping[str, Mapping[str, int]]:
    """The port of every listener, free ones in place of 0, each found free just now.

    Raises PreflightError naming the taken port and the setting that moves it.
    """
    chosen: dict[str, dict[str, int]] = {}
    with contextlib.ExitStack() as held:
        for section, key, what in LISTENERS:
            host, port = settings.text(section, "host"), settings.port(section, key)
            listener = held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                if port:
                    listener.bind((host, port))
                else:
                    _bind_free(listener, host)
            except OSError as error:
                variable = f"DAVYLAMP_{section.upper()}__{key.upper()}"
                why = "taken" if error.errno == errno.EADDRINUSE else str(error.strerror)
                raise PreflightError(
                    f"port {port} for {what} is {why}; free it or set {variable} "
                    "(0 = any free port)"
                ) from None
            chosen.setdefault(section, {})[key] = listener.getsockname()[1]
    return chosen


def _bind_free(listener: socket.socket, host: str) -> None:
    """Bind to a free port that no outgoing connection can take before its process listens."""
    for port in random.SystemRandom().sample(FREE_PORTS, FREE_PORT_TRIES):
        try:
            listener.bind((host, port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
        else:
            return
    listener.bind((host, 0))


def busy_ratio(wait_s: float = BUSY_SAMPLE_S) -> float | None:
    """Share of all cores' time in use over ``wait_s`` (0 to 1); None where Linux cannot tell."""
    before = _cpu_times()
    time.sleep(wait_s)
    after = _cpu_times()
    if before is None or after is None or after[1] <= before[1]:
        return None
    idle, total = after[0] - before[0], after[1] - before[1]
    return max(0.0, 1.0 - idle / total)


def check_load() -> float | None:
    """The busy share now. Raises PreflightError when a fair canary cannot be run beside it."""
    busy = busy_ratio()
    if busy is not None and busy > BUSY_RATIO_MAX:
        raise PreflightError(
            f"this machine is {busy:.0%} busy already (limit {BUSY_RATIO_MAX:.0%}): its noise "
            "would be blamed on the canary; stop other programs, or use --ignore-load"
        )
    return busy


@contextlib.contextmanager
def state_lock(state_dir: Path) -> Iterator[None]:
    """Own the folder while inside. Raises PreflightError when another program does."""
    try:
        state_dir.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(state_dir / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise PreflightError(f"{state_dir} cannot be used: {error.strerror}") from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise PreflightError(
                f"another davylamp runs on {state_dir}; stop it or set DAVYLAMP_DAVYLAMP__STATE_DIR"
            ) from None
        yield
    finally:
        os.close(descriptor)


def _cpu_times() -> tuple[int, int] | None:
    """(idle, total) ticks of all cores since boot."""
    try:
        first = Path("/proc/stat").read_text(encoding="ascii").splitlines()[0].split()[1:]
    except (OSError, IndexError):
        return None
    ticks = [int(value) for value in first]
    return ticks[3] + ticks[4], sum(ticks[:8])
