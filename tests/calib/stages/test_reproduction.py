"""Published datasets made again: every bit is the same, and whatever was spoiled is found."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from archived import EXPOSURE, PAIR, Home, rewrite, rewrite_sum, spoil, states, tree
from astropy.io import fits

from calib.archive.outputs import open_output
from calib.errors import (
    ConfigError,
    CorruptFile,
    HstflowError,
    MissingMember,
    MissingReference,
    NotFound,
    Proprietary,
    ReferenceUnavailable,
    UnsupportedMode,
)
from calib.records import RawInputs
from calib.stages.fetch import fetch
from calib.stages.job import Job, Options
from calib.stages.planning import plan_jobs
from calib.stages.published import find_publication
from calib.stages.reproduction import ARCHIVE_ORIGIN, Rerun, reproduce
from calib.stages.sequence import process_dataset
from calib.stages.workfolder import Finished
from calib.stores.s3_store import S3Store
from calib.stores.store import hash_file
from calib.switches import Overrides


def test_every_kind_of_dataset_is_the_same_again(published: Home, tmp_path: Path) -> None:
    """Every product and picture has the same bytes; archive and ledger are not touched."""
    before = tree(published.root)

    for dataset in published.datasets:
        result = published.again(dataset, work=tmp_path / dataset)
        assert result.reproduced
        assert (result.kind, result.reasons, result.changes) == ("exact", (), ())
        assert states(result) == {}
        names = {file.name for file in result.files}
        manifest = open_output(published.request.output).current_manifest
        recorded = manifest(plan_jobs(published.request, [dataset])[0].id)
        assert recorded is not None
        assert names == {file.name for file in recorded.files if file.role != "log"}

    assert tree(published.root) == before


@pytest.mark.parametrize("dataset", [EXPOSURE, PAIR])
def test_inputs_from_the_archive_give_the_same(
    published: Home, tmp_path: Path, dataset: str
) -> None:
    """The raws beside the products do as well, although bestrefs has been in their headers."""
    result = published.again(dataset, work=tmp_path / "w", from_archive=True)

    assert (result.reproduced, result.inputs) == (True, ARCHIVE_ORIGIN)
    assert {*states(result).values()} == {"equal"}
    assert all(name.endswith("_raw_preview.json") for name in states(result))


def test_a_source_that_is_gone_gives_way_to_the_archive(home: Home) -> None:
    """Unless a person named it."""
    rewrite(home, lambda provenance: provenance.update(source="file:/nowhere/at/all"))

    result = home.again()
    assert (result.inputs, result.reproduced) == (ARCHIVE_ORIGIN, True)
    assert "no such folder" in result.unanswered
    with pytest.raises(NotFound, match="no such folder"):
        home.again(work=home.root / "other", source="file:/nowhere/at/all")


def test_changed_inputs_are_an_error(home: Home) -> None:
    """Other bytes at the source are not taken for the input; the message names both sums."""
    raw = home.observatory.raws / f"{EXPOSURE}_raw.fits"
    spoil(raw, lambda hdus: hdus["SCI"].data.__setitem__((3, 3), 7))

    with pytest.raises(CorruptFile, match="they have changed since") as caught:
        home.again(source=f"file:{home.observatory.raws}")
    assert hash_file(raw) in str(caught.value)
    assert home.again(work=home.root / "other", from_archive=True).reproduced


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda hdus: hdus["SCI"].data.__setitem__((5, 6), np.float32(123)), "SCI,1: 1 of"),
        (lambda hdus: hdus["DQ"].data.__setitem__((5, 6), 77), "DQ,1: 1 of"),
        (lambda hdus: hdus[0].header.set("TARGNAME", "OTHER"), "TARGNAME is [TARGNAME= 'SIM-"),
        (lambda hdus: hdus["SCI"].header.set("NCOMBINE", 99), "NCOMBINE"),
        (lambda hdus: hdus.pop(), "in place of"),
    ],
)
@pytest.mark.parametrize("is_consistent", [True, False])
def test_a_spoiled_product_is_found(
    home: Home, change: Callable[[fits.HDUList], object], words: str, is_consistent: bool
) -> None:
    """One pixel, flag, card or extension: with and without a manifest that knows of it."""
    name = f"{EXPOSURE}_flt.fits"
    spoil(home.file(name), change)
    if is_consistent:
        rewrite_sum(home, name)

    result = home.again()

    assert not result.reproduced
    file = next(file for file in result.files if file.name == name)
    assert file.state == ("differs" if is_consistent else "damaged")
    assert words in "\n".join(file.details)


def test_a_product_that_differs_in_dates_alone_is_the_same(home: Home) -> None:
    """DATE is no content."""
    name = f"{EXPOSURE}_raw.fits"
    spoil(home.observatory.raws / name, lambda hdus: hdus[1].header.set("DATE", "2026-01-01"))
    process_dataset(plan_jobs(home.request, [EXPOSURE])[0])
    spoil(home.file(name), lambda hdus: hdus[1].header.set("DATE", "1999-01-01"))
    rewrite_sum(home, name)

    result = home.again()

    assert (result.reproduced, states(result)) == (True, {name: "dates"})


def test_spoiled_pictures_and_descriptions_are_found(home: Home) -> None:
    """A picture by its pixels, its description by the entry; a missing file is damage."""
    from PIL import Image

    picture = f"previews/{EXPOSURE}_flt.jpg"
    Image.new("L", (8, 8)).save(home.file(picture))
    sidecar = f"previews/{EXPOSURE}_flt_preview.json"
    text = home.file(sidecar).read_text()
    home.file(sidecar).write_text(text.replace('"asinh"', '"linear"'))
    for name in (picture, sidecar):
        rewrite_sum(home, name)
    home.file(f"previews/{EXPOSURE}_flt_thumb.jpg").unlink()

    result = home.again()

    assert states(result) == {
        picture: "differs",
        sidecar: "differs",
        f"previews/{EXPOSURE}_flt_thumb.jpg": "damaged",
    }
    assert next(f for f in result.files if f.name == sidecar).details == ("stretch",)


def test_missing_and_extra_products(home: Home) -> None:
    """What was published and is not made again, and the other way round."""
    path = home.file("manifest.json")
    manifest = json.loads(path.read_bytes())
    first = manifest["files"][0]
    assert first["name"] == f"{EXPOSURE}_flt.fits"
    first["name"] = f"{EXPOSURE}_crj.fits"
    manifest["files"].sort(key=lambda entry: entry["name"])
    path.write_text(json.dumps(manifest))

    result = home.again()

    assert states(result) == {f"{EXPOSURE}_crj.fits": "missing", f"{EXPOSURE}_flt.fits": "extra"}
    assert not result.reproduced


def used(home: Home, keyword: str) -> Path:
    """Return the cached file of a reference of the exposure."""
    manifest = json.loads(home.file("manifest.json").read_bytes())
    uses = manifest["provenance"]["references"][0]["references"]
    name = next(use["name"] for use in uses if use["keyword"] == keyword)
    return next((home.observatory.crds_path / "references").rglob(name))


@pytest.mark.parametrize("keyword", ["PFLTFILE", "BPIXTAB"])
def test_another_reference_in_the_cache_is_found(home: Home, keyword: str) -> None:
    """One byte of a file of the right name and size; also of one that no switch requires."""
    path = used(home, keyword)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)

    with pytest.raises(MissingReference, match=f"reference {keyword} .* differs from the one"):
        home.again()


def test_a_reference_that_is_gone(home: Home) -> None:
    """It is said, with where it was looked for; in a folder given it is found."""
    path = used(home, "PFLTFILE")
    elsewhere = home.root / "mine"
    elsewhere.mkdir()
    path.rename(elsewhere / path.name)

    with pytest.raises(ReferenceUnavailable, match=path.name):
        home.again()
    assert home.again(work=home.root / "other", folders=(elsewhere,)).reproduced


def test_overrides_and_references_of_the_users_own(home: Home) -> None:
    """Switches and a custom reference are used again, from the place it had then."""
    own = home.root / "my_flat.fits"
    shutil.copy(used(home, "PFLTFILE"), own)
    options = Options(overrides=Overrides({"PHOTCORR": "OMIT"}), references={"PFLTFILE": str(own)})
    request = dataclasses.replace(home.request, options=options, run="own")
    assert process_dataset(plan_jobs(request, [EXPOSURE])[0]).run == "own"

    result = home.again(run="own")

    assert (result.run, states(result)) == ("own", {})
    spoil(own, lambda hdus: hdus[0].header.set("DESCRIP", "edited since"))
    with pytest.raises(MissingReference, match=r"PFLTFILE my_flat\.fits differs"):
        home.again(run="own", work=home.root / "other")


def test_older_numbers_are_compared_with_a_tolerance(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The class and its reason are said; numbers close by pass, the version card is no fault."""

    def shift(hdus: fits.HDUList) -> None:
        hdus["SCI"].data[4, 4] *= np.float32(1 + 2e-6)
        hdus[0].header["CAL_VER"] = "hstflow native 1"
        hdus[0].header.add_history("a line that nobody writes any more")

    name = f"{EXPOSURE}_flt.fits"
    spoil(home.file(name), shift)
    rewrite_sum(home, name)
    exact = home.again()
    rewrite(home, lambda provenance: provenance["engine"].update(version="1"))
    close = home.again(work=home.root / "close")

    assert states(exact)[name] == "differs"
    assert (close.kind, states(close)[name], close.reproduced) == ("tolerance", "tolerated", True)
    assert "version 1, now" in close.reasons[0]


def test_what_hstflow_did_not_make(home: Home) -> None:
    """A manifest without provenance cannot be made again, and says so."""
    rewrite(home, lambda provenance: provenance.clear())

    with pytest.raises(UnsupportedMode, match="not made by hstflow"):
        home.again()


def test_work_folder_in_use(home: Home) -> None:
    """What lies there would be taken for finished stages: refused."""
    (home.root / "again").mkdir()
    (home.root / "again" / "left").touch()

    with pytest.raises(ConfigError, match="has something in it"):
        home.again()


def test_other_engine_that_is_not_there(home: Home) -> None:
    """It is refused by name."""
    with pytest.raises(ConfigError, match="no such engine"):
        home.again(engine="calacs")


def test_from_a_bucket(published: Home, bucket: str, tmp_path: Path) -> None:
    """An archive in a bucket is read the same way, inputs included."""
    store = S3Store(bucket, "out")
    for path in published.file("manifest.json").parent.rglob("*.*"):
        if path.is_file():
            key = f"runs/{path_run(published)}/acs/{EXPOSURE}"
            name = path.relative_to(published.file("manifest.json").parent).as_posix()
            store.put(path, f"{key}/{name}")

    found = find_publication(f"s3://{bucket}/out/runs/{path_run(published)}/acs/{EXPOSURE}")
    rerun = Rerun(published.observatory.profile, tmp_path / "w", "none.db", from_archive=True)
    result = reproduce(found, rerun)

    assert result.reproduced
    assert result.uri.startswith("s3://")


def path_run(home: Home) -> str:
    """Return the run of the exposure."""
    return home.file("manifest.json").parts[-4]


def test_inputs_of_the_registry(home: Home) -> None:
    """What was made of `archive:` is looked up in the ledger again, and not taken for missing."""
    first, options = path_run(home), Options(own_run=True)
    request = dataclasses.replace(home.request, source="archive:", run="second", options=options)
    assert process_dataset(plan_jobs(request, [EXPOSURE])[0]).run == "second"

    result = home.again(run="second")

    assert (result.inputs, result.unanswered) == (f"archive:{first}", "")
    assert result.reproduced
    gone = home.again(run="second", work=home.root / "other", ledger=str(home.root / "none.db"))
    assert (gone.inputs, gone.reproduced) == (ARCHIVE_ORIGIN, True)
    assert "no ledger yet" in gone.unanswered


@pytest.mark.parametrize("kind", [MissingMember, Proprietary])
def test_a_source_without_all_inputs_gives_way_to_the_archive(
    home: Home, monkeypatch: pytest.MonkeyPatch, kind: type[HstflowError]
) -> None:
    """A member that is gone, and data that are not for us, are not to be had there."""
    answers = [kind("not there")]

    def fetch_later(job: Job) -> Finished[RawInputs]:
        if answers:
            raise answers.pop()
        return fetch(job)

    monkeypatch.setattr("calib.stages.reproduction.fetch", fetch_later)

    result = home.again()

    assert (result.inputs, result.unanswered) == (ARCHIVE_ORIGIN, "not there")
    assert result.reproduced
