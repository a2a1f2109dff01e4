"""Pollers: what drizzlepac reads, and what it must never be given."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calib.errors import CorruptFile
from calib.ids import parse_dataset
from calib.poller import (
    DETECTORS,
    MOST_BYTES,
    MOST_ROWS,
    PollerRow,
    poller_text,
    read_poller,
    row_of,
)

VISIT, SKYCELL = parse_dataset("wfc3_b46_06"), parse_dataset("skycell-p2381x06y09")
ROW = "ib4606c5q_flc.fits,11665,B46,06,1.0,F555W,UVIS,/ifs/archive/ib46/ib4606c5q_flc.fits"
MOSAIC = "hst_11665_06_wfc3_uvis_f555w_ib4606c5_flc.fits"
CELL = f"{MOSAIC},11665,B46,06,1.0,F555W,UVIS,{SKYCELL},NEW,/any/where/{MOSAIC}"


def write(folder: Path, *lines: str) -> Path:
    """Write a poller."""
    path = folder / "input.out"
    path.write_bytes("\n".join(lines).encode())
    return path


def test_row_of_a_visit(tmp_path: Path) -> None:
    """The documented row; its path is not followed, and the one written is beside the poller."""
    poller = read_poller(write(tmp_path, "# comment", ROW, ""), VISIT)

    assert poller.rows == (PollerRow("ib4606c5q_flc.fits", 11665, 1.0, "F555W", "UVIS"),)
    assert poller_text(VISIT, poller.rows) == (
        "ib4606c5q_flc.fits,11665,B46,06,1.0,F555W,UVIS,ib4606c5q_flc.fits\n"
    )


def test_row_of_a_skycell(tmp_path: Path) -> None:
    """Ten columns; whether an exposure is new survives."""
    old = CELL.replace("c5_flc", "c6_flt").replace("NEW", "old")
    poller = read_poller(write(tmp_path, CELL + "\r", old), SKYCELL)

    assert [(row.name[-11:], row.flag) for row in poller.rows] == [
        ("c5_flc.fits", "NEW"),
        ("c6_flt.fits", "OLD"),
    ]
    assert poller_text(SKYCELL, poller.rows[:1]) == (
        f"{MOSAIC},11665,B46,06,1.0,F555W,UVIS,skycell-p2381x06y09,NEW,{MOSAIC}\n"
    )


@pytest.mark.parametrize("dataset", [VISIT, SKYCELL])
def test_names_alone_are_a_poller(tmp_path: Path, dataset: object) -> None:
    """One column, in any case: the rest is in the headers."""
    name = ROW.split(",", maxsplit=1)[0].upper()

    assert read_poller(write(tmp_path, name), dataset).names == ("ib4606c5q_flc.fits",)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (ROW.replace("ib4606c5q_flc.fits,11", "/etc/ib4606c5q_flc.fits,11"), "file"),
        (ROW.replace("ib4606c5q_flc.fits,11", "../ib4606c5q_flc.fits,11"), "file"),
        (ROW.replace("ib4606c5q", "ib4607c5q"), "file"),
        (ROW.replace("c5q_flc", "c5q_raw"), "file"),
        (ROW.replace("c5q_flc", "010_flc"), "file"),
        (ROW.replace("ib4606c5q_flc.fits,11", "-d,11"), "file"),
        (MOSAIC, "file"),
        (ROW.replace(",11665,", ",eleven,"), "proposal"),
        (ROW.replace(",11665,", ",-1,"), "proposal"),
        (ROW.replace("B46", "B47"), "programme and visit"),
        (ROW.replace(",06,", ",07,"), "programme and visit"),
        (ROW.replace(",1.0,", ",nan,"), "exposure time"),
        (ROW.replace(",1.0,", ",1e999,"), "exposure time"),
        (ROW.replace("F555W", "F555W$(id)"), "filters"),
        (ROW.replace("F555W", ""), "filters"),
        (ROW.replace("UVIS", "WFC"), "detector"),
        (ROW.replace("/ib4606c5q", "/ib4606c6q"), "path"),
        (ROW + ",x", "columns"),
        (ROW.replace(",1.0", ""), "columns"),
        (ROW.replace(",", " "), "file"),
        ('"' + ROW, "characters"),
        (ROW + "\x0b", "characters"),
        (CELL, "columns"),
    ],
)
def test_bad_rows_are_refused_with_their_line(tmp_path: Path, line: str, message: str) -> None:
    """Paths, other visits, other cameras, values without meaning: nothing is read past them."""
    with pytest.raises(CorruptFile, match=f"line 2 of the poller has other {message}"):
        read_poller(write(tmp_path, "# a comment", line), VISIT)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (CELL.replace("p2381", "p2382"), "skycell"),
        (CELL.replace("NEW", "0"), "flag"),
        (ROW, "columns"),
    ],
)
def test_bad_rows_of_skycells(tmp_path: Path, line: str, message: str) -> None:
    """Another skycell, drizzlepac's former flags, and the columns of a visit."""
    with pytest.raises(CorruptFile, match=f"line 1 of the poller has other {message}"):
        read_poller(write(tmp_path, line), SKYCELL)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (f"{ROW}\n{ROW}", "an exposure twice"),
        (f"{ROW}\n{ROW.replace('flc', 'flt')}", "an exposure twice"),
        (f"{ROW}\nib4606c6q_flc.fits", "line 2 .* columns"),
        ("", "not a poller"),
        ("\n# only this\n", "names no exposure"),
        ("ib4606c5q_flc.fits\u00e9", "no ASCII"),
        ("\n".join([ROW] * (MOST_ROWS + 1)), "too many rows"),
        ("x" * (MOST_BYTES + 1), "not a poller"),
    ],
)
def test_bad_lists_are_refused(tmp_path: Path, content: str, message: str) -> None:
    """An exposure is combined with itself nowhere, and size is looked at before the rest."""
    with pytest.raises(CorruptFile, match=message):
        read_poller(write(tmp_path, content), VISIT)


EXPOSURES = st.builds(
    "ib4606{}{}".format,
    st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=2, max_size=2),
    st.sampled_from("abcdefghijklmnopqrstuvwxyz"),
)
FILTERS = st.sampled_from(("F555W", "F606W;CLEAR2L", "F140LP;N/A", "G280", "CLEAR1S;POL0V"))


@st.composite
def rows(draw: st.DrawFn) -> list[PollerRow]:
    """Return a strategy of the rows of a visit."""
    names = draw(st.lists(EXPOSURES, min_size=1, max_size=9, unique_by=lambda name: name[:8]))
    return [
        PollerRow(
            f"{name}_{draw(st.sampled_from(('flc', 'flt')))}.fits",
            draw(st.integers(1, 999_999)),
            draw(st.floats(0, 1e7)),
            draw(FILTERS),
            draw(st.sampled_from(DETECTORS["wfc3"])),
        )
        for name in names
    ]


@given(rows())
def test_what_is_written_is_read(tmp_path_factory: pytest.TempPathFactory, made: list) -> None:  # type: ignore[type-arg]
    """Round trip, to the last digit of an exposure time; order does not matter."""
    path = tmp_path_factory.mktemp("poller") / "wfc3_b46_06_input.out"
    path.write_text(poller_text(VISIT, reversed(made)))

    assert sorted(read_poller(path, VISIT).rows, key=lambda r: r.name) == sorted(
        made, key=lambda r: r.name
    )
    assert poller_text(VISIT, made) == path.read_text()


def test_row_from_headers() -> None:
    """ACS names both wheels, SBC's second is N/A; the numbers are the header's."""
    sbc = {"DETECTOR": "SBC", "PROPOSID": 9453, "EXPTIME": 12, "FILTER1": "F140LP"}
    row = row_of("j8ph01abq_flt.fits", {**sbc, "FILTER2": "N/A"})

    assert row == PollerRow("j8ph01abq_flt.fits", 9453, 12.0, "F140LP;N/A", "SBC")


@pytest.mark.parametrize(
    "changes",
    [{"PROPOSID": None}, {"EXPTIME": "long"}, {"FILTER": "a,b"}, {"DETECTOR": "WFC"}],
)
def test_headers_without_a_row_are_refused(changes: dict[str, object]) -> None:
    """A value that would break the table is not written into it."""
    good = {"DETECTOR": "UVIS", "PROPOSID": 1, "EXPTIME": 1.0, "FILTER": "F555W"}
    with pytest.raises(CorruptFile, match="the header has other"):
        row_of("ib4606c5q_flc.fits", {**good, **changes})
