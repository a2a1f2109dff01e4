"""A campaign by its commands, with the real engine: submitted, broken, rescued, reported."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from calib.errors import Unavailable
from calib.simulate.observatory import Observatory
from calib.stages.recording import close_ledgers
from deployments.cli.campaign import session
from deployments.cli.campaign.session import SessionFlags
from deployments.cli.main import run


@pytest.fixture
def without_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start no Prefect server: a session is the same without one."""
    monkeypatch.setattr(session, "start_server", lambda: None)
    monkeypatch.delenv("PREFECT_API_URL", raising=False)


@pytest.fixture
def call(crds: Observatory, capsys: pytest.CaptureFixture[str]) -> Any:
    """Return a function that runs `hstflow campaign ... --json`: gives code, answer, stderr."""
    del crds

    def campaign(*words: str) -> tuple[int, Any, str]:
        close_ledgers()  # each command is a process of its own
        code = run(["campaign", *words, "--json"])
        said = capsys.readouterr()
        return code, json.loads(said.out) if said.out else None, said.err

    return campaign


@pytest.mark.usefixtures("without_server")
def test_campaign_is_submitted_rescued_and_reported(
    call: Any, raws: Path, tmp_path: Path, crds: Observatory
) -> None:
    """One dataset has no file: the other is published; when the file has come both are."""
    good, bad = sorted({path.name.split("_")[0] for path in raws.glob("*_raw.fits")})[:2]
    kept = shutil.move(raws / f"{bad}_raw.fits", tmp_path / "later")
    places = [f"file:{raws}", f"file:{tmp_path / 'out'}"]
    how = ["--context", crds.contexts[0], "--runner", "threads", "--delay-scale", "0"]

    code, found, _ = call("submit", "spring", f"{good},{bad}", *places, *how)
    assert (code, found["outcome"], found["counts"]) == (21, "failed", {"processed": 1, "error": 1})
    assert [each["dataset"] for each in found["failures"]] == [bad]

    shutil.move(kept, raws / f"{bad}_raw.fits")
    code, found, _ = call("rescue", "spring", "--class", found["failures"][0]["error_class"])
    assert (code, found["datasets"]) == (0, [bad])
    code, found, _ = call("resume", "spring")
    assert (code, found["counts"]) == (0, {"processed": 2})

    code, found, _ = call("report", "spring")
    assert (code, found["finished"], found["attempts"]) == (0, 2, 3)
    _, found, _ = call("train", "--dry-run")
    assert found["examples"] == 2
    assert not [*(tmp_path / "work").glob("*/*/stage.json")]


def test_nothing_left_starts_no_server(
    call: Any, crds: Observatory, raws: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A campaign that is finished is told at once: no server is started for it."""
    started: list[int] = []
    monkeypatch.setattr(session, "start_server", lambda: started.append(1))
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    places = [f"file:{raws}", f"file:{tmp_path / 'out'}"]
    how = ["--context", crds.contexts[0], "--runner", "threads", "--delay-scale", "0"]
    missing = "jzzz01abq"
    assert call("submit", "spring", missing, *places, *how)[0] == 21
    assert call("resume", "spring")[1]["counts"] == {"error": 1}
    assert started == [1]


@pytest.mark.parametrize(
    ("script", "code", "said"),
    [
        ("import os; os.kill(os.getpid(), 9)", 137, "by signal 9"),
        ("raise SystemExit('no room')", 1, "no room"),
        ("print('all done')", 0, "has ended already"),
    ],
)
def test_session_that_ends_at_once_is_told_as_such(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    script: str,
    code: int,
    said: str,
) -> None:
    """In the background too: killed by a signal is 128 + its number, and 0 is no live process."""
    monkeypatch.setenv("HSTFLOW_WORK", str(tmp_path))

    def spawn(_name: str, _flags: SessionFlags, log: Path) -> Any:
        with log.open("wb") as out:
            child = subprocess.Popen([sys.executable, "-c", script], stdout=out, stderr=out)
        child.wait()
        return child

    monkeypatch.setattr(session, "_spawn", spawn)
    none = f"sqlite:///{tmp_path}/none.db"
    if code:
        with pytest.raises(Unavailable, match=said) as caught:
            session._detach(none, "spring", SessionFlags())
        assert caught.value.code == code
    else:
        assert session._detach(none, "spring", SessionFlags()) == 0
        assert said in capsys.readouterr().out
