"""Which format a file has: by suffix, by type, by what installed packages say."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from calib.errors import ConfigError, NotFound
from calib.formats import Format, find_format, lookup, read_file, write_file

MINE = Format("mine", "str", (), lambda path, _: path.name.upper())
OTHER = Format("other", "str", (), lambda path, _: "other")
NO_FORMAT = "nothing"


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, str]]]:
    """Return a list of entry points (name, object) that are installed meanwhile."""
    points: list[tuple[str, str]] = []

    def found(group: str) -> list[EntryPoint]:
        return [EntryPoint(name, f"{__name__}:{value}", group) for name, value in points]

    monkeypatch.setattr(lookup, "entry_points", found)
    monkeypatch.setattr(EntryPoint, "load", lambda self: globals()[self.attr])
    lookup._installed.cache_clear()
    yield points
    lookup._installed.cache_clear()


@pytest.mark.parametrize(
    ("name", "type_", "expected"),
    [
        ("j8bt05njq_flt.fits", "flt", "image"),
        ("J8BT05NJQ_FLT.FITS", "", "image"),
        ("j8bt05njq_blv_tmp.fits", "tmp", "image"),
        ("hst_12345_01_acs_wfc_f606w_jabc01_drc.fits", "drc", "image"),
        ("i8bt05njq_ima.fits", "ima", "ramp"),
        ("j8bt05njq_raw.fits", "raw", "ramp"),
        ("l8bt05njq_rawtag_a.fits", "a", "table"),
        ("l8bt05njq_flt_b.fits", "b", "image"),
        ("l8bt05010_x1dsum3.fits", "x1dsum3", "table"),
        ("j8bt05020_asn.fits", "asn", "table"),
        ("j8bt05njq_trl.fits", "trl", "table"),
        ("j8bt05njq.tra", "tra", "text"),
        ("logs/process.txt", "log", "text"),
        ("previews/j8bt05njq_flt.jpg", "preview", "file"),
        ("j8bt05njq_flt.jpg", "flt", "file"),
        ("j8bt05njq_spt.fits", "spt", "file"),
        ("something", "", "file"),
    ],
)
def test_the_suffix_decides(name: str, type_: str, expected: str) -> None:
    """After the first underscore, after the last, or the extension; unknown is a file."""
    assert find_format(name, type_).name == expected


@pytest.mark.parametrize(
    ("points", "name", "expected"),
    [
        ([("flt", "MINE")], "x_flt.fits", "mine"),
        ([("spt", "MINE")], "x_spt.fits", "mine"),
        ([("x1d*", "MINE"), ("x1dsum*", "OTHER")], "x_x1dsum2.fits", "other"),
        ([("x1d*", "MINE"), ("x1d", "OTHER")], "x_x1d.fits", "other"),
        ([("jpg", "MINE")], "previews/x_flt.jpg", "mine"),
        ([("flt", "MINE")], "x_flc.fits", "image"),
    ],
)
def test_installed_packages_come_first(
    installed: list[tuple[str, str]], points: Any, name: str, expected: str
) -> None:
    """Their types win over ours, a type over a pattern, a long pattern over a short one."""
    installed += points

    assert find_format(name).name == expected


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ([("flt", "MINE"), ("flt", "OTHER")], "two packages"),
        ([("flt", "NO_FORMAT")], "no format"),
    ],
)
def test_bad_packages_are_named(
    installed: list[tuple[str, str]], points: Any, message: str
) -> None:
    """Two for one type, or something that is no format, is a ConfigError."""
    installed += points

    with pytest.raises(ConfigError, match=message):
        find_format("x_flt.fits")


def test_package_that_cannot_be_loaded_is_named(
    installed: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message says which one."""

    def broken(self: EntryPoint) -> None:
        raise ImportError("no module named gone")

    installed.append(("flt", "MINE"))
    monkeypatch.setattr(EntryPoint, "load", broken)

    with pytest.raises(ConfigError, match=r"gone.*MINE"):
        find_format("x_flt.fits")


def test_text_and_unknown_files(tmp_path: Path) -> None:
    """Text comes as str, bytes that are none do no harm; what nobody knows is its path."""
    (tmp_path / "x.tra").write_bytes(b"line \xff\n")
    (tmp_path / "x_spt.fits").write_bytes(b"")
    write_file(tmp_path / "y.txt", "Überschuss")

    assert read_file(tmp_path / "x.tra") == "line \N{REPLACEMENT CHARACTER}\n"
    assert read_file(tmp_path / "x_spt.fits") == tmp_path / "x_spt.fits"
    assert read_file(tmp_path / "y.txt") == "Überschuss"


@pytest.mark.parametrize("name", ["a_flt.fits", "a_x1d.fits", "a_ima.fits", "a.txt", "a.png"])
def test_missing_file_is_said_to_be(tmp_path: Path, name: str) -> None:
    """Every reader raises NotFound with the path."""
    with pytest.raises(NotFound, match=name):
        read_file(tmp_path / name)


@pytest.mark.parametrize(("name", "thing"), [("a.txt", b"bytes"), ("a_spt.fits", "text")])
def test_objects_that_a_format_cannot_write_are_refused(
    tmp_path: Path, name: str, thing: object
) -> None:
    """Nothing appears."""
    with pytest.raises(ConfigError):
        write_file(tmp_path / name, thing)
    assert list(tmp_path.iterdir()) == []
