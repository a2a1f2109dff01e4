"""Inputs of visits and skycells from folders, archives, buckets, MAST and a registry."""

from __future__ import annotations

import hashlib
import shutil
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from astropy.io import fits
from whole_visit import POLLER, TAKEN, VISIT, check_complete, names, tar

from calib.errors import (
    CorruptFile,
    MissingMember,
    NotFound,
    Unavailable,
)
from calib.fetch import FetchOptions, fetch_inputs
from calib.fetch.looking import find_inputs
from calib.fetch.registered import RegisteredFile
from calib.fetch.tarball import TarLimits
from calib.ids import parse_dataset
from calib.records import RawInputs
from calib.simulate.mast_server import MastServer
from calib.stores import S3Store
from calib.stores.s3_client import open_client

Write = Callable[..., Path]
Fetch = Callable[..., RawInputs]


def test_visit_of_a_folder_has_a_poller_made(visit: Path, fetch: Fetch) -> None:
    """UVIS brings FLC, IR its FLT; what the headers say is in the poller."""
    check_complete(fetch(f"file:{visit}"))


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


@pytest.mark.parametrize("form", ["folder", "archive", "bucket", "archive in a bucket"])
def test_raw_without_product(
    visit: Path, write_raw: Write, tmp_path: Path, bucket: str, fetch: Fetch, form: str
) -> None:
    """An exposure that is not calibrated yet is missed, unless a poller leaves it out."""

    def source(name: str) -> str:
        if form == "folder":
            return f"file:{visit}"
        if form.startswith("archive"):
            (tmp_path / name).mkdir()
            archive = tar(visit, tmp_path / name / f"{VISIT}.tar.gz")
        if form == "archive":
            return f"file:{archive}"
        store = S3Store(bucket, name)
        if form == "bucket":
            for path in visit.iterdir():
                store.put(path, f"{VISIT}/{path.name}")
        else:
            store.put(archive, archive.name)
        return f"s3://{bucket}/{name}"

    write_raw(visit / "ib4606zzq_raw.fits")
    with pytest.raises(MissingMember, match="not calibrated: ib4606zzq"):
        fetch(source("before"))
    (visit / f"{VISIT}_input.out").write_text(POLLER)
    check_complete(fetch(source("after")))


def test_raw_without_product_at_mast(
    visit: Path, write_raw: Write, fetch: Fetch, options: FetchOptions, mast: MastServer
) -> None:
    """It is MAST's word that the exposure is not calibrated: a note of the dataset says so."""
    write_raw(visit / "ib4606zzq_raw.fits")
    with MastServer(visit, {}) as server:
        inputs = fetch("astroquery:", options=replace(options, mast_url=server.url))

    check_complete(inputs)
    assert inputs.notes == ("MAST has no flc or flt of ib4606zzq: not in the mosaics",)


def test_names_that_differ_in_case(visit: Path, fetch: Fetch) -> None:
    """Which of the two is meant nobody knows; where it is not taken it does not matter."""
    double = Path(shutil.copy(visit / "ib4606c5q_flt.fits", visit / "IB4606C5Q_FLT.fits"))
    check_complete(fetch(f"file:{visit}"))
    double.rename(visit / "IB4606C5Q_FLC.FITS")
    with pytest.raises(CorruptFile, match=r"differ in case only .*IB4606C5Q_FLC") as raised:
        fetch_inputs(parse_dataset(VISIT), f"file:{visit}", visit / "other")
    assert str(raised.value.path).startswith(str(visit))


@pytest.mark.parametrize("form", ["folder", "bucket"])
def test_archives_of_visits_may_hold_many_files(
    visit: Path, tmp_path: Path, bucket: str, fetch: Fetch, form: str
) -> None:
    """More than a dataset of exposures may have, wherever the archive lies."""
    path = tmp_path / f"{VISIT}.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for number in range(TarLimits.members):
            archive.addfile(tarfile.TarInfo(f"{number}.txt"))
        for name in TAKEN:
            archive.add(visit / name, name)
    S3Store(bucket, "in").put(path, path.name)

    check_complete(fetch(f"file:{path}" if form == "folder" else f"s3://{bucket}/in"))


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


def test_variables_of_a_visit_come_too(visit: Path, fetch: Fetch) -> None:
    """The file of a dataset's environment, under the name that CALDP gives it."""
    (visit / f"{VISIT}_cal_env.txt").write_text("SVM_QUALITY_TESTING=on\n")

    inputs = fetch(f"file:{visit}")

    assert names(inputs) == TAKEN
    assert inputs.environment is not None
    assert inputs.environment.name == f"{VISIT}_cal_env.txt"
