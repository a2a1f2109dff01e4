"""Exposures of STIS: a raw file with its wavelength calibration, and what is no raw file."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from associations import describe
from program_headers import STIS, request_of
from standin_programs import calls_of, make_program

from calib.engines.hstcal import HstcalEngine
from calib.engines.protocol import CalibrationRequest
from calib.errors import EngineError, MissingMember, UnsupportedMode
from calib.records import ExposureReferences, RawInputs


def with_wavecal(request: CalibrationRequest, folder: Path) -> CalibrationRequest:
    """Add the wavelength calibration of an exposure of STIS."""
    raw = Path(request.inputs.files[0].path)
    wav = raw.with_name(raw.name.replace("_raw", "_wav"))
    wav.write_bytes(raw.read_bytes())
    files = (*request.inputs.files, describe(wav, "wav"))
    uses = request.references.exposures[0].references
    exposures = (*request.references.exposures, ExposureReferences(wav.name, uses))
    return dataclasses.replace(
        request,
        inputs=dataclasses.replace(request.inputs, files=files),
        references=dataclasses.replace(request.references, exposures=exposures),
    )


def test_stis_raw_and_its_wavecal(tmp_path: Path, programs: Path) -> None:
    """One call for the raw; the wavecal lies beside it and is no input of its own."""
    request = with_wavecal(request_of(tmp_path, **STIS), tmp_path)
    products = HstcalEngine().calibrate(request)

    assert calls_of(programs, "cs0") == ["-tv oz0001010_raw.fits"]
    assert [file.name for file in products.files] == [
        f"oz0001010_{suffix}.fits" for suffix in ("flt", "x1d", "x2d")
    ]
    assert products.logs == ()
    assert products.log == str(request.output / f"{request.dataset}_hstcal.log")


@pytest.mark.parametrize("keyword", ["CRCORR", "RPTCORR"])
def test_stis_split_exposures(tmp_path: Path, programs: Path, keyword: str) -> None:
    """The exposures are image sets of one file; RPTCORR of the CCD rejects cosmic rays too."""
    header = {**STIS, "WAVECORR": "OMIT", "NEXTEND": 6, "EXPSCORR": "OMIT", keyword: "PERFORM"}
    names = HstcalEngine().product_names(request_of(tmp_path, **header))
    assert names == tuple(f"oz0001010_{suffix}.fits" for suffix in ("crj", "sx2", "sx1"))
    each = HstcalEngine().product_names(request_of(tmp_path, **{**header, "EXPSCORR": "PERFORM"}))
    assert "oz0001010_flt.fits" in each


def test_stis_wavecal_that_is_missing(tmp_path: Path, programs: Path) -> None:
    """It is said before the program is started, with the way round it."""
    request = request_of(tmp_path, **STIS)
    with pytest.raises(MissingMember, match=r"oz0001010_wav\.fits.*WAVECORR=OMIT"):
        HstcalEngine().calibrate(request)
    assert calls_of(programs, "cs0") == []
    without = request_of(tmp_path, "WAVECORR=OMIT", **STIS)
    assert len(HstcalEngine().calibrate(without).files) == 3


def test_stis_wavecal_alone(tmp_path: Path, programs: Path) -> None:
    """It is calibrated where there is no raw; cs0.e keeps its suffix in the names."""
    header = {**STIS, "WAVECORR": "OMIT", "X1DCORR": "OMIT", "X2DCORR": "OMIT"}
    request = with_wavecal(request_of(tmp_path, **header), tmp_path)
    request = dataclasses.replace(
        request, inputs=dataclasses.replace(request.inputs, files=request.inputs.of("wav"))
    )
    products = HstcalEngine().calibrate(request)

    assert calls_of(programs, "cs0") == ["-tv oz0001010_wav.fits"]
    assert [file.name for file in products.files] == ["oz0001010_wav_flt.fits"]


def test_stis_events_alone(tmp_path: Path, programs: Path) -> None:
    """Events are nothing for cs0.e: the reason says what is."""
    request = request_of(tmp_path, **{**STIS, "DETECTOR": "NUV-MAMA"})
    file = dataclasses.replace(request.inputs.files[0], suffix="tag", name="oz0001010_tag.fits")
    request = dataclasses.replace(request, inputs=RawInputs("oz0001010", "file", (file,)))
    with pytest.raises(UnsupportedMode, match="inttag"):
        HstcalEngine().calibrate(request)
    header = {**STIS, "FILENAME": "oz0001010_tag.fits"}
    assert "inttag" in str(HstcalEngine().covers(header))


def test_product_that_a_program_leaves_out_with_a_reason(tmp_path: Path, programs: Path) -> None:
    """Calstis makes no spectra where the wavelength calibration is empty, and says so."""
    said = "echo 'Warning          so WAVECORR, X1DCORR, X2DCORR will be set to OMIT.'"
    copy = "cp oz0001010_raw.fits oz0001010_flt.fits"
    make_program(programs, "cs0.e", f"{said}\n{copy}")
    request = with_wavecal(request_of(tmp_path, **STIS), tmp_path)
    assert [f.name for f in HstcalEngine().calibrate(request).files] == ["oz0001010_flt.fits"]
    make_program(programs, "cs0.e", said)
    with pytest.raises(EngineError, match=r"flt\.fits is not there"):
        HstcalEngine().calibrate(dataclasses.replace(request, output=tmp_path / "none"))
    make_program(programs, "cs0.e", copy)
    with pytest.raises(EngineError, match=r"x2d\.fits is not there"):
        HstcalEngine().calibrate(dataclasses.replace(request, output=tmp_path / "other"))
