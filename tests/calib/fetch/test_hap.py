"""Inputs of visits and skycells from folders, archives, buckets, MAST and a registry."""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from astropy.io import fits

from calib.errors import (
    ConfigError,
    CorruptFile,
    MissingMember,
    NotFound,
    Unavailable,
)
from calib.fetch import FetchOptions, Patience, fetch_inputs
from calib.fetch.looking import find_inputs
from calib.fetch.registered import RegisteredFile
from calib.ids import parse_dataset
from calib.records import Member, RawInputs
from calib.simulate.mast_server import MastServer
from calib.stores import S3Store
from calib.stores.s3_client import open_client

VISIT, SKYCELL = "wfc3_b46_06", "skycell-p2381x06y09"
TAKEN = ["ib4606c5q_flc.fits", "ib4606c6q_flc.fits", "ib4606clq_flt.fits"]
MOSAIC = "hst_11665_06_wfc3_uvis_f555w_ib4606c5_flc.fits"
POLLER = """\
ib4606c5q_flc.fits,11665,B46,06,1.0,F555W,UVIS,ib4606c5q_flc.fits
ib4606c6q_flc.fits,11665,B46,06,1.0,F555W,UVIS,ib4606c6q_flc.fits
ib4606clq_flt.fits,11665,B46,06,602.9,F160W,IR,ib4606clq_flt.fits
"""
QUICK = Patience(connect=2, read=2, deadline=20, tries=2, backoff=0.01)
Write = Callable[..., Path]
Fetch = Callable[..., RawInputs]


@pytest.fixture
def fetch(tmp_path: Path) -> Fetch:
    """Return a function that fetches into a fresh folder."""
    return lambda uri, name=VISIT, **more: fetch_inputs(
        parse_dataset(name), uri, tmp_path / "out", **more
    )


@pytest.fixture
def mast(visit: Path, tmp_path: Path) -> Iterator[MastServer]:
    """Return a server of the visit."""
    (visit / "ib4606010_drz.fits").unlink()
    with MastServer(visit, {}) as server:
        yield server


@pytest.fixture
def options(mast: MastServer, tmp_path: Path) -> FetchOptions:
    """Return options for that server."""
    return FetchOptions(mast_url=mast.url, cache=tmp_path / "cache", patience=QUICK)


def names(inputs: RawInputs) -> list[str]:
    """Return the names of the images fetched."""
    return [file.name for file in inputs.images]


def check_complete(inputs: RawInputs) -> None:
    """See that this is the whole visit, with its poller."""
    (poller,) = inputs.of("poller")
    assert names(inputs) == TAKEN
    assert Path(poller.path).read_text() == POLLER
    assert (poller.name, poller.rootname) == (f"{VISIT}_input.out", VISIT)
    assert inputs.members == tuple(Member(n[:9], n[10:13].upper(), present=True) for n in TAKEN)
    assert [file.rootname for file in inputs.images] == [n[:9] for n in TAKEN]
    for file in inputs.files:
        content = Path(file.path).read_bytes()
        assert (hashlib.sha256(content).hexdigest(), len(content)) == (file.sha256, file.size)
    folder = Path(poller.path).parent
    assert sorted(path.name for path in folder.iterdir()) == [*TAKEN, poller.name]


def tar(folder: Path, target: Path, *, only: str = "*") -> Path:
    """Write an archive of a folder."""
    with tarfile.open(target, "w:gz") as archive:
        for path in sorted(folder.glob(only)):
            archive.add(path, f"{VISIT}/{path.name}")
    return target


def test_visit_of_a_folder_has_a_poller_made(visit: Path, fetch: Fetch) -> None:
    """UVIS brings FLC, IR its FLT; what the headers say is in the poller."""
    check_complete(fetch(f"file:{visit}"))


def test_supplied_poller_says_what_is_taken(visit: Path, fetch: Fetch) -> None:
    """An FLT where the FLC lies beside it, one exposure less; its word on filters stands."""
    line = "ib4606c5q_flt.fits,11665,B46,06,1.0,F606W,UVIS,/ifs/archive/ib4606c5q_flt.fits"
    (visit / f"{VISIT}_input.out").write_text(f"{line}\n")

    inputs = fetch(f"file:{visit}")

    assert names(inputs) == ["ib4606c5q_flt.fits"]
    text = Path(inputs.of("poller")[0].path).read_text()
    assert text == line.replace("/ifs/archive/", "") + "\n"
    assert inputs.members == (Member("ib4606c5q", "FLT", present=True),)


@pytest.mark.parametrize("with_poller", [True, False])
def test_visit_of_an_archive(visit: Path, tmp_path: Path, fetch: Fetch, with_poller: bool) -> None:
    """The visit of a tar file beside other things is the visit of the folder."""
    if with_poller:
        (visit / f"{VISIT.upper()}_INPUT.OUT").write_text(POLLER)
    (tmp_path / "tars").mkdir()
    tar(visit, tmp_path / "tars" / f"{VISIT}.tar.gz")

    check_complete(fetch(f"file:{tmp_path / 'tars'}"))


@pytest.mark.parametrize("form", ["folder", "archive"])
def test_visit_of_a_bucket(
    visit: Path, tmp_path: Path, bucket: str, fetch: Fetch, form: str
) -> None:
    """Both forms that CALDP and CALCLOUD know."""
    store = S3Store(bucket, "in")
    if form == "archive":
        store.put(tar(visit, tmp_path / "it.tar.gz"), f"{VISIT}.tar.gz")
    else:
        for path in visit.iterdir():
            store.put(path, f"{VISIT}/{path.name}")

    check_complete(fetch(f"s3://{bucket}/in"))


def test_visit_of_the_public_bucket(visit: Path, s3_settings: str, fetch: Fetch) -> None:
    """There each exposure has a folder of its own."""
    client = open_client(s3_settings, anonymous=False)
    client.create_bucket(Bucket="stpubdata")
    client.put_bucket_acl(Bucket="stpubdata", ACL="public-read")
    for path in visit.glob("*.fits"):
        root = path.name[:9]
        key = f"hst/public/{root[:4]}/{root}/{path.name}"
        client.put_object(Bucket="stpubdata", Key=key, Body=path.read_bytes(), ACL="public-read")

    check_complete(fetch("s3://stpubdata/hst/public"))


def test_visit_of_mast(fetch: Fetch, options: FetchOptions, mast: MastServer) -> None:
    """The real client, one wildcard query; nothing but the chosen files is loaded."""
    inputs = fetch("astroquery:", options=options)

    check_complete(inputs)
    assert inputs.source == f"astroquery:{mast.url}"
    loaded = [r for r in mast.requests if "Download" in r.path]
    assert len(loaded) == len(TAKEN)


def test_poller_for_mast(
    tmp_path: Path, fetch: Fetch, options: FetchOptions, mast: MastServer
) -> None:
    """A list of names in a folder of pollers, completed from what MAST sends."""
    (tmp_path / "pollers").mkdir()
    (tmp_path / "pollers" / f"{VISIT}_input.out").write_text(f"{TAKEN[2]}\n")

    inputs = fetch(f"astroquery:{tmp_path / 'pollers'}", options=options)

    assert names(inputs) == TAKEN[2:]
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


def test_visit_of_a_registry(visit: Path, fetch: Fetch) -> None:
    """What our own run made; a file that has changed since is not taken."""
    known = {
        path.name: RegisteredFile(
            path.as_uri(), "first", hashlib.sha256(path.read_bytes()).hexdigest(), size
        )
        for path in visit.glob("ib4606*_fl?.fits")
        if (size := path.stat().st_size)
    }
    inputs = fetch("archive:", registered=known)
    check_complete(inputs)
    assert inputs.source == "archive:first"

    fits.setval(visit / TAKEN[0], "EXPTIME", value=2.0)
    with pytest.raises(CorruptFile, match="changed since it was registered"):
        fetch_inputs(parse_dataset(VISIT), "archive:", visit / "new", registered=known)


def test_empty_visits(visit: Path, bucket: str, fetch: Fetch, options: FetchOptions) -> None:
    """A reason and the code of the source; nothing is left behind."""
    S3Store(bucket, "in").put(visit / TAKEN[0], "acs_8ph_01/other_flc.fits")
    for uri, code in (
        (f"file:{visit}", 21),
        ("astroquery:", 22),
        (f"s3://{bucket}/in", 26),
        ("archive:", 21),
    ):
        with pytest.raises(NotFound, match=r"no exposures of this visit|no input files") as raised:
            fetch(uri, "acs_8ph_01", options=options, registered={})
        assert raised.value.code == code


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


def test_raw_without_product(visit: Path, write_raw: Write, fetch: Fetch) -> None:
    """An exposure that is not calibrated yet is missed, unless a poller leaves it out."""
    write_raw(visit / "ib4606zzq_raw.fits")
    with pytest.raises(MissingMember, match="not calibrated: ib4606zzq"):
        fetch(f"file:{visit}")
    (visit / f"{VISIT}_input.out").write_text(POLLER)
    check_complete(fetch(f"file:{visit}"))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("/etc/passwd", "line 1 of the poller has other file"),
        ("ib4607aaq_flc.fits", "line 1 of the poller has other file"),
        (POLLER.replace("UVIS", "IR"), "contradicts the header"),
        (POLLER.replace("11665", "11666"), "contradicts the header"),
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


def test_no_poller_where_one_was_promised(tmp_path: Path, fetch: Fetch) -> None:
    """The folder of pollers lacks this one: MAST is not asked."""
    with pytest.raises(NotFound, match="there is no poller") as raised:
        fetch(f"astroquery:{tmp_path}")
    assert raised.value.path == str(tmp_path / f"{VISIT}_input.out")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ROOTNAME": "ib4606zzq"}, "ROOTNAME contradicts"),
        ({"INSTRUME": "ACS"}, "INSTRUME contradicts"),
        ({"FILTER": None}, "lacks a keyword"),
        ({"PROPOSID": None}, "lacks a keyword"),
    ],
)
def test_exposures_are_what_their_names_say(
    visit: Path, write_image: Write, fetch: Fetch, change: dict[str, object], message: str
) -> None:
    """A file under another's name is not combined."""
    (visit / TAKEN[0]).unlink()
    write_image(visit / TAKEN[0], **change)
    with pytest.raises(CorruptFile, match=message):
        fetch(f"file:{visit}")


def test_incomplete_image_sets_are_refused(visit: Path, fetch: Fetch) -> None:
    """IR has five images: what says that it is IR and has three is cut short."""
    fits.setval(visit / TAKEN[0], "DETECTOR", value="IR")
    with pytest.raises(CorruptFile, match="lacks extensions: SAMP,1 TIME,1"):
        fetch(f"file:{visit}")


def test_exposures_of_integers_are_refused(visit: Path, fetch: Fetch) -> None:
    """Raw counts under the name of a calibrated exposure."""
    with fits.open(visit / TAKEN[0], mode="update") as hdus:
        hdus[1].data = hdus[1].data.astype("int16")
    with pytest.raises(CorruptFile, match="pixels of a type"):
        fetch(f"file:{visit}")


def test_mast_away(fetch: Fetch, mast: MastServer, options: FetchOptions) -> None:
    """No answer is no empty visit: it may pass."""
    mast.query_faults["observations"] = ["503", "503"]
    with pytest.raises(Unavailable, match="gave up after 2 tries") as raised:
        fetch("astroquery:", options=options)
    assert raised.value.code == 22


def test_looking_shows_what_fetch_brings(visit: Path, tmp_path: Path, fetch: Fetch) -> None:
    """Nothing is written; the poller that would be made is among the files."""
    (tmp_path / "scratch").mkdir()
    view = find_inputs(parse_dataset(VISIT), f"file:{visit}", tmp_path / "scratch", FetchOptions())
    sight, fetched = view.look(), fetch(f"file:{visit}")

    assert sight.inputs is not None
    assert sight.members == fetched.members
    assert [(f.name, f.sha256) for f in sight.files] == [(f.name, f.sha256) for f in fetched.files]
    assert [f.where for f in sight.files] == ["folder"] * 3 + ["made"]
    assert not (visit / f"{VISIT}_input.out").exists()


def test_looking_at_mast_lists_what_would_be_taken(
    tmp_path: Path, options: FetchOptions, mast: MastServer
) -> None:
    """Names and no bytes: an FLT beside its FLC is not among them."""
    (tmp_path / "scratch").mkdir()
    sight = find_inputs(parse_dataset(VISIT), "astroquery:", tmp_path / "scratch", options).look()

    assert [file.name for file in sight.files] == TAKEN
    assert sight.inputs is None
    assert not [r for r in mast.requests if "Download" in r.path]


def test_looking_at_a_broken_visit(visit: Path, tmp_path: Path) -> None:
    """The error is in the record, beside what is there."""
    (tmp_path / "scratch").mkdir()
    (visit / f"{VISIT}_input.out").write_text("ib4606zzq_flc.fits")
    view = find_inputs(parse_dataset(VISIT), f"file:{visit}", tmp_path / "scratch", FetchOptions())

    sight = view.look()
    assert isinstance(sight.error, MissingMember)
    assert f"{VISIT}_input.out" in [file.name for file in sight.files]


@pytest.mark.parametrize("uri", ["astroquery:pollers", "astroquery://host/x", "astroquery:s3://x"])
def test_places_of_pollers_are_checked(uri: str, fetch: Fetch) -> None:
    """A word is no folder; a bucket needs a name."""
    with pytest.raises(ConfigError):
        fetch(uri)


def test_variables_of_a_visit_come_too(visit: Path, fetch: Fetch) -> None:
    """The file of a dataset's environment, under the name that CALDP gives it."""
    (visit / f"{VISIT}_cal_env.txt").write_text("SVM_QUALITY_TESTING=on\n")

    inputs = fetch(f"file:{visit}")

    assert names(inputs) == TAKEN
    assert inputs.environment is not None
    assert inputs.environment.name == f"{VISIT}_cal_env.txt"
