"""The preview stage with products of every kind of dataset."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from PIL import Image

from calib.errors import PreviewError
from calib.records import ProductFile, Products, RawInputs
from calib.stages.job import Job
from calib.stages.preview import preview
from calib.stores.store import hash_file
from tests.spectra import row, table, write_x1d

CELL = "skycell-p1889x07y19"


def products_of(*paths: Path) -> Products:
    """Return the record of files that some engine made."""
    files = [ProductFile(p.name, str(p), hash_file(p), p.stat().st_size) for p in paths]
    return Products(tuple(files), "standin", "1")


def inputs_of(dataset: str) -> RawInputs:
    """Return a record without raws."""
    return RawInputs(dataset, "file:nowhere", ())


def mosaic(path: Path, shape: tuple[int, int] = (20, 600)) -> Path:
    """Write a mosaic of noise."""
    data = np.random.default_rng(1).normal(1, 0.1, shape).astype(np.float32)
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(data, name="SCI", ver=1)]).writeto(path)
    return path


@pytest.mark.parametrize(
    ("dataset", "names", "width"),
    [
        (
            "acs_8ph_01",
            ["hst_10265_01_acs_wfc_f435w_j8ph01_drc", "hst_10265_01_acs_wfc_f814w_j8ph01_drc"],
            128,
        ),
        (CELL, [f"hst_{CELL}_wfc3_ir_{f}_all_drz" for f in ("f110w", "f160w")], 512),
    ],
)
def test_visits_and_skycells(
    job: Job, tmp_path: Path, dataset: str, names: list[str], width: int
) -> None:
    """Mosaics are drawn by the table of their kind, and in colour; their inputs are not."""
    paths = [mosaic(tmp_path / f"{name}.fits") for name in [*names, "j8ph01aaq_drc"]]
    done = preview(
        dataclasses.replace(job, dataset=dataset), inputs_of(dataset), products_of(*paths)
    )
    thumbs = [file for file in done.record.files if file.name.endswith("_thumb.jpg")]
    assert done.record.warnings == ()
    assert len(thumbs) == 3
    assert thumbs[2].name.endswith("_color_thumb.jpg")
    for file in thumbs:
        with Image.open(file.path) as thumb:
            assert thumb.size[0] == width


def test_spectrum_of_an_exposure(job: Job, tmp_path: Path) -> None:
    """All four files are products of the stage; a second attempt finds them."""
    path = write_x1d(tmp_path / "o8bt05njq_x1d.fits", table([row(np.arange(1.0, 99), np.ones(98))]))
    spectral = dataclasses.replace(job, dataset="o8bt05njq")
    first = preview(spectral, inputs_of("o8bt05njq"), products_of(path))
    again = preview(spectral, inputs_of("o8bt05njq"), products_of(path))
    assert [Path(file.path).is_file() for file in first.record.files] == [True] * 4
    assert (first.reused, again.reused) == (False, True)


def test_remark_is_no_failure(job: Job, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A spectrum without a flux was drawn: it is not drawn for ever, and nothing is required."""
    path = write_x1d(
        tmp_path / "o8bt05njq_x1d.fits", table([row(np.arange(1.0, 9), np.full(8, np.nan))])
    )
    options = dataclasses.replace(job.options, previews="required")
    spectral = dataclasses.replace(job, dataset="o8bt05njq", options=options)

    first = preview(spectral, inputs_of("o8bt05njq"), products_of(path))
    again = preview(spectral, inputs_of("o8bt05njq"), products_of(path))

    assert (first.reused, again.reused) == (False, True)
    assert (again.record.warnings, len(again.record.remarks)) == ((), 1)
    assert caplog.text.count("no finite flux") == 2


def test_spectrum_that_cannot_be_drawn(job: Job, tmp_path: Path) -> None:
    """A warning, and error 28 where previews are required: never an empty file."""
    path = tmp_path / "o8bt05njq_x1d.fits"
    path.write_bytes(b"")
    spectral = dataclasses.replace(job, dataset="o8bt05njq")
    normal = preview(spectral, inputs_of("o8bt05njq"), products_of(path))
    assert normal.record.files == ()
    assert len(normal.record.warnings) == 1
    required = dataclasses.replace(job.options, previews="required")
    with pytest.raises(PreviewError, match="o8bt05njq_x1d") as failure:
        preview(
            dataclasses.replace(spectral, options=required),
            inputs_of("o8bt05njq"),
            products_of(path),
        )
    assert failure.value.code == 28
