"""The project's own limits, and a now that stands still."""

from __future__ import annotations

import pytest

from davylamp.config import collector_config, load_settings


@pytest.fixture(scope="session")
def limits():
    return collector_config(load_settings(environ={})).limits


@pytest.fixture(scope="session")
def now():
    return 1_790_000_000_000_000_000
