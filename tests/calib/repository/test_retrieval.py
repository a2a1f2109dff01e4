"""Products out of the archive: those that were registered, or a clear refusal."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.nddata import CCDData

from calib.errors import ArchiveError, ConfigError, NotFound
from calib.ids import parse_dataset
from calib.ledger.ledger import Ledger
from calib.ledger.products import Product, ProductQuery, find_products
from calib.ledger.publications import Published, PublishedFile, record_publications
from calib.ledger.registry import set_current
from calib.repository import retrieval
from calib.repository.retrieval import copy_out, find_path, find_product, get, place_below
from calib.stores import S3Store
from calib.stores.transfer import Brought

NAME, DATASET = "j8bt05njq_flt.fits", "j8bt05njq"
RUN = {"context": "c", "engine": "e", "engine_version": "1", "output": "file:/o"}


@pytest.fixture
def url(tmp_path: Path, template: Path) -> str:
    """Return an empty ledger on SQLite: files are looked at here, not databases."""
    shutil.copy(template, tmp_path / "ledger.db")
    return f"sqlite:///{tmp_path / 'ledger.db'}"


def publish(ledger: Ledger, run: str, uri: str, path: Path, *, sha256: str = "") -> Product:
    """Enter a product that lies in a folder, and return its row."""
    digest = sha256 or hashlib.sha256(path.read_bytes()).hexdigest()
    file = PublishedFile(NAME, "flt", DATASET, digest, path.stat().st_size)
    ledger.ensure_run(run, parameters={}, **RUN)
    row = Published(run, DATASET, uri, (file,), "2026-01-01T00:00:00")
    ledger.write(lambda c: record_publications(c, [row]))
    return ledger.ask(lambda rows: find_products(rows, ProductQuery(runs=(run,))))[0]


@pytest.fixture
def flt(tmp_path: Path) -> Path:
    """Return an image in a folder with a blank in its name."""
    folder = tmp_path / "an archive"
    folder.mkdir()
    image = fits.ImageHDU(np.full((2, 3), 7, np.float32), name="SCI")
    fits.HDUList([fits.PrimaryHDU(), image]).writeto(folder / NAME)
    return folder / NAME


@pytest.fixture(params=["file", "s3"])
def product(request: pytest.FixtureRequest, ledger: Ledger, flt: Path) -> Product:
    """Return a registered product in a folder or a bucket."""
    if request.param == "file":
        return publish(ledger, "first", flt.parent.as_uri(), flt)
    store = S3Store(request.getfixturevalue("bucket"), "runs/first")
    store.put(flt, NAME)
    return publish(ledger, "first", store.uri, flt)


def test_product_is_read_by_its_type(product: Product) -> None:
    """An image comes as CCDData from everywhere, without a folder to keep it in."""
    image = get(product)

    assert isinstance(image, CCDData)
    assert image.data.tolist() == [[7, 7, 7], [7, 7, 7]]


def test_path_is_that_of_the_archive_or_of_a_copy(
    product: Product, flt: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder gives the file itself; a bucket needs a place, and finds the copy again."""
    if product.uri.startswith("file:"):
        assert get(product, as_path=True) == flt
        return
    with monkeypatch.context() as patch:
        patch.setattr(retrieval, "bring", None)  # nothing is downloaded
        with pytest.raises(ConfigError, match="folder"):
            get(product, as_path=True)
    path = get(product, as_path=True, folder=tmp_path / "kept")
    assert path == tmp_path / "kept" / "first" / DATASET / NAME
    before = path.stat().st_mtime_ns
    assert find_path(product, tmp_path / "kept").stat().st_mtime_ns == before
    assert path.read_bytes() == flt.read_bytes()


@pytest.mark.parametrize("change", [{"sha256": "0" * 64}, {"size": 5}])
def test_changed_product_is_refused(
    product: Product, tmp_path: Path, change: dict[str, object]
) -> None:
    """Both the registered and the found bytes are named; nothing is left behind."""
    other = replace(product, **change)

    for call in (get, lambda p: copy_out(p, tmp_path / "to" / NAME)):
        with pytest.raises(ArchiveError, match="registered") as caught:
            call(other)
        assert str(product.size) in str(caught.value)
    assert not (tmp_path / "to" / NAME).exists()
    assert [*(tmp_path / "to").iterdir()] == []


def test_unverified_product_is_read_by_its_size(product: Product) -> None:
    """The checksum is not looked at; the size is."""
    assert get(replace(product, sha256="0" * 64), verify=False).data[0, 0] == 7
    with pytest.raises(ArchiveError):
        get(replace(product, size=5), verify=False)


def test_product_that_is_gone_is_said_to_be(product: Product, tmp_path: Path) -> None:
    """The message names the run and the address."""
    gone = replace(product, uri=product.uri.replace("_flt", "_flx"))

    for call in (get, lambda p: copy_out(p, tmp_path / NAME)):
        with pytest.raises(ArchiveError, match="run first"):
            call(gone)


def test_copies_are_made_once_and_never_overwrite(product: Product, tmp_path: Path) -> None:
    """A second call finds the file; other bytes of any size stop it."""
    target = tmp_path / "to" / NAME

    assert copy_out(product, target)
    assert not copy_out(product, target)
    for content in (b"short", b"x" * product.size):
        target.write_bytes(content)
        with pytest.raises(ArchiveError, match="not overwritten"):
            copy_out(product, target)
        assert target.read_bytes() == content


@pytest.mark.parametrize("is_same", [True, False])
def test_a_file_that_comes_meanwhile_stays(
    product: Product, flt: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_same: bool
) -> None:
    """Two copy at the same time: the first one counts, and the second compares with it."""
    target, theirs = tmp_path / NAME, flt.read_bytes() if is_same else b"theirs"
    slow = retrieval.bring

    def bring(uri: str, part: Path) -> Brought:
        target.write_bytes(theirs)
        return slow(uri, part)

    monkeypatch.setattr(retrieval, "bring", bring)
    if is_same:
        assert not copy_out(product, target)
    else:
        with pytest.raises(ArchiveError, match="not overwritten"):
            copy_out(product, target)
    assert target.read_bytes() == theirs


@pytest.mark.parametrize("name", ["../x.fits", "/etc/passwd", "a//b", "a/../../b", "a\nb", "."])
def test_hostile_names_do_not_leave_the_folder(
    flt: Path, ledger: Ledger, tmp_path: Path, name: str
) -> None:
    """A registry may have been filled by somebody else."""
    product = publish(ledger, "first", flt.parent.as_uri(), flt)

    for bad in (replace(product, name=name), replace(product, dataset=f"../{name}")):
        with pytest.raises(ConfigError):
            place_below(bad, tmp_path)


def test_one_product_of_a_name_is_found(ledger: Ledger, flt: Path) -> None:
    """The only one; of several the current; of equal ones any; else the query has to say."""

    def find(**query: tuple[str, ...]) -> str:
        return ledger.ask(lambda rows: find_product(rows, NAME, ProductQuery(**query))).run

    with pytest.raises(NotFound, match=NAME):
        find()
    for run, digest in (("one", "1"), ("two", "2")):
        publish(ledger, run, "file:///o", flt, sha256=digest * 64)
    with pytest.raises(ConfigError, match="one/j8bt05njq, two/j8bt05njq"):
        find()
    assert find(runs=("two",)) == "two"
    ledger.write(lambda c: set_current(c, parse_dataset(DATASET), "one"))
    assert find() == "one"
