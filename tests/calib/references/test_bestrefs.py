"""The best references: what CRDS answers, and what is an error."""

from __future__ import annotations

import hashlib
import pickle
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from astropy.io import fits

from calib.errors import (
    BESTREFS,
    ConfigError,
    CorruptFile,
    MissingReference,
    NotFound,
    ReferenceUnavailable,
)
from calib.records import References, from_json, to_json
from calib.references.bestrefs import best_references
from calib.references.problems import awaited_in
from calib.references.profile import CrdsProfile

if TYPE_CHECKING:
    from calib.simulate.observatory import Observatory

OLD, NEW = "hst_9001.pmap", "hst_9002.pmap"

# What CRDS answers for the three real exposures on hst_0729.pmap.
COMMON = {
    "BPIXTAB": "m8r09169j_bpx.fits",
    "CCDTAB": "o1515069j_ccd.fits",
    "IDCTAB": "p7d1548qj_idc.fits",
    "IMPHTTAB": "2391649pj_imp.fits",
    "MDRIZTAB": "ub215378j_mdz.fits",
    "OSCNTAB": "14s1737dj_osc.fits",
}
FIRST = COMMON | {
    "BIASFILE": "m4r1753rj_bia.fits",
    "DARKFILE": "n3o1059hj_drk.fits",
    "DGEOFILE": "o8u2214mj_dxy.fits",
    "NPOLFILE": "v9718263j_npl.fits",
    "PFLTFILE": "o3u1448rj_pfl.fits",
}
REAL = {
    "j8bt05njq_raw.fits": FIRST,
    "j8bt06o6q_raw.fits": FIRST
    | {
        "DGEOFILE": "o8u2214nj_dxy.fits",
        "NPOLFILE": "v9718264j_npl.fits",
        "PFLTFILE": "o3u1449dj_pfl.fits",
    },
    "j8bt09jcq_raw.fits": COMMON
    | {
        "BIASFILE": "m4m0925ij_bia.fits",
        "CRREJTAB": "n4e12510j_crr.fits",
        "DARKFILE": "n3o1059gj_drk.fits",
        "DGEOFILE": "o8u2214gj_dxy.fits",
        "NPOLFILE": "v9718260j_npl.fits",
        "PFLTFILE": "n4t1530bj_pfl.fits",
    },
}


def nothing(_header: Mapping[str, Any]) -> tuple[str, ...]:
    """Require no reference."""
    return ()


def ccd(header: Mapping[str, Any]) -> tuple[str, ...]:
    """Require what the basic CCD steps open."""
    assert header["DETECTOR"] == "HRC"
    assert header["NAXIS1"] != 0
    return ("BIASFILE", "DARKFILE", "PFLTFILE")


def names(references: References, file: str) -> dict[str, str]:
    """Return the files chosen for an exposure, without N/A."""
    exposure = references.of(file)
    assert exposure is not None
    return {use.keyword: use.name for use in exposure.references if use.name != "N/A"}


def test_real_exposures_get_the_answers_of_crds(real: CrdsProfile, crds_pack: Path) -> None:
    """Three real raws of 2002, with keywords of today absent, resolve exactly as CRDS does."""
    raws = sorted((crds_pack / "raw").glob("*_raw.fits"))
    references = best_references(raws, context="hst_0729.pmap", profile=real, required=nothing)
    assert {file: names(references, file) for file in REAL} == REAL
    assert [len(exposure.references) for exposure in references.exposures] == [22, 22, 22]
    assert not any(use.present for e in references.exposures for use in e.references)


def test_matching_header_is_what_crds_matched_with(real: CrdsProfile, crds_pack: Path) -> None:
    """The recorded header has the match values, conditioned, and UNDEFINED where absent."""
    raw = crds_pack / "raw" / "j8bt05njq_raw.fits"
    references = best_references([raw], context="hst_0729.pmap", profile=real, required=nothing)
    header = references.exposures[0].matching_header
    assert header["INSTRUME"] == "ACS"
    assert header["CCDGAIN"] == "2.0"
    assert header["NAXIS1"] == "1062.0"
    assert header["DATE-OBS"] == "2002-04-13"
    assert header["PCTECORR"] == "UNDEFINED"
    assert "TARGNAME" not in header


def test_simulated_exposure_has_paths_and_checksums(
    observatory: Observatory, raws: list[Path]
) -> None:
    """A file in the cache is recorded with its path, its sha1 and whether it is required."""
    references = best_references(raws, context=OLD, profile=observatory.profile, required=ccd)
    bias = next(u for u in references.exposures[0].references if u.keyword == "BIASFILE")
    assert bias.required
    assert bias.path is not None
    assert Path(bias.path).parent == observatory.profile.references
    assert bias.sha1 == hashlib.sha1(Path(bias.path).read_bytes()).hexdigest()  # noqa: S324 - CRDS uses sha1
    idctab = next(u for u in references.exposures[0].references if u.keyword == "IDCTAB")
    assert (idctab.name, idctab.path, idctab.sha1, idctab.required) == ("N/A", None, None, False)
    assert from_json(References, to_json(references)) == references


def test_another_context_gives_another_dark(observatory: Observatory, raws: list[Path]) -> None:
    """The newer context differs in the dark alone; asking in turn mixes nothing up."""
    answers = [
        names(
            best_references(raws, context=context, profile=observatory.profile, required=ccd),
            raws[0].name,
        )
        for context in (OLD, NEW, OLD)
    ]
    assert answers[0] == answers[2]
    changed = {key for key in answers[0] if answers[0][key] != answers[1][key]}
    assert changed == {"DARKFILE"}


def test_differences_between_members_are_visible(
    observatory: Observatory, raws: list[Path]
) -> None:
    """Exposures in two filters have two flats: reported with keyword, names and files."""
    references = best_references(raws, context=OLD, profile=observatory.profile, required=ccd)
    flats = "z0000003j_pfl.fits (jsim01aaq_raw.fits), z0000004j_pfl.fits (jsim01abq_raw.fits)"
    assert references.differences == (f"PFLTFILE: {flats}",)
    alone = best_references(raws[:1], context=OLD, profile=observatory.profile, required=ccd)
    assert alone.differences == ()


def test_required_but_not_in_the_cache(own_cache: CrdsProfile, raws: list[Path]) -> None:
    """Absent files are ReferenceUnavailable, all of them in one message; code 27."""
    (own_cache.references / "z0000002j_drk.fits").unlink()
    (own_cache.references / "z0000003j_pfl.fits").unlink()
    with pytest.raises(ReferenceUnavailable) as caught:
        best_references(raws, context=OLD, profile=own_cache, required=ccd)
    text = str(pickle.loads(pickle.dumps(caught.value)))  # noqa: S301 - our own bytes
    assert "z0000002j_drk.fits is not in the cache" in text
    assert "jsim01aaq_raw.fits, jsim01abq_raw.fits" in text
    assert "z0000003j_pfl.fits is not in the cache" in text
    assert awaited_in(text) == {"z0000002j_drk.fits": "DARKFILE", "z0000003j_pfl.fits": "PFLTFILE"}
    assert caught.value.code == BESTREFS


def test_absent_and_not_required(own_cache: CrdsProfile, raws: list[Path]) -> None:
    """An absent file that nothing opens is recorded as not present."""
    (own_cache.references / "z0000002j_drk.fits").unlink()
    references = best_references(raws, context=OLD, profile=own_cache, required=nothing)
    dark = next(u for u in references.exposures[0].references if u.keyword == "DARKFILE")
    assert (dark.name, dark.present, dark.sha1) == ("z0000002j_drk.fits", False, None)


def test_listed_as_bad(own_cache: CrdsProfile, raws: list[Path]) -> None:
    """A reference in bad_files_list is refused, in words of its own, as soon as it is listed."""
    best_references(raws, context=OLD, profile=own_cache, required=ccd)
    text = own_cache.server_config.read_text()
    own_cache.server_config.write_text(
        text.replace("'bad_files_list': []", "'bad_files_list': ['z0000001j_bia.fits']")
    )
    with pytest.raises(MissingReference, match=r"z0000001j_bia\.fits is listed as bad"):
        best_references(raws, context=OLD, profile=own_cache, required=ccd)
    references = best_references(raws, context=OLD, profile=own_cache, required=nothing)
    assert references.exposures[0].path("BIASFILE") is None


def edited(raw: Path, folder: Path, **cards: Any) -> Path:
    """Return a copy of a raw with other cards; None removes one."""
    path = folder / raw.name
    shutil.copyfile(raw, path)
    with fits.open(path, mode="update") as hdus:
        for keyword, value in cards.items():
            if value is None:
                del hdus[0].header[keyword.replace("_", "-")]
            else:
                hdus[0].header[keyword.replace("_", "-")] = value
    return path


def test_no_match_for_a_required_type(
    own_cache: CrdsProfile, raws: list[Path], tmp_path: Path
) -> None:
    """A filter without a flat is MissingReference with CRDS' reason, not "not in the cache"."""
    raw = edited(raws[0], tmp_path, FILTER1="F550M")
    with pytest.raises(MissingReference) as caught:
        best_references([raw], context=OLD, profile=own_cache, required=ccd)
    assert "PFLTFILE: no match" in str(caught.value)
    assert "F550M" in str(caught.value)
    assert caught.value.dataset == "jsim01aaq"


def test_no_match_for_a_type_nothing_opens(
    own_cache: CrdsProfile, raws: list[Path], tmp_path: Path
) -> None:
    """Without a match and not required, a type is NOT FOUND, which is not N/A."""
    raw = edited(raws[0], tmp_path, FILTER1="F550M")
    references = best_references([raw], context=OLD, profile=own_cache, required=nothing)
    flat = next(u for u in references.exposures[0].references if u.keyword == "PFLTFILE")
    assert (flat.name, flat.present) == ("NOT FOUND", False)


def test_absent_and_unmatched_together(
    own_cache: CrdsProfile, raws: list[Path], tmp_path: Path
) -> None:
    """One message has every problem of every file; a final one decides the class."""
    (own_cache.references / "z0000002j_drk.fits").unlink()
    raw = edited(raws[0], tmp_path, FILTER1="F550M")
    with pytest.raises(MissingReference) as caught:
        best_references([raw, raws[1]], context=OLD, profile=own_cache, required=ccd)
    assert "PFLTFILE: no match" in str(caught.value)
    assert "DARKFILE: z0000002j_drk.fits is not in the cache" in str(caught.value)


@pytest.mark.parametrize(
    ("keyword", "told"),
    [("CRREJTAB", "need none (N/A)"), ("GHOSTTAB", "has no rules for it")],
)
def test_required_where_the_rules_have_none(
    observatory: Observatory, raws: list[Path], keyword: str, told: str
) -> None:
    """N/A or no rules at all is an error for a type that calibration opens."""
    with pytest.raises(MissingReference) as caught:
        best_references(
            raws, context=OLD, profile=observatory.profile, required=lambda _: (keyword,)
        )
    assert told in str(caught.value)


def test_missing_date(own_cache: CrdsProfile, raws: list[Path], tmp_path: Path) -> None:
    """Without DATE-OBS nothing can match, and the message says so."""
    raw = edited(raws[0], tmp_path, DATE_OBS=None)
    with pytest.raises(MissingReference, match="date/time"):
        best_references([raw], context=OLD, profile=own_cache, required=ccd)


@pytest.mark.parametrize(
    ("instrument", "error", "told"),
    [
        ("", CorruptFile, "INSTRUME"),
        ("WFPC2", MissingReference, "WFPC2"),
        ("COS", MissingReference, "no rules"),
    ],
)
def test_instrument_without_rules(
    own_cache: CrdsProfile,
    raws: list[Path],
    tmp_path: Path,
    instrument: str,
    error: type[Exception],
    told: str,
) -> None:
    """No, an unknown, or an uncovered instrument: each has its own message."""
    raw = edited(raws[0], tmp_path, INSTRUME=instrument)
    with pytest.raises(error, match=told):
        best_references([raw], context=OLD, profile=own_cache, required=nothing)


def test_custom_file_replaces_the_answer(
    own_cache: CrdsProfile, raws: list[Path], tmp_path: Path
) -> None:
    """A custom reference is taken for every exposure, even where the file was absent."""
    (own_cache.references / "z0000002j_drk.fits").unlink()
    mine = tmp_path / "mine_drk.fits"
    mine.write_bytes(b"dark")
    references = best_references(
        raws, context=OLD, profile=own_cache, required=ccd, custom={"darkfile": mine}
    )
    for exposure in references.exposures:
        dark = next(u for u in exposure.references if u.keyword == "DARKFILE")
        assert (dark.name, dark.path) == ("mine_drk.fits", str(mine))
        assert dark.sha1 == hashlib.sha1(b"dark").hexdigest()  # noqa: S324 - CRDS uses sha1


@pytest.mark.parametrize(
    ("keyword", "exists"), [("DARKFILE", False), ("DARKFLE", True)], ids=["file", "keyword"]
)
def test_custom_mistakes(
    observatory: Observatory, raws: list[Path], tmp_path: Path, keyword: str, exists: bool
) -> None:
    """A custom file that does not exist, or a keyword nobody knows, is a ConfigError."""
    mine = tmp_path / "mine_drk.fits"
    if exists:
        mine.write_bytes(b"dark")
    with pytest.raises(ConfigError) as caught:
        best_references(
            raws,
            context=OLD,
            profile=observatory.profile,
            required=nothing,
            custom={keyword: mine},
        )
    assert keyword in str(caught.value)


def test_both_layouts_of_the_cache(own_cache: CrdsProfile, raws: list[Path]) -> None:
    """References are found per instrument as well, whatever the cache declares."""
    folder = own_cache.references / "acs"
    folder.mkdir()
    for path in own_cache.references.glob("*.fits"):
        path.rename(folder / path.name)
    references = best_references(raws, context=OLD, profile=own_cache, required=ccd)
    path = references.exposures[0].path("DARKFILE")
    assert path is not None
    assert Path(path).parent == folder


def test_sha1_of_a_file_that_is_not_the_catalogue_s(
    own_cache: CrdsProfile, raws: list[Path]
) -> None:
    """A file of another size than in the catalogue gets its own sha1."""
    bias = own_cache.references / "z0000001j_bia.fits"
    bias.write_bytes(bias.read_bytes() + bytes(2880))
    references = best_references(raws, context=OLD, profile=own_cache, required=ccd)
    use = next(u for u in references.exposures[0].references if u.keyword == "BIASFILE")
    assert use.sha1 == hashlib.sha1(bias.read_bytes()).hexdigest()  # noqa: S324 - CRDS uses sha1


def test_unreadable_exposures(observatory: Observatory, tmp_path: Path) -> None:
    """An absent file and one that is not FITS are told apart."""
    with pytest.raises(NotFound):
        best_references(
            [tmp_path / "no_raw.fits"], context=OLD, profile=observatory.profile, required=nothing
        )
    text = tmp_path / "text_raw.fits"
    text.write_text("not FITS")
    with pytest.raises(CorruptFile):
        best_references([text], context=OLD, profile=observatory.profile, required=nothing)
