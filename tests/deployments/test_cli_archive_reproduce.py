"""`hstflow archive reproduce` and `replace`, and chains, as a user meets them."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from astropy.io import fits

from calib.ids import parse_dataset
from calib.ledger.ledger import current_owner, open_ledger
from calib.simulate.observatory import Observatory
from deployments.cli.main import run

Process = Callable[..., tuple[int, Any, str]]
Published = Callable[[str], Path]
Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Call:
    """Return a function that runs `hstflow archive` and gives code, stdout and stderr."""

    def archive(*words: object) -> tuple[int, str, str]:
        code = run(["archive", *map(str, words)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return archive


def chains(own_home: Path) -> list[str]:
    """Return the members of the chain `best`, in order."""
    with closing(sqlite3.connect(own_home / "ledger.db")) as database:
        query = "select run from chains where chain = 'best' order by position"
        return [run for (run,) in database.execute(query)]


def test_reproduce(
    process: Process, published: Published, crds: Observatory, raws: Path, call: Call
) -> None:
    """A fresh product is the same again; a spoiled one is found, with code 25 and the place."""
    one, two = crds.datasets[:2]
    process(one)
    process(two)
    ledger = Path(raws.parent)

    code, said, _ = call("reproduce", f"{one}_flt.fits", two)

    assert code == 0
    assert said.count("reproduced  exact: 8 identical") == 2
    product = (published(one) / f"{one}_flt.fits").resolve()
    with fits.open(product, mode="update") as hdus:
        hdus["SCI"].data[3, 4] += 1
    code, said, _ = call("reproduce", one, two, f"file:{ledger / 'out'}")
    assert code == 25
    assert f"{one}  differs" in said
    assert "SCI,1: 1 of 16384 values differ, by up to" in said
    assert f"{two}  reproduced" in said


def test_reproduce_for_programs(
    process: Process, crds: Observatory, raws: Path, call: Call, tmp_path: Path
) -> None:
    """--json has every file; --keep keeps what was made; one failure does not stop others."""
    one, two = crds.datasets[:2]
    process(one)
    process(two)
    with fits.open(raws / f"{two}_raw.fits", mode="update") as hdus:
        hdus["SCI"].data[0, 0] = 1

    code, said, _ = call("reproduce", two, one, "--json", "--keep", tmp_path / "kept")

    failed, good = json.loads(said)
    assert code == 21
    assert (failed["reproduced"], failed["error_class"]) == (False, "CorruptFile")
    assert (good["reproduced"], good["code"], good["kind"]) == (True, 0, "exact")
    assert {file["state"] for file in good["files"]} == {"identical"}
    assert list((tmp_path / "kept" / one).rglob("calibrate/*_flt.fits"))
    code, said, _ = call("reproduce", two, "--from-archive")
    assert (code, "inputs: from the archive" in said) == (0, True)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], "no product or dataset was named"),
        (["file:/somewhere"], "no product or dataset was named"),
        (["j8bt05njq", "file:/a", "file:/b", "onsite", "more"], "too many arguments"),
        (["j8bt05njq", "file:/a", "file:/b", "--input", "file:/c"], "inputs are named twice"),
        (["j8bt05njq", "--from-archive", "--input", "file:/c"], "inputs are named twice"),
        (["j8bt05njq"], "no ledger to look in"),
        (["../x", "file:/a"], "not the name of a dataset"),
        (["j8bt05njq", "ftp://a"], "not an output|begins with its kind|unknown kind"),
        (["@/nowhere"], "the list cannot be read"),
    ],
)
def test_reproduce_refuses(words: list[str], expected: str, call: Call) -> None:
    """What cannot be meant is said in one line, with code 2."""
    import re

    code, _, said = call("reproduce", *words)

    assert code == 2
    assert re.search(expected, said)
    assert said.count("\n") == 1


def test_process_into_a_chain(
    process: Process, crds: Observatory, raws: Path, own_home: Path, call: Call
) -> None:
    """The run comes in front after success; a failure leaves the chain; bad names stop early."""
    one, two = crds.datasets[:2]

    assert process(one, "--run", "first", "--chain", "best")[0] == 0
    assert process(two, "--run", "second", "--chain", "best")[0] == 0
    assert chains(own_home) == ["second", "first"]

    (raws / f"{one}_raw.fits").unlink()
    code, _, said = process(one, "--run", "third", "--chain", "best")
    assert code == 21
    assert "stays as it is: 1 of 1 datasets failed" in said
    code, outcomes, said = process(two, "--chain", "first")
    assert (code, outcomes) == (2, None)
    assert "a run has this name" in said
    assert chains(own_home) == ["second", "first"]


@pytest.mark.parametrize("words", [["process", "-n"], ["archive", "plan"]])
def test_a_dry_run_looks_at_the_chain(
    words: list[str], crds: Observatory, raws: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It ends as the run itself would: a name that is none, or nothing to put in a chain."""
    asked = [*words, crds.datasets[0], f"file:{raws}"]
    context = ["--context", crds.contexts[0]]

    assert run([*asked, "file:out", *context, "--chain", "BAD!"]) == 2
    assert "not a name for a chain" in capsys.readouterr().err
    assert run([*asked, "none", *context, "--chain", "best"]) == 2
    assert "a chain needs an archive" in capsys.readouterr().err
    assert run([*asked, "file:out", *context, "--chain", "best"]) == 0


def test_a_dataset_that_another_process_has_stops_no_other(
    process: Process, crds: Observatory, raws: Path, own_home: Path
) -> None:
    """It is an error of its own, in the JSON as well; the rest is done, the chain stays."""
    one, two = crds.datasets[:2]
    process(two, "--run", "before", "--chain", "best")
    with open_ledger(str(own_home / "ledger.db")) as ledger:
        ledger.ensure_campaign("adhoc")
        number = ledger.submit("adhoc", parse_dataset(one), "new", context=crds.contexts[0])
        ledger.begin_attempt(number, current_owner())

    code, outcomes, said = process(f"{one},{two}", "--run", "new", "--chain", "best")

    assert code == 1
    assert [each["state"] for each in outcomes] == ["error", "skipped"]
    assert (outcomes[0]["dataset"], outcomes[0]["error_class"]) == (one, "Unavailable")
    assert "stays as it is: 1 of 2 datasets failed" in said
    assert chains(own_home) == ["before"]


def test_replace_needs_to_know_where(
    process: Process, crds: Observatory, raws: Path, own_home: Path, call: Call, tmp_path: Path
) -> None:
    """Products never go among the files of a run that was ingested in place."""
    name = crds.datasets[0]
    process(name)
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    shutil.copy((tmp_path / "out/data/acs" / name / f"{name}_flt.fits").resolve(), theirs)
    assert call("ingest", f"file:{theirs}", "--run", "caldp", "--transfer", "in-place")[0] == 0
    assert call("chain", "best", "caldp")[0] == 0
    words = ("replace", "best", name, f"file:{raws}", "--context", crds.contexts[0])

    code, _, said = call(*words)

    assert (code, said.count("\n"), len([*theirs.iterdir()])) == (2, 1, 1)
    assert "the chain does not say where the new run goes" in said
    assert chains(own_home) == ["caldp"]
    code, said, _ = call(*words[:4], f"file:{tmp_path / 'out'}", *words[4:], "--run", "new")
    assert code == 0
    assert chains(own_home)[0] == "new"


def test_replace(
    process: Process, crds: Observatory, raws: Path, own_home: Path, call: Call
) -> None:
    """The chain moves after all have succeeded; the same command goes on after a failure."""
    one, two = crds.datasets[:2]
    process(one, "--run", "old", "--chain", "best")
    process(two, "--run", "old")
    old = chains(own_home)
    words = ["replace", "best", "--all", f"file:{raws}", "--run", "new"]
    words += ["--context", crds.contexts[1]]
    away = (raws / f"{two}_raw.fits").rename(raws / "away")

    code, _, said = call(*words)
    assert (code, chains(own_home)) == (21, old)
    assert "stays as it is: 1 of 2 datasets failed; run new is kept" in said

    away.rename(raws / f"{two}_raw.fits")
    code, said, _ = call(*words)
    assert (code, chains(own_home)) == (0, ["new"])
    assert f"{one}  skipped" in said
    assert "begins with new; old has left it" in said

    code, said, _ = call(*words, "--json")
    result = json.loads(said)
    assert (code, result["run"], result["left"]) == (0, "new", None)
    assert {outcome["state"] for outcome in result["outcomes"]} == {"skipped"}


def test_replace_publishes_in_the_new_run(
    process: Process, crds: Observatory, raws: Path, own_home: Path, call: Call
) -> None:
    """The same result in another run does not count; a run that holds more stays behind."""
    one, two = crds.datasets[:2]
    process(one, "--run", "old", "--chain", "best")
    process(two, "--run", "old")

    code, said, _ = call(
        *("replace", "best", one, f"file:{raws}", "--run", "new", "--context", crds.contexts[0])
    )

    assert (code, chains(own_home)) == (0, ["new", "old"])
    assert f"{one}  processed" in said
    assert f"old stays behind it, as it alone holds {two}" in said


def test_replace_and_prune(
    process: Process, crds: Observatory, raws: Path, own_home: Path, call: Call, tmp_path: Path
) -> None:
    """--prune removes what the run that left held, and only if a run has left."""
    one, two = crds.datasets[:2]
    process(one, "--run", "old", "--chain", "best")
    process(two, "--run", "old")
    words = ["replace", "best", f"file:{raws}", "--context", crds.contexts[0], "--prune"]
    old = tmp_path / "out" / "runs" / "old" / "acs"

    code, said, _ = call(*words[:2], one, *words[2:], "--run", "half")
    assert (code, "nothing is pruned" in said) == (0, True)
    assert (old / one / "manifest.json").exists()

    process(one, "--run", "old", "--chain", "best")
    code, said, _ = call(*words[:2], "--all", *words[2:], "--run", "whole", "--json")
    result = json.loads(said)
    assert (code, result["left"]) == (0, "half")
    assert (result["pruned"]["removed"], result["pruned"]["failed"]) == ([one], [])
    assert not (tmp_path / "out" / "runs" / "half" / "acs" / one / "manifest.json").exists()
    assert (old / one / "manifest.json").exists()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], "not what can be replaced"),
        (["best"], "not what can be replaced"),
        (["best", "j8bt05njq", "--all"], "not what can be replaced"),
        (["best", "j8bt05njq"], "there is no ledger yet"),
        (["best", "--all", "file:/a", "file:/b", "onsite", "x"], "not what can be replaced"),
    ],
)
def test_replace_refuses(words: list[str], expected: str, call: Call) -> None:
    """What cannot be meant is said in one line, with code 2."""
    code, _, said = call("replace", *words)

    assert (code, said.count("\n")) == (2, 1)
    assert expected in said
