"""References agree with the exposures: calibrating one with them gives back the sky."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pytest

from calib.fitsfile import opened, pixels
from calib.records import ExposureReferences
from calib.references.bestrefs import best_references
from calib.simulate.detector import SMALL_FRAME, Detector
from calib.simulate.pointing import plan_pointings
from calib.simulate.reference_files import write_first_references
from calib.simulate.scene import render_sky

if TYPE_CHECKING:
    from calib.simulate.observatory import Observatory

Array = npt.NDArray[np.float64]


def image(path: str | Path | None, name: str = "SCI") -> Array:
    """Return the pixels of an extension as float64."""
    assert path is not None
    with opened(path) as hdus:
        found = pixels(hdus[name])
    assert found is not None
    return found.astype(np.float64)


def calibrate(raw: Path, chosen: ExposureReferences) -> tuple[Array, Array]:
    """Calibrate by hand, with the tables: return the light in electrons and good pixels."""
    with opened(chosen.path("OSCNTAB") or "") as hdus:
        osc = hdus[1].data[0]
    with opened(chosen.path("CCDTAB") or "") as hdus:
        gain = float(hdus[1].data[0]["ATODGNC"])
    with opened(raw) as hdus:
        seconds = hdus[0].header["DARKTIME"]
    counts = image(raw)
    assert (osc["NX"], osc["NY"]) == counts.shape[::-1]
    saturated = counts >= 65535
    counts -= image(chosen.path("BIASFILE"))
    left = counts[:, osc["BIASSECTA1"] - 1 : osc["BIASSECTA2"]].mean(axis=1)
    right = counts[:, osc["BIASSECTB1"] - 1 : osc["BIASSECTB2"]].mean(axis=1)
    rows = np.arange(len(left))
    counts -= np.polyval(np.polyfit(rows, (left + right) / 2, 1), rows)[:, None]
    window = (
        slice(osc["TRIMY1"], counts.shape[0] - osc["TRIMY2"]),
        slice(osc["TRIMX1"], counts.shape[1] - osc["TRIMX2"]),
    )
    good = ~saturated[window]
    with opened(chosen.path("BPIXTAB") or "") as hdus:
        for row in hdus[1].data:
            first = row["PIX2"] - 1
            good[first : first + row["LENGTH"], row["PIX1"] - 1] = False
    light = counts[window] * gain - image(chosen.path("DARKFILE")) * seconds
    return light / image(chosen.path("PFLTFILE")), good


@pytest.mark.parametrize("number", [0, 1, 2, 3])
def test_calibrating_gives_back_the_sky(four: Observatory, number: int) -> None:
    """Bias, dark, flat and tables together undo the detector, within photon and read noise."""
    raw = sorted(four.raws.iterdir())[number]
    references = best_references(
        [raw], context=four.contexts[1], profile=four.profile, required=lambda _: ()
    )
    light, good = calibrate(raw, references.exposures[0])
    pointing = plan_pointings(4, 1)[number]
    blueness = ["F606W", "F555W", "F330W"].index(pointing.filter)
    sky = render_sky(SMALL_FRAME.shape, seed=pointing.field, blueness=blueness)
    expected = sky * pointing.seconds
    noise = np.sqrt(expected + 4.74**2)
    z = ((light - expected) / noise)[good & (expected < 50000)]
    assert abs(np.median(z)) < 0.1
    assert np.median(np.abs(z)) * 1.4826 == pytest.approx(1.0, abs=0.12)


def test_the_later_dark_takes_the_new_hot_pixels_away(four: Observatory) -> None:
    """With the older dark, pixels that became hot stay bright; with the newer one they do not."""
    raw = min(four.raws.iterdir())
    found = [
        best_references(
            [raw], context=context, profile=four.profile, required=lambda _: ()
        ).exposures[0]
        for context in four.contexts
    ]
    rates = [image(exposure.path("DARKFILE")) for exposure in found]
    hot = rates[1] - rates[0] > 0.05
    assert 4 < hot.sum() < 60
    flags = [image(exposure.path("DARKFILE"), "DQ") for exposure in found]
    assert (flags[1][hot & (rates[1] > 0.08)] == 16).all()
    light = [calibrate(raw, exposure)[0][hot] for exposure in found]
    assert np.median(light[0] - light[1]) > 20


def test_same_detector_same_bytes(tmp_path: Path) -> None:
    """References are a function of the detector, byte for byte."""
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        folder.mkdir()
        write_first_references(folder, Detector(SMALL_FRAME, 5))
    files = sorted(path.name for path in folders[0].iterdir())
    assert len(files) == 11
    assert all(
        (folders[0] / name).read_bytes() == (folders[1] / name).read_bytes() for name in files
    )


def test_constant_extensions_have_the_right_kind_of_number(four: Observatory) -> None:
    """ERR expands to float32 and DQ to int16, of the shape of SCI."""
    for path in four.profile.references.glob("*_bia.fits"):
        with opened(path) as hdus:
            sci, err, dq = (pixels(hdu) for hdu in hdus[1:])
        assert sci is not None
        assert err is not None
        assert dq is not None
        assert sci.shape == err.shape == dq.shape
        assert (err.dtype, dq.dtype) == (np.float32, np.int16)
        assert err.min() == np.float32(0.12)


def test_no_reference_is_a_dummy(four: Observatory) -> None:
    """PEDIGREE is never DUMMY, which would make calibration skip a step."""
    paths = sorted(four.profile.references.iterdir())
    for path in paths:
        with opened(path) as hdus:
            header = hdus[0].header
            assert header["PEDIGREE"] == "GROUND"
            assert header["FILENAME"] == path.name
            assert header["USEAFTER"].endswith("00:00")


def test_photometry_rows(four: Observatory) -> None:
    """IMPHTTAB has three tables of one row per filter, with values at four dates."""
    with opened(four.profile.references / "z0000011j_imp.fits") as hdus:
        assert [hdu.name for hdu in hdus[1:]] == ["PHOTFLAM", "PHOTPLAM", "PHOTBW"]
        rows = hdus["PHOTFLAM"].data
        assert [mode.strip() for mode in rows["OBSMODE"]] == [
            "acs,hrc,f606w,mjd#",
            "acs,hrc,f555w,mjd#",
            "acs,hrc,f330w,mjd#",
        ]
        assert rows["PHOTFLAM1"].shape == (3, 4)
