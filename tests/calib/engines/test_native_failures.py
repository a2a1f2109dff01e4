"""What the native engine refuses, and what it leaves behind then."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from factories import (
    calibrate_tiny,
    make_raw,
    make_references,
    make_request,
)

from calib.engines.native import NativeEngine
from calib.errors import (
    DataError,
    EngineError,
    HstflowError,
    MissingReference,
    NotFound,
    ReferenceUnavailable,
    UnsupportedMode,
)
from calib.instruments.acs_recipes import HRC

TO_DARK = ("FLATCORR=OMIT", "PHOTCORR=OMIT")


@pytest.mark.parametrize(
    ("setting", "match"),
    [
        ("nonsense.x=1", "no such parameter"),
        ("bias_level.nonsense=1", "no such parameter"),
        ("bias_level.clip_sigma=many", "cannot be set"),
        ("bias_level.clip_sigma=nan", "cannot be set"),
        ("bias_level.truncate_thresholds=perhaps", "cannot be set"),
        ("ABCDCORR=OMIT", "no such switch"),
    ],
)
def test_unknown_settings_are_refused(
    tmp_path: Path, files: dict[str, Path], setting: str, match: str
) -> None:
    """The message lists what there is; nothing is written but the log."""
    with pytest.raises(HstflowError, match=match):
        calibrate_tiny(tmp_path, files, setting)
    assert [path.suffix for path in (tmp_path / "out").iterdir()] == [".tra"]


def test_settings_of_other_switches_count(tmp_path: Path, files: dict[str, Path]) -> None:
    """A correction that is not here can be switched off."""
    with pytest.raises(UnsupportedMode, match="SHADCORR"):
        calibrate_tiny(tmp_path, files, SHADCORR="PERFORM")
    products = calibrate_tiny(tmp_path, files, "SHADCORR=OMIT", SHADCORR="PERFORM")
    assert products.switches["SHADCORR"] == "OMIT"


def test_bad_gain_noise_and_exposure_time(tmp_path: Path) -> None:
    """NaN or zero gain, zero read noise, no exposure time: each a clear error."""
    cases: list[tuple[dict[str, Any], dict[str, Any], str]] = [
        ({"CCDTAB": {"ATODGNC": np.nan}}, {}, "gain of amplifier C is not usable"),
        ({"CCDTAB": {"ATODGNC": 0.0}}, {}, "gain of amplifier C is not usable"),
        ({"CCDTAB": {"READNSEC": 0.0}}, {}, "read noise of amplifier C is not usable"),
        ({}, {"EXPTIME": 0.0}, "EXPTIME is not usable"),
        ({}, {"EXPTIME": -1.0}, "EXPTIME is not usable"),
        ({}, {"DARKTIME": -1.0}, "DARKTIME is not usable"),
        ({"BPIXTAB": {"AXIS": 3}}, {}, "impossible row"),
    ]
    for number, (changes, header, match) in enumerate(cases):
        folder = tmp_path / str(number)
        folder.mkdir()
        files = make_references(folder, **changes)
        with pytest.raises(DataError, match=match) as caught:
            calibrate_tiny(folder, files, **header)
        assert caught.value.dataset == "j8zz01aaq"
        assert caught.value.path
        assert not list(folder.glob("out/*.fits*"))


@pytest.mark.parametrize(
    ("keyword", "value", "error", "match"),
    [
        ("DARKFILE", "N/A", MissingReference, "DARKFILE"),
        ("DARKFILE", None, ReferenceUnavailable, "DARKFILE"),
        ("SATUFILE", None, ReferenceUnavailable, "SATUFILE"),
        ("OSCNTAB", "N/A", MissingReference, "OSCNTAB"),
        ("IMPHTTAB", "N/A", MissingReference, "IMPHTTAB"),
    ],
)
def test_missing_references(
    tmp_path: Path, files: dict[str, Any], keyword: str, value: str | None, error: type, match: str
) -> None:
    """Not named is final; named but not there may pass. Both before anything is computed."""
    files[keyword] = value
    with pytest.raises(error, match=match):
        calibrate_tiny(tmp_path, files)


def test_all_missing_references_are_listed(tmp_path: Path, files: dict[str, Any]) -> None:
    """One message names them all; one final problem makes the whole final."""
    files.update(DARKFILE="N/A", PFLTFILE="N/A", BIASFILE=None)
    with pytest.raises(MissingReference, match=r"BIASFILE.*DARKFILE.*PFLTFILE"):
        calibrate_tiny(tmp_path, files)


def test_reference_is_needed_only_where_its_switch_opens_it(
    tmp_path: Path, files: dict[str, Any]
) -> None:
    """With DARKCORR OMIT no dark is needed."""
    files["DARKFILE"] = "N/A"
    assert calibrate_tiny(tmp_path, files, DARKCORR="OMIT").switches["DARKCORR"] == "OMIT"


@pytest.mark.parametrize(
    ("keyword", "changes", "match"),
    [
        ("DARKFILE", {"sci": np.ones((10, 10)), "dq": 0}, "does not cover"),
        ("DARKFILE", {"chip": 2}, "no image of this chip"),
        ("BIASFILE", {"ltv": 0.0}, "does not cover"),
        ("CCDTAB", {"CCDGAIN": 4.0}, "no row"),
        ("CCDTAB", {"CCDAMP": "A"}, "no row"),
        ("CCDTAB", {"pedigree": "DUMMY"}, "placeholder"),
        ("OSCNTAB", {"pedigree": "DUMMY 01/01/2002"}, "placeholder"),
        ("OSCNTAB", {"NX": 1062}, "OSCNTAB has no row for its size"),
        ("IMPHTTAB", {"mode": "acs,hrc,f606w,mjd#"}, "no row for this mode"),
    ],
)
def test_references_that_do_not_fit(
    tmp_path: Path, keyword: str, changes: dict[str, Any], match: str
) -> None:
    """Wrong size, chip or row, or a placeholder that must not be one."""
    files = make_references(tmp_path, **{keyword: changes})
    with pytest.raises(DataError, match=match):
        calibrate_tiny(tmp_path, files)


def test_overscan_must_be_removed(tmp_path: Path, files: dict[str, Path]) -> None:
    """Without BLEVCORR the later steps cannot go on; the message says what is missing."""
    with pytest.raises(UnsupportedMode, match="BLEVCORR"):
        calibrate_tiny(tmp_path, files, BLEVCORR="OMIT")


@pytest.mark.parametrize("keyword", ["LFLTFILE", "CFLTFILE"])
def test_other_flats_are_refused(tmp_path: Path, files: dict[str, Path], keyword: str) -> None:
    """A flat that is named is not left out silently."""
    files[keyword] = files["PFLTFILE"]
    with pytest.raises(UnsupportedMode, match=keyword):
        calibrate_tiny(tmp_path, files)


def test_existing_product_is_not_overwritten(tmp_path: Path, files: dict[str, Path]) -> None:
    """The second run stops before it computes."""
    first = calibrate_tiny(tmp_path, files)
    before = Path(first.files[0].path).read_bytes()
    with pytest.raises(EngineError, match="exists already"):
        calibrate_tiny(tmp_path, files)
    assert Path(first.files[0].path).read_bytes() == before


def test_failed_run_leaves_the_log_only(tmp_path: Path, files: dict[str, Path]) -> None:
    """No product, no temporary file; the log ends with what happened."""
    with pytest.raises(DataError):
        calibrate_tiny(tmp_path, files, EXPTIME=0.0)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["j8zz01aaq.tra"]
    last = (tmp_path / "out" / "j8zz01aaq.tra").read_text().splitlines()[-1]
    assert "stopped: EXPTIME is not usable" in last


def test_no_exposure_among_the_inputs(tmp_path: Path, files: dict[str, Path]) -> None:
    """An association table alone is nothing to calibrate."""
    request = make_request(make_raw(tmp_path), files, tmp_path / "out")
    empty = dataclasses.replace(request, inputs=dataclasses.replace(request.inputs, files=()))
    with pytest.raises(NotFound):
        NativeEngine([HRC]).calibrate(empty)


def test_several_exposures_all_or_none(tmp_path: Path, files: dict[str, Path]) -> None:
    """Exposures of a dither association are calibrated one by one; one failure removes all."""
    requests = [
        make_request(make_raw(tmp_path, ROOTNAME=root, **header), files, tmp_path / "out")
        for root, header in (("j8zz01abq", {}), ("j8zz01acq", {}), ("j8zz01adq", {"EXPTIME": 0.0}))
    ]

    def together(*parts: Any) -> Any:
        inputs = dataclasses.replace(
            parts[0].inputs, files=tuple(part.inputs.files[0] for part in parts)
        )
        references = dataclasses.replace(
            parts[0].references,
            exposures=tuple(part.references.exposures[0] for part in parts),
        )
        return dataclasses.replace(parts[0], inputs=inputs, references=references)

    with pytest.raises(DataError, match="EXPTIME"):
        NativeEngine([HRC]).calibrate(together(requests[0], requests[2]))
    assert not list((tmp_path / "out").glob("*.fits"))
    made = NativeEngine([HRC]).calibrate(together(*requests[:2]))
    assert [file.name for file in made.files] == ["j8zz01abq_flt.fits", "j8zz01acq_flt.fits"]


def test_exposure_without_chosen_references(tmp_path: Path, files: dict[str, Path]) -> None:
    """The engine opens only what bestrefs chose for this file."""
    request = make_request(make_raw(tmp_path), files, tmp_path / "out")
    other = dataclasses.replace(request.references.exposures[0], file="other_raw.fits")
    references = dataclasses.replace(request.references, exposures=(other,))
    with pytest.raises(MissingReference, match="no references were chosen"):
        NativeEngine([HRC]).calibrate(dataclasses.replace(request, references=references))
