"""The analysis process as the supervisor starts it; argument: settings as JSON."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from analysis.config import AnalysisConfig, EndpointConfig
from analysis.server import run


def main(raw: dict[str, Any]) -> int:
    secret_file = Path(raw.pop("secret_file"))
    endpoint = EndpointConfig("deployer", raw.pop("url"), secret_file)
    token_file = Path(raw.pop("api_token_file"))
    defaults: dict[str, Any] = {
        # Nobody listens there: what is tested here does not read telemetry.
        "collector_url": "http://127.0.0.1:9",
        "otlp_endpoint": "http://127.0.0.1:9",
        "decision_lifetime_s": 900.0,
        "confirm_timeout_s": 300.0,
        "canary_config_path": "",
    }
    config = AnalysisConfig(**{**defaults, **raw}, endpoint=endpoint, api_token_file=token_file)
    return run(config)


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1])))
