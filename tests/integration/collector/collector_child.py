"""Runs a real collector on free ports until it is signalled.

Arguments: state folder, then any number of section.key=value that replace a default, for example
wal.max_backlog_bytes=1000. Settings are the project's own defaults.
"""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

from collector import server
from collector.config import CollectorConfig, LimitsConfig, StoreConfig, WalConfig

DEFAULTS = Path(__file__).parents[3] / "davylamp" / "defaults.toml"


def config_in(folder: Path, changes: list[str]) -> CollectorConfig:
    """The default configuration with its data in ``folder`` and any free ports."""
    section = tomllib.loads(DEFAULTS.read_text())["collector"]
    section |= {"otlp_grpc_port": 0, "otlp_http_port": 0, "api_port": 0}
    section["wal"]["min_free_bytes"] = 0
    for change in changes:
        name, value = change.split("=")
        *table, key = name.split(".")
        target = section[table[0]] if table else section
        target[key] = type(target[key])(value)
    return CollectorConfig(
        host=section["host"],
        otlp_grpc_port=section["otlp_grpc_port"],
        otlp_http_port=section["otlp_http_port"],
        api_port=section["api_port"],
        store=StoreConfig(path=folder / "store", **section["store"]),
        wal=WalConfig(path=folder / "wal", **section["wal"]),
        limits=LimitsConfig(**section["limits"]),
    )


if __name__ == "__main__":
    sys.exit(server.run(config_in(Path(sys.argv[1]), sys.argv[2:])))
