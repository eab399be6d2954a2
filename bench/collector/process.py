"""The real collector as a child process, its data in a folder of the caller's."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
START_TIMEOUT_S = 60.0


class Collector:
    """Ready when made; ``ready_s`` is how long that took. Settings as SECTION__KEY=value."""

    def __init__(self, state_dir: Path, log: Path, **settings: object) -> None:
        values = {
            "DAVYLAMP__STATE_DIR": state_dir,
            "COLLECTOR__OTLP_GRPC_PORT": 0,
            "COLLECTOR__OTLP_HTTP_PORT": 0,
            "COLLECTOR__API_PORT": 0,
            **{f"COLLECTOR__{name}": value for name, value in settings.items()},
        }
        kept = {name: value for name, value in os.environ.items() if "DAVYLAMP_" not in name}
        began_s = time.monotonic()
        with log.open("ab") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "davylamp", "run", "collector"],
                cwd=ROOT,
                env={**kept, **{f"DAVYLAMP_{name}": str(value) for name, value in values.items()}},
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        line = self.process.stdout.readline()
        if not line.startswith("ready collector "):
            self.process.kill()
            self.process.wait()
            raise RuntimeError(f"the collector did not start, see {log}")
        self.ready_s = time.monotonic() - began_s
        ports = json.loads(line.removeprefix("ready collector "))
        self.http_url = f"http://127.0.0.1:{ports['otlp_http_port']}"
        self.api_url = f"http://127.0.0.1:{ports['api_port']}"

    def kill(self) -> None:
        """SIGKILL, and wait for it."""
        self.process.send_signal(signal.SIGKILL)
        self._reaped()

    def terminate(self) -> int:
        """SIGTERM; the exit code."""
        self.process.terminate()
        return self._reaped()

    def _reaped(self) -> int:
        code = self.process.wait(60)
        self.process.stdout.close()
        return code
