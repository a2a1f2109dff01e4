"""`hstflow archive verify`, `prune` and `ack`: what a person and a program see."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from calib.archive.outputs import FileOutput
from calib.archive.publish import File, Publication
from calib.archive.store_output import StoreOutput
from calib.errors import ARCHIVE, COMMAND, Unavailable
from calib.ids import parse_dataset
from calib.ledger.ledger import Ledger, current_owner, open_ledger
from calib.records import Outcome
from calib.repository.registration import registration_of
from deployments.cli.main import run

DATASET, OTHER = "j8bt05njq", "iaaua1n4q"


@pytest.fixture
def ledger() -> Iterator[Ledger]:
    """Return the user's ledger."""
    with open_ledger(os.environ["HSTFLOW_LEDGER"]) as opened:
        yield opened


@pytest.fixture
def output(ledger: Ledger, tmp_path: Path) -> FileOutput:
    """Return an output folder with two versions of one dataset and one of another."""
    found = FileOutput(tmp_path / "out")
    publish(ledger, found, "r1", DATASET)
    publish(ledger, found, "r1", OTHER)
    publish(ledger, found, "r2", DATASET)
    return found


def publish(ledger: Ledger, output: FileOutput, name: str, dataset: str) -> None:
    """Publish a dataset as `hstflow process` does."""
    place = {"engine": "e", "engine_version": "1", "parameters": {}, "output": output.uri}
    ledger.ensure_run(name, context="c", **place)  # type: ignore[arg-type]
    source = output.folder.parent / f"{dataset}_flt.fits"
    source.write_bytes(name.encode() * 1000)
    job = ledger.submit("adhoc", parse_dataset(dataset), name, context="c")
    attempt = ledger.begin_attempt(job, current_owner())
    publication = Publication(parse_dataset(dataset), name, name, (File("product", source),))
    archived = output.publish(publication)
    manifest = output.manifest(name, publication.dataset)
    found = registration_of(manifest, archived.uri, archived.manifest_sha256)
    ledger.record_publication(attempt, found.published)
    ledger.set_current(publication.dataset, name)
    ledger.finish_attempt(attempt, Outcome(dataset, "processed", "published", uri=archived.uri))


def call(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Run `hstflow archive`; return code, stdout and stderr."""
    code = run(["archive", *arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_verify_says_that_all_is_well(
    capsys: pytest.CaptureFixture[str], output: FileOutput
) -> None:
    """One line for people, numbers for programs, with the output named or not."""
    code, text, _ = call(capsys, "verify")
    assert (code, "3 publications" in text, "all is well" in text) == (0, True, True)
    code, text, _ = call(capsys, "verify", output.uri, "--deep", "--json")
    assert (code, json.loads(text)) == (
        0,
        {
            "outputs": [output.uri],
            "publications": 3,
            "bytes": 6000,
            "counts": {},
            "problems": [],
        },
    )


def test_verify_names_problems(capsys: pytest.CaptureFixture[str], output: FileOutput) -> None:
    """Kind, dataset, run and file; exit code 25; names and lists narrow it."""
    place = output.folder / "runs" / "r1" / "acs" / DATASET
    (place / f"{DATASET}_flt.fits").unlink()
    (place / "extra").touch()

    code, text, _ = call(capsys, "verify")
    assert code == ARCHIVE
    assert all(word in text for word in ("missing", "orphaned", DATASET, "r1", "2 problems"))
    code, text, _ = call(capsys, "verify", "--json")
    found = json.loads(text)
    assert found["counts"] == {"missing": 1, "orphaned": 1}
    assert [each["path"].rsplit("/", 1)[1] for each in found["problems"]] == [
        "extra",
        f"{DATASET}_flt.fits",
    ]
    names = output.folder.parent / "names.txt"
    names.write_text(f"{OTHER} # the good one\n")
    assert call(capsys, "verify", f"@{names}")[0] == 0
    assert call(capsys, "verify", "--run", "r2")[0] == 0
    assert call(capsys, "verify", DATASET, "--run", "r2")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["verify", "file:/nowhere"], COMMAND, "nothing is published there"),
        (["verify", "--run", "nosuch"], COMMAND, "nothing is published there"),
        (["verify", "../x"], COMMAND, "not the name of a dataset"),
        (["verify", "file:/a", "file:/b"], COMMAND, "one output at a time"),
        (["verify", "--threads", "0"], COMMAND, ""),
        (["prune"], COMMAND, "nothing was selected"),
        (["prune", "nosuch"], COMMAND, "nothing was ever published"),
        (["prune", "--replaced", "--yes", "@EMPTY"], COMMAND, "the list names nothing"),
        (["prune", "--replaced", "--yes", "--dataset", "@EMPTY"], COMMAND, "names nothing"),
        (["verify", "@EMPTY"], COMMAND, "the list names nothing"),
        (["verify", "--run", ","], COMMAND, "the list names nothing"),
        (["prune", "--replaced", "--older-than", "-1"], COMMAND, ""),
        (["ack", "synced"], COMMAND, "no dataset was named"),
        (["ack", "lost", DATASET], COMMAND, ""),
    ],
)
def test_bad_words_are_refused(
    capsys: pytest.CaptureFixture[str],
    output: FileOutput,
    arguments: list[str],
    code: int,
    words: str,
) -> None:
    """With one line that says what, and code 2; nothing is done."""
    empty = output.folder.parent / "empty"
    empty.touch()
    found, _, said = call(capsys, *(word.replace("EMPTY", str(empty)) for word in arguments))
    assert found == code
    assert words in said
    assert len([*output.publications()]) == 3


def test_a_dataset_that_is_nowhere(capsys: pytest.CaptureFixture[str], output: FileOutput) -> None:
    """Asked for by name, it is a problem and not "all is well"."""
    code, text, _ = call(capsys, "verify", DATASET, "la8q99030", "--json")
    assert code == ARCHIVE
    assert [(p["dataset"], p["message"]) for p in json.loads(text)["problems"]] == [
        ("la8q99030", "published nowhere")
    ]
    assert output.uri in text


@pytest.mark.usefixtures("output")
def test_an_option_takes_one_word(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """--run and --dataset leave the names behind them alone; they take lists, and repeat."""
    names = tmp_path / "runs"
    names.write_text("r1\n")

    def checked(*words: str) -> int:
        code, text, _ = call(capsys, "verify", *words, "--json")
        assert code == 0
        return int(json.loads(text)["publications"])

    assert checked("--run", "r1", DATASET) == 1
    assert checked("--run", "r2,r1") == 3
    assert checked("--run", f"@{names}", "--run", "r2", DATASET) == 2
    going = json.loads(call(capsys, "prune", "--dataset", DATASET, "r1", "--json")[1])["going"]
    assert [(each["run"], each["dataset"]) for each in going] == [("r1", DATASET)]


@pytest.mark.usefixtures("output")
def test_a_run_that_is_nowhere(capsys: pytest.CaptureFixture[str]) -> None:
    """Beside runs that are well, it is a problem; so is a run without the datasets."""
    code, text, _ = call(capsys, "verify", "--run", "r1", "--run", "nigthly", "--json")
    found = json.loads(text)
    assert (code, found["publications"]) == (ARCHIVE, 2)
    assert [(p["kind"], p["run"], p["message"]) for p in found["problems"]] == [
        ("missing", "nigthly", "nothing is published in this run")
    ]
    code, text, _ = call(capsys, "verify", OTHER, "--run", "r1,r2")
    assert (code, "none of these datasets is in it" in text) == (ARCHIVE, True)


def test_paths_are_not_folded_in_a_pipe(
    capsys: pytest.CaptureFixture[str], output: FileOutput
) -> None:
    """What goes to a program has a problem on one line."""
    name = "x" * 100
    place = output.folder / "runs" / "r1" / "acs" / DATASET / name
    place.touch()
    lines = call(capsys, "verify")[1].splitlines()
    assert any(name in line and "orphaned" in line for line in lines)


def test_one_output_that_is_lost_does_not_hide_the_others(
    capsys: pytest.CaptureFixture[str], ledger: Ledger, output: FileOutput, tmp_path: Path
) -> None:
    """All outputs of the ledger are looked at."""
    lost = FileOutput(tmp_path / "lost")
    publish(ledger, lost, "r9", OTHER)
    lost.folder.rename(tmp_path / "elsewhere")

    code, text, _ = call(capsys, "verify", "--json")

    found = json.loads(text)
    assert (code, found["outputs"], found["publications"]) == (ARCHIVE, [lost.uri, output.uri], 4)
    assert [(p["kind"], p["run"]) for p in found["problems"]] == [("missing", "r9")]


def test_an_output_that_cannot_be_opened_does_not_either(
    capsys: pytest.CaptureFixture[str],
    ledger: Ledger,
    output: FileOutput,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A store that does not answer is one problem, and code 25; named, its own error."""
    place = {"engine": "e", "engine_version": "1", "parameters": {}}
    ledger.ensure_run("s", context="c", output="s3://bucket/far", **place)  # type: ignore[arg-type]

    def gone(self: StoreOutput, run: str | None = None) -> Any:
        raise Unavailable("the store does not answer", path=self.uri)

    monkeypatch.setattr(StoreOutput, "publications", gone)
    code, text, _ = call(capsys, "verify", "--json")
    found = json.loads(text)
    assert (code, found["publications"], found["counts"]) == (ARCHIVE, 3, {"unreadable": 1})
    assert output.uri in found["outputs"]
    code, text, said = call(capsys, "verify", "s3://bucket/far")
    assert (code, text, "does not answer" in said) == (Unavailable.code, "", True)


def test_without_a_ledger(capsys: pytest.CaptureFixture[str]) -> None:
    """Verification asks for a place, pruning has nothing to do."""
    code, _, said = call(capsys, "verify")
    assert (code, "no ledger" in said) == (COMMAND, True)
    code, text, _ = call(capsys, "prune", "--replaced")
    assert (code, text) == (0, "nothing to do\n")


def test_prune_shows_before_it_does(capsys: pytest.CaptureFixture[str], output: FileOutput) -> None:
    """A dry run by default; --yes removes and says how much it freed."""
    code, text, _ = call(capsys, "prune", "--replaced")
    assert code == 0
    assert all(word in text for word in (f"r1/{DATASET}", "r2, to be verified", "--yes does it"))
    assert len([*output.publications()]) == 3
    code, text, _ = call(capsys, "prune", "r1", "--json")
    found = json.loads(text)
    assert (found["dry_run"], found["bytes"]) == (True, 2000)
    assert [(s["dataset"], s["why"]) for s in found["staying"]] == [(OTHER, "the current version")]

    code, text, _ = call(capsys, "prune", "r1", "--yes")
    assert (code, "1 version removed, 2.0 kB freed; 1 stay" in text) == (0, True)
    assert len([*output.publications()]) == 2
    assert call(capsys, "verify", "--deep")[0] == 0
    assert call(capsys, "prune", "--replaced", "--yes")[1] == "nothing to do\n"


def test_prune_says_what_could_not_go(
    capsys: pytest.CaptureFixture[str], output: FileOutput
) -> None:
    """The copy that stays is damaged: code 25, with the reason."""
    (output.folder / "data" / "acs" / DATASET / f"{DATASET}_flt.fits").write_bytes(b"")
    code, text, _ = call(capsys, "prune", "--replaced", "--yes")
    assert (code, "could not go" in text, "damaged" in text) == (ARCHIVE, True, True)
    code, text, _ = call(capsys, "prune", "--replaced", "--yes", "--json")
    found: dict[str, Any] = json.loads(text)
    assert (code, found["removed"], len(found["failed"]), found["bytes"]) == (ARCHIVE, [], 1, 0)


def test_prune_by_age(capsys: pytest.CaptureFixture[str], output: FileOutput) -> None:
    """What was published just now is not old."""
    assert call(capsys, "prune", "--replaced", "--older-than", "1")[1] == "nothing to do\n"
    assert "would go" in call(capsys, "prune", "--replaced", "--older-than", "0")[1]
    assert len([*output.publications()]) == 3


def test_ack_is_told_line_by_line(capsys: pytest.CaptureFixture[str], output: FileOutput) -> None:
    """Good names are written down, bad ones named on stderr with code 2; twice says so."""
    code, text, said = call(capsys, "ack", "synced", DATASET, "nonsense", OTHER)
    assert code == COMMAND
    assert [line.split(":")[0] for line in text.splitlines()] == [
        f"{DATASET} synced",
        f"{OTHER} synced",
    ]
    assert "nonsense: not the name of a dataset" in said
    code, text, _ = call(capsys, "ack", "synced", DATASET, "--json")
    assert (code, [(e["state"], e["is_new"]) for e in json.loads(text)]) == (
        0,
        [("synced", False)],
    )
    assert "known before" in call(capsys, "ack", "synced", DATASET)[1]
    assert call(capsys, "ack", "failed", OTHER, "--message", "[full] tape")[0] == 0
    assert run(["status", OTHER]) == 0
    assert "[full] tape" in capsys.readouterr().out
    assert output.verify(parse_dataset(OTHER)) == []
