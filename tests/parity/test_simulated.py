"""The native engine on simulated exposures of WFC and SBC gives back the sky that they saw."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from astropy.io import fits

from calib.engines.native import NativeEngine
from calib.engines.protocol import CalibrationRequest
from calib.fetch.local import fetch_inputs
from calib.ids import parse_dataset
from calib.instruments import acs_recipes, acs_sbc
from calib.references.bestrefs import best_references
from calib.simulate.context import CONTEXTS
from calib.simulate.detector import SMALL_FRAME
from calib.simulate.observatory import Observatory, Plan, build
from calib.simulate.pointing import Pointing
from calib.simulate.programme import plan_programme_visits, plan_sbc, plan_wfc
from calib.simulate.sky import render_pointing
from calib.simulate.wfc import GAP
from calib.switches import parse_overrides

pytestmark = pytest.mark.parity

SINGLE = {pointing.rootname: pointing for pointing in (*plan_wfc(1), *plan_sbc(1))}
SPLIT = plan_programme_visits(1)[-1]


@pytest.fixture(scope="module")
def observatory(tmp_path_factory: pytest.TempPathFactory) -> Observatory:
    """Return a small observatory with the programme's exposures of WFC and SBC."""
    folder = tmp_path_factory.mktemp("cameras") / "observatory"
    plan = Plan.of(SMALL_FRAME, 1, list(SINGLE.values()), [SPLIT])
    build(folder, plan, {})
    return Observatory(folder / "raw", folder / "crds", plan.datasets, CONTEXTS)


def calibrate(observatory: Observatory, dataset: str, folder: Path) -> dict[str, Path]:
    """Fetch, choose references, calibrate; return the products by suffix."""
    inputs = fetch_inputs(parse_dataset(dataset), f"file:{observatory.raws}", folder / "in")
    references = best_references(
        [Path(file.path) for file in inputs.exposures],
        context=observatory.contexts[0],
        profile=observatory.profile,
        required=lambda _: (),
    )
    request = CalibrationRequest(
        dataset=dataset,
        inputs=inputs,
        references=references,
        output=folder / "out",
        overrides=parse_overrides(()),
    )
    engine = NativeEngine([acs_recipes.WFC, acs_sbc.RECIPE])
    return {Path(f.path).stem[-3:]: Path(f.path) for f in engine.calibrate(request).files}


def residuals(path: Path, pointing: Pointing) -> list[npt.NDArray[np.float64]]:
    """Return (SCI - sky) / ERR of the unflagged pixels of each image set."""
    with fits.open(path) as hdus:
        images = [
            [hdus[name, hdu.ver].data.astype(float) for name in ("SCI", "ERR", "DQ")]
            for hdu in hdus
            if hdu.name == "SCI"
        ]
        seconds = hdus[0].header["EXPTIME"]
    ny, nx = images[0][0].shape
    between = round(GAP * nx)
    rows = 2 * ny + between if len(images) > 1 else ny
    sky = render_pointing(pointing, (rows, nx)) * seconds
    expected = (sky[:ny], sky[-ny:])
    return [
        ((sci - light) / err)[dq == 0]
        for (sci, err, dq), light in zip(images, expected, strict=False)
    ]


@pytest.mark.parametrize(
    ("dataset", "suffix", "sets"),
    [
        ("jsky08aaq", "flt", 2),
        ("jsky09aaq", "flt", 2),
        ("jsky10aaq", "flt", 1),
        ("jsky11010", "crj", 2),
    ],
)
def test_wfc_gives_back_the_sky(
    observatory: Observatory, dataset: str, suffix: str, sets: int, tmp_path: Path
) -> None:
    """Frames since SM4 and before, a quadrant and a split: off by noise, and by ERR of it."""
    products = calibrate(observatory, dataset, tmp_path)
    pointing = SINGLE.get(dataset) or SPLIT.pointings(1)[0]
    found = residuals(products[suffix], pointing)
    assert len(found) == sets
    for z in found:
        assert abs(np.median(z)) < 0.08
        assert np.median(np.abs(z - np.median(z))) * 1.4826 == pytest.approx(1, abs=0.06)


def test_sbc_gives_back_the_sky(observatory: Observatory, tmp_path: Path) -> None:
    """Counts less a dark that is not subtracted: their mean is that of the sky."""
    path = calibrate(observatory, "jsky12aaq", tmp_path)["flt"]
    with fits.open(path) as hdus:
        good = hdus["DQ"].data == 0
        light = hdus["SCI"].data.astype(float)[good]
    sky = render_pointing(SINGLE["jsky12aaq"], SMALL_FRAME.shape)[good] * 1200
    expected = sky.mean() + 1.2e-5 * 1200
    assert light.mean() == pytest.approx(expected, abs=4 * np.sqrt(expected / sky.size))
