"""Inputs of the golden cases, byte for byte."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from calib.errors import ConfigError
from calib.simulate.golden import CASES, write_case

LISTED = Path(__file__).parents[2] / "golden" / "inputs.sha256"


def sums(folder: Path) -> dict[str, str]:
    """Return the sha256 of every FITS file by its path in the folder."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*.fits")
    }


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with all cases."""
    folder = tmp_path_factory.mktemp("made")
    for name in CASES:
        write_case(name, folder)
    return folder


def test_inputs_are_those_of_the_golden_products(made: Path) -> None:
    """Every raw, table and reference has the listed sha256, and there is no other."""
    rows = (line.split(maxsplit=1) for line in LISTED.read_text().splitlines())
    assert sums(made) == {name: digest for digest, name in rows}


@pytest.mark.parametrize(
    ("offset", "cases"), [(0, tuple(CASES)), (7, ("acs_wfc_tiny_asn", "acs_wfc_tiny_sub"))]
)
def test_same_bytes_as_the_script_that_made_the_golden_inputs(
    offset: int, cases: tuple[str, ...], shared: Path, tmp_path: Path
) -> None:
    """Other seeds give the script's bytes too, so an engine can be judged on other pixels."""
    subprocess.run(
        [sys.executable, shared / "golden" / "make_data.py", tmp_path / "script", *cases],
        env={**os.environ, "SEED_OFFSET": str(offset)},
        check=True,
    )
    for name in cases:
        write_case(name, tmp_path / "ours", seed_offset=offset)
    assert sums(tmp_path / "ours") == sums(tmp_path / "script")


def test_cases_share_references(made: Path, tmp_path: Path) -> None:
    """A second case of a detector uses the references that are there."""
    first = write_case("acs_wfc_tiny", tmp_path)
    before = {path: path.stat().st_mtime_ns for path in first.references.iterdir()}
    second = write_case("acs_wfc_tiny_sub", tmp_path)
    assert second.references == first.references
    assert {path: path.stat().st_mtime_ns for path in second.references.iterdir()} == before
    assert not list(tmp_path.glob(".*"))


def test_unknown_case(tmp_path: Path) -> None:
    """A wrong name is refused with the names that there are."""
    with pytest.raises(ConfigError, match="acs_hrc_asn"):
        write_case("acs_hrc_assn", tmp_path)
    assert not any(tmp_path.iterdir())
