"""`hstflow doctor` says what is there, what is not, and what to do about it."""

from __future__ import annotations

import json
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

import pytest

from calib.engines.protocol import available_cpus
from calib.simulate.observatory import Observatory
from deployments.cli.main import run


def examine(capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, dict[str, Any]]]:
    """Run the command; return its exit code and the findings by name."""
    code = run(["doctor", "--json"])
    return code, {each["name"]: each for each in json.loads(capsys.readouterr().out)}


def test_sound_installation(
    observatory: Observatory, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With a cache and a ledger nothing is bad, and the context in force is named."""
    for name, value in observatory.environ.items():
        monkeypatch.setenv(name, value)

    code, findings = examine(capsys)

    assert code == 0
    assert findings["context"]["found"] == f"{observatory.contexts[0]}: it is the operational one"
    assert findings["server"]["found"].startswith("none: ")
    assert "never filled" in findings["cache"]["found"]
    assert findings["native"]["state"] == "ok"
    assert str(observatory.crds_path) in findings["cache"]["found"]


def test_absent_program_comes_with_advice(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A program that is not on PATH is a note with the command that installs it."""
    monkeypatch.setenv("PATH", str(tmp_path))

    findings = examine(capsys)[1]

    assert findings["calacs.e"]["state"] == "note"
    assert "hstcal" in findings["calacs.e"]["advice"]


def test_program_on_path_is_found(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A program on PATH is reported with its place."""
    program = tmp_path / "calacs.e"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))

    found = examine(capsys)[1]
    assert found["calacs.e"]["found"].startswith(f"{program} (")
    assert found["ACS WFC"] == {
        "part": "detector",
        "name": "ACS WFC",
        "state": "ok",
        "found": "native: yes, without PCTECORR; calacs.e: here",
        "advice": "",
    }


def test_every_detector_has_a_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is not native and has no program here is a note, with what to do about it."""
    monkeypatch.setenv("PATH", str(tmp_path))

    found = [each for each in examine(capsys)[1].values() if each["part"] == "detector"]

    states = {each["name"]: each["state"] for each in found}
    assert len(states) == 13
    assert [states[f"ACS {name}"] for name in ("HRC", "WFC", "SBC")] == ["ok"] * 3
    assert states["COS FUV"] == states["visits (SVM)"] == states["WFC3 IR"] == "note"
    assert all(each["advice"] for each in found if each["state"] == "note")


def test_unusable_ledger_is_bad(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A ledger that cannot be opened makes the exit code 1 and names the setting."""
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("HSTFLOW_LEDGER", f"sqlite:///{tmp_path / 'file' / 'ledger.db'}")

    code, findings = examine(capsys)

    assert (code, findings["database"]["state"]) == (1, "bad")
    assert "HSTFLOW_LEDGER" in findings["database"]["advice"]


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/api", "not a url"])
def test_server_that_does_not_answer_is_bad(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], url: str
) -> None:
    """A PREFECT_API_URL where nothing answers is found out before a flow is."""
    monkeypatch.setenv("PREFECT_API_URL", url)

    code, findings = examine(capsys)

    assert (code, findings["prefect"]["state"]) == (1, "bad")


def test_unknown_profile_is_bad(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A profile name that does not exist is bad, and the answer lists those that do."""
    monkeypatch.setenv("HSTFLOW_PROFILE", "moonbase")

    code, findings = examine(capsys)

    assert (code, findings["profile"]["state"]) == (1, "bad")
    assert "onsite" in findings["profile"]["found"]


def test_table_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    """Without --json the same is a table."""
    run(["doctor"])

    assert "what to do" in capsys.readouterr().out


def test_what_a_process_may_use(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """CPUs and the memory of references are shown; a setting that cannot be used is bad."""
    monkeypatch.setenv("HSTFLOW_REFERENCE_MEMORY", "2.5GiB")
    findings = examine(capsys)[1]
    assert findings["cpus"]["found"] == str(available_cpus())
    assert findings["references kept"]["found"] == "up to 2.5GiB decoded"

    monkeypatch.setenv("HSTFLOW_REFERENCE_MEMORY", "lots")
    code, findings = examine(capsys)
    assert (code, findings["settings"]["state"]) == (1, "bad")
    assert "HSTFLOW_REFERENCE_MEMORY" in findings["settings"]["found"]


def test_context_says_which_word_counts_and_what_is_missing(
    observatory: Observatory,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """CRDS_CONTEXT wins over the server; its rules are not here yet; a silent server is a note."""
    for name, value in observatory.environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("CRDS_CONTEXT", "hst_9002.pmap")
    assert examine(capsys)[1]["context"]["found"] == "hst_9002.pmap: CRDS_CONTEXT says so"

    monkeypatch.setenv("CRDS_PATH", str(tmp_path / "empty"))
    monkeypatch.setenv("CRDS_SERVER_URL", "http://localhost:9")
    code, findings = examine(capsys)
    assert code == 0
    assert findings["context"]["state"] == "note"
    assert "hstflow context sync" in findings["context"]["advice"]
    assert (findings["server"]["state"], findings["cache"]["state"]) == ("note", "note")
    assert "does not answer" in findings["server"]["found"]


def test_program_of_unknown_version_is_bad(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What it makes could not be told from what another release makes: it is of no use."""
    program = tmp_path / "calcos"
    program.write_text("#!/nowhere/python3\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))

    found = examine(capsys)[1]

    assert found["calcos"]["state"] == "bad"
    assert "version of calcos cannot be told" in found["calcos"]["found"]
    assert "hstflow[cos]" in found["calcos"]["advice"]


def test_recipe_that_cannot_be_loaded_is_not_called_sound(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the native engine leaves out is told, with the reason."""
    broken = EntryPoint("acs_none", "calib.instruments.nowhere:RECIPE", "hstflow.recipes")
    points = entry_points(group="hstflow.recipes")
    monkeypatch.setattr(
        "deployments.cli.doctor.entry_points",
        lambda group, **given: (
            (*points, broken) if group == broken.group else entry_points(group=group, **given)
        ),
    )

    findings = examine(capsys)[1]

    assert findings["acs_hrc"]["state"] == "ok"
    assert findings["acs_none"]["state"] == "note"
    assert "calib.instruments.nowhere" in findings["acs_none"]["found"]
