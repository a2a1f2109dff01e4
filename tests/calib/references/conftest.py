"""A CRDS cache of its own for tests that change it, and the real rules."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from calib.references.profile import CrdsProfile

if TYPE_CHECKING:
    from calib.simulate.observatory import Observatory

SERVERLESS = "https://hst-serverless.stsci.edu"


@pytest.fixture
def own_cache(observatory: Observatory, tmp_path: Path) -> CrdsProfile:
    """Return the profile of a copy of the simulated cache, free to be damaged."""
    cache = tmp_path / "crds"
    shutil.copytree(observatory.crds_path, cache)
    return CrdsProfile("copy", SERVERLESS, cache)


@pytest.fixture
def raws(observatory: Observatory) -> list[Path]:
    """Return the simulated raw files in name order."""
    return sorted(observatory.raws.glob("*_raw.fits"))


@pytest.fixture(scope="session")
def real(crds_pack: Path) -> CrdsProfile:
    """Return the profile of the real rules (no reference files with them)."""
    return CrdsProfile("pack", SERVERLESS, crds_pack / "crds_cache", readonly=True)
