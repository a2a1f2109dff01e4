"""A place for datasets that are processed on two contexts."""

from __future__ import annotations

from pathlib import Path

import pytest
from reprocessed import Twice

from calib.simulate.observatory import Observatory


@pytest.fixture
def twice(observatory: Observatory, tmp_path: Path) -> Twice:
    """Return the simulated observatory with nothing processed yet."""
    return Twice.at(tmp_path, observatory)
