"""`hstflow archive tar` and `process --tar` as a user meets them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from calib.simulate.observatory import Observatory
from deployments.cli.main import run

Process = Callable[..., tuple[int, Any, str]]


def test_a_published_dataset_is_packed(
    process: Process,
    crds: Observatory,
    raws: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """By the ledger or from an output, for people and as JSON, the same bytes as of --tar."""
    name = crds.datasets[0]
    code, _, _ = process(name, "--tar", "--previews", "none", "--run", "first")
    made = tmp_path / "out" / "outputs" / name / f"{name}.tar.gz"
    target = tmp_path / "mine"

    assert code == 0
    assert run(["archive", "tar", name, str(target), "--json"]) == 0
    (saved,) = json.loads(capsys.readouterr().out)
    assert (saved["dataset"], saved["run"], saved["already_there"]) == (name, "first", False)
    assert Path(saved["path"]).read_bytes() == made.read_bytes()
    output = f"file:{tmp_path / 'out'}"
    assert run(["archive", "tar", name, str(target), "--output", output]) == 0
    assert "run first, already there" in capsys.readouterr().out

    words = ["archive", "tar", "j8bt05njq", name, "j8bt05nkq", str(target)]
    assert run([*words, "--json"]) == 25
    rows = json.loads(capsys.readouterr().out)
    assert [(row["dataset"], row["error"] is None) for row in rows] == [
        ("j8bt05njq", False),
        (name, True),
        ("j8bt05nkq", False),
    ]
    assert run(words) == 25
    captured = capsys.readouterr()
    assert "run first, already there" in captured.out
    assert captured.err.count("ArchiveError") == 2


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([], 2, "a dataset and a folder are needed"),
        (["j8bt05njq"], 2, "a dataset and a folder are needed"),
        (["nonsense", "out"], 2, "not the name of a dataset"),
        (["j8bt05njq", "out"], 25, "there is no ledger"),
        (["j8bt05njq", "out", "--output", "file:nowhere"], 25, "nothing is published"),
        (["j8bt05njq", "out", "--output", "nowhere"], 2, "a URI begins with its kind"),
        (["j8bt05njq", "out", "--output", "file:x", "--run", "../x"], 2, "not a name for a run"),
    ],
)
def test_mistakes_are_told(
    arguments: list[str],
    code: int,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """In a line, with the exit code of its kind, and no empty folder is made."""
    monkeypatch.chdir(tmp_path)

    assert run(["archive", "tar", *arguments]) == code
    assert message in capsys.readouterr().err
    assert [*tmp_path.iterdir()] == []
