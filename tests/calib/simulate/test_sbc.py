"""The synthetic SBC: photons, dead rows, and references that undo the detector."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from calib.dq import AcsDq
from calib.fitsfile import opened, pixels, read_exposure, read_table
from calib.references.bestrefs import best_references
from calib.simulate import sbc
from calib.simulate.detector import SMALL_FRAME, make_detectors
from calib.simulate.programme import plan_sbc
from calib.simulate.sbc import dead_rows, read_sbc
from calib.simulate.sky import render_pointing

if TYPE_CHECKING:
    from pathlib import Path

    from calib.simulate.observatory import Observatory

POINTING = plan_sbc(1)[0]
ROWS = dead_rows(SMALL_FRAME.ny)


@pytest.fixture
def raw(others: Observatory) -> Path:
    """Return the exposure in F125LP."""
    return others.raws / f"{POINTING.rootname}_raw.fits"


def test_raw_is_laid_out_like_a_real_one(raw: Path) -> None:
    """One imset without overscan; no amplifiers; counts are made linear, nothing else of a CCD."""
    exposure = read_exposure(raw)
    (imset,) = exposure.imsets
    assert imset.image.sci.shape == SMALL_FRAME.shape
    assert imset.image.sci.min() == 0
    assert (imset.sci["LTV1"], imset.sci["LTV2"]) == (0, 0)
    keys = ("DETECTOR", "CCDAMP", "FILTER1", "FILTER2", "APERTURE", "MLINTAB")
    assert [exposure.primary[key] for key in keys] == [
        *("SBC", "N/A", "F125LP", "N/A", "SBC", "N/A")
    ]
    with opened(raw) as hdus:
        header = hdus[0].header
        asked = {key for key in header if key.endswith("CORR") and header[key] == "PERFORM"}
    assert asked == {"DQICORR", "GLINCORR", "LFLGCORR", "DARKCORR", "FLATCORR", "PHOTCORR"}


def test_global_rate_is_that_of_the_counts(raw: Path) -> None:
    """GLOBRATE is the number of counts per second, far below the limit."""
    (imset,) = read_exposure(raw).imsets
    rate = float(imset.image.sci.astype(np.float64).sum()) / POINTING.seconds
    assert float(imset.sci["GLOBRATE"]) == pytest.approx(rate, rel=1e-6)
    assert 10 < rate < 2e5


def test_calibrating_gives_back_the_sky(others: Observatory, raw: Path) -> None:
    """Dead time, dark and flat undone, the counts are those of the sky within photon noise."""
    chosen = best_references(
        [raw], context=others.contexts[0], profile=others.profile, required=lambda _: ()
    ).exposures[0]
    with opened(chosen.path("PFLTFILE") or "") as hdus:
        flat = pixels(hdus["SCI"])
    assert flat is not None
    tau = float(read_table(chosen.path("MLINTAB") or "").column("TAU")[0])
    (imset,) = read_exposure(raw).imsets
    counted = imset.image.sci.astype(np.float64)
    rate = counted.sum() / POINTING.seconds
    true = rate
    for _ in range(5):
        true = rate * np.exp(tau * true)
    light = counted * true / rate / flat
    expected = render_pointing(POINTING, SMALL_FRAME.shape) * POINTING.seconds
    live = np.ones(SMALL_FRAME.shape, bool)
    live[ROWS] = False
    z = ((light - expected) / np.sqrt(expected / flat + 0.1))[live]
    assert z.mean() == pytest.approx(0, abs=4 / np.sqrt(z.size) + 0.01)
    assert z.std() == pytest.approx(1, abs=0.05)


def test_dead_time_loses_photons(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a total rate T a share exp(-tau T) is counted: with tau = 1 / T, 37 %."""
    detector = make_detectors(SMALL_FRAME, 1, ("SBC",))["SBC"][0]
    monkeypatch.setattr(sbc, "DEAD_TIME", 0.0)
    total = read_sbc(POINTING, detector).cards["GLOBRATE"]
    monkeypatch.setattr(sbc, "DEAD_TIME", 1 / total)
    assert read_sbc(POINTING, detector).cards["GLOBRATE"] == pytest.approx(
        total * np.exp(-1), rel=0.02
    )


def test_dead_rows_are_in_the_table_of_bad_pixels(others: Observatory, raw: Path) -> None:
    """Rows of the broken anode see nothing, and BPIXTAB flags just those."""
    (imset,) = read_exposure(raw).imsets
    assert imset.image.sci[ROWS].max() <= 1
    path = next(iter(others.profile.references.glob("z0000205j_bpx.fits")))
    with opened(path) as hdus:
        rows = hdus[1].data
        assert [row["PIX2"] - 1 for row in rows] == list(range(ROWS.start, ROWS.stop))
        assert {(row["AXIS"], row["PIX1"], row["LENGTH"], row["VALUE"]) for row in rows} == {
            (1, 1, SMALL_FRAME.nx, int(AcsDq.BAD_PIXEL))
        }
