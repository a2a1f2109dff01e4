"""A planned job on the simulated observatory."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import pytest
from archived import Home, publish_home

from calib.simulate.observatory import Observatory, build_observatory
from calib.stages.job import Job
from calib.stages.planning import Request, plan_jobs


@pytest.fixture
def request_of(observatory: Observatory, tmp_path: Path) -> Request:
    """Return a request for the simulated datasets, with everything under a temporary folder."""
    return Request(
        source=f"file:{observatory.raws}",
        output=f"file:{tmp_path / 'out'}",
        profile=observatory.profile,
        work=str(tmp_path / "work"),
        ledger=f"sqlite:///{tmp_path / 'ledger.db'}",
        context=observatory.contexts[0],
    )


@pytest.fixture
def job(request_of: Request, observatory: Observatory) -> Job:
    """Return the first simulated dataset's job."""
    return plan_jobs(request_of, observatory.datasets[:1])[0]


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Return an archive with a quadrant of the WFC, an SBC frame and a pair of the HRC."""
    return publish_home(tmp_path_factory.mktemp("published"))


@pytest.fixture
def home(published: Home, tmp_path: Path) -> Home:
    """Return a copy of it that a test may spoil; the sources recorded are still the first."""
    shutil.copytree(published.root, tmp_path / "home", symlinks=True)
    return dataclasses.replace(published, root=tmp_path / "home")


@pytest.fixture(scope="session")
def sky(tmp_path_factory: pytest.TempPathFactory) -> Observatory:
    """Return an observatory of four exposures, of which one is old, and four associations."""
    folder = tmp_path_factory.mktemp("sky")
    return build_observatory(folder, exposures=4, small=True, associations=True)


@pytest.fixture
def own(sky: Observatory, tmp_path: Path) -> Observatory:
    """Return a private copy of it, to be damaged."""
    raws = Path(shutil.copytree(sky.raws, tmp_path / "raw"))
    crds = Path(shutil.copytree(sky.crds_path, tmp_path / "crds"))
    return dataclasses.replace(sky, raws=raws, crds_path=crds)


@pytest.fixture
def asked(own: Observatory, tmp_path: Path) -> Request:
    """Return a request on the newer context, with everything under a temporary folder."""
    return Request(
        source=f"file:{own.raws}",
        output=f"file:{tmp_path / 'out'}",
        profile=own.profile,
        work=str(tmp_path / "work"),
        ledger=f"sqlite:///{tmp_path / 'ledger.db'}",
        context=own.contexts[1],
    )
