"""Native products beside crops of the golden ones, on inputs made here: no other material."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

from calib.engines.native import NativeEngine
from calib.engines.protocol import CalibrationRequest
from calib.fetch.local import fetch_inputs
from calib.ids import parse_dataset
from calib.records import ExposureReferences, InputFile, References, ReferenceUse
from calib.simulate.golden import CASES, GoldenCase, write_case
from calib.switches import parse_overrides

pytestmark = pytest.mark.parity

GOLDEN = Path(__file__).parents[1] / "golden"
KEPT: dict[str, Any] = json.loads((GOLDEN / "crops.json").read_text())["products"]

DATASETS = {
    "acs_hrc_asn": "jh0001010",
    "acs_wfc_tiny": "jt0001aaq",
    "acs_wfc_tiny_presm4": "jt0002aaq",
    "acs_wfc_tiny_sub": "jt0003aaq",
    "acs_wfc_tiny_asn": "jt0004010",
    "acs_sbc": "js0001aaq",
}


def references_of(file: InputFile, folder: Path) -> ExposureReferences:
    """Return the files that the header of a golden raw names."""
    header = fits.getheader(file.path)
    keywords = [key for key in header if str(header[key]).startswith("jref$")]
    names = {key: str(header[key]).removeprefix("jref$") for key in keywords}
    uses = tuple(ReferenceUse(key, name, str(folder / name)) for key, name in names.items())
    return ExposureReferences(file.name, uses)


def calibrate(case: GoldenCase, folder: Path) -> dict[str, Path]:
    """Fetch and calibrate the dataset of a case; return its products by name."""
    dataset = DATASETS[case.name]
    inputs = fetch_inputs(parse_dataset(dataset), f"file:{case.inputs}", folder / "in")
    chosen = tuple(references_of(file, case.references) for file in inputs.exposures)
    request = CalibrationRequest(
        dataset=dataset,
        inputs=inputs,
        references=References("hst_9001.pmap", "14", chosen),
        output=folder / "out",
        overrides=parse_overrides(()),
    )
    products = NativeEngine().calibrate(request)
    return {Path(file.name).stem: Path(file.path) for file in products.files}


@pytest.fixture(scope="module", params=list(CASES))
def made(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, dict[str, Path]]:
    """Return a case and the products that the native engine made of it."""
    folder = tmp_path_factory.mktemp("golden")
    case = write_case(request.param, folder)
    return case.name, calibrate(case, folder)


def wanted(case: str) -> dict[str, Any]:
    """Return what is kept of the products of a case."""
    return {name: kept for name, kept in KEPT.items() if kept["case"] == case}


def test_every_product_is_made(made: tuple[str, dict[str, Path]]) -> None:
    """Each golden product has a native one with the same extensions."""
    case, products = made
    assert set(wanted(case)) <= set(products)
    for name, kept in wanted(case).items():
        with fits.open(products[name]) as hdus:
            assert [f"{hdu.name},{hdu.ver}" for hdu in hdus[1:]] == list(kept["extensions"])


def test_crops_equal(made: tuple[str, dict[str, Path]]) -> None:
    """SCI and ERR agree to 1 part in 10^6, DQ exactly, and DQ also outside the crop."""
    case, products = made
    for name, kept in wanted(case).items():
        crops = np.load(GOLDEN / f"{name}.npz")
        with fits.open(products[name]) as hdus:
            for hdu in hdus[1:]:
                extension = f"{hdu.name},{hdu.ver}"
                what = kept["extensions"][extension]
                (y, x), crop = what["corner"], crops[extension]
                assert list(hdu.data.shape) == what["shape"]
                ours = hdu.data[y : y + crop.shape[0], x : x + crop.shape[1]]
                if hdu.name == "DQ":
                    assert np.array_equal(ours, crop), (name, extension)
                    assert hashlib.sha256(hdu.data.tobytes()).hexdigest() == what["sha256"]
                else:
                    scale = np.maximum(np.abs(crop.astype(float)), 1)
                    assert (np.abs(ours - crop.astype(float)) / scale).max() <= 1e-6, name


def same_card(value: object, found: object) -> bool:
    """Compare two values of a card; floats to 1 part in 10^6."""
    if isinstance(value, float) and isinstance(found, int | float):
        return abs(value - found) <= 1e-6 * max(abs(value), 1)
    return value == found


def test_headers_equal(made: tuple[str, dict[str, Path]]) -> None:
    """Every card that does not depend on when and by what the product was made is the same."""
    case, products = made
    for name, kept in wanted(case).items():
        with fits.open(products[name]) as hdus:
            for hdu in hdus:
                cards = kept["cards"][f"{hdu.name},{hdu.ver}"]
                differing = {
                    key: (value, hdu.header.get(key))
                    for key, value in cards.items()
                    if not same_card(value, hdu.header.get(key))
                }
                assert differing == {}, (name, hdu.name)


def test_crops_are_there_and_small() -> None:
    """Each product of each case has a crop of at most 100 kB with something to see in it.

    The SBC counts photons: there are stars elsewhere in its frame, the crop is of the sky.
    """
    assert {kept["case"] for kept in KEPT.values()} == set(CASES) == set(DATASETS)
    for name, kept in KEPT.items():
        path = GOLDEN / f"{name}.npz"
        assert path.stat().st_size <= 100_000
        crops = np.load(path)
        assert len(np.unique(crops["DQ,1"])) >= 3
        assert np.ptp(crops["SCI,1"]) > (5 if kept["case"] == "acs_sbc" else 100)
