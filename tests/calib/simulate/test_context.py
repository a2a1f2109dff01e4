"""The self-made CRDS cache, seen by the crds library itself."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from calib.errors import ConfigError
from calib.references import library
from calib.references.bestrefs import best_references
from calib.references.server_config import catalogue
from calib.simulate.context import build_context, offline_profile

if TYPE_CHECKING:
    from calib.simulate.observatory import Observatory

OPENED = (
    *("BPIXTAB", "CCDTAB", "OSCNTAB", "BIASFILE", "DARKFILE", "PFLTFILE"),
    *("SATUFILE", "IMPHTTAB"),
)


def test_every_mapping_has_its_checksum(four: Observatory) -> None:
    """The sha1sum in every rules file is right, and names inside and outside agree."""
    from crds.refactoring import checksum

    paths = sorted(four.profile.mappings.iterdir())
    assert len(paths) == 25
    with library.session(four.profile):
        for path in paths:
            checksum.verify_checksum(str(path))
            assert f"'name' : '{path.name}'" in path.read_text()


def test_second_context_changes_three_of_four(four: Observatory) -> None:
    """The newer context changes the dark of the exposures after 18:00, and nothing else."""
    raws = sorted(four.raws.iterdir())
    old, new = (
        best_references(raws, context=context, profile=four.profile, required=lambda _: OPENED)
        for context in four.contexts
    )
    changed = [
        {a.keyword for a, b in zip(x.references, y.references, strict=True) if a.name != b.name}
        for x, y in zip(old.exposures, new.exposures, strict=True)
    ]
    assert changed == [{"DARKFILE"}] * 3 + [set()]


def test_catalogue_knows_every_reference(four: Observatory) -> None:
    """The catalogue in server_config has the size and sha1 of every reference file."""
    rows = catalogue(library.server_info(four.profile))
    files = {path.name: path.read_bytes() for path in four.profile.references.iterdir()}
    assert {name: (row["size"], row["sha1sum"]) for name, row in rows.items()} == {
        name: (str(len(data)), hashlib.sha1(data).hexdigest())  # noqa: S324 - CRDS uses sha1
        for name, data in files.items()
    }


@pytest.mark.slow
def test_same_seed_same_rules(four: Observatory, tmp_path: Path) -> None:
    """Rules and references are a function of the seed, byte for byte."""
    build_context(tmp_path / "again", small=True)
    for path in [p for p in four.crds_path.rglob("*") if p.is_file()]:
        again = tmp_path / "again" / path.relative_to(four.crds_path)
        assert again.read_bytes() == path.read_bytes(), path.name


def test_an_occupied_folder_is_refused(tmp_path: Path) -> None:
    """Nothing is written into a folder that has something in it."""
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(ConfigError, match="new folder"):
        build_context(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.slow
def test_certified_by_crds(others: Observatory) -> None:
    """`crds certify` finds the known fault only: it lists no APERTURE for biases before SM4.

    All references of the HRC, and of the other cameras what it has not.
    """
    hrc = others.profile.references.glob("z00000*.fits")
    names = ("z0000102j_bia", "z0000107j_fls", "z0000109j_snk", "z0000204j_lin")
    more = (others.profile.references / f"{name}.fits" for name in names)
    references = [str(path) for path in (*sorted(hrc), *more)]
    newest = others.contexts[1]
    files = [*references, str(others.profile.mappings / newest)]
    run = subprocess.run(
        [sys.executable, "-m", "crds.certify", *files, "--comparison-context", newest],
        env={**os.environ, **others.environ, "CRDS_OBSERVATORY": "hst"},
        capture_output=True,
        text=True,
        check=False,
    )
    errors = [line for line in run.stderr.splitlines() if "CRDS - ERROR" in line]
    assert len(errors) == 1, run.stderr
    assert "'APERTURE' : Value 'N/A'" in errors[0]


@pytest.mark.slow
def test_serves_the_real_raws(crds_pack: Path, tmp_path: Path) -> None:
    """Full-size references of ours are found for the three real exposures, all types opened."""
    contexts = build_context(tmp_path / "crds")
    raws = sorted((crds_pack / "raw").glob("*_raw.fits"))
    profile = offline_profile(tmp_path / "crds")
    found = [
        best_references(raws, context=context, profile=profile, required=lambda _: OPENED)
        for context in contexts
    ]
    darks = [[Path(e.path("DARKFILE") or "").name for e in r.exposures] for r in found]
    assert darks[0] == ["z0000002j_drk.fits"] * 3
    assert darks[1] == ["z0000012j_drk.fits"] * 2 + ["z0000002j_drk.fits"]
    assert found[0].exposures[2].path("CRREJTAB")
    size = sum(path.stat().st_size for path in (tmp_path / "crds").rglob("*") if path.is_file())
    assert size < 40e6
