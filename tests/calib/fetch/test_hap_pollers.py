"""Pollers that are supplied: which exposures are taken, and what is not believed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from unittest import mock

import pytest
from whole_visit import POLLER, SKYCELL, TAKEN, VISIT, names

from calib.errors import (
    ConfigError,
    CorruptFile,
    MissingMember,
    NotFound,
)
from calib.fetch import FetchOptions, Patience
from calib.poller import MOST_BYTES
from calib.records import Member, RawInputs
from calib.simulate.mast_server import MastServer
from calib.stores import S3Store

MOSAIC = "hst_11665_06_wfc3_uvis_f555w_ib4606c5_flc.fits"
QUICK = Patience(connect=2, read=2, deadline=20, tries=2, backoff=0.01)
Write = Callable[..., Path]
Fetch = Callable[..., RawInputs]


def test_supplied_poller_says_what_is_taken(visit: Path, fetch: Fetch) -> None:
    """An FLT where the FLC lies beside it, one exposure less; nothing lies where it says."""
    line = "ib4606c5q_flt.fits,11665,B46,06,1.0,F555W,UVIS,/ifs/archive/ib4606c5q_flt.fits"
    (visit / f"{VISIT}_input.out").write_text(f"{line}\n")

    inputs = fetch(f"file:{visit}")

    assert names(inputs) == ["ib4606c5q_flt.fits"]
    text = Path(inputs.of("poller")[0].path).read_text()
    assert text == line.replace("/ifs/archive/", "") + "\n"
    assert inputs.members == (Member("ib4606c5q", "FLT", present=True),)


def test_poller_for_mast(
    tmp_path: Path, fetch: Fetch, options: FetchOptions, mast: MastServer
) -> None:
    """A list of names in a folder of pollers, completed from what MAST sends."""
    (tmp_path / "pollers").mkdir()
    (tmp_path / "pollers" / f"{VISIT}_input.out").write_text(f"{TAKEN[2]}\n")

    inputs = fetch(f"astroquery:{tmp_path / 'pollers'}", options=options)

    assert names(inputs) == TAKEN[2:]
    assert inputs.source == f"astroquery:{tmp_path / 'pollers'}"  # what gives the same again
    assert Path(inputs.of("poller")[0].path).read_text() == POLLER.splitlines(keepends=True)[2]


def test_skycell_of_mast(
    tmp_path: Path, bucket: str, write_image: Write, visit: Path, fetch: Fetch, mast: MastServer
) -> None:
    """Its poller from a bucket; its files are those that mosaics of visits have named."""
    write_image(visit / MOSAIC)
    row = f"{MOSAIC},11665,B46,06,1.0,F555W,UVIS,{SKYCELL},OLD,/elsewhere/{MOSAIC}"
    (tmp_path / "poller").write_text(row)
    S3Store(bucket, "p").put(tmp_path / "poller", f"{SKYCELL}_input.out")
    options = FetchOptions(mast_url=mast.url, cache=tmp_path / "cache", patience=QUICK)

    inputs = fetch(f"astroquery:s3://{bucket}/p", SKYCELL, options=options)

    assert names(inputs) == [MOSAIC]
    assert inputs.source == f"astroquery:s3://{bucket}/p"
    assert inputs.members == (Member("ib4606c5q", "FLC", present=True),)
    text = Path(inputs.of("poller")[0].path).read_text()
    assert text == row.replace("/elsewhere/", "") + "\n"


def test_skycell_of_a_folder(visit: Path, write_image: Write, fetch: Fetch) -> None:
    """Other exposures of mosaics beside it are not taken."""
    write_image(visit / MOSAIC)
    write_image(visit / MOSAIC.replace("c5_", "c7_"))
    (visit / f"{SKYCELL}_input.out").write_text(MOSAIC)

    assert names(fetch(f"file:{visit}", SKYCELL)) == [MOSAIC]


@pytest.mark.parametrize("source", ["file", "mast", "archive"])
def test_skycell_without_poller(
    visit: Path, fetch: Fetch, options: FetchOptions, source: str
) -> None:
    """Nobody guesses which exposures overlap it: the message says how to supply a poller."""
    uri = {"file": f"file:{visit}", "mast": "astroquery:", "archive": "archive:"}[source]
    with pytest.raises(NotFound, match=f"{SKYCELL}_input.out beside the exposures") as raised:
        fetch(uri, SKYCELL, options=options, registered={})
    assert raised.value.code == (22 if source == "mast" else 21)


def test_missing_files_of_a_poller_are_all_listed(
    visit: Path, tmp_path: Path, fetch: Fetch
) -> None:
    """Not one mosaic with less exposures than was asked for."""
    for name in TAKEN[1:]:
        (visit / name).unlink()
    (visit / f"{VISIT}_input.out").write_text(POLLER)
    with pytest.raises(MissingMember, match="2 of 3 files of the poller are missing: ") as raised:
        fetch(f"file:{visit}")
    assert all(name in str(raised.value) for name in TAKEN[1:])
    assert not (tmp_path / "out").exists()


def test_missing_files_at_mast(tmp_path: Path, fetch: Fetch, options: FetchOptions) -> None:
    """Code 22: the archive has not what the poller names."""
    (tmp_path / f"{VISIT}_input.out").write_text("ib4606zzq_flc.fits")
    with pytest.raises(MissingMember, match="ib4606zzq_flc") as raised:
        fetch(f"astroquery:{tmp_path}", options=options)
    assert raised.value.code == 22


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("/etc/passwd", "line 1 of the poller has other file"),
        ("ib4607aaq_flc.fits", "line 1 of the poller has other file"),
        (POLLER.replace("UVIS", "IR"), "contradicts the header"),
        (POLLER.replace("11665", "11666"), "contradicts the header"),
        (POLLER.replace("F555W", "F814W"), "expected .*F555W; found .*F814W"),
        (POLLER.replace("F160W", "F160W;F110W"), "contradicts the header"),
    ],
)
def test_hostile_pollers(
    visit: Path, tmp_path: Path, fetch: Fetch, line: str, message: str
) -> None:
    """The message names the folder that the user knows, and nothing is published."""
    (visit / f"{VISIT}_input.out").write_text(line)
    with pytest.raises(CorruptFile, match=message) as raised:
        fetch(f"file:{visit}")
    assert str(raised.value.path).startswith(str(visit))
    assert raised.value.dataset == VISIT
    assert not (tmp_path / "out").exists()


def test_pollers_are_completed_from_headers(
    write_image: Write, tmp_path: Path, fetch: Fetch
) -> None:
    """Filters in another order or case or without the empty wheel are the same ones."""
    name, visit = "j8ph01abq_flc.fits", "acs_8ph_01"
    write_image(tmp_path / name)
    line = f"{name},9453,8PH,01,99999.0,f606w,WFC,{name}"
    (tmp_path / f"{visit}_input.out").write_text(line)

    (poller,) = fetch(f"file:{tmp_path}", visit).of("poller")

    assert Path(poller.path).read_text() == f"{name},9453,8PH,01,500.0,F606W;CLEAR2L,WFC,{name}\n"


def test_poller_of_a_bucket_that_is_none(tmp_path: Path, bucket: str, fetch: Fetch) -> None:
    """Its size is asked first: nothing of it is brought."""
    with (tmp_path / "large").open("wb") as file:
        file.truncate(MOST_BYTES + 1)
    S3Store(bucket, "p").put(tmp_path / "large", f"{VISIT}_input.out")
    with (
        mock.patch.object(S3Store, "get", side_effect=AssertionError("brought")),
        pytest.raises(CorruptFile, match=f"not a poller .*{MOST_BYTES}") as raised,
    ):
        fetch(f"astroquery:s3://{bucket}/p")
    assert raised.value.path == f"s3://{bucket}/p/{VISIT}_input.out"


def test_no_poller_where_one_was_promised(tmp_path: Path, fetch: Fetch) -> None:
    """The folder of pollers lacks this one: MAST is not asked."""
    with pytest.raises(NotFound, match="there is no poller") as raised:
        fetch(f"astroquery:{tmp_path}")
    assert raised.value.path == str(tmp_path / f"{VISIT}_input.out")


@pytest.mark.parametrize("uri", ["astroquery:pollers", "astroquery://host/x", "astroquery:s3://x"])
def test_places_of_pollers_are_checked(uri: str, fetch: Fetch) -> None:
    """A word is no folder; a bucket needs a name."""
    with pytest.raises(ConfigError):
        fetch(uri)
