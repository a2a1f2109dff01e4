"""A simulated cache of its own, and new references for it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from astropy.io import fits

from calib.references.profile import CrdsProfile
from calib.simulate.context import offline_profile

if TYPE_CHECKING:
    from calib.simulate.observatory import Observatory

OLD = "hst_9002.pmap"

# Makes a dark: name of the file, and cards of its primary header (None takes one out).
NewDark = Callable[..., Path]


@pytest.fixture
def cache(observatory: Observatory, tmp_path: Path) -> CrdsProfile:
    """Return the profile of a copy of the simulated cache."""
    shutil.copytree(observatory.crds_path, tmp_path / "crds")
    return offline_profile(tmp_path / "crds")


@pytest.fixture
def new_dark(observatory: Observatory, tmp_path: Path) -> NewDark:
    """Return a function that writes a dark which is used from 19:00:00 on."""

    def write(name: str = "my dark.fits", **cards: Any) -> Path:
        path = tmp_path / "new files" / name
        path.parent.mkdir(exist_ok=True)
        shutil.copyfile(observatory.profile.references / "z0000012j_drk.fits", path)
        with fits.open(path, mode="update") as hdus:
            for keyword, value in {"USEAFTER": "Apr 13 2002 19:00:00", **cards}.items():
                if value is None:
                    del hdus[0].header[keyword]
                else:
                    hdus[0].header[keyword] = value
        return path

    return write


def snapshot(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder, hidden ones too."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }
