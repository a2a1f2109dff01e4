"""`hstflow archive ingest` and `hstflow ledger rebuild|export|import`, as a person runs them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ingestible import write_caldp, write_tarball

from calib.errors import ARCHIVE, COMMAND, INPUT
from deployments.cli.main import run

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Call:
    """Return a function that runs a command line and gives code, stdout and stderr."""

    def command(*words: object) -> tuple[int, str, str]:
        capsys.readouterr()
        code = run([str(word) for word in words])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return command


@pytest.fixture
def words(tmp_path: Path) -> list[str]:
    """Return the words that ingest a folder of CALDP."""
    folder = write_caldp(tmp_path / "caldp")
    options = ["--run", "old", "--template", "caldp"]
    return ["archive", "ingest", f"file:{folder}", f"file:{tmp_path / 'out'}", *options]


def test_a_dry_run_shows_the_groups_and_does_nothing(
    call: Call, words: list[str], tmp_path: Path, own_home: Path
) -> None:
    """Datasets with files by type, on stdout; the same as JSON; no archive, no ledger."""
    code, text, _ = call(*words, "-n")
    assert code == 0
    assert "1 asn, 1 crj, 2 flt, 1 log, 1 preview, 2 raw, 1 tra" in text
    assert "would copy 10 files" in text
    code, text, _ = call(*words, "-n", "--json")
    assert [each["dataset"] for each in json.loads(text)["datasets"]] == ["j8bt05020", "j8bt06xyq"]
    assert not (tmp_path / "out").exists()
    assert not (own_home / "ledger.db").exists()


def test_ingest_again_and_after_a_change(call: Call, words: list[str], tmp_path: Path) -> None:
    """New, then known, then one refused with its reason and code 25; what is odd is named."""
    (tmp_path / "caldp/outputs/[bold]notes of mine").write_text("x")
    code, text, said = call(*words)
    assert (code, text) == (0, "new: 2 datasets, 10 files, 43.2 kB\nknown: 0 datasets, 0 files\n")
    assert "files not taken: 1\n  outputs/[bold]notes of mine: the template" in said
    _, text, _ = call(*words)
    assert text.endswith("known: 2 datasets, 10 files\n")
    (tmp_path / "caldp/outputs/j8bt05020/logs/process.txt").write_text("another")
    code, text, said = call(*words)
    assert code == ARCHIVE
    assert "refused: 1 datasets" in text
    assert said.count("changed since it was ingested into old") == 1
    code, text, _ = call(*words, "--json")
    assert code == ARCHIVE
    assert json.loads(text)["refused"][0]["dataset"] == "j8bt05020"


@pytest.mark.parametrize(
    ("change", "code", "said"),
    [
        ({"--run": "../up"}, COMMAND, "not a name for a run"),
        ({"--template": "{dataset}/{nme}"}, COMMAND, "unknown field, at character 11"),
        ({"--template": "mast"}, INPUT, "the template takes no file here"),
        ({"--transfer": "in-place"}, COMMAND, "go to no output"),
        ({"--transfer": "move"}, COMMAND, "Invalid value"),
        ({"--threads": "0"}, COMMAND, "Must be >= 1"),
    ],
)
def test_bad_words_are_refused_in_one_line(
    call: Call, words: list[str], change: dict[str, str], code: int, said: str, tmp_path: Path
) -> None:
    """The exit code and the message say what is wrong; nothing was made."""
    changed = [*words, *(part for pair in change.items() for part in pair)]
    for name in change:
        if name in words:
            place = changed.index(name)
            del changed[place : place + 2]
    found, _, message = call(*changed)

    assert (found, said in message) == (code, True)
    assert not (tmp_path / "out").exists()


def test_a_hostile_tarball_is_code_21(call: Call, words: list[str], tmp_path: Path) -> None:
    """The report names the dataset; the good ones are ingested."""
    bad = {"../../j8bt07abq_flt.fits": b"x"}
    write_tarball(tmp_path / "caldp/outputs/j8bt07abq/j8bt07abq.tar.gz", bad)
    code, text, said = call(*words)

    assert code == INPUT
    assert text.startswith("new: 2 datasets")
    assert "refused j8bt07abq: archive refused: it holds a path outside its folder" in said


def test_a_ledger_is_rebuilt_exported_and_moved(
    call: Call, words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rebuild from the archive, export to a file and to stdout, import elsewhere."""
    call(*words)
    _, before, _ = call("ledger", "export", "-")
    monkeypatch.setenv("HSTFLOW_LEDGER", f"sqlite:///{tmp_path / 'second.db'}")
    place = f"file:{tmp_path / 'out'}"
    assert call("ledger", "rebuild", place)[:2] == (
        0,
        "2 publications new, 0 known, 2 datasets current\n",
    )
    assert json.loads(call("ledger", "rebuild", place, "--json")[1])["known"] == 2
    assert _products(call("ledger", "export", "-")[1]) == _products(before)
    (tmp_path / "out/runs/old/acs/j8bt06xyq/manifest.json").write_text("{}")
    code, _, said = call("ledger", "rebuild", place)
    assert (code, "problem file:///" in said) == (ARCHIVE, True)

    assert call("ledger", "export", tmp_path / "e.jsonl.gz")[0] == 0
    assert call("ledger", "export", tmp_path / "e.jsonl.gz")[0] == COMMAND
    monkeypatch.setenv("HSTFLOW_LEDGER", f"sqlite:///{tmp_path / 'third.db'}")
    assert call("ledger", "import", tmp_path / "e.jsonl.gz")[0] == 0
    assert call("ledger", "import", tmp_path / "e.jsonl.gz")[0] == COMMAND


def _products(text: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in text.splitlines()]
    rows = [line["row"] for line in lines if line.get("table") == "product"]
    return sorted(({**row, "id": 0, "publication_id": 0} for row in rows), key=str)
