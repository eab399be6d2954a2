"""The sample stack in one call: ``run(config)`` imports everything, then forks every instance."""

from __future__ import annotations

import gc
import json
import logging
import sys
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import telemetry.playback
import telemetry.provider
import telemetry.resilience  # noqa: F401 - imported before the fork so that children share it
from sample_services.config import SamplesConfig, check
from sample_services.controller.app import main as controller_main
from sample_services.edge.app import main as edge_main
from sample_services.errors import SettingError, ZygoteError
from sample_services.instances import Instance
from sample_services.layout import CONTROLLER, VIEWERS, controller_spec, service_specs, viewers_spec
from sample_services.playback.app import main as playback_main
from sample_services.profiles.app import main as profiles_main
from sample_services.recommendations.app import main as recommendations_main
from sample_services.steering.app import main as steering_main
from sample_services.traffic.viewers import main as viewers_main
from sample_services.zygote import Main, Zygote

logger = logging.getLogger("samples")

MAINS: Final[Mapping[str, Main]] = {
    CONTROLLER: controller_main,
    "edge": edge_main,
    "playback": playback_main,
    "profiles": profiles_main,
    "recommendations": recommendations_main,
    "steering": steering_main,
    VIEWERS: viewers_main,
}


def run(config: SamplesConfig) -> int:
    """Start the stack, print ``ready samples {...}`` once, block until SIGTERM or SIGINT.

    Returns 0 after a clean stop, 1 when it did not come up. Call it from a program without
    threads: everything is forked from here.
    """
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.WARNING,
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
    )
    if threading.active_count() != 1:
        logger.error("the sample stack forks and must start in a program without threads")
        return 1
    try:
        check(config)
        _make_folder(config.state_dir / "samples")
        gc.collect()
        gc.freeze()
        phases = [[controller_spec(config)], service_specs(config), [viewers_spec(config)]]
        return Zygote(config, MAINS, phases, _announce).run()
    except (SettingError, ZygoteError) as error:
        logger.error("%s", error)  # noqa: TRY400 - one clear line for the operator
        return 1


def _make_folder(path: Path) -> None:
    """The deployer's own folder, proven writable. Raises SettingError."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise SettingError(f"cannot write in {path}: {error.strerror}") from error


def _announce(instances: list[Instance]) -> None:
    ports = {
        "controller_port": next(i.port for i in instances if i.spec.service == CONTROLLER),
        "edge_ports": [i.port for i in instances if i.spec.service == "edge"],
        "instances": len(instances),
    }
    print(f"ready samples {json.dumps(ports)}", flush=True)
