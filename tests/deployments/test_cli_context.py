"""`hstflow context`: show, history, pin, sync and verify, with a loopback server and without."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from calib.errors import BESTREFS, COMMAND
from calib.ids import parse_dataset
from calib.ledger.ledger import open_ledger
from calib.ledger.reprocessings import see_context
from calib.references import library
from calib.simulate.crds_server import CrdsServer
from calib.simulate.observatory import Observatory
from calib.stages.planning import Request, plan_jobs
from calib.stages.sequence import process_dataset
from deployments.cli.main import run

Call = Callable[..., tuple[int, str, str]]
OLD, NEW = "hst_9001.pmap", "hst_9002.pmap"


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Call:
    """Return a function that runs `hstflow context` and gives code, stdout, stderr."""

    def call(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = run(["context", *words])
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


def answer(found: tuple[int, str, str]) -> Any:
    """Return the JSON that a command wrote."""
    assert found[0] == 0, found
    return json.loads(found[1])


@pytest.fixture
def server(
    observatory: Observatory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[CrdsServer]:
    """Point CRDS at a running server and an empty cache."""
    library.forget()
    with CrdsServer(observatory.crds_path) as running:
        for name, value in running.environ(tmp_path / "cache").items():
            monkeypatch.setenv(name, value)
        yield running
    library.forget()


def test_from_nothing_to_a_full_cache(
    server: CrdsServer, call: Call, observatory: Observatory, tmp_path: Path
) -> None:
    """Show, sync with the references of a file, show, verify, report."""
    before = answer(call("show", "--json"))
    assert before["server"]["answers"]
    assert before["cache"]["exists"] is False
    assert (before["used"]["context"], before["used"]["complete"]) == (OLD, False)

    raw = str(min(observatory.raws.glob("*_raw.fits")))
    synced = answer(call("sync", "--files", raw, "--push", "here", "--json"))
    assert synced["contexts"] == [OLD]
    assert sorted(synced["references"]["brought"]) == synced["needed"] != []
    assert synced["pushed"] == server._remote_contexts["here"] == OLD

    after = answer(call("show", "--json"))
    assert after["used"]["complete"]
    assert after["cache"]["operational_context"] == OLD
    assert [each["context"] for each in after["contexts"]["listed"]] == [OLD]
    code, text, _ = call("show")
    assert code == 0
    assert "it is the operational one" in text
    found = answer(call("verify", OLD, "--references", "--json"))
    assert (found["references"], found["problems"]) == (len(synced["needed"]), [])
    again = call("sync")
    assert (again[0], "0 files came" in again[1]) == (0, True)


def test_references_that_cannot_be_had(server: CrdsServer, call: Call) -> None:
    """Code 27, each named, and what could be had is there."""
    code, text, _ = call("sync", OLD, "--references", "nosuchj_drk.fits")
    assert code == BESTREFS
    assert "nosuchj_drk.fits" in text
    assert call("sync", "hst_0001.pmap")[0] == BESTREFS
    assert call("sync", OLD, "--datasets", "j8bt05njq")[0] == COMMAND


def test_server_is_told_only_what_is_whole(
    server: CrdsServer, call: Call, observatory: Observatory, tmp_path: Path
) -> None:
    """Files may be in a list; not told where references are missing."""
    files = tmp_path / "files.txt"
    files.write_text("\n".join(str(path) for path in sorted(observatory.raws.glob("*_raw.fits"))))
    words = ("sync", OLD, "--files", f"@{files}", "--push", "here")
    code, text, said = call(*words, "--references", "nosuchj_drk.fits")
    assert (code, server._remote_contexts) == (BESTREFS, {})
    assert "nosuchj_drk.fits" in text
    assert "not told" in said
    assert call(*words)[0] == 0
    assert server._remote_contexts == {"here": OLD}


def test_nobody_to_tell_is_said_before_anything_comes(
    observatory: Observatory, call: Call, tmp_path: Path
) -> None:
    """A bucket can fill the cache, and is told nothing."""
    profile = tmp_path / "bucket.toml"
    profile.write_text(
        f'server_url = "https://x-serverless"\ncache = "{tmp_path}/cache"\n'
        f'rules_uri = "file:{observatory.crds_path}/mappings/hst"\n'
    )
    code, _, said = call("sync", OLD, "--profile", str(profile), "--push", "here")
    assert (code, "only be reported to a CRDS server" in said) == (BESTREFS, True)
    assert not (tmp_path / "cache").exists()


def test_references_of_datasets_that_were_processed(
    server: CrdsServer, call: Call, observatory: Observatory, tmp_path: Path
) -> None:
    """The ledger knows their headers: the new context needs another dark for one of them."""
    request = Request(
        source=f"file:{observatory.raws}",
        output="none",
        profile=observatory.profile,
        work=str(tmp_path / "work"),
        ledger=f"sqlite:///{tmp_path / 'own.db'}",
    )
    for job in plan_jobs(request, observatory.datasets):
        assert process_dataset(job).state == "processed"
    found = {}
    for context in (OLD, NEW):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("HSTFLOW_LEDGER", request.ledger)
            words = [word for name in observatory.datasets for word in ("--datasets", name)]
            found[context] = answer(call("sync", context, *words, "--json"))
    assert len(set(found[NEW]["needed"]) - set(found[OLD]["needed"])) == 1


def test_pin_and_what_wins_over_it(
    server: CrdsServer, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A context of the server; shown with its reason; CRDS_CONTEXT wins; none ends it."""
    code, _, said = call("pin", NEW)
    assert (code, "not in the cache yet" in said) == (0, True)
    used = answer(call("show", "--json"))["used"]
    assert (used["context"], used["why"], used["pin"]["context"]) == (NEW, "pin", NEW)
    assert call("pin", "hst_0001.pmap")[0] == BESTREFS
    assert call("pin", "hst_1")[0] == BESTREFS

    monkeypatch.setenv("CRDS_CONTEXT", OLD)
    used = answer(call("show", "--json"))["used"]
    assert (used["context"], used["why"]) == (OLD, "profile")
    assert "CRDS_CONTEXT says so" in call("show")[1]
    assert "wins over a pin" in call("pin", NEW)[2]
    monkeypatch.delenv("CRDS_CONTEXT")
    assert answer(call("pin", "none", "--json"))["before"] == NEW
    assert answer(call("show", "--json"))["used"]["why"] == "operational"
    assert call("pin", NEW, "--variable")[0] == COMMAND  # no Prefect server is set


def test_history_of_the_server_and_ours(server: CrdsServer, call: Call) -> None:
    """Dates of the server, when we saw them, and contexts that only we know."""
    import os

    with open_ledger(os.environ["HSTFLOW_LEDGER"]) as ledger:
        for context in ("hst_9000.pmap", OLD):
            ledger.write(lambda c, context=context: see_context(c, server.url, context))
    found = answer(call("history", "--json"))
    rows = {row["context"]: row for row in found["contexts"]}
    assert set(rows) == {"hst_9000.pmap", OLD}
    assert rows[OLD]["since"].startswith("2002-04-14")
    assert rows[OLD]["operational"]
    assert all(row["seen_at"] for row in rows.values())
    assert "simulated" in call("history")[1]


def test_server_that_is_gone(server: CrdsServer, call: Call) -> None:
    """Show and history say so and show what the cache knows; sync is code 27."""
    assert call("sync")[0] == 0
    server.stop()
    found = answer(call("show", "--json"))
    assert found["server"]["answers"] is False
    assert found["used"]["context"] == OLD
    code, text, _ = call("show")
    assert (code, "no answer" in text) == (0, True)
    assert OLD in call("history")[1]
    assert call("sync")[0] == BESTREFS
    assert call("verify")[0] == 0


def test_offline_and_damaged(
    observatory: Observatory, call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Without a server nothing is brought, and damage is found."""
    import shutil

    cache = tmp_path / "crds"
    shutil.copytree(observatory.crds_path, cache)
    monkeypatch.setenv("CRDS_PATH", str(cache))
    monkeypatch.setenv("CRDS_SERVER_URL", observatory.environ["CRDS_SERVER_URL"])
    assert "is never asked" in call("show")[1]
    code, _, said = call("sync")
    assert (code, "offline" in said) == (BESTREFS, True)
    assert call("verify", OLD, NEW, "--references")[0] == 0
    (cache / "mappings/hst/hst_acs_9002.imap").unlink()
    assert "1 missing" in call("show")[1]
    code, text, _ = call("verify", NEW)
    assert code == BESTREFS
    assert "hst_acs_9002.imap" in text
    assert call("verify", NEW, "--repair")[0] == BESTREFS
    assert parse_dataset(observatory.datasets[0])
