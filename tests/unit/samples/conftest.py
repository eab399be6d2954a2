"""Settings and instances as plain values."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from sample_services.config import SamplesConfig
from sample_services.instances import Instance, InstanceSpec

CONFIG = SamplesConfig(
    host="127.0.0.1",
    controller_port=0,
    edge_port=0,
    profile="tiny",
    seed=7,
    environment="test",
    region="eu-west",
    plays_per_s=10.0,
    browse_per_s=1.0,
    accounts=1000,
    titles=100,
    share_ratio=0.25,
    drain_timeout_s=2.0,
    canary_lifetime_s=60.0,
    home_timeout_s=0.25,
    endpoint_id="deployer",
    export_interval_s=1.0,
    temporality="cumulative",
    otlp_endpoint="http://127.0.0.1:4318",
    analysis_url="",
    webhook_secret_file=Path("secret"),
    api_token_file=Path("token"),
    state_dir=Path("state"),
)


@pytest.fixture
def config():
    """``config(field=value)``."""
    return lambda **changes: replace(CONFIG, **changes)


@pytest.fixture
def instance():
    """``instance("playback/a/stable")``: a running instance on that position."""

    def make(slot, arm="stable", version="1.0.0"):
        service, zone, _ = slot.split("/", 2)
        spec = InstanceSpec(
            slot=slot,
            service=service,
            zone=zone,
            version=version,
            build="stable",
            arm=arm,
            port=0,
            otlp_endpoint="http://127.0.0.1:4318",
        )
        return Instance(spec, f"{service}-{zone}-0a1b", pid=1, port=1234)

    return make
