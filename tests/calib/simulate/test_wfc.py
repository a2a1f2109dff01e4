"""The synthetic WFC: two chips of one sky, quadrants, and references that undo the detector."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pytest
from astropy.io import fits

from calib.fitsfile import opened, pixels, read_exposure
from calib.references.bestrefs import best_references
from calib.simulate.detector import SMALL_FRAME, make_detectors
from calib.simulate.programme import plan_wfc
from calib.simulate.sky import render_pointing
from calib.simulate.wfc import GAP, STRIPES, expected_electrons, read_wfc, wandering_level

if TYPE_CHECKING:
    from calib.records import ExposureReferences
    from calib.simulate.observatory import Observatory

Array = npt.NDArray[np.float64]

CHIPS = make_detectors(SMALL_FRAME, 1, ("WFC",))["WFC"]
FULL, EARLY, QUADRANT = plan_wfc(1)

# Columns and rows of a chip: those that see the sky.
NX, NY = 192, 96
ROWS_BETWEEN = round(GAP * NX)


def row_of(path: str | None, **wanted: object) -> Mapping[str, Any]:
    """Return the only row of a table with these values."""
    with opened(path or "") as hdus:
        table = hdus[1].data
        rows = [
            {name: row[name] for name in table.names}
            for row in table
            if all(row[key] == value for key, value in wanted.items())
        ]
    assert len(rows) == 1
    return rows[0]


def slice_of(path: str | None, chip: int, header: Mapping[str, Any], name: str = "SCI") -> Array:
    """Return the part of a reference that a frame covers, found by chip and LTV."""
    with opened(path or "") as hdus:
        hdu = next(h for h in hdus if h.name == name and h.header["CCDCHIP"] == chip)
        image = pixels(hdu)
        assert image is not None
        x, y = (int(hdu.header[k] - header[k]) for k in ("LTV1", "LTV2"))
    return image[y : y + header["NAXIS2"], x : x + header["NAXIS1"]].astype(float)


def calibrate(
    raw: Array, primary: Mapping[str, Any], sci: Mapping[str, Any], chosen: ExposureReferences
) -> tuple[Array, Array]:
    """Calibrate a frame by hand, with the tables: return electrons and the pixels to look at."""
    chip = sci["CCDCHIP"]
    wanted = {"CCDAMP": primary["CCDAMP"], "CCDCHIP": chip}
    ccd = row_of(chosen.path("CCDTAB"), **wanted)
    osc = row_of(chosen.path("OSCNTAB"), **wanted)
    assert (osc["NX"], osc["NY"]) == raw.shape[::-1]
    counts = raw - slice_of(chosen.path("BIASFILE"), chip, sci)
    border = ccd["AMPX"] + max(int(sci["LTV1"]), 0)
    electrons = np.empty_like(counts)
    for amplifier, part, side in zip(
        {1: "AB", 2: "CD"}[chip], (slice(border), slice(border, None)), "AB", strict=True
    ):
        if not counts[:, part].size:
            continue
        columns = slice(osc[f"BIASSECT{side}1"] - 1, osc[f"BIASSECT{side}2"])
        level = counts[:, columns].mean(axis=1, keepdims=True)
        electrons[:, part] = (counts[:, part] - level) * ccd[f"ATODGN{amplifier}"]
    ny, nx = raw.shape
    x, y = osc["TRIMX1"], osc["TRIMY1"]
    window = slice(y, ny - osc["TRIMY2"]), slice(x, nx - osc["TRIMX2"])
    trimmed = {"NAXIS1": window[1].stop - x, "NAXIS2": window[0].stop - y}
    trimmed |= {"LTV1": sci["LTV1"] - x, "LTV2": sci["LTV2"] - y}
    left_out = ccd["OVRHFLS"] if primary["FLASHDUR"] else ccd["OVRHUFLS"]
    seconds = primary["DARKTIME"] + (left_out if primary["EXPSTART"] >= 54962 else 0)
    out = electrons[window] - slice_of(chosen.path("DARKFILE"), chip, trimmed) * seconds
    if primary["FLASHDUR"]:
        out -= slice_of(chosen.path("FLSHFILE"), chip, trimmed) * primary["FLASHDUR"]
    full_well = slice_of(chosen.path("SATUFILE"), chip, sci)[window]
    return out / slice_of(chosen.path("PFLTFILE"), chip, trimmed), electrons[window] < full_well


@pytest.mark.parametrize("pointing", [FULL, EARLY, QUADRANT], ids=["late", "early", "quadrant"])
def test_calibrating_gives_back_the_sky(others: Observatory, pointing: Any) -> None:
    """Bias, levels, dark, post-flash, flat and tables undo the detector, within the noise.

    The level of a row is the mean of six columns, so its noise is that of reading and more.
    """
    path = others.raws / f"{pointing.rootname}_raw.fits"
    chosen = best_references(
        [path], context=others.contexts[0], profile=others.profile, required=lambda _: ()
    ).exposures[0]
    rows = 2 * NY + ROWS_BETWEEN
    sky = render_pointing(pointing, (NY, NX // 2) if pointing.quadrant else (rows, NX))
    with opened(path) as hdus:
        primary = hdus[0].header
        frames = [hdu for hdu in hdus if hdu.name == "SCI"]
        starts = (0,) if pointing.quadrant else (0, NY + ROWS_BETWEEN)
        for hdu, start in zip(frames, starts, strict=True):
            raw = hdu.data.astype(float)
            light, good = calibrate(raw, primary, hdu.header, chosen)
            expected = sky[start : start + NY] * pointing.seconds
            flash = 10 * pointing.flash
            noise = np.sqrt(expected + flash + 4.3**2 * (1 + 1 / 6))
            z = ((light - expected) / noise)[good]
            assert abs(np.median(z)) < 0.2
            assert np.median(np.abs(z)) * 1.4826 == pytest.approx(1.0, abs=0.12)
            chip = next(one for one in CHIPS if one.chip == hdu.header["CCDCHIP"])
            became_hot = (chip.later_dark - chip.dark > 0.1)[:, -light.shape[1] :]
            assert abs(np.median((light - expected)[became_hot])) < 12  # of about 300, or of none


def test_full_frame_is_laid_out_like_a_real_one(others: Observatory) -> None:
    """Chip 2 is imset 1; chip 1 has its virtual overscan below; ERR and DQ have no pixels."""
    with opened(others.raws / "jsky08aaq_raw.fits", do_not_scale_image_data=True) as hdus:
        names = [(hdu.name, hdu.ver) for hdu in hdus[1:]]
        assert names == [(name, v) for v in (1, 2) for name in ("SCI", "ERR", "DQ")]
        primary, lower, upper = hdus[0].header, hdus["SCI", 1].header, hdus["SCI", 2].header
        assert (hdus["ERR", 2].header["NAXIS"], upper["BITPIX"], upper["BZERO"]) == (0, 16, 32768)
    assert [h["CCDCHIP"] for h in (lower, upper)] == [2, 1]
    assert [(h["LTV1"], h["LTV2"]) for h in (lower, upper)] == [(24, 0), (24, 20)]
    assert (lower["NAXIS1"], lower["NAXIS2"]) == (NX + 48, NY + 20)
    keys = ("NEXTEND", "CCDAMP", "CCDGAIN", "APERTURE", "SUBARRAY", "JWROTYPE", "FLASHCUR")
    assert [primary[key] for key in keys] == [6, "ABCD", 2.0, "WFC", False, "CLAMP", "LOW"]
    asked = {key for key in primary if key.endswith("CORR") and primary[key] == "PERFORM"}
    assert {"SINKCORR", "FLSHCORR", "BLEVCORR"} <= asked
    with fits.open(others.raws / "jsky08aaq_raw.fits") as hdus:
        hdus.verify("exception")


def test_quadrant_is_laid_out_like_a_real_one(others: Observatory) -> None:
    """Amplifier B has the right half of chip 1, with its overscan at the right and below."""
    exposure = read_exposure(others.raws / "jsky10aaq_raw.fits")
    (imset,) = exposure.imsets
    sci = imset.sci
    assert imset.image.sci.shape == (NY + 20, NX // 2 + 24)
    assert (sci["CCDCHIP"], sci["LTV1"], sci["LTV2"]) == (1, 24 - 120, 20)
    keys = ("CCDAMP", "APERTURE", "SUBARRAY", "NEXTEND")
    assert [exposure.primary[key] for key in keys] == ["B", "WFC1B-2K", True, 3]


def test_before_the_repair_sinks_and_flash_are_not_asked_for(others: Observatory) -> None:
    """A frame of 2006 has another dark and bias, no post-flash and no sink pixels."""
    primary = fits.getheader(others.raws / "jsky09aaq_raw.fits")
    assert (primary["SINKCORR"], primary["FLSHCORR"], primary["FLASHCUR"]) == (
        "OMIT",
        "OMIT",
        "OFF",
    )
    assert primary["EXPSTART"] < 54962


def test_both_chips_see_one_sky_with_a_gap() -> None:
    """The target is one place: its pixels on both chips differ by a chip and the gap."""
    lower, upper = read_wfc(FULL, CHIPS)
    assert lower.target[0] == upper.target[0]
    assert lower.target[1] - (upper.target[1] - 20) == NY + ROWS_BETWEEN


def test_stripes_are_shared_by_both_chips_from_their_corners() -> None:
    """Since SM4 the rows of all amplifiers rise and fall together, chip 1 counted from its top.

    The mean of 48 columns has noise of about 0.6 electrons, the stripes 0.9: correlation
    0.81 / (0.81 + 0.36) = 0.69.
    """
    still = replace(FULL, flash=0.0, seconds=0.0)

    def rows(pointing: Any) -> tuple[Array, Array]:
        frames_of = read_wfc(pointing, CHIPS)
        frames = [frame.counts - c.bias for frame, c in zip(frames_of, CHIPS, strict=True)]
        means = [np.hstack([f[:, :24], f[:, -24:]]).mean(axis=1) for f in frames]
        return means[0], means[1][::-1]

    lower, upper = rows(still)
    assert np.corrcoef(lower, upper)[0, 1] > 0.45
    assert lower.std() * 2 == pytest.approx(np.hypot(STRIPES, 0.6), rel=0.25)
    early = replace(EARLY, seconds=0.0)
    assert abs(np.corrcoef(*rows(early))[0, 1]) < 0.5


def test_amplifiers_read_from_the_corners_to_the_middle() -> None:
    """What wanders with time is the same for all four amplifiers: both chips are mirrored."""
    lower, upper = (wandering_level(FULL, chip.geometry) for chip in CHIPS)
    assert lower.shape == CHIPS[0].geometry.raw_shape
    assert np.array_equal(lower, lower[:, ::-1])
    assert np.array_equal(lower, upper[::-1])
    # The last pixel of a row and the first of the next are 146 pixels apart in time.
    assert np.abs(np.diff(lower[:, 0])).mean() > np.abs(lower[1:, 0] - lower[:-1, 119]).mean()


def test_sink_pixels_take_charge() -> None:
    """A sink pixel has 25 electrons less than its light, dark and post-flash make, or none."""
    chip = CHIPS[0]
    light = np.full(chip.geometry.shape, 1.0)
    charge = expected_electrons(replace(FULL, seconds=100.0), chip, light)
    sunk = np.argwhere(chip.sinks[chip.geometry.window] == -25)
    assert len(sunk) > 20
    beside = np.median(charge)
    assert np.median([charge[y, x] for y, x in sunk]) == pytest.approx(beside - 25, abs=3)


def test_same_pointing_same_counts() -> None:
    """Frames are a function of pointing and chips; both chips have noise of their own."""
    again = make_detectors(SMALL_FRAME, 1, ("WFC",))["WFC"]
    (first,), (second,) = (read_wfc(QUADRANT, chips) for chips in (CHIPS, again))
    assert np.array_equal(first.counts, second.counts)
    lower, upper = read_wfc(FULL, CHIPS)
    assert not np.array_equal(lower.counts[:NY, :24], upper.counts[20:, :24])
