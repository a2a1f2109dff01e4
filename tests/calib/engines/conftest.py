"""Fixtures of the engine tests."""

from __future__ import annotations

from pathlib import Path

import pytest
from factories import make_references


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """Return references by keyword; only tests that ask have a flash and a delta flat."""
    made = make_references(tmp_path)
    return {key: path for key, path in made.items() if key not in {"FLSHFILE", "DFLTFILE"}}
