"""Building an observatory: quick, repeatable, careful with what is there."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from calib.errors import ConfigError
from calib.references.context import resolve_context
from calib.references.profile import load_profile
from calib.simulate.observatory import Observatory, build_observatory


def test_what_is_built(four: Observatory) -> None:
    """Raws, a CRDS cache whose operational context is the older one, names, environment."""
    assert sorted(path.name for path in four.raws.iterdir()) == [
        f"{name}_raw.fits" for name in four.datasets
    ]
    profile = load_profile(None, four.environ)
    assert profile.offline
    assert resolve_context(None, profile) == four.contexts[0] == "hst_9001.pmap"
    assert four.contexts[1] == "hst_9002.pmap"


def test_again_is_the_same_and_touches_nothing(tmp_path: Path) -> None:
    """A second call returns the first one's observatory, also after the folder was moved."""
    first = build_observatory(tmp_path / "one", small=True)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "one").rglob("*")}
    assert build_observatory(tmp_path / "one", small=True) == first
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "one").rglob("*")} == before
    shutil.move(tmp_path / "one", tmp_path / "two")
    assert build_observatory(tmp_path / "two", small=True).raws == tmp_path / "two" / "raw"


@pytest.mark.slow
def test_other_arguments_are_refused(tmp_path: Path) -> None:
    """An observatory of another kind is neither returned nor replaced."""
    build_observatory(tmp_path / "one", small=True)
    with pytest.raises(ConfigError, match="other arguments"):
        build_observatory(tmp_path / "one", small=True, seed=2)


def test_a_folder_with_other_things_is_refused(tmp_path: Path) -> None:
    """A folder of the user's is left alone."""
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "precious.fits").write_text("mine")
    with pytest.raises(ConfigError, match="new folder"):
        build_observatory(tmp_path, small=True)
    assert (tmp_path / "raw" / "precious.fits").read_text() == "mine"


@pytest.mark.slow
def test_an_interrupted_build_is_done_anew(tmp_path: Path) -> None:
    """What an interrupted build left is not taken for an observatory."""
    part = tmp_path / ".one.part" / "raw"
    part.mkdir(parents=True)
    (part / "half_raw.fits").write_text("half")
    built = build_observatory(tmp_path / "one", small=True)
    assert sorted(path.name for path in built.raws.iterdir()) == ["jsim01aaq_raw.fits"]
    assert not (tmp_path / ".one.part").exists()


@pytest.mark.slow
def test_small_is_small(tmp_path: Path) -> None:
    """A small observatory of two exposures takes less than 2 MB."""
    build_observatory(tmp_path / "one", exposures=2, small=True)
    size = sum(path.stat().st_size for path in (tmp_path / "one").rglob("*") if path.is_file())
    assert size < 2e6
