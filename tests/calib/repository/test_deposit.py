"""Objects into the archive: published once, registered, and read back equal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy import units as u
from astropy.nddata import CCDData
from astropy.table import Table

from calib.archive.outputs import open_output
from calib.errors import ArchiveError, ConfigError
from calib.fitsfile.joined_header import join_headers
from calib.ids import parse_dataset
from calib.ledger.ledger import Ledger
from calib.ledger.products import ProductQuery, find_products
from calib.ledger.publications import record_data_ids
from calib.records import DataId
from calib.repository import deposit
from calib.repository.deposit import put
from calib.repository.retrieval import find_product, get

DATASET = "j8bt05njq"
FLT = f"{DATASET}_flt.fits"


@pytest.fixture(params=["file", "s3"])
def output(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the URI of an empty output of each kind."""
    if request.param == "s3":
        return f"s3://{request.getfixturevalue('bucket')}/archive"
    return f"file:{tmp_path / 'an output'}"


def image(value: float = 1.0) -> CCDData:
    """Return an image with flags and a header."""
    from astropy.io import fits

    primary = fits.Header({"DETECTOR": "HRC", "ROOTNAME": DATASET, "TARGNAME": "M31"})
    return CCDData(
        np.full((2, 3), value, np.float32),
        unit=u.electron,
        flags=np.array([[0, 1, 2], [0, 0, 16384]], np.int16),
        meta=join_headers(primary, fits.Header({"CCDCHIP": 1}), "SCI"),
    )


def test_objects_are_published_and_come_back(ledger: Ledger, output: str, tmp_path: Path) -> None:
    """An image, a table, a text and a file of another program, in one publication."""
    (tmp_path / "notes.pdf").write_bytes(b"%PDF")
    objects: dict[str, Any] = {
        FLT: image(),
        f"{DATASET}_phot.txt": "bright",
        f"{DATASET}_spec.fits": Table({"N": [1, 2]}),
        "notes.pdf": tmp_path / "notes.pdf",
    }

    archived = put(objects, DATASET, "mine", output=output, ledger=ledger, parameters={"sky": 1})

    manifest = open_output(output).manifest("mine", parse_dataset(DATASET))
    assert manifest.provenance["origin"] == "put"
    assert manifest.provenance["parameters"] == {"sky": 1}
    found = ledger.ask(lambda rows: find_products(rows, ProductQuery(runs=("mine",))))
    assert {p.name for p in found} == set(objects)
    assert {(p.kind, p.transfer, p.is_current) for p in found} == {("ingested", "copy", True)}
    again = {product.name: product for product in found}
    assert np.array_equal(get(again[FLT]).flags, image().flags)
    assert (again[FLT].detector, again[FLT].target) == ("HRC", "M31")
    assert get(again[f"{DATASET}_phot.txt"]) == "bright"
    assert get(again[f"{DATASET}_spec.fits"])["N"].tolist() == [1, 2]
    assert get(again["notes.pdf"], as_path=True, folder=tmp_path / "k").read_bytes() == b"%PDF"
    assert archived.already_there is False


def test_a_run_is_written_once(ledger: Ledger, output: str) -> None:
    """The same again changes nothing; other pixels are refused, and the first stay."""
    first = put({FLT: image()}, DATASET, "mine", output=output, ledger=ledger)

    again = put({FLT: image()}, DATASET, "mine", output=output, ledger=ledger)
    with pytest.raises(ArchiveError, match="another result"):
        put({FLT: image(2)}, DATASET, "mine", output=output, ledger=ledger)

    assert again.already_there
    assert again.manifest_sha256 == first.manifest_sha256
    product = ledger.ask(lambda rows: find_product(rows, FLT))
    assert get(product).data[0, 0] == 1


def test_current_version_stays_current(ledger: Ledger, output: str) -> None:
    """A second run of a dataset is there to be asked for; readers see what they saw."""
    known = DataId(DATASET, "acs", "8bt", "05", detector="HRC", filter="F606W")
    ledger.write(lambda c: record_data_ids(c, [known]))
    put({FLT: image()}, DATASET, "first", output=output, ledger=ledger)

    put({FLT: image(2)}, DATASET, "second", output=output, ledger=ledger)

    current = open_output(output).current_manifest(parse_dataset(DATASET))
    assert current is not None
    assert current.run == "first"
    product = ledger.ask(lambda rows: find_product(rows, FLT))
    assert (product.run, product.filter) == ("first", "F606W")
    query = ProductQuery(runs=("second",))
    assert get(ledger.ask(lambda rows: find_product(rows, FLT, query))).data[0, 0] == 2


def test_interrupted_put_is_finished_by_the_next(
    ledger: Ledger, output: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Published but not registered: the same call registers it."""

    def stop(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(deposit, "_register", stop)
        with pytest.raises(KeyboardInterrupt):
            put({FLT: image()}, DATASET, "mine", output=output, ledger=ledger)
    assert put({FLT: image()}, DATASET, "mine", output=output, ledger=ledger).already_there

    assert ledger.ask(lambda rows: find_product(rows, FLT)).run == "mine"


@pytest.mark.parametrize(
    ("objects", "dataset", "run", "error"),
    [
        ({FLT: "text"}, DATASET, "mine", ConfigError),
        ({FLT: image()}, "nonsense", "mine", ConfigError),
        ({FLT: image()}, DATASET, "../mine", ConfigError),
        ({f"../{FLT}": image()}, DATASET, "mine", ArchiveError),
        ({"manifest.json": "{}"}, DATASET, "mine", ArchiveError),
        ({"a.txt": Path("/nowhere/a.txt")}, DATASET, "mine", ArchiveError),
        ({}, DATASET, "mine", ArchiveError),
        ({FLT: image()}, DATASET, "made", ConfigError),
    ],
)
def test_what_cannot_be_put_is_refused(
    ledger: Ledger, tmp_path: Path, objects: Any, dataset: str, run: str, error: type[Exception]
) -> None:
    """Before anything is published."""
    made = {"context": "c", "engine": "e", "engine_version": "1", "parameters": {}}
    ledger.ensure_run("made", output="file:/o", **made)

    with pytest.raises(error):
        put(objects, dataset, run, output=f"file:{tmp_path / 'out'}", ledger=ledger)
    assert not (tmp_path / "out" / "data").exists()
    assert ledger.ask(lambda rows: find_products(rows, ProductQuery())) == []


def test_a_header_that_the_ledger_cannot_hold_is_refused(ledger: Ledger, output: str) -> None:
    """Before anything is published that could not be registered."""
    from astropy.io import fits

    odd = image()
    odd.meta = join_headers(fits.Header({"DETECTOR": "D" * 40}), fits.Header(), "SCI")
    with pytest.raises(ArchiveError, match="detector is too long"):
        put({FLT: odd}, DATASET, "mine", output=output, ledger=ledger)
    assert [*open_output(output).publications()] == []
