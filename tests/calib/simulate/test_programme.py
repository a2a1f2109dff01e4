"""The programme of the demo: datasets of all three cameras, one of them broken."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from astropy.io import fits

from calib.errors import CorruptFile
from calib.fetch.local import fetch_inputs
from calib.fitsfile import BLOCK, opened, primary_header
from calib.ids import parse_dataset
from calib.references import library
from calib.references.bestrefs import best_references
from calib.references.exposure import read_headers
from calib.references.profile import CrdsProfile
from calib.simulate.context import SERVER
from calib.simulate.programme import Programme, build_programme, flip_bits
from calib.simulate.targets import TARGETS, render_target


def counts(path: Path) -> npt.NDArray[np.uint16]:
    """Return the pixels of a raw, unchecked."""
    with opened(path) as hdus:
        return np.array(hdus["SCI"].data, np.uint16)


@pytest.fixture(scope="module")
def programme(tmp_path_factory: pytest.TempPathFactory) -> Programme:
    """Return the programme."""
    return build_programme(tmp_path_factory.mktemp("programme"))


def test_datasets_of_every_kind(programme: Programme) -> None:
    """Twelve single exposures and four associations, with each camera on targets of its own."""
    assert len(programme.datasets) == 16
    assert [name for name in programme.datasets if name[-1].isdigit()] == list(
        programme.associations
    )
    headers = [primary_header(path) for path in sorted(programme.raws.glob("*_raw.fits"))]
    assert len(headers) == 21
    assert {header["TARGNAME"] for header in headers} == set(TARGETS)
    filters = Counter((h["DETECTOR"], h["FILTER1"], h["FILTER2"]) for h in headers)
    assert filters == {
        ("HRC", "F606W", "CLEAR2S"): 7,
        ("HRC", "F555W", "CLEAR2S"): 4,
        ("HRC", "CLEAR1S", "F330W"): 2,
        ("WFC", "F606W", "CLEAR2L"): 5,
        ("WFC", "CLEAR1L", "F814W"): 1,
        ("SBC", "F125LP", "N/A"): 1,
        ("SBC", "F140LP", "N/A"): 1,
    }


def test_rules_choose_for_every_exposure(programme: Programme) -> None:
    """The crds library finds what calibration opens, for each camera, epoch and aperture."""
    names = ("jsky08aaq", "jsky09aaq", "jsky10aaq", "jsky11aaq", "jsky12aaq")
    chosen = best_references(
        [programme.raws / f"{name}_raw.fits" for name in names],
        context=programme.contexts[0],
        profile=programme.profile,
        required=lambda _: (),
    )
    found = [
        {use.keyword: int(str(use.name)[1:8]) for use in one.references if use.path}
        for one in chosen.exposures
    ]
    of_wfc = {"CCDTAB": 110, "OSCNTAB": 111, "BPIXTAB": 112, "SATUFILE": 108, "IMPHTTAB": 114}
    late = of_wfc | {"BIASFILE": 102, "DARKFILE": 104, "PFLTFILE": 106, "SNKCFILE": 109}
    assert found[0] == late | {"FLSHFILE": 107}
    assert found[1] == of_wfc | {"BIASFILE": 101, "DARKFILE": 103, "PFLTFILE": 105}
    assert found[2] == late
    assert found[3] == late | {"CRREJTAB": 113}
    assert found[4] == {
        "DARKFILE": 201,
        "PFLTFILE": 202,
        "MLINTAB": 204,
        "BPIXTAB": 205,
        "IMPHTTAB": 206,
    }


def test_real_rules_choose_for_every_exposure(programme: Programme, crds_pack: Path) -> None:
    """Headers have what the rules of 2019 match with; those have no dark for the SBC."""
    from crds.core import rmap

    tables = ("CCDTAB", "OSCNTAB", "BPIXTAB", "IMPHTTAB")
    images = ("BIASFILE", "DARKFILE", "PFLTFILE")
    late = (*tables, *images, "SNKCFILE")
    wanted = {
        "jsky08aaq": (*late, "FLSHFILE"),
        "jsky09aaq": (*tables, *images),
        "jsky10aaq": late,
        "jsky11aaq": (*late, "CRREJTAB"),
        "jsky12aaq": ("MLINTAB", "BPIXTAB", "IMPHTTAB", "PFLTFILE"),
    }
    kinds = [kind.lower() for kind in (*late, "FLSHFILE", "CRREJTAB", "MLINTAB")]
    profile = CrdsProfile("pack", SERVER, crds_pack / "crds_cache", layout="flat")
    with library.session(profile):
        rules = rmap.get_cached_mapping("hst_0729.pmap")
        for name, types in wanted.items():
            header = read_headers(programme.raws / f"{name}_raw.fits").text
            unknown = {"XCORNER": "UNDEFINED", "YCORNER": "UNDEFINED"}  # of the archive's database
            best = rules.get_best_references(header | unknown, include=kinds)
            named = {kind.upper() for kind, file in best.items() if "NOT FOUND" not in file}
            assert named == set(types), name


def test_one_dataset_is_broken_and_the_others_are_whole(
    programme: Programme, tmp_path: Path
) -> None:
    """Only the broken one fails verification, and its error is about its checksum."""
    for name in programme.datasets:
        if name == programme.broken:
            continue
        fetch_inputs(parse_dataset(name), f"file:{programme.raws}", tmp_path / name)
    broken = parse_dataset(programme.broken)
    with pytest.raises(CorruptFile, match=r"(?i)checksum"):
        fetch_inputs(broken, f"file:{programme.raws}", tmp_path / "broken")


def test_the_newer_context_changes_what_was_taken_after_the_later_dark(
    programme: Programme,
) -> None:
    """The first visit and other cameras keep their dark, the HRC's others get the newer one."""
    raws = [programme.raws / f"{name}_raw.fits" for name in ("jsky01aaq", "jsky05aaq", "jsky08aaq")]
    old, new = (
        best_references(
            raws, context=context, profile=programme.profile, required=lambda _: ("DARKFILE",)
        )
        for context in programme.contexts
    )
    darks = [[e.path("DARKFILE") for e in chosen.exposures] for chosen in (old, new)]
    assert darks[0][0] == darks[0][1] == darks[1][0]
    assert darks[1][1] != darks[0][1]
    assert darks[0][2] == darks[1][2]


def test_again_is_the_same_and_quick(programme: Programme) -> None:
    """A second call finds the first one's files."""
    begin = time.process_time()
    assert build_programme(programme.raws.parent) == programme
    assert time.process_time() - begin < 1


def test_flipped_bits_keep_length_and_headers(programme: Programme, tmp_path: Path) -> None:
    """Damage changes 64 bytes of pixels; what reads headers only sees nothing of it."""
    whole = programme.raws / "jsky01aaq_raw.fits"
    copy = tmp_path / whole.name
    copy.write_bytes(whole.read_bytes())
    flip_bits(copy)
    assert copy.stat().st_size % BLOCK == 0
    for number in range(4):
        before, after = (dict(fits.getheader(path, number)) for path in (whole, copy))
        assert {key: after[key] for key in before} == before
        assert set(after) - set(before) == {"CHECKSUM", "DATASUM"}
    changed = counts(copy) != counts(whole)
    assert changed.sum() == 32  # two bytes a pixel


def test_a_good_copy_of_the_damaged_file_is_there(programme: Programme) -> None:
    """It has what the damage has changed, and nothing else is in its folder."""
    name = f"{programme.broken}_raw.fits"
    assert [path.name for path in programme.redelivered.iterdir()] == [name]
    changed = counts(programme.redelivered / name) != counts(programme.raws / name)
    assert changed.sum() == 32  # 64 bytes, two a pixel


@pytest.mark.parametrize("name", TARGETS)
def test_targets_are_positive_repeatable_and_structured(name: str) -> None:
    """A target shines on every pixel, is a function of its seed, and differs between seeds."""
    sky = render_target(name, (96, 128), seed=1)
    assert sky.shape == (96, 128)
    assert sky.min() > 0
    assert sky.max() > 20 * np.median(sky)
    assert np.array_equal(sky, render_target(name, (96, 128), seed=1))
    assert not np.array_equal(sky, render_target(name, (96, 128), seed=2))


@pytest.mark.parametrize("name", TARGETS)
def test_targets_are_fainter_in_the_blue(name: str) -> None:
    """Bluer filters see the same target with less light."""
    red, blue = (render_target(name, (96, 96), seed=1, blueness=b) for b in (0, 2))
    assert blue.sum() < red.sum()
    assert np.corrcoef(np.log(red).ravel(), np.log(blue).ravel())[0, 1] > 0.8
