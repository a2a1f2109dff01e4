"""Ingest: what others made becomes a run, whole or not at all, and again without a change."""

from __future__ import annotations

import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ingestible import MADE, write_file, write_tarball

from calib.archive.outputs import open_output
from calib.archive.publish import File, Publication
from calib.ids import parse_dataset
from calib.ledger.ledger import Ledger, open_ledger
from calib.repository.candidates import IngestRequest, survey
from calib.repository.ingest import Ingested, ingest
from calib.stores.s3_store import S3Store

PAIR, ONE = parse_dataset("j8bt05020"), parse_dataset("j8bt06xyq")


def products(ledger: Ledger) -> list[dict[str, Any]]:
    """Return the view of products."""
    query = "SELECT * FROM products ORDER BY dataset, name"
    return ledger.ask(lambda rows: rows(query, {}))


def counts(done: Ingested) -> tuple[int, int, int, int, int]:
    """Return datasets new, known and refused, files new and known."""
    return done.new, done.known, len(done.refused), done.new_files, done.known_files


def written(folder: Path) -> dict[Path, int]:
    """Return when each file and its inode changed last."""
    return {path: path.stat().st_ctime_ns for path in folder.rglob("*")}


def put_folder(folder: Path, store: S3Store) -> None:
    """Put a folder into a bucket."""
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        store.put(path, path.relative_to(folder).as_posix(), verify=False)


@pytest.mark.parametrize("transfer", ["copy", "link"])
def test_files_are_published_as_if_we_had_made_them(
    request_of: IngestRequest, ledger: Ledger, transfer: Any
) -> None:
    """A manifest, the pointer, rows with data ids and members; the source keeps its bytes."""
    done = ingest(replace(request_of, transfer=transfer), ledger)

    assert counts(done) == (2, 0, 0, 10, 0)
    assert (done.code, done.unmatched) == (0, ())
    output = open_output(str(request_of.output))
    assert output.verify(PAIR) == output.verify(ONE) == []
    rows = {row["name"]: row for row in products(ledger)}
    crj = rows["j8bt05021_crj.fits"]
    assert (crj["type"], crj["rootname"], crj["kind"]) == ("crj", "j8bt05021", "ingested")
    assert (crj["context"], crj["engine"]) == ("hst_0729.pmap", "calacs")
    assert crj["engine_version"] == MADE["CAL_VER"]
    assert (crj["transfer"], crj["is_current"], crj["filter"]) == (transfer, 1, "F555W")
    assert rows["logs/process.txt"]["type"] == "log"
    pair = ledger.ask(lambda r: r("SELECT * FROM data_id WHERE rootname = 'j8bt05020'", {}))
    assert (pair[0]["exptime"], pair[0]["proposal"], pair[0]["visit"]) == (200.0, 9019, "05")
    members = ledger.ask(lambda r: r("SELECT rootname FROM member ORDER BY rootname", {}))
    assert [row["rootname"] for row in members] == ["j8bt05021", "j8bt05njq", "j8bt05nkq"]


def test_links_share_their_bytes_and_are_read_only(
    request_of: IngestRequest, ledger: Ledger, tmp_path: Path
) -> None:
    """A link takes no room, and nobody writes into the archive through the source by accident."""
    ingest(replace(request_of, transfer="link"), ledger)
    source = tmp_path / "caldp/outputs/j8bt06xyq/j8bt06xyq_flt.fits"
    ours = tmp_path / "out/data/acs/j8bt06xyq/j8bt06xyq_flt.fits"

    assert source.samefile(ours)
    assert not stat.S_IMODE(source.stat().st_mode) & 0o222
    source.unlink()
    write_file(source, TARGNAME="ANOTHER")
    assert open_output(str(request_of.output)).verify(ONE) == []


def test_in_place_writes_nothing(request_of: IngestRequest, ledger: Ledger, tmp_path: Path) -> None:
    """Rows alone, with the files' own URIs; neither an archive nor the source is touched."""
    before = written(tmp_path / "caldp")
    done = ingest(replace(request_of, transfer="in-place", output=None), ledger)

    assert counts(done) == (2, 0, 0, 10, 0)
    row = next(row for row in products(ledger) if row["name"] == "previews/j8bt05njq_flt.jpg")
    path = tmp_path / "caldp/outputs/j8bt05020/previews/j8bt05njq_flt.jpg"
    assert row["uri"] == path.as_uri()
    assert (row["transfer"], row["type"]) == ("in-place", "preview")
    assert written(tmp_path / "caldp") == before
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("transfer", ["copy", "in-place"])
@pytest.mark.parametrize("trust_size", [False, True])
def test_the_same_again_changes_nothing(
    request_of: IngestRequest, ledger: Ledger, transfer: Any, *, trust_size: bool
) -> None:
    """What is known is counted and passed over, and the rows stay as they were."""
    output = None if transfer == "in-place" else request_of.output
    wanted = replace(request_of, transfer=transfer, output=output, trust_size=trust_size)
    ingest(wanted, ledger)
    before = products(ledger)

    assert counts(ingest(wanted, ledger)) == (0, 2, 0, 0, 10)
    assert products(ledger) == before


def test_sizes_alone_do_not_show_a_change(
    request_of: IngestRequest, ledger: Ledger, tmp_path: Path
) -> None:
    """A file with other bytes of the same size is refused by name; the others go on."""
    ingest(request_of, ledger)
    log = tmp_path / "caldp/outputs/j8bt05020/logs/process.txt"
    log.write_text("LOG")

    done = ingest(request_of, ledger)
    assert counts(done) == (0, 1, 1, 0, 1)
    assert (done.refused[0].dataset, done.code) == ("j8bt05020", 25)
    assert "changed since it was ingested into old" in done.refused[0].reason
    assert log.as_uri() in done.refused[0].reason
    assert counts(ingest(replace(request_of, trust_size=True), ledger)) == (0, 2, 0, 0, 10)


def test_a_lost_ledger_learns_again_without_copying(
    request_of: IngestRequest, ledger: Ledger, tmp_path: Path
) -> None:
    """What the archive has already is joined: a crash between bytes and rows does no harm."""
    ingest(request_of, ledger)
    place = tmp_path / "out/runs/old/acs/j8bt06xyq/manifest.json"
    before = place.stat()
    with open_ledger(str(tmp_path / "second.db")) as second:
        assert ingest(request_of, second).new == 2
        assert [row["sha256"] for row in products(second)] == [
            row["sha256"] for row in products(ledger)
        ]
    assert place.stat() == before


def test_a_new_file_of_a_published_dataset_needs_another_run(
    request_of: IngestRequest, ledger: Ledger, tmp_path: Path
) -> None:
    """A copied run is write-once as a whole; rows of files in place may be added to."""
    in_place = replace(request_of, transfer="in-place", output=None, run="place")
    for each in (request_of, in_place):
        ingest(each, ledger)
    write_file(tmp_path / "caldp/outputs/j8bt06xyq/j8bt06xyq_drz.fits", **MADE)

    refused = ingest(request_of, ledger).refused
    assert [each.code for each in refused] == [25]
    assert "use another run" in refused[0].reason
    assert counts(ingest(in_place, ledger)) == (1, 1, 0, 1, 10)


def test_what_is_current_stays_so_unless_asked(
    request_of: IngestRequest, ledger: Ledger, tmp_path: Path
) -> None:
    """An ingest becomes current where nothing is; elsewhere only with the word for it."""
    output = open_output(str(request_of.output))
    ours = write_file(tmp_path / "ours/j8bt06xyq_flt.fits")
    output.publish(Publication(ONE, "ours", "f", (File("product", ours),)))

    ingest(request_of, ledger)
    current = {each: output.current_manifest(each) for each in (PAIR, ONE)}
    assert [each.run for each in current.values() if each] == ["old", "ours"]
    ingest(replace(request_of, run="newer", is_current=True), ledger)
    current = {each: output.current_manifest(each) for each in (PAIR, ONE)}
    assert [each.run for each in current.values() if each] == ["newer", "newer"]
    runs = {row["run"] for row in products(ledger) if row["is_current"]}
    assert runs == {"newer"}


def test_an_exposure_of_its_own_where_no_folder_names_the_dataset(
    request_of: IngestRequest, ledger: Ledger
) -> None:
    """Without a dataset in the template every file belongs to the root of its name."""
    ingest(replace(request_of, template="auto"), ledger)

    found = {row["dataset"] for row in products(ledger)}
    assert found == {"j8bt05020", "j8bt05021", "j8bt05njq", "j8bt05nkq", "j8bt06xyq"}


def test_names_alone_say_what_they_can(
    request_of: IngestRequest, ledger: Ledger, tmp_path: Path
) -> None:
    """Without headers even broken files are taken; what a header has said is not forgotten."""
    (tmp_path / "caldp/outputs/j8bt06xyq/j8bt06xyq_flt.fits").write_text("no FITS")
    place = replace(request_of, transfer="in-place", output=None)
    assert counts(ingest(place, ledger)) == (1, 0, 1, 9, 0)
    fast = replace(place, headers=False, checksums=False, run="fast")
    assert counts(ingest(fast, ledger)) == (2, 0, 0, 10, 0)

    detectors = {row["rootname"]: row["detector"] for row in products(ledger)}
    assert (detectors["j8bt05njq"], detectors["j8bt06xyq"]) == ("HRC", None)
    assert {row["sha256"] for row in products(ledger) if row["run"] == "fast"} == {None}
    assert counts(ingest(fast, ledger)) == (0, 2, 0, 0, 10)


def test_a_path_says_what_the_header_does_not(ledger: Ledger, tmp_path: Path) -> None:
    """Fields of the template fill the data id."""
    write_file(tmp_path / "in/9019/SBC/j8bt06xyq_raw.fits", DETECTOR="", PROPOSID="")
    text = "{proposal}/{detector}/{root}_{suffix}.fits"
    ingest(IngestRequest(f"file:{tmp_path / 'in'}", "r", None, text, "in-place"), ledger)

    (row,) = products(ledger)
    assert (row["proposal"], row["detector"], row["filter"]) == (9019, "SBC", "F555W")


def test_a_run_says_what_its_datasets_agree_on(ledger: Ledger, tmp_path: Path) -> None:
    """Two versions of a program in one run are `mixed`; the context is one."""
    for number, version in enumerate(("10.2.1", "10.3.5")):
        write_file(tmp_path / f"in/j8bt06x{number}q_flt.fits", **{**MADE, "CAL_VER": version})
    ingest(IngestRequest(f"file:{tmp_path / 'in'}", "r", None, "flat", "in-place"), ledger)

    (run,) = ledger.ask(lambda rows: rows("SELECT * FROM runs", {}))
    assert (run["context"], run["engine"], run["engine_version"]) == (
        "hst_0729.pmap",
        "calacs",
        "mixed",
    )


def test_caldp_tarballs_are_unpacked(ledger: Ledger, tmp_path: Path) -> None:
    """Products, trailers and previews of ID.tar.gz are published with the logs beside it."""
    flt = write_file(tmp_path / "made/j8bt06xyq_flt.fits", **MADE).read_bytes()
    members = {
        "j8bt06xyq/j8bt06xyq_flt.fits": flt,
        "j8bt06xyq/j8bt06xyq.tra": b"trailer",
        "j8bt06xyq/previews/j8bt06xyq_flt.jpg": b"picture",
        "j8bt06xyq/nothing of ours": b"",
    }
    folder = tmp_path / "in/outputs/j8bt06xyq"
    write_tarball(folder / "j8bt06xyq.tar.gz", members)
    (folder / "process.txt").write_text("log")
    wanted = IngestRequest(
        f"file:{tmp_path / 'in'}", "r", f"file:{tmp_path / 'out'}", "caldp", scratch=tmp_path / "s"
    )

    assert counts(ingest(wanted, ledger)) == (1, 0, 0, 4, 0)
    assert [row["name"] for row in products(ledger)] == [
        "j8bt06xyq.tra",
        "j8bt06xyq_flt.fits",
        "logs/process.txt",
        "previews/j8bt06xyq_flt.jpg",
    ]
    assert [*(tmp_path / "s").iterdir()] == []
    refused = ingest(replace(wanted, run="p", transfer="in-place", output=None), ledger).refused
    assert "copy them" in refused[0].reason


def test_our_own_output_of_elsewhere_keeps_its_runs(
    request_of: IngestRequest, ledger: Ledger, tmp_path: Path
) -> None:
    """The layout `hstflow` reads the run from the path; pointers and manifests are passed over."""
    ingest(request_of, ledger)
    theirs = IngestRequest(str(request_of.output), None, None, "hstflow", "in-place")
    with open_ledger(str(tmp_path / "second.db")) as second:
        assert counts(ingest(theirs, second)) == (2, 0, 0, 10, 0)
        assert {row["run"] for row in products(second)} == {"old"}


@pytest.mark.parametrize("transfer", ["copy", "in-place"])
@pytest.mark.parametrize("checksums", [True, False])
def test_a_bucket_is_a_source_and_a_place(
    request_of: IngestRequest,
    ledger: Ledger,
    bucket: str,
    tmp_path: Path,
    transfer: Any,
    *,
    checksums: bool,
) -> None:
    """From s3: to s3:, and in place; the rows are those of the folder but for the places."""
    if transfer == "copy" and not checksums:
        return
    store = S3Store(bucket, "in")
    put_folder(tmp_path / "caldp", store)
    wanted = replace(
        request_of,
        uri=f"s3://{bucket}/in",
        output=f"s3://{bucket}/out" if transfer == "copy" else None,
        transfer=transfer,
        checksums=checksums,
    )

    assert counts(ingest(wanted, ledger)) == (2, 0, 0, 10, 0)
    assert counts(ingest(wanted, ledger)) == (0, 2, 0, 0, 10)
    rows = products(ledger)
    start = "out/runs/old/acs/j8bt05020" if transfer == "copy" else "in/outputs/j8bt05020"
    assert rows[0]["uri"] == f"s3://{bucket}/{start}/j8bt05020_asn.fits"
    assert {row["detector"] for row in rows if row["type"] == "flt"} == {"HRC"}
    if wanted.output:
        assert open_output(wanted.output).verify(PAIR) == []
    assert [*(tmp_path / "scratch").iterdir()] == []


def test_a_survey_reads_and_writes_nothing(request_of: IngestRequest, tmp_path: Path) -> None:
    """The dry run gives the groups, and opens no file."""
    for path in (tmp_path / "caldp").rglob("*.fits"):
        path.chmod(0)
    found = survey(request_of)

    assert [(each.run, each.dataset, len(each.files)) for each in found.groups] == [
        ("old", "j8bt05020", 9),
        ("old", "j8bt06xyq", 1),
    ]
    assert not (tmp_path / "out").exists()
