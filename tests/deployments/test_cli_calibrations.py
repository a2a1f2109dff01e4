"""`hstflow archive certify|decertify|calibrations`, and what process and bestrefs make of it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from astropy.io import fits

from calib.errors import BESTREFS, COMMAND, INPUT
from calib.simulate.observatory import Observatory
from deployments.cli.main import run

Call = Any


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Call:
    """Return a function that runs a command line and gives code, stdout and stderr."""

    def command(*words: object) -> tuple[int, str, str]:
        code = run([str(word) for word in words])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return command


@pytest.fixture
def bias(crds: Observatory, tmp_path: Path) -> Path:
    """Return a bias of our own."""
    path = tmp_path / "my_bia.fits"
    with fits.open(crds.profile.references / "z0000001j_bia.fits") as hdus:
        hdus["SCI"].data += 5
        hdus.writeto(path)
    return path


def test_exactly_one_of_two_exposures_changes(
    call: Call, bias: Path, crds: Observatory, tmp_path: Path
) -> None:
    """The story of the documentation: certify for a range, process, look."""
    process = ["process", ",".join(crds.datasets), f"file:{crds.raws}", f"file:{tmp_path}/out"]
    process += ["--context", crds.contexts[0], "--json"]
    assert call(*process)[0] == 0
    code, text, _ = call("archive", "certify", "lab", bias, "--begins", "2002-04-13T18:40")
    assert (code, "lab: 1 new, 0 known" in text) == (0, True)

    code, text, _ = call(*process, "--calibrations", "lab")

    assert code == 0
    assert [outcome["state"] for outcome in json.loads(text)] == ["skipped", "processed"]
    _, text, _ = call(
        *("bestrefs", *sorted(crds.raws.glob("*_raw.fits")), "--calibrations", "lab"),
        *("--context", crds.contexts[0], "--json"),
    )
    files = json.loads(text)["files"].values()
    rows = [(each["BIASFILE"]["reference"], each["BIASFILE"]["certified"]) for each in files]
    assert rows == [("z0000001j_bia.fits", False), ("my_bia.fits", True)]
    bias.unlink()
    code, text, _ = call(*process, "--calibrations", "lab", "--set", "DARKCORR=OMIT")
    assert code == BESTREFS
    assert "certified in lab" in json.loads(text)[1]["reason"]


def test_list_and_ask(call: Call, bias: Path, tmp_path: Path) -> None:
    """Collections, their ranges, what is valid at a date; files that are gone are marked."""
    run(["ledger", "upgrade"])
    assert "no calibration collection" in call("archive", "calibrations")[1]
    listed = tmp_path / "list"
    listed.write_text(f"{bias}  # ours\n")
    call("archive", "certify", "lab", f"@{listed}", "--ends", "2003", "--note", "June")
    call("archive", "decertify", "lab", "--keyword", "biasfile", "--begins", "2000", "--ends", 2001)

    code, text, _ = call("archive", "calibrations", "--json")
    (found,) = json.loads(text)["collections"]
    assert (code, found["name"], found["references"], found["note"]) == (0, "lab", 1, "June")
    assert "June" in call("archive", "calibrations")[1]
    rows = references(call)
    assert [(row["begins_at"], row["ends_at"]) for row in rows] == [
        (None, "2000-01-01T00:00:00"),
        ("2001-01-01T00:00:00", "2003-01-01T00:00:00"),
    ]
    assert all(row["present"] for row in rows)
    for asked, number in {
        ("--at", "2000-06-01", "--detector", "hrc"): 0,
        ("--at", "2001"): 1,
        ("--at", "2002", "--detector", "HRC", "--instrument", "ACS"): 1,
        ("--detector", "WFC"): 0,
    }.items():
        assert len(references(call, *asked)) == number
    assert "nothing is valid" in call("archive", "calibrations", "lab", "--at", "2010")[1]
    bias.unlink()
    table = call("archive", "calibrations", "lab")[1]
    assert "2001-01-01" in table
    assert "not there" in table


def test_decertify_says_when_there_is_nothing(call: Call, bias: Path) -> None:
    """Cutting where nothing is valid is done, and said."""
    call("archive", "certify", "lab", bias, "--ends", "2003")
    words = ("archive", "decertify", "lab", "--keyword", "BIASFILE")
    assert "nothing to do" in call(*words, "--begins", "2003")[1]
    assert "nothing to do" in call(*words, "--detector", "any")[1]
    assert "1 cut or removed" in call(*words)[1]


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("certify", "lab"), COMMAND, "FILES"),
        (("certify", "lab", "BIAS", "--begins", "soon"), COMMAND, "not a date"),
        (("certify", "Lab", "BIAS"), COMMAND, "not a name"),
        (("certify", "lab", "BIAS", "--detector", "WFC"), COMMAND, "expected WFC; found HRC"),
        (("certify", "lab", "BIAS", "--begins", "2003", "--ends", "2002"), COMMAND, "ends after"),
        (("certify", "lab", "absent.fits"), INPUT, "no such file"),
        (("certify", "lab", "s3://b/my_bia.fits"), COMMAND, "every worker"),
        (("decertify", "lab"), COMMAND, "--keyword"),
        (("decertify", "lab", "--keyword", "BIASFILE"), COMMAND, "no such calibration"),
        (("calibrations", "lab"), COMMAND, "no such calibration"),
        (("certify", "lab", "@EMPTY"), COMMAND, "the list names nothing"),
        (("calibrations", "--at", "2002"), COMMAND, "no collection was named"),
        (("calibrations", "lab", "--at", "soon"), COMMAND, "not a date"),
    ],
)
def test_bad_command(
    call: Call, bias: Path, words: tuple[str, ...], code: int, message: str
) -> None:
    """Each is refused in one clear line, and no collection comes of it."""
    call("ledger", "upgrade")
    (bias.parent / "empty").touch()
    given = {"BIAS": bias, "@EMPTY": f"@{bias.parent / 'empty'}"}
    found, text, problem = call("archive", *(given.get(word, word) for word in words))
    assert found == code
    assert message in text + problem
    assert json.loads(call("archive", "calibrations", "--json")[1])["collections"] == []


def references(call: Call, *options: str) -> list[dict[str, Any]]:
    """Return what `archive calibrations lab --json` lists."""
    text = call("archive", "calibrations", "lab", *options, "--json")[1]
    found: list[dict[str, Any]] = json.loads(text)["references"]
    return found


def test_changes_as_json(call: Call, bias: Path) -> None:
    """Programs read what was certified, and how many ranges were cut."""
    code, text, _ = call("archive", "certify", "lab", bias, "--begins", "2002", "--json")
    found = json.loads(text)
    assert (code, found["collection"], found["new"]) == (0, "lab", 1)
    assert [each["reference"] for each in found["references"]] == [bias.name]
    code, text, _ = call("archive", "decertify", "lab", "--keyword", "BIASFILE", "--json")
    assert (code, json.loads(text)) == (0, {"collection": "lab", "changed": 1})


def test_bestrefs_asks_what_process_would(
    call: Call, bias: Path, crds: Observatory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HSTFLOW_CALIBRATIONS and HSTFLOW_PROFILE hold here too; none is no collection."""
    call("archive", "certify", "lab", bias)
    monkeypatch.setenv("HSTFLOW_CALIBRATIONS", "lab")
    asked = ("bestrefs", min(crds.raws.glob("*_raw.fits")), "--json")
    asked += ("--context", crds.contexts[0])

    def chosen(*options: str) -> Any:
        (rows,) = json.loads(call(*asked, *options)[1])["files"].values()
        return rows["BIASFILE"]["reference"]

    assert chosen() == bias.name
    assert chosen("--calibrations", "none") == "z0000001j_bia.fits"
    monkeypatch.setenv("HSTFLOW_PROFILE", "onsight")
    code, _, error = call(*asked)
    assert (code, "no such CRDS profile" in error) == (COMMAND, True)


def test_reading_imports_nothing_heavy(bias: Path, call: Call, tmp_path: Path) -> None:
    """The list answers at once: neither SQLAlchemy nor astropy nor crds is imported."""
    call("archive", "certify", "lab", bias)
    code = (
        "import sys; from deployments.cli.main import run; "
        "run(['archive', 'calibrations', 'lab', '--at', '2003', '--json']); "
        "heavy = {'sqlalchemy', 'astropy', 'crds', 'numpy', 'pydantic', 'prefect'}; "
        "assert not heavy & sys.modules.keys(), heavy & sys.modules.keys()"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert json.loads(done.stdout)["references"][0]["reference"] == "my_bia.fits"


def test_copy_elsewhere_is_found_there(call: Call, bias: Path, tmp_path: Path) -> None:
    """Certifying the moved file again, with the same dates, says where it is now."""
    call("archive", "certify", "lab", bias, "--begins", "2002")
    (tmp_path / "new").mkdir()
    moved = shutil.move(bias, tmp_path / "new" / bias.name)
    code, text, _ = call("archive", "certify", "lab", moved, "--begins", "2002")
    assert (code, "0 new, 1 known" in text) == (0, True)
    (row,) = references(call)
    assert (row["uri"], row["present"]) == (f"file:{moved}", True)
