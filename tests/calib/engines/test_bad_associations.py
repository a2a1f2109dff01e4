"""Associations that do not belong together, and outputs that cannot be written."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from workbench import (
    ARCHIVE,
    ASN,
    INPUT,
    SBC,
    STAGE1,
    SUB,
    TINY,
    Bench,
    MakeBench,
    flag_everything,
    refuse,
    replace_raw,
    rewriting,
    set_cards,
    table_of,
)

from calib.errors import (
    ArchiveError,
    CorruptFile,
    DataError,
    MissingMember,
    UnsupportedMode,
)
from calib.simulate.golden import GoldenCase


@pytest.mark.parametrize("numbers", [(), (0,), (1,)])
def test_sky_needs_good_pixels(make_bench: MakeBench, numbers: tuple[int, ...]) -> None:
    """One exposure without any is enough to stop a combination."""
    bench = make_bench(ASN, flag_everything(*numbers))
    error = refuse(bench, DataError, INPUT, "no good pixel to measure the sky in")
    assert error.dataset == "jt0004011"


@pytest.mark.parametrize(
    ("cards", "match"),
    [
        ({"DETECTOR": "HRC", "CCDAMP": "C"}, "differ in DETECTOR.*jt0004abq HRC"),
        ({"FILTER1": "F814W"}, "differ in FILTER1.*jt0004aaq F606W, jt0004abq F814W"),
        ({"CCDGAIN": 1}, "differ in CCDGAIN.*jt0004aaq 2, jt0004abq 1"),
        ({"SUBARRAY": True}, "differ in SUBARRAY"),
        ({"BIASCORR": "OMIT"}, "differ in BIASCORR"),
    ],
)
def test_mixed_association(make_bench: MakeBench, cards: dict[str, object], match: str) -> None:
    """Before anything is computed, with the value of each exposure."""
    refuse(make_bench(ASN, set_cards(1, **cards)), UnsupportedMode, STAGE1, match)


@pytest.mark.parametrize(
    ("other", "cards", "match"),
    [
        (SBC, {}, "differ in DETECTOR.*jt0004abq SBC"),
        (SUB, {}, "differ in CCDAMP.*jt0004abq C"),
        (SUB, {"SUBARRAY": False, "CCDAMP": "ABCD"}, "no row for its size.*chip 2"),
    ],
)
def test_association_with_an_exposure_of_another_kind(
    make_bench: MakeBench,
    cases: Callable[[str], GoldenCase],
    other: str,
    cards: dict[str, object],
    match: str,
) -> None:
    """Even where the headers pretend that it belongs there."""
    bench = make_bench(ASN, replace_raw(1, cases(other), CRCORR="PERFORM", **cards))
    refuse(bench, UnsupportedMode, STAGE1, match)


def test_member_without_exposure_time(make_bench: MakeBench) -> None:
    """The message names the member."""
    error = refuse(make_bench(ASN, set_cards(2, EXPTIME=0.0)), DataError, INPUT, "EXPTIME")
    assert error.dataset == "jt0004acq"


def test_member_that_is_absent(make_bench: MakeBench) -> None:
    """Said before anything is computed."""
    bench = make_bench(ASN, lambda bench: bench.raws[1].unlink())
    refuse(bench, MissingMember, INPUT, "not among the inputs.*all but jt0004abq")


def test_member_that_is_named_twice(make_bench: MakeBench) -> None:
    """It would be combined with itself."""

    def repeat(bench: Bench) -> None:
        with rewriting(table_of(bench)) as hdus:
            hdus[1].data["MEMNAME"][1] = hdus[1].data["MEMNAME"][0]

    refuse(make_bench(ASN, repeat), CorruptFile, INPUT, "twice.*jt0004aaq")


def test_output_that_is_in_the_way(make_bench: MakeBench) -> None:
    """A file where the folder should be."""
    bench = make_bench(TINY, lambda bench: bench.output.write_text("mine") and None)
    with pytest.raises(ArchiveError, match="cannot be written: File exists") as caught:
        bench.calibrate()
    assert caught.value.code == ARCHIVE
    assert bench.output.read_text() == "mine"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_output_that_is_not_writable(make_bench: MakeBench) -> None:
    """Not even the log can be written, and the error is that of writing."""
    bench = make_bench(TINY, lambda bench: bench.output.mkdir(0o500))
    with pytest.raises(ArchiveError, match="cannot be written: Permission denied"):
        bench.calibrate()


@pytest.mark.parametrize("number", [1, 2, 4])
def test_full_disk(make_bench: MakeBench, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """From some product of an association on nothing can be written: all go, also parts of files.

    Later the logs cannot be written either, which hides nothing.
    """
    written = []
    write_text = Path.write_text

    def check() -> None:
        if len(written) >= number:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def flush(_descriptor: int) -> None:
        written.append(True)
        check()

    def write(path: Path, *arguments: str, **options: str) -> int:
        done = write_text(path, *arguments, **options)
        check()
        return done

    bench = make_bench(ASN)
    monkeypatch.setattr("os.fsync", flush)
    monkeypatch.setattr(Path, "write_text", write)
    error = refuse(bench, ArchiveError, ARCHIVE, "cannot be written: No space left")
    assert Path(str(error.path)).parent == bench.output
    assert Path(str(error.path)).suffix == ".fits"


def test_disk_that_is_full_for_the_log_alone(
    make_bench: MakeBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A product without its log is no product."""

    def fail(*_arguments: object) -> Path:
        raise ArchiveError("cannot be written: No space left", path="x.tra")

    bench = make_bench(TINY)
    monkeypatch.setattr("calib.engines.trailer.Trailer.write", fail)
    with pytest.raises(ArchiveError, match=r"No space left.*x.tra"):
        bench.calibrate()
    assert bench.left == []
