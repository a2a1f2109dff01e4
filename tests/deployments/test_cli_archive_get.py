"""`hstflow archive get` and `archive:` as a user meets them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from calib.simulate.observatory import Observatory
from deployments.cli.main import run

Process = Callable[..., tuple[int, Any, str]]


@pytest.fixture
def made(process: Process, crds: Observatory, raws: Path, tmp_path: Path) -> str:
    """Return the name of a dataset that was published in the run `first`."""
    process(crds.datasets[0], "--run", "first", "--previews", "none")
    return crds.datasets[0]


def call(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, Any, str]:
    """Run `hstflow archive get --json`; return code, answer and stderr."""
    code = run(["archive", "get", *words, "--json"])
    captured = capsys.readouterr()
    return code, json.loads(captured.out) if captured.out.strip() else None, captured.err


def test_products_are_copied_and_the_second_time_found(
    made: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """All files of a dataset, in their folders; nothing is copied twice."""
    code, first, _ = call(capsys, made, f"{tmp_path}/got/")
    again = call(capsys, made, f"file:{tmp_path}/got")[1]

    there = {str(p.relative_to(tmp_path / "got")) for p in (tmp_path / "got").rglob("*.*")}
    assert code == 0
    assert there == {f"{made}/{row['name']}" for row in first}
    assert {f"{made}/{made}_flt.fits", f"{made}/logs/process.txt"} <= there
    assert {row["copied"] for row in first} == {True}
    assert {row["copied"] for row in again} == {False}
    for row in first:
        assert Path(row["path"]).stat().st_size == row["size"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["{made}_flt.fits"], ["flt"]),
        (["{made}_*.fits"], ["flt", "raw"]),
        (["{made}", "--type", "raw"], ["raw"]),
        (["{MADE}", "--type", "raw", "--type", "flt", "--run", "first"], ["flt", "raw"]),
        (["@{list}", "-t", "flt"], ["flt"]),
        (["{made}", "-t", "flt", "--collection", "first"], ["flt"]),
        (["{made}", "-t", "flt", "--in", "first,first"], ["flt"]),
    ],
)
def test_words_choose_the_products(
    made: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    expected: list[str],
) -> None:
    """File names, patterns, datasets in any case, lists, types and runs."""
    (tmp_path / "list.txt").write_text(f"{made}\n")
    values = {"made": made, "MADE": made.upper(), "list": str(tmp_path / "list.txt")}

    code, rows, _ = call(capsys, *(word.format(**values) for word in words), str(tmp_path))

    assert code == 0
    assert sorted(row["type"] for row in rows) == expected


def test_a_folder_of_a_dataset_is_no_destination(
    made: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second time the folders of the datasets are there; the same words mean the same."""
    monkeypatch.chdir(tmp_path)
    flt = f"{made}_flt.fits"
    assert call(capsys, flt, made)[0] == 0
    again = call(capsys, flt, made)[1]
    assert {row["copied"] for row in again} == {False}
    assert not (tmp_path / made / made).exists()
    (tmp_path / "taken").mkdir()
    code, _, error = call(capsys, made, "taken")
    assert (code, "a folder to copy to is written ./taken" in error) == (21, True)
    assert call(capsys, made, "taken/")[0] == 0


def test_products_by_their_paths(
    made: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What `products --path` lists is taken, also as the last word; a stranger's file is not."""
    monkeypatch.chdir(tmp_path)
    assert run(["archive", "products", made, "--path"]) == 0
    paths = capsys.readouterr().out.split()
    code, rows, _ = call(capsys, *paths)
    assert (code, len(rows)) == (0, len(paths))
    current = tmp_path / "out" / "data" / "acs" / made / f"{made}_flt.fits"
    assert [row["name"] for row in call(capsys, str(current))[1]] == [f"{made}_flt.fits"]
    (tmp_path / f"{made}_flt.fits").touch()
    code, _, error = call(capsys, f"./{made}_flt.fits")
    assert (code, "no such product" in error) == (21, True)


def test_damaged_product_is_named_and_the_others_are_copied(
    made: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One changed byte is exit code 25."""
    path = tmp_path / "out" / "runs" / "first" / "acs" / made / f"{made}_raw.fits"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)

    code, rows, _ = call(capsys, f"{made}_*.fits", f"{tmp_path}/got/")

    assert code == 25
    found = {row["type"]: row for row in rows}
    assert "registered" in found["raw"]["error"]
    assert found["flt"]["copied"]
    assert not (tmp_path / "got" / made / f"{made}_raw.fits").exists()
    assert run(["archive", "get", f"{made}_*.fits", f"{tmp_path}/got/"]) == 25
    assert "1 there before, 1 failed" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["nothing_flt.fits"], 21, "nothing_flt.fits"),
        (["{made}", "--type", "drz"], 21, "{made}"),
        (["{made}", "--run", "second"], 21, "{made}"),
        (["{made}", "--collection", "second"], 2, "second"),
        (["{made}", "somewhere"], 21, "somewhere"),
        ([], 2, "no product was named"),
        (["./somewhere"], 2, "no product was named"),
    ],
)
def test_what_is_not_there_is_said(
    made: str, capsys: pytest.CaptureFixture[str], words: list[str], code: int, message: str
) -> None:
    """In one line, before anything is copied."""
    found, rows, error = call(capsys, *(word.format(made=made) for word in words))

    assert (found, rows) == (code, None)
    assert message.format(made=made) in error
    assert error.count("\n") == 1


def test_no_ledger_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    """Before anything was ever published."""
    code, _, error = call(capsys, "j8bt05njq")

    assert code == 21
    assert "no ledger" in error


def test_archive_is_a_source_of_inputs(
    made: str,
    process: Process,
    crds: Observatory,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """`process` and `fetch` take the raws of a run; two runs of a product need a choice."""
    options = ["--run", "second", "--context", crds.contexts[0], "--previews", "none", "--json"]
    assert run(["process", made, "archive:first", f"file:{tmp_path / 'out'}", *options]) == 0
    assert json.loads(capsys.readouterr().out)[0]["run"] == "second"

    assert run(["fetch", made, "archive:second", str(tmp_path / "raw"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["source"] == "archive:second"
    code, _, error = call(capsys, f"{made}_flt.fits", "--run", "first", "--run", "second")
    assert code == 2
    assert "first, second" in error
    both = ["--collection", "first", "--collection", "second"]
    assert call(capsys, f"{made}_flt.fits", *both, f"{tmp_path}/d/")[1][0]["run"] == "first"
    assert call(capsys, f"{made}_flt.fits", f"{tmp_path}/c/")[1][0]["run"] == "second"
