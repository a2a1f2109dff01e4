"""Reference names in headers: read, found, written."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given
from hypothesis import strategies as st

from calib.errors import BESTREFS, ConfigError, CorruptFile, MissingReference
from calib.records import ExposureReferences, ReferenceUse
from calib.references.bestrefs import best_references
from calib.references.headers import reference_name, references_from_headers, update_headers

if TYPE_CHECKING:
    from calib.simulate.observatory import Observatory


def nothing(_header: Mapping[str, Any]) -> tuple[str, ...]:
    """Require no reference."""
    return ()


def bias(_header: Mapping[str, Any]) -> tuple[str, ...]:
    """Require the bias."""
    return ("BIASFILE",)


def small_raw(path: Path, **cards: Any) -> Path:
    """Write a small raw: u16 pixels, one header card per argument."""
    primary = fits.PrimaryHDU()
    primary.header["ROOTNAME"] = "jsim01aaq"
    primary.header["INSTRUME"] = "ACS"
    for keyword, value in cards.items():
        primary.header[keyword] = value
    pixels = np.arange(12, dtype=np.uint16).reshape(3, 4) * 5000
    fits.HDUList([primary, fits.ImageHDU(pixels, name="SCI")]).writeto(path)
    return path


def uses(**names: str) -> ExposureReferences:
    """Return chosen references."""
    return ExposureReferences(
        "x_raw.fits", tuple(ReferenceUse(keyword, name) for keyword, name in names.items())
    )


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("jref$m4r1753rj_bia.fits", "m4r1753rj_bia.fits"),
        ("  jref$m4r1753rj_bia.fits  ", "m4r1753rj_bia.fits"),
        ("IREF$X.FITS", "X.FITS"),
        ("m4r1753rj_bia.fits", "m4r1753rj_bia.fits"),
        ("n/a  ", "N/A"),
        ("", ""),
        (None, ""),
    ],
)
def test_reference_name(value: object, name: str) -> None:
    """The logical folder and blanks go; N/A in any case is N/A; blank and absent are ''."""
    assert reference_name(value) == name


def test_update_writes_what_crds_writes(tmp_path: Path) -> None:
    """Names get the instrument's logical folder, N/A stays bare, CRDS_CTX and CRDS_VER say who."""
    path = small_raw(tmp_path / "x_raw.fits", BIASFILE="jref$old_bia.fits", ATODTAB="jref$a.fits")
    update_headers(
        path, uses(BIASFILE="new_bia.fits", ATODTAB="N/A", IMPHTTAB="new_imp.fits"), "hst_9001.pmap"
    )
    header = fits.getheader(path)
    assert header["BIASFILE"] == "jref$new_bia.fits"
    assert header["ATODTAB"] == "N/A"
    assert header["IMPHTTAB"] == "jref$new_imp.fits"
    assert header["CRDS_CTX"] == "hst_9001.pmap"
    assert header["CRDS_VER"] == version("crds")


@pytest.mark.parametrize(
    ("instrument", "prefix"),
    [("ACS", "jref$"), ("WFC3", "iref$"), ("STIS", "oref$"), ("COS", "lref$")],
)
def test_logical_folder_of_each_instrument(tmp_path: Path, instrument: str, prefix: str) -> None:
    """Each instrument has its own logical folder."""
    path = small_raw(tmp_path / "x_raw.fits", INSTRUME=instrument)
    update_headers(path, uses(FLATFILE="f.fits"), "hst_9001.pmap")
    assert fits.getheader(path)["FLATFILE"] == f"{prefix}f.fits"


def test_update_leaves_what_is_not_listed_or_not_found(tmp_path: Path) -> None:
    """A type that the rules omit, or that has no match, keeps what the header says."""
    path = small_raw(tmp_path / "x_raw.fits", BIASFILE="jref$b.fits", IDCTAB="jref$i.fits")
    update_headers(path, uses(BIASFILE="NOT FOUND"), "header")
    header = fits.getheader(path)
    assert (header["BIASFILE"], header["IDCTAB"]) == ("jref$b.fits", "jref$i.fits")
    assert "CRDS_CTX" not in header


def test_update_renews_the_checksum(tmp_path: Path) -> None:
    """A primary header with CHECKSUM still verifies afterwards."""
    path = small_raw(tmp_path / "x_raw.fits", BIASFILE="jref$old_bia.fits")
    with fits.open(path, mode="update", checksum=True):
        pass
    assert "CHECKSUM" in fits.getheader(path)
    update_headers(path, uses(BIASFILE="new_bia.fits"), "hst_9001.pmap")
    with fits.open(path, checksum=True) as hdus:
        assert hdus[0].header["BIASFILE"] == "jref$new_bia.fits"


def test_update_of_a_file_that_is_not_fits(tmp_path: Path) -> None:
    """A file that is not FITS is CorruptFile and stays as it is; no stray file is left."""
    path = tmp_path / "x_raw.fits"
    path.write_text("text")
    with pytest.raises(CorruptFile):
        update_headers(path, uses(BIASFILE="b.fits"), "hst_9001.pmap")
    assert path.read_text() == "text"
    assert list(tmp_path.iterdir()) == [path]


def behind_primary(path: Path) -> bytes:
    """Return the bytes behind the primary header."""
    with fits.open(path) as hdus:
        start = hdus[0].fileinfo()["datLoc"]
    return path.read_bytes()[start:]


@given(
    names=st.dictionaries(
        st.from_regex(r"[A-Z]{3,5}(FILE|TAB)", fullmatch=True).filter(lambda k: len(k) <= 8),
        st.from_regex(r"[a-z0-9]{8}j_[a-z0-9]{3}\.fits", fullmatch=True) | st.just("N/A"),
        min_size=1,
        max_size=40,
    )
)
def test_what_is_written_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, names: dict[str, str]
) -> None:
    """Any names survive a round trip, all other bytes stay, and writing again changes nothing."""
    path = small_raw(tmp_path_factory.mktemp("round") / "x_raw.fits")
    before = behind_primary(path)
    update_headers(path, uses(**names), "hst_9001.pmap")
    once = path.read_bytes()
    assert behind_primary(path) == before
    found = references_from_headers([path], [], {}, required=nothing)
    assert {use.keyword: use.name for use in found.exposures[0].references} == names
    assert found.context == "hst_9001.pmap"
    update_headers(path, uses(**names), "hst_9001.pmap")
    assert path.read_bytes() == once


def test_real_raw_keeps_pixels_and_scaling(crds_pack: Path, tmp_path: Path) -> None:
    """A real raw: names as CRDS assigns them, stored pixels and BZERO untouched."""
    raw = crds_pack / "raw" / "j8bt09jcq_raw.fits"
    copy = Path(shutil.copy(raw, tmp_path))
    update_headers(copy, uses(OSCNTAB="14s1737dj_osc.fits", ATODTAB="N/A"), "hst_0729.pmap")
    assert behind_primary(copy) == behind_primary(raw)
    assert fits.getheader(copy, 1)["BZERO"] == 32768.0
    assert fits.getheader(copy)["OSCNTAB"] == "jref$14s1737dj_osc.fits"


@pytest.fixture
def places(tmp_path: Path) -> dict[str, Path]:
    """Return the four places to look in, each with another file of the same name."""
    folders = {
        "given": tmp_path / "given",
        "jref": tmp_path / "jref",
        "instrument": tmp_path / "crds" / "references" / "hst" / "acs",
        "flat": tmp_path / "crds" / "references" / "hst",
    }
    for name, folder in folders.items():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "b_bia.fits").write_text(name)
    return folders


@pytest.mark.parametrize("first", [0, 1, 2, 3])
def test_order_of_places(tmp_path: Path, places: dict[str, Path], first: int) -> None:
    """--references, then jref, then the CRDS cache by instrument, then flat."""
    for folder in list(places.values())[:first]:
        (folder / "b_bia.fits").unlink()
    raw = small_raw(tmp_path / "x_raw.fits", BIASFILE="jref$b_bia.fits")
    found = references_from_headers(
        [raw],
        [tmp_path / "empty", places["given"]],
        {"jref": f"{places['jref']}/", "CRDS_PATH": str(tmp_path / "crds")},
        required=bias,
    )
    path = found.exposures[0].path("BIASFILE")
    assert path is not None
    assert Path(path).read_text() == list(places)[first]


@pytest.mark.parametrize(
    ("cards", "told"),
    [
        ({"BIASFILE": "jref$gone_bia.fits"}, "gone_bia.fits is not in"),
        ({"BIASFILE": "N/A"}, "names none (N/A)"),
        ({"BIASFILE": ""}, "names none (blank or absent)"),
        ({}, "names none (blank or absent)"),
    ],
)
def test_required_and_missing(tmp_path: Path, cards: dict[str, str], told: str) -> None:
    """A required reference that is not named or not found is an error that says where it looked."""
    raw = small_raw(tmp_path / "x_raw.fits", **cards)
    with pytest.raises(MissingReference) as caught:
        references_from_headers([raw], [Path("/here")], {"jref": "/there/"}, required=bias)
    assert told in str(caught.value)
    assert caught.value.code == BESTREFS
    if "gone" in told:
        assert "/here, /there" in str(caught.value)


def test_not_required_and_missing(tmp_path: Path) -> None:
    """What nothing opens may be absent: recorded without a path."""
    raw = small_raw(
        tmp_path / "x_raw.fits", IDCTAB="jref$i.fits", DFLTFILE="N/A", GRAPHTAB="mtab$g"
    )
    found = references_from_headers([raw], [], {}, required=nothing)
    listed = {use.keyword: (use.name, use.present) for use in found.exposures[0].references}
    assert listed == {"IDCTAB": ("i.fits", False), "DFLTFILE": ("N/A", False)}
    assert found.context == "header"


def test_custom_file(tmp_path: Path, places: dict[str, Path]) -> None:
    """--reference wins over the header; one that does not exist is a ConfigError."""
    raw = small_raw(tmp_path / "x_raw.fits", BIASFILE="N/A")
    mine = places["given"] / "b_bia.fits"
    found = references_from_headers([raw], [], {}, required=bias, custom={"biasfile": mine})
    assert found.exposures[0].path("BIASFILE") == str(mine)
    with pytest.raises(ConfigError, match="BIASFILE="):
        references_from_headers(
            [raw], [], {}, required=bias, custom={"BIASFILE": tmp_path / "no.fits"}
        )


def test_rules_then_headers_agree(
    observatory: Observatory, raws: list[Path], tmp_path: Path
) -> None:
    """Headers written from the rules lead back to the same files and checksums."""
    chosen = best_references(
        raws, context=observatory.contexts[1], profile=observatory.profile, required=bias
    )
    copies = [Path(shutil.copy(raw, tmp_path)) for raw in raws]
    for copy, exposure in zip(copies, chosen.exposures, strict=True):
        update_headers(copy, exposure, chosen.context)
    found = references_from_headers(copies, [], observatory.environ, required=bias)
    assert found.context == chosen.context
    for ours, theirs in zip(found.exposures, chosen.exposures, strict=True):
        wanted = {use.keyword: (use.path, use.sha1) for use in theirs.references}
        got = {use.keyword: (use.path, use.sha1) for use in ours.references}
        assert {key: got[key] for key in wanted} == wanted
