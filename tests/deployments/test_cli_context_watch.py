"""`hstflow context watch`: what a person, and a program, reads of one look."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from calib.errors import BESTREFS, COMMAND, DONE
from calib.simulate.crds_server import CrdsServer
from calib.simulate.observatory import Observatory
from deployments.cli.main import run

A, B = "hst_9001.pmap", "hst_9002.pmap"


@pytest.fixture
def server(
    observatory: Observatory,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[CrdsServer]:
    """Serve the rules of the observatory, and point CRDS at them."""
    with CrdsServer(observatory.crds_path, context=A) as found:
        for name, value in found.environ(tmp_path_factory.mktemp("cache")).items():
            monkeypatch.setenv(name, value)
        yield found


def test_two_looks(server: CrdsServer, capsys: pytest.CaptureFixture[str]) -> None:
    """The first one remembers, the second one sees the change and says what to do."""
    assert run(["context", "watch", "--once"]) == DONE
    assert f"first sight of {A}" in capsys.readouterr().out

    server.context = B
    assert run(["context", "watch", "--once", "--json"]) == DONE
    said = json.loads(capsys.readouterr().out)
    assert (said["sight"]["before"], said["sight"]["context"]) == (A, B)
    assert said["due"] == {"old": A, "new": B}
    assert f"--old {A} --new {B}" in said["says"][-1]
    assert said["trouble"] is None


def test_server_that_is_away(
    server: CrdsServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is said on stderr, with the exit code of CRDS."""
    monkeypatch.setenv("CRDS_SERVER_URL", "http://localhost:9")

    assert run(["context", "watch", "--once"]) == BESTREFS
    assert "does not answer" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--every", "0"], ["--patience", "-1"], ["--profile", "x"]])
def test_bad_words_are_refused(words: list[str]) -> None:
    """Nothing is asked with a number or a profile that cannot be used."""
    assert run(["context", "watch", "--once", *words]) == COMMAND
