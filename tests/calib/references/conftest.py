"""A CRDS cache of its own for tests that change it, and the real rules."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from calib.references import library
from calib.references.profile import CrdsProfile
from calib.simulate.crds_server import CrdsServer

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


@pytest.fixture
def server(observatory: Observatory) -> Iterator[CrdsServer]:
    """Return a running server of the simulated cache."""
    with CrdsServer(observatory.crds_path) as running:
        yield running


@pytest.fixture
def profile(server: CrdsServer, tmp_path: Path) -> Iterator[CrdsProfile]:
    """Return the profile of an empty cache that the server fills."""
    library.forget()
    yield server.profile(tmp_path / "cache")
    library.forget()


@pytest.fixture
def names(observatory: Observatory) -> list[str]:
    """Return the names of all references of the observatory."""
    return sorted(path.name for path in observatory.profile.references.glob("*.fits"))
