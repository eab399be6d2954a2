"""State machines are run alike: 50 steps, few examples by default, 500 for long."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test


@pytest.fixture
def run_machine():
    """``run_machine(machine, max_examples)``."""

    def run(machine, max_examples: int) -> None:
        run_state_machine_as_test(
            machine,
            settings=settings(
                max_examples=max_examples,
                stateful_step_count=50,
                deadline=None,
                suppress_health_check=[HealthCheck.too_slow],
            ),
        )

    return run
