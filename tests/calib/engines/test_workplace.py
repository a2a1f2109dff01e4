"""The private folder of a program: what is believed of its products, and what leaves it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from hap_inputs import make_inputs, request_for

from calib.engines.workplace import Workplace, clear_way, log_of, workplace
from calib.errors import EngineError

BLOCK = 2880  # bytes of a FITS block: a small header, or the pixels of 4 by 5 here


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Workplace]:
    """Lend a folder."""
    with workplace(request_for(tmp_path, make_inputs(tmp_path / "in")), "prog") as lent:
        yield lent


def make_product(folder: Path, says: object, extensions: int = 3) -> Path:
    """Write a product whose header tells of a number of extensions; None: of none."""
    images = [fits.ImageHDU(np.ones((4, 5), np.float32), ver=n + 1) for n in range(extensions)]
    hdus = fits.HDUList([fits.PrimaryHDU(), *images])
    if says is not None:
        hdus[0].header["NEXTEND"] = says
    hdus.writeto(folder / "x_flt.fits", overwrite=True)
    return folder / "x_flt.fits"


@pytest.mark.parametrize(
    ("blocks", "extensions"),
    [(1, 0), (1.5, 0), (3, 1), (3.01, 1), (3.5, 1), (5, 2), (5.9, 2)],
)
def test_a_file_that_is_cut_within_a_later_header(
    place: Workplace, blocks: float, extensions: int
) -> None:
    """It opens, and looks whole but for what NEXTEND says: 1 block of header, 2 per extension."""
    path = make_product(place.folder, says=3)
    path.write_bytes(path.read_bytes()[: int(blocks * BLOCK)])
    with pytest.raises(EngineError, match=rf"cut short: {extensions} of 3 extensions"):
        place.check([path.name], "prog")


@pytest.mark.parametrize("says", [3, 2, 0, None, "", "3", True])
def test_what_is_no_fault(place: Workplace, says: object) -> None:
    """As many as it says, or more (headerlets come in); a header that does not tell."""
    place.check([make_product(place.folder, says).name], "prog")


def test_published_all_or_none(place: Workplace) -> None:
    """One name that exists keeps all in the folder; what exists stays as it is."""
    files = [place.folder / name for name in ("a.fits", "b.fits")]
    for path in files:
        path.write_bytes(b"new")
    there = place.request.output / "b.fits"
    there.write_bytes(b"old")
    with pytest.raises(EngineError, match="exists already") as caught:
        place.publish(files)
    assert (caught.value.program, caught.value.path) == ("prog", str(there))
    assert place.made() == files
    assert there.read_bytes() == b"old"
    assert not (place.request.output / "a.fits").exists()


def test_published_products_can_be_taken_away_again(place: Workplace) -> None:
    """A dataset of several calls publishes nothing where a later one fails."""
    (place.folder / "a.fits").write_bytes(b"new")
    with ExitStack() as undo:
        (record,) = place.publish([place.folder / "a.fits"], undo)
        assert Path(record.path).read_bytes() == b"new"
    assert not Path(record.path).exists()


def test_trailers_replace_those_of_an_earlier_run(place: Workplace) -> None:
    """Only those made here: one that was brought stays."""
    for name in ("new.tra", "brought.tra", "other.txt"):
        (place.folder / name).write_text("now")
    place.brought.add("brought.tra")
    (place.request.output / "new.tra").write_text("then")
    assert place.keep_trailers() == (place.request.output / "new.tra",)
    assert (place.request.output / "new.tra").read_text() == "now"
    assert [path.name for path in place.made()] == ["other.txt"]


def test_the_way_is_clear_before_anything_is_started(tmp_path: Path) -> None:
    """The log begins anew, unless a product exists: then it stays with what it tells."""
    request = request_for(tmp_path, make_inputs(tmp_path / "in"))
    request.output.mkdir()
    log = log_of(request, "prog")
    log.write_text("of an earlier run")
    (request.output / "a.fits").write_bytes(b"old")
    with pytest.raises(EngineError, match="exists already"):
        clear_way(request, "prog", ["a.fits", "b.fits"])
    assert log.exists()
    clear_way(request, "prog", ["b.fits"])
    assert not log.exists()
