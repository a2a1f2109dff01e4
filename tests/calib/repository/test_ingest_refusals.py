"""Ingest: what is hostile, damaged or in the way is refused and named, and the others go on."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ingestible import write_file, write_tarball

from calib.errors import ArchiveError, ConfigError, NotFound, Unavailable
from calib.ledger.ledger import Ledger
from calib.repository.candidates import IngestRequest, check_request
from calib.repository.ingest import Ingested, ingest


def counts(done: Ingested) -> tuple[int, int, int, int, int]:
    """Return datasets new, known and refused, files new and known."""
    return done.new, done.known, len(done.refused), done.new_files, done.known_files


HOSTILE = {
    "parent": {"../j8bt06xyq_flt.fits": b"x"},
    "absolute": {"/tmp/j8bt06xyq_flt.fits": b"x"},  # noqa: S108 - never written
    "two of one name": {"a/j8bt06xyq_flt.fits": b"x", "b/J8BT06XYQ_FLT.fits": b"y"},
}


@pytest.mark.parametrize("members", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_tarball_is_refused_and_the_others_go_on(
    request_of: IngestRequest, ledger: Ledger, tmp_path: Path, members: dict[str, bytes]
) -> None:
    """Nothing of it is written anywhere; the report names it."""
    write_tarball(tmp_path / "caldp/outputs/j8bt07abq/j8bt07abq.tar.gz", members)
    done = ingest(request_of, ledger)

    assert counts(done) == (2, 0, 1, 10, 0)
    assert (done.refused[0].dataset, done.code) == ("j8bt07abq", 21)
    assert not [*(tmp_path / "out").rglob("*j8bt07abq*")]
    assert [*(tmp_path / "scratch").iterdir()] == []


def test_odd_files_are_named_and_left(
    request_of: IngestRequest, ledger: Ledger, tmp_path: Path
) -> None:
    """Links that lead out, pipes, hidden and foreign names: passed over, each with its reason."""
    folder = tmp_path / "caldp/outputs/j8bt06xyq"
    secret = write_file(tmp_path / "elsewhere/j8bt06xyq_drz.fits")
    (folder / "j8bt06xyq_drz.fits").symlink_to(secret)
    (folder / "j8bt06xyq_raw.fits").symlink_to("nowhere")
    (folder / "j8bt06xyq_spt.fits").symlink_to("j8bt06xyq_flt.fits")
    (tmp_path / "caldp/outputs/j8bt08zzq").symlink_to(secret.parent)
    os.mkfifo(folder / "j8bt06xyq_ima.fits")
    (folder / ".j8bt06xyq_flc.fits").write_text("hidden")
    (folder / "notes of mine").write_text("x")
    done = ingest(request_of, ledger)

    assert counts(done) == (2, 0, 0, 11, 0)
    reasons = {Path(key).name: why for key, why in done.unmatched}
    assert reasons == {
        "j8bt06xyq_drz.fits": "a link out of the folder is not followed",
        "j8bt06xyq_raw.fits": "a link that leads to no file",
        "j8bt06xyq_ima.fits": "not an ordinary file",
        ".j8bt06xyq_flc.fits": "the template does not match",
        "notes of mine": "the template does not match",
    }


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("j8bt06xyq_raw.fits", b"SIMPLE  =", "not a readable FITS file"),
        ("previews/j8bt06xyq_flt.fits", None, ""),
    ],
)
def test_a_dataset_is_whole_or_refused(
    request_of: IngestRequest, ledger: Ledger, tmp_path: Path, name: str, content: Any, said: str
) -> None:
    """One broken raw refuses its dataset; a preview of the same name as a product does not."""
    folder = tmp_path / "caldp/outputs/j8bt06xyq"
    (folder / "j8bt06xyq_flt.fits").rename(folder / "j8bt06xyq_spt.fits")
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_bytes(content or b"x")
    done = ingest(request_of, ledger)

    assert [each.dataset for each in done.refused] == (["j8bt06xyq"] if said else [])
    assert all(said in each.reason for each in done.refused)
    assert done.new == (1 if said else 2)


def test_a_raw_of_another_exposure_is_refused(ledger: Ledger, tmp_path: Path) -> None:
    """A raw file whose header names another exposure is not what its name says."""
    write_file(tmp_path / "in/j8bt06xyq_raw.fits", ROOTNAME="j8bt06xzq")
    wanted = IngestRequest(f"file:{tmp_path / 'in'}", "r", None, "auto", "in-place")
    (refused,) = ingest(wanted, ledger).refused

    assert "header is that of another exposure" in refused.reason
    assert refused.code == 21


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"run": None}, "no run was named"),
        ({"run": "../x"}, "not a name for a run"),
        ({"template": "{nothing}/x"}, "unknown field"),
        ({"output": None}, "need an output"),
        ({"transfer": "in-place"}, "go to no output"),
        ({"checksums": False}, "can do without checksums"),
        ({"transfer": "link", "output": "s3://bucket/x"}, "one file system"),
    ],
)
def test_a_request_that_cannot_work_is_refused_at_once(
    request_of: IngestRequest, changes: dict[str, Any], said: str
) -> None:
    """Nothing is listed before the request makes sense."""
    with pytest.raises(ConfigError, match=said):
        check_request(replace(request_of, **changes))


def test_a_run_of_ours_takes_nothing_from_elsewhere(
    request_of: IngestRequest, ledger: Ledger
) -> None:
    """A run that was processed here, or a collection's name, is refused before any work."""
    place: dict[str, Any] = {"context": "c", "engine": "e", "engine_version": "1", "output": "o"}
    ledger.ensure_run("old", parameters={}, **place)

    with pytest.raises(ConfigError, match="was processed here"):
        ingest(request_of, ledger)


def test_nothing_to_take_is_an_error(ledger: Ledger, tmp_path: Path) -> None:
    """A folder that is missing, and one in which the template matches nothing."""
    wanted = IngestRequest(f"file:{tmp_path / 'in'}", "r", None, "auto", "in-place")
    with pytest.raises(NotFound, match="no such folder"):
        ingest(wanted, ledger)
    (tmp_path / "in").mkdir()
    (tmp_path / "in/readme").write_text("")
    with pytest.raises(NotFound, match="takes no file here"):
        ingest(wanted, ledger)


def test_linking_what_cannot_be_linked_says_so(
    request_of: IngestRequest, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another file system: every dataset is refused with the way out, nothing is published."""

    def refuse(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    done = ingest(replace(request_of, transfer="link"), ledger)
    assert counts(done) == (0, 0, 2, 0, 0)
    assert "copy it" in done.refused[0].reason
    assert ledger.ask(lambda rows: rows("SELECT * FROM products", {})) == []


def test_a_damaged_pointer_refuses_one_dataset(
    request_of: IngestRequest, ledger: Ledger, tmp_path: Path
) -> None:
    """Something in the way of one dataset stops no other."""
    (tmp_path / "out/data/acs/j8bt06xyq").mkdir(parents=True)
    done = ingest(request_of, ledger)

    assert counts(done) == (1, 0, 1, 9, 0)
    assert done.code == ArchiveError.code


def test_a_full_disk_ends_the_ingest_in_words(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No room to unpack is trouble of this machine, not of the dataset: try again."""
    write_tarball(tmp_path / "in/j8bt06xyq.tar.gz", {"j8bt06xyq.tra": b"x"})
    output = f"file:{tmp_path / 'out'}"

    def refuse(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("calib.repository.examination.unpack", refuse)
    with pytest.raises(Unavailable, match="No space left"):
        ingest(IngestRequest(f"file:{tmp_path / 'in'}", "r", output, "caldp"), ledger)


def test_two_tarballs_of_a_dataset_refuse_it_alone(
    request_of: IngestRequest, ledger: Ledger, tmp_path: Path
) -> None:
    """A backup beside the archive of a dataset: which of them counts is for a person to say."""
    for folder in ("outputs/j8bt07abq", "backup"):
        path = tmp_path / "caldp" / folder / "j8bt07abq.tar.gz"
        write_tarball(path, {"j8bt07abq.tra": b"trailer"})
    done = ingest(request_of, ledger)

    assert counts(done) == (2, 0, 1, 10, 0)
    assert (done.refused[0].dataset, done.code) == ("j8bt07abq", 21)
    assert "two files of one name" in done.refused[0].reason


UNFIT = {
    "data_id.detector is too long": {"DETECTOR": "D" * 40},
    "data_id.observed_at is too long": {"DATE-OBS": "2002-04-13 or the day after, in the morning"},
    "data_id.proposal is too large": {"PROPOSID": 2**70},
    "run.engine_version is too long": {"CAL_VER": "1" * 300},
}


@pytest.mark.parametrize(("said", "cards"), UNFIT.items(), ids=[*UNFIT])
def test_a_value_that_the_ledger_cannot_hold_refuses_its_dataset(
    request_of: IngestRequest, ledger: Ledger, tmp_path: Path, said: str, cards: dict[str, Any]
) -> None:
    """On every kind of database, before anything of the dataset is published."""
    write_file(tmp_path / "caldp/outputs/j8bt07abq/j8bt07abq_flt.fits", **cards)
    done = ingest(request_of, ledger)

    assert counts(done) == (2, 0, 1, 10, 0)
    assert said in done.refused[0].reason
    assert not [*(tmp_path / "out").rglob("*j8bt07abq*")]


def test_what_the_database_refuses_stops_no_other(
    request_of: IngestRequest, ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch that cannot be written is written one by one, without the one in the way."""
    monkeypatch.setattr("calib.repository.examination.refuse_unfit", lambda *_: None)
    write_file(tmp_path / "caldp/outputs/j8bt07abq/j8bt07abq_flt.fits", PROPOSID=2**70)
    done = ingest(request_of, ledger)

    assert counts(done) == (2, 0, 1, 10, 0)
    assert (done.refused[0].dataset, done.code) == ("j8bt07abq", ConfigError.code)
    assert "takes no such value" in done.refused[0].reason


def test_a_run_is_in_one_output(request_of: IngestRequest, ledger: Ledger, tmp_path: Path) -> None:
    """Into another archive another run: verify and prune look for a run in one place."""
    assert ingest(request_of, ledger).new == 2
    with pytest.raises(ConfigError, match="lies in another output"):
        ingest(replace(request_of, output=f"file:{tmp_path / 'other'}"), ledger)
    assert not (tmp_path / "other").exists()
