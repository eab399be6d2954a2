"""The reference cases, read in place. They are not part of the project."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="session")
def cases():
    """Sections of the file of reference cases."""
    data = os.environ.get("DAVYLAMP_REFERENCE_DATA")
    folder = Path(data) if data else ROOT.parent / "shared" / "data"
    path = folder / "slo" / "cases_open.json"
    if not path.is_file():
        pytest.skip("needs the reference cases: set DAVYLAMP_REFERENCE_DATA to their folder")
    return json.loads(path.read_text(encoding="utf-8"))
