"""Inputs of the golden cases, byte for byte."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from calib.errors import ConfigError
from calib.simulate.golden import CASES, LARGE_CASES, REFERENCE_SETS, write_case
from calib.simulate.golden_references import write_tables

LISTED = Path(__file__).parents[2] / "golden" / "inputs.sha256"


def sums(folder: Path) -> dict[str, str]:
    """Return the sha256 of every FITS file by its path in the folder."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*.fits")
    }


def listed() -> dict[str, str]:
    """Return the sha256 of every file of every case, large ones too, by its path."""
    rows = (line.split(maxsplit=1) for line in LISTED.read_text().splitlines())
    return {name: digest for digest, name in rows}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with all cases but the large ones."""
    folder = tmp_path_factory.mktemp("made")
    for name in CASES:
        write_case(name, folder)
    return folder


def test_inputs_are_those_of_the_golden_products(made: Path) -> None:
    """Every raw, table and reference has the listed sha256, and there is no other."""
    large = {*LARGE_CASES, *(references for references, _ in LARGE_CASES.values())}
    wanted = {name: sha for name, sha in listed().items() if name.split("/")[0] not in large}
    assert sums(made) == wanted


def test_a_large_case_has_the_listed_bytes(tmp_path: Path) -> None:
    """A quadrant of full size and the tables for it; references that are there are kept."""
    name = LARGE_CASES["acs_wfc_sub2k"][0]
    wanted = REFERENCE_SETS[name]
    write_tables(tmp_path / name, wanted, np.random.default_rng(wanted.seed))
    write_case("acs_wfc_sub2k", tmp_path)
    assert sums(tmp_path).items() <= listed().items()
    assert len(sums(tmp_path)) == 6


def test_same_bytes_as_the_script_that_made_the_golden_inputs(shared: Path, tmp_path: Path) -> None:
    """Other seeds give the script's bytes too, so an engine can be judged on other pixels.

    Those of seed 0 are listed.
    """
    cases = ("acs_wfc_tiny_asn", "acs_wfc_tiny_sub", "acs_sbc")
    subprocess.run(
        [sys.executable, shared / "golden" / "make_data.py", tmp_path / "script", *cases],
        env={**os.environ, "SEED_OFFSET": "7"},
        check=True,
    )
    for name in cases:
        write_case(name, tmp_path / "ours", seed_offset=7)
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
