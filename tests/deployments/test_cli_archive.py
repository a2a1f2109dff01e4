"""`hstflow archive products|runs|show|chain|tag`: what a person and a program see."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from small_registry import ALONE, ASSOCIATION, BIAS, EXPOSURES, checksum, fill
from sqlalchemy import text

from calib.errors import COMMAND, INPUT
from calib.ledger.ledger import open_ledger
from deployments.cli.main import run

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the ledger of a user with an association in two runs, to be copied."""
    path = tmp_path_factory.mktemp("template") / "ledger.db"
    with open_ledger(str(path)) as opened:
        fill(opened)
    return path


@pytest.fixture
def ledger(template: Path) -> str:
    """Return the URL of a copy of that ledger, as the user's own."""
    url = os.environ["HSTFLOW_LEDGER"]
    shutil.copy(template, url.removeprefix("sqlite:///"))
    return url


def say(capsys: Capture, *words: str, code: int = 0) -> str:
    """Return what `hstflow archive` writes to stdout."""
    assert run(["archive", *words]) == code
    return capsys.readouterr().out


def say_json(capsys: Capture, *words: str) -> Any:
    """Return what `hstflow archive --json` says."""
    return json.loads(say(capsys, *words, "--json"))


def names(capsys: Capture, *words: str) -> list[str]:
    """Return the products that are listed, as run/file."""
    found = say_json(capsys, "products", *words)["products"]
    return [f"{each['run']}/{each['name']}" for each in found]


READERS = (
    ["products"],
    ["runs"],
    ["show", "x"],
    ["tag", "x"],
    ["calibrations"],
    ["calibrations", "x"],
)


@pytest.mark.parametrize("words", READERS)
def test_without_a_ledger(capsys: Capture, own_home: Path, words: list[str]) -> None:
    """Where nothing was published, that is said on stderr; nothing is made."""
    assert run(["archive", *words]) == 0
    captured = capsys.readouterr()
    assert "nothing was published yet" in captured.err
    assert captured.out == ""
    assert not (own_home / "ledger.db").exists()


@pytest.mark.parametrize("words", READERS)
def test_without_a_ledger_as_json(capsys: Capture, words: list[str]) -> None:
    """Programs are told the same in JSON, by every command that reads, as by status."""
    found = say_json(capsys, *words)
    assert (found["ledger"], found["exists"]) == (os.environ["HSTFLOW_LEDGER"], False)


@pytest.mark.usefixtures("ledger")
def test_products(capsys: Capture) -> None:
    """A table of products with their data id, the current ones marked, and totals."""
    lines = say(capsys, "products", "--type", "flt").splitlines()
    assert lines[1].split()[:5] == [
        f"{EXPOSURES[0]}_flt.fits",
        ASSOCIATION,
        "HRC",
        "F606W",
        "2002-04-12",
    ]
    assert [line[0] for line in lines[1:5]] == [" ", " ", "*", "*"]
    assert lines[-1] == "4 products, 4.0 kB (flt 4)"
    assert "[M33]" in say(capsys, "products", ALONE)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([ALONE.upper()], [f"r1/{ALONE}_raw.fits"]),
        (["--type", "crj", "--in", "r2"], [f"r2/{ASSOCIATION}_crj.fits"]),
        (["--type", "crj", "--detector", "hrc", "--run", "r1"], [f"r1/{ASSOCIATION}_crj.fits"]),
        (["--type", "crj", "--current"], [f"r2/{ASSOCIATION}_crj.fits"]),
        (["--proposal", "12345"], [f"r1/{ALONE}_raw.fits"]),
        (["--target", "[m33]"], [f"r1/{ALONE}_raw.fits"]),
        (["--begins", "2010", "--ends", "2010-01-01 00:00:01"], [f"r1/{ALONE}_raw.fits"]),
        (["--begins", "2010-01-01T00:00:01"], []),
        (
            ["--association", ASSOCIATION, "--type", "raw", "--type", "x*"],
            [f"r1/{name}_raw.fits" for name in EXPOSURES],
        ),
        (["--sha256", checksum(f"{ALONE}_raw.fits")], [f"r1/{ALONE}_raw.fits"]),
        (["jbxx*", "nobody"], [f"r1/{ALONE}_raw.fits"]),
        (["--number", "1", "--visit", "01", "--program", "bxx"], [f"r1/{ALONE}_raw.fits"]),
    ],
)
@pytest.mark.usefixtures("ledger")
def test_products_are_narrowed(capsys: Capture, words: list[str], expected: list[str]) -> None:
    """Every option narrows the list, and they hold together."""
    assert names(capsys, *words) == expected


@pytest.mark.usefixtures("ledger")
def test_products_for_programs(capsys: Capture, tmp_path: Path) -> None:
    """URIs and paths one a line, names from a list, JSON with totals beyond the number."""
    (tmp_path / "list").write_text(f"{ALONE}  # one\n")
    assert say(capsys, "products", f"@{tmp_path / 'list'}", "--uri") == (
        f"file:///o/runs/r1/acs/{ALONE}/{ALONE}_raw.fits\n"
    )
    assert say(capsys, "products", ALONE, "--path") == f"/o/runs/r1/acs/{ALONE}/{ALONE}_raw.fits\n"
    found = say_json(capsys, "products", "--number", "2")
    assert (found["number"], len(found["products"])) == (9, 2)
    assert found["types"]["crj"] == {"products": 2, "bytes": 2000}


@pytest.mark.usefixtures("ledger")
def test_more_products_than_are_listed(capsys: Capture) -> None:
    """A list that was cut says so, and how to get the rest."""
    assert say(capsys, "products", "--number", "2").splitlines()[-1] == "7 more: --number 9"


@pytest.mark.parametrize(
    "words",
    [
        ["products", "--begins", "yesterday"],
        ["products", "--in", "nobody"],
        ["products", "--number", "0"],
        ["products", "@/no/such/list"],
        ["runs", "--kind", "odd"],
        ["chain", "best"],
        ["chain", "r1", "r2"],
        ["chain", "best", "r1", "--front", "r2"],
        ["chain", "best", "--note", "there is none"],
        ["chain", "best", "--remove"],
        ["chain", "best", "--flatten"],
        ["chain", "best", "@EMPTY"],
        ["products", "@EMPTY"],
        ["products", "--in", ","],
        ["runs", "@EMPTY"],
        ["tag", "paper"],
        ["tag", "paper", "nobody"],
        ["tag", "paper", "--remove"],
        ["tag", "Bad Name", ALONE],
        ["tag", "paper", ASSOCIATION, "--run", "r1", "--run", "r2"],
        ["show", ASSOCIATION, "--run", "r9"],
    ],
)
@pytest.mark.usefixtures("ledger")
def test_what_cannot_be(capsys: Capture, words: list[str], tmp_path: Path) -> None:
    """A bad word is code 2 and one line, and leaves no collection behind."""
    (tmp_path / "empty").touch()
    given = [word.replace("EMPTY", str(tmp_path / "empty")) for word in words]
    say(capsys, *given, code=COMMAND)
    assert say_json(capsys, "runs")["collections"] == []


@pytest.mark.usefixtures("ledger")
def test_runs(capsys: Capture) -> None:
    """Runs with what they hold and how much is current, then collections."""
    say(capsys, "chain", "best", "r2", "r1", "--note", "for [the] paper")
    lines = say(capsys, "runs").splitlines()
    assert lines[1].split()[:7] == ["r1", "processed", "2", "1", "6", "6.0", "kB"]
    assert lines[-1].split()[:4] == ["best", "chain", "r2,", "r1"]
    assert lines[-1].rstrip().endswith("for [the] paper")
    found = say_json(capsys, "runs", "r?", "--context", "hst_1*")
    assert [each["current_datasets"] for each in found["runs"]] == [1, 1]
    assert found["collections"] == []
    assert say(capsys, "runs", "nobody") == ""


@pytest.mark.usefixtures("ledger")
def test_chain(capsys: Capture) -> None:
    """A chain is defined, extended at both ends, flattened and forgotten."""
    assert "best: r1" in say(capsys, "chain", "best", "r1")
    say(capsys, "chain", "best", "--front", "r2", "--note", "n")
    assert say_json(capsys, "chain", "best") == {
        "name": "best",
        "members": ["r2", "r1"],
        "runs": ["r2", "r1"],
    }
    assert say_json(capsys, "chain", "flat", "best", "--flatten")["members"] == ["r2", "r1"]
    assert say_json(capsys, "chain", "best", "--back", "r2")["runs"] == ["r1", "r2"]
    assert run(["archive", "chain", "best", "r2"]) == 0
    assert "best held r1, r2" in capsys.readouterr().err
    say(capsys, "chain", "best", "--remove")
    assert [each["name"] for each in say_json(capsys, "runs")["collections"]] == ["flat"]


@pytest.mark.usefixtures("ledger")
def test_flatten_what_is_there(capsys: Capture) -> None:
    """With a new end, and alone: the chain keeps runs; the chains that it held may change."""
    say(capsys, "chain", "inner", "r1")
    say(capsys, "chain", "best", "inner")
    assert say_json(capsys, "chain", "best", "--front", "r2")["members"] == ["r2", "inner"]
    assert say_json(capsys, "chain", "best", "--flatten")["members"] == ["r2", "r1"]
    say(capsys, "chain", "other", "r2")
    assert say_json(capsys, "chain", "other", "--front", "inner", "--flatten") == {
        "name": "other",
        "members": ["r1", "r2"],
        "runs": ["r1", "r2"],
    }


@pytest.mark.parametrize("option", [["--note", "n"], ["--flatten"], ["--front", "r2"]])
@pytest.mark.usefixtures("ledger")
def test_forgetting_takes_no_other_word(capsys: Capture, option: list[str]) -> None:
    """What would be passed over is refused, and the chain or tag stays."""
    say(capsys, "chain", "best", "r1")
    say(capsys, "chain", "best", "--remove", *option, code=COMMAND)
    say(capsys, "tag", "paper", ALONE)
    say(capsys, "tag", "paper", "--remove", "--note", "n", code=COMMAND)
    assert len(say_json(capsys, "runs")["collections"]) == 2


@pytest.mark.usefixtures("ledger")
def test_an_empty_list_forgets_no_tag(capsys: Capture, tmp_path: Path) -> None:
    """`--remove @FILE` with nothing in it takes nothing out, and does not forget the tag."""
    say(capsys, "tag", "paper", ALONE)
    (tmp_path / "empty").write_text("# none\n")
    say(capsys, "tag", "paper", "--remove", f"@{tmp_path / 'empty'}", code=COMMAND)
    say(capsys, "tag", "paper", "--remove", "--type", ",", code=COMMAND)
    found = say_json(capsys, "tag", "paper")
    assert (found["exists"], len(found["products"])) == (True, 1)


@pytest.mark.usefixtures("ledger")
def test_lines_are_not_counted(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """--uri and --path ask the ledger once; only tables and JSON need the totals."""
    import deployments.cli.archive.products as command

    monkeypatch.delattr(command, "count_products")
    assert len(say(capsys, "products", "--uri").splitlines()) == 9
    assert len(say(capsys, "products", "--path").splitlines()) == 9


@pytest.mark.usefixtures("ledger")
def test_tag(capsys: Capture) -> None:
    """A tag takes the current version unless another is named, and keeps it."""
    crj = f"{ASSOCIATION}_crj.fits"
    found = say_json(capsys, "tag", "paper", crj, "--note", "n")["products"]
    assert [(each["run"], each["name"]) for each in found] == [("r2", crj)]
    assert run(["archive", "tag", "paper", crj, "--run", "r1"]) == COMMAND
    assert "untag that first" in capsys.readouterr().err
    assert run(["archive", "tag", "paper", "--type", "crj", "--remove"]) == 0
    assert "1 product taken out" in capsys.readouterr().err
    assert say_json(capsys, "tag", "paper", "--type", "crj", "--run", "r1")["name"] == "paper"
    assert names(capsys, "--in", "paper") == [f"r1/{crj}"]
    assert crj in say(capsys, "tag", "paper")
    say(capsys, "tag", "paper", "--remove")
    assert say_json(capsys, "runs")["collections"] == []


@pytest.mark.usefixtures("ledger")
def test_show_an_association(capsys: Capture) -> None:
    """Versions, files, making, inputs with their roles, references and jobs, for a person."""
    shown = say(capsys, "show", ASSOCIATION, "--run", "r1")
    for words in (
        "ACS, HRC, F606W, M31",
        "proposal 9025, program 8bt, visit 05",
        "2 versions (* current)",
        "5 files, 5.0 kB, in r1",
        "DARKCORR=OMIT",
        "from 2 inputs, file:/in",
        "EXP-CRJ",
        BIAS,
        "1 job",
    ):
        assert words in shown
    again = say(capsys, "show", ASSOCIATION)
    assert "not made any more; last in r1" in again
    assert "inputs and references are not known" in again
    assert "no readable manifest" not in again, "r2 registered none"


@pytest.mark.usefixtures("ledger")
def test_show_other_things(capsys: Capture) -> None:
    """A reference shows its users; an exposure the associations that were made of it."""
    shown = say(capsys, "show", f"jref${BIAS}")
    assert "used by 2 publications" in shown
    assert "BIASFILE" in shown
    found = say_json(capsys, "show", EXPOSURES[0])
    assert [(use["how"], use["dataset"]) for use in found["used_by"]] == [
        ("input", ASSOCIATION),
        ("member", ASSOCIATION),
    ]
    assert found["shown"]["run"] == "r2"
    assert run(["archive", "show", "nobody"]) == INPUT
    assert "knows no dataset, file or reference" in capsys.readouterr().err


def test_show_reads_the_manifest(capsys: Capture, ledger: str, tmp_path: Path) -> None:
    """Versions and switches come from the manifest; one that changed or is gone is said."""
    change = text("UPDATE publication SET uri = :uri, manifest_sha256 = :sum WHERE dataset = :d")
    folder = tmp_path / "archive"
    folder.mkdir()
    with open_ledger(ledger) as opened:
        values = {"uri": folder.as_uri(), "sum": "0" * 64, "d": ALONE}
        opened.write(lambda c: c.execute(change, values))
    assert "no readable manifest" in say(capsys, "show", ALONE)
    assert "manifest " not in say(capsys, "show", ALONE, "--no-manifest")
    provenance = {
        "engine": {"name": "native", "version": "7"},
        "environment": {"numpy": "9.9"},
        "switches": {"BIASCORR": "COMPLETE", "DARKCORR": "OMIT"},
        "notes": ["a [note]"],
    }
    (folder / "manifest.json").write_text(json.dumps({"provenance": provenance}))
    shown = say(capsys, "show", ALONE)
    for words in ("native 7", "numpy 9.9", "BIASCORR", "a [note]", "changed since it was"):
        assert words in shown
    assert say_json(capsys, "show", ALONE)["manifest"]["as_registered"] is False


@pytest.mark.usefixtures("ledger")
def test_reading_imports_nothing_heavy() -> None:
    """Questions to a SQLite ledger load neither SQLAlchemy nor pydantic, Prefect, NumPy..."""
    code = f"""
import sys
from deployments.cli.main import run
for words in (["products"], ["runs"], ["show", "{ASSOCIATION}"], ["chain", "x"], ["tag", "x"]):
    run(["archive", *words])
heavy = {{"prefect", "astropy", "numpy", "numba", "pydantic", "sqlalchemy", "crds", "boto3"}}
sys.exit(", ".join(sorted(heavy & set(sys.modules))) or 0)
"""
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
