"""The analysis process as the supervisor starts it; argument: changed settings as JSON."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from analysis.config import EndpointConfig, NoticeConfig
from analysis.server import run
from collector.access.config import AccessConfig
from davylamp.config import analysis_config, load_settings


def main(raw: dict[str, Any]) -> int:
    endpoint = EndpointConfig(
        "deployer", raw.pop("url"), Path(raw.pop("secret_file")), ("127.0.0.0/8",), plain_http=False
    )
    token_file = Path(raw.pop("api_token_file"))
    # Nobody listens there: what is tested here does not read telemetry.
    nobody = {"collector_url": "http://127.0.0.1:9", "otlp_endpoint": "http://127.0.0.1:9"}
    config = analysis_config(load_settings(environ={}))
    tokens = AccessConfig(
        raw.pop("tokens_required", False), token_file.with_name("tokens.json"), token_file
    )
    told = tuple(
        NoticeConfig(
            **{**one, "secret_file": endpoint.secret_file, "kinds": tuple(one["kinds"])},
        )
        for one in raw.pop("notices", ())
    )
    guards = replace(config.guards, **raw.pop("guards", {}))
    if "budget_policy_path" in raw:
        path = raw.pop("budget_policy_path")
        raw["runner"] = replace(config.runner, budget_policy_path=path)
    given = {"guards": guards, "endpoint": endpoint, "access": tokens, "notices": told}
    return run(replace(config, **{**nobody, **raw, **given}))


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1])))
