"""Native products beside those of HSTCAL."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from associations import describe
from astropy.io import fits
from factories import make_request

from calib.engines.native import NativeEngine
from calib.engines.protocol import CalibrationRequest
from calib.fetch.local import read_association
from calib.image import Image
from calib.instruments.acs_recipes import HRC
from calib.records import RawInputs
from calib.steps.cosmic_rays import (
    Rejection,
    combine_exposures,
    mark_rejected,
    masked_columns,
    spoil_first_error,
)

pytestmark = pytest.mark.parity

REAL = ("j8bt05njq", "j8bt06o6q", "j8bt09jcq")


@pytest.fixture(scope="module")
def golden(shared: Path, crds_pack: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return inputs and references of the golden cases."""
    folder = tmp_path_factory.mktemp("golden")
    script = shared / "golden" / "make_data.py"
    cases = ["acs_hrc_real", "acs_hrc_asn", "acs_wfc_tiny_sub"]
    subprocess.run(
        [sys.executable, script, folder, *cases],
        env={**os.environ, "HRC_REAL": str(crds_pack / "raw")},
        check=True,
    )
    return folder


def references_of(raw: Path, folder: Path) -> dict[str, Path | str]:
    """Return the files that a golden header names."""
    header = fits.getheader(raw)
    names = {key: str(header[key]) for key in header if str(header[key]).startswith("jref$")}
    paths = {key: folder / name.removeprefix("jref$") for key, name in names.items()}
    return {key: path if path.is_file() else "N/A" for key, path in paths.items()}


def calibrate(engine: NativeEngine, raw: Path, folder: Path, output: Path, *settings: str) -> Path:
    """Calibrate one golden raw."""
    request = make_request(raw, references_of(raw, folder), output, settings)
    return Path(engine.calibrate(request).files[0].path)


def test_real_exposures_equal_calacs(golden: Path, shared: Path, tmp_path: Path) -> None:
    """SCI, ERR, DQ and headers of three real HRC exposures are those of calacs."""
    for root in REAL:
        raw = golden / "acs_hrc_real" / "in" / f"{root}_raw.fits"
        calibrate(NativeEngine(), raw, golden / "ref_acs_hrc", tmp_path)
    wanted = shared / "golden" / "products" / "acs_hrc_real"
    compared = subprocess.run(
        [sys.executable, shared / "golden" / "compare.py", wanted, tmp_path, "--headers"],
        check=False,
        capture_output=True,
        text=True,
    )
    assert compared.returncode == 0, compared.stdout
    for root in REAL:
        for name in ("SCI", "ERR", "DQ"):
            want = fits.getdata(wanted / f"{root}_flt.fits.gz", name)
            assert np.array_equal(want, fits.getdata(tmp_path / f"{root}_flt.fits", name))


@pytest.mark.parametrize("root", ["jh0001aaq", "jh0001abq"])
def test_member_of_an_association_alone_equals_calacs(
    root: str, golden: Path, shared: Path, tmp_path: Path
) -> None:
    """A CR member processed alone has calacs' pixels, and its flags but for CR rejection."""
    raw = golden / "acs_hrc_asn" / "in" / f"{root}_raw.fits"
    made = calibrate(NativeEngine(), raw, golden / "ref_acs_hrc", tmp_path)
    wanted = shared / "golden" / "products" / "acs_hrc_asn" / f"{root}_flt.fits.gz"
    for name in ("SCI", "ERR"):
        assert np.array_equal(fits.getdata(wanted, name), fits.getdata(made, name))
    flags = fits.getdata(wanted, "DQ")
    assert np.array_equal(flags & ~np.int16(8192), fits.getdata(made, "DQ"))
    assert fits.getval(made, "CRCORR") == "PERFORM"


def test_subarray_equals_calacs(golden: Path, shared: Path, tmp_path: Path) -> None:
    """Slicing of references, trimming and the line fit are calacs' in a subarray of amp C.

    The golden subarray is WFC's; but for sink pixels (1024) its steps are those of the HRC.
    """
    recipe = dataclasses.replace(HRC, detector="WFC", refuses=lambda _header: None)
    raw = golden / "acs_wfc_tiny_sub" / "in" / "jt0003aaq_raw.fits"
    made = calibrate(
        NativeEngine([recipe]), raw, golden / "ref_acs_wfc_tiny", tmp_path, "SINKCORR=OMIT"
    )
    wanted = shared / "golden" / "products" / "acs_wfc_tiny_sub" / "jt0003aaq_flt.fits.gz"
    for name in ("SCI", "ERR"):
        assert np.array_equal(fits.getdata(wanted, name), fits.getdata(made, name))
    flags = fits.getdata(wanted, "DQ")
    assert np.array_equal(flags & ~np.int16(1024), fits.getdata(made, "DQ"))


@pytest.mark.parametrize("root", REAL)
def test_original_raw_without_modern_keywords(
    root: str, golden: Path, crds_pack: Path, tmp_path: Path
) -> None:
    """The archive's own raws, without DARKTIME, SATUFILE or IMPHTTAB, are calibrated too."""
    raw = crds_pack / "raw" / f"{root}_raw.fits"
    names = {"CCDTAB": "ccd", "OSCNTAB": "osc", "BPIXTAB": "bpx", "BIASFILE": "bia"}
    names |= {"DARKFILE": "drk", "PFLTFILE": "pfl", "IMPHTTAB": "imp"}
    files = {key: golden / "ref_acs_hrc" / f"{name}.fits" for key, name in names.items()}
    products = NativeEngine().calibrate(make_request(raw, files, tmp_path))
    header = fits.getheader(products.files[0].path)
    assert header["DARKTIME"] == header["EXPTIME"]
    assert header["IMPHTTAB"] == "jref$imphttab.fits"
    assert len(products.notes) == 2
    assert "DARKTIME" in products.notes[0]
    assert "SATUFILE" in products.notes[1]
    flags = fits.getdata(products.files[0].path, "DQ")
    assert not (flags & 256).any()


def association_request(folder: Path, references: Path, output: Path) -> CalibrationRequest:
    """Return what the engine is asked for the association in a folder."""
    table = next(folder.glob("*_asn.fits"))
    name = table.name.partition("_")[0]
    parts = [
        make_request(raw, references_of(raw, references), output)
        for raw in sorted(folder.glob("*_raw.fits"))
    ]
    files = (describe(table, "asn"), *(part.inputs.files[0] for part in parts))
    return dataclasses.replace(
        parts[0],
        dataset=name,
        inputs=RawInputs(name, "file", files, read_association(table).members),
        references=dataclasses.replace(
            parts[0].references, exposures=tuple(part.references.exposures[0] for part in parts)
        ),
    )


def test_association_equals_calacs(golden: Path, shared: Path, tmp_path: Path) -> None:
    """The crj and both flts of a CR split: all pixels, flags and headers are those of calacs."""
    request = association_request(
        golden / "acs_hrc_asn" / "in", golden / "ref_acs_hrc", tmp_path / "out"
    )
    products = NativeEngine().calibrate(request)
    wanted = shared / "golden" / "products" / "acs_hrc_asn"
    compared = subprocess.run(
        [sys.executable, shared / "golden" / "compare.py", wanted, tmp_path / "out", "--headers"],
        check=False,
        capture_output=True,
        text=True,
    )
    assert compared.returncode == 0, compared.stdout
    assert compared.stdout.count("ok  ") == 9
    for file in products.files[:3]:
        for name in ("SCI", "ERR", "DQ"):
            want = fits.getdata(wanted / f"{file.name}.gz", name)
            assert np.array_equal(want, fits.getdata(file.path, name))
    table = fits.open(wanted / "jh0001010_asn.fits.gz"), fits.open(products.files[3].path)
    with table[0] as want, table[1] as made:
        assert np.array_equal(want[1].data, made[1].data)
        assert made[0].header["ASN_PROD"] == want[0].header["ASN_PROD"]


@pytest.mark.parametrize("chip", [1, 2])
def test_combination_of_three_equals_calacs(chip: int, shared: Path) -> None:
    """Sum, errors, flags, sky, rate and the marks in the exposures, from calacs' own exposures.

    They are two chips of a small WFC, which the program combines like HRC exposures.
    """
    folder = shared / "golden" / "products" / "acs_wfc_tiny_asn"
    images, marked, seconds = [], [], []
    for path in sorted(folder.glob("*_blv_tmp.fits.gz")):
        with fits.open(path) as hdus:
            sci, err, dq = (hdus[name, chip].data for name in ("SCI", "ERR", "DQ"))
            native = [np.asarray(a, k) for a, k in ((sci, "f4"), (err, "f4"), (dq, "i2"))]
            seconds.append(hdus[0].header["EXPTIME"])
        marked.append(native[2])
        images.append(Image(native[0], native[1], native[2] & ~np.int16(8192), "ELECTRONS"))
    row = Rejection((6.5, 5.5, 4.5), radius=1.5, threshold=0.75, scale_noise=0.03, bad=39)
    made = combine_exposures(images, seconds, row)
    with fits.open(folder / "jt0004011_crj_tmp.fits.gz") as crj:
        assert np.array_equal(made.image.sci, crj["SCI", chip].data)
        assert np.array_equal(spoil_first_error(made.image.err), crj["ERR", chip].data)
        assert np.array_equal(made.image.dq, crj["DQ", chip].data)
        if chip == 1:  # the keywords of the second chip are lost
            assert sum(made.skies) == pytest.approx(crj[0].header["SKYSUM"], rel=1e-7)
            rate = made.rejected.sum() / made.seconds
            assert rate == pytest.approx(crj[0].header["REJ_RATE"], rel=1e-7)
    for image, rejected, want in zip(images, made.rejected, marked, strict=True):
        columns = masked_columns(image.shape[1])
        assert np.array_equal(mark_rejected(image, rejected, columns), want)
