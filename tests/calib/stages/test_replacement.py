"""Runs that take their places in chains."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calib.errors import ConfigError
from calib.ledger.collections import define_chain
from calib.ledger.holdings import chain_members, chain_runs
from calib.ledger.ledger import Ledger, open_ledger
from calib.ledger.publications import Published, PublishedFile, Transfer, record_publications
from calib.stages.replacement import (
    Move,
    check_chain,
    datasets_in,
    look_at_front,
    put_in_front,
    replace_front,
)

A, B, C = "j8bt05njq", "j8bt06o6q", "j8bt09jcq"


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an empty ledger file, to be copied: migrating for every test takes long."""
    path = tmp_path_factory.mktemp("template") / "ledger.db"
    open_ledger(str(path)).close()
    return path


@pytest.fixture
def ledger(tmp_path: Path, template: Path) -> Iterator[Ledger]:
    """Return an open, empty ledger."""
    path = tmp_path / "ledger.db"
    path.write_bytes(template.read_bytes())
    with open_ledger(str(path)) as opened:
        yield opened


def publish(ledger: Ledger, run: str, *datasets: str, transfer: Transfer = "copy") -> None:
    """Enter datasets as published in a run."""
    content = {"context": "hst_1.pmap", "engine": "native", "engine_version": "1"}
    ledger.ensure_run(run, parameters={}, output="file:/out", **content)
    found = [
        Published(
            run=run,
            dataset=name,
            uri=f"file:///out/runs/{run}/acs/{name}",
            files=(PublishedFile(f"{name}_flt.fits", "flt", name, run[0] * 64, 1),),
            published_at="2026-01-01T00:00:00+00:00",
            transfer=transfer,
        )
        for name in datasets
    ]
    ledger.write(lambda connection: record_publications(connection, found))


def chain(ledger: Ledger, name: str, *members: str) -> None:
    """Define a chain."""
    ledger.write(lambda connection: define_chain(connection, name, members))


def move(ledger: Ledger, name: str, run: str) -> Move:
    """Replace the first run of a chain."""
    return ledger.write(lambda connection: replace_front(connection, name, run))


def members(ledger: Ledger, name: str) -> list[str]:
    """Return the members of a chain."""
    return ledger.ask(lambda rows: chain_members(rows, name))


def test_a_covered_run_leaves(ledger: Ledger) -> None:
    """The new run takes its place; a second call changes nothing and says so."""
    publish(ledger, "old", A, B)
    publish(ledger, "base", C)
    publish(ledger, "new", A, B, C)
    chain(ledger, "best", "old", "base")

    assert move(ledger, "best", "new") == Move("best", ("new",), left="old")
    assert members(ledger, "best") == ["new", "base"]
    assert move(ledger, "best", "new") == Move("best", ("new",), changed=False)
    assert members(ledger, "best") == ["new", "base"]


def test_a_run_that_holds_more_stays_behind(ledger: Ledger) -> None:
    """The chain loses no dataset; those that only the old run holds are named."""
    publish(ledger, "old", A, B)
    publish(ledger, "new", B)
    chain(ledger, "best", "old")

    assert move(ledger, "best", "new") == Move("best", ("new",), behind="old", missing=(A,))
    assert members(ledger, "best") == ["new", "old"]


def test_chains_in_front_and_empty_chains(ledger: Ledger) -> None:
    """A chain in front is no run to replace: it stays behind; an empty chain gets the run."""
    publish(ledger, "old", A)
    publish(ledger, "new", A)
    chain(ledger, "inner", "old")
    chain(ledger, "outer", "inner")
    chain(ledger, "empty")

    assert ledger.ask(lambda rows: look_at_front(rows, "outer")).run is None
    move(ledger, "outer", "new")
    move(ledger, "empty", "new")

    assert members(ledger, "outer") == ["new", "inner"]
    assert members(ledger, "empty") == ["new"]


def test_front_says_output_and_datasets(ledger: Ledger) -> None:
    """Pruned datasets are not held any more."""
    publish(ledger, "old", A, B)
    publish(ledger, "base", C)
    chain(ledger, "best", "old", "base")

    front = ledger.ask(lambda rows: look_at_front(rows, "best"))

    assert (front.run, front.output, front.datasets) == ("old", "file:/out", (A, B, C))


def test_files_where_they_lie_are_no_output(ledger: Ledger) -> None:
    """The output of a run that was ingested in place is the user's own folder."""
    publish(ledger, "theirs", A, transfer="in-place")
    chain(ledger, "best", "theirs")

    front = ledger.ask(lambda rows: look_at_front(rows, "best"))

    assert (front.run, front.output, front.datasets) == ("theirs", None, (A,))


def test_runs_in_front(ledger: Ledger) -> None:
    """A chain is made if it is new; the same again changes nothing; order is kept."""
    for run in ("one", "two", "three"):
        publish(ledger, run, A)

    def put(*runs: str) -> bool:
        return ledger.write(lambda connection: put_in_front(connection, "best", runs)).changed

    assert put("one")
    assert put("two", "three")
    assert not put("two", "three")
    assert put("one")
    assert members(ledger, "best") == ["one", "two", "three"]


def test_refusals(ledger: Ledger) -> None:
    """Unknown chains and runs, names that are taken or not allowed; nothing changes."""
    publish(ledger, "old", A)
    chain(ledger, "best", "old")

    with pytest.raises(ConfigError, match="no chain of this name"):
        move(ledger, "other", "old")
    with pytest.raises(ConfigError, match="no chain or run"):
        move(ledger, "best", "absent")
    with pytest.raises(ConfigError, match="a run has this name"):
        ledger.ask(lambda rows: check_chain(rows, "old"))
    with pytest.raises(ConfigError, match="not a name for a chain"):
        check_chain(None, "../best")
    ledger.ask(lambda rows: check_chain(rows, "best"))
    assert members(ledger, "best") == ["old"]


def test_two_at_once_lose_nothing(ledger: Ledger) -> None:
    """Whichever comes first, the chain holds every dataset afterwards."""
    publish(ledger, "old", A, B)
    publish(ledger, "left", A)
    publish(ledger, "right", B)
    chain(ledger, "best", "old")

    threads = [
        threading.Thread(target=move, args=(ledger, "best", run)) for run in ("left", "right")
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    runs = ledger.ask(lambda rows: chain_runs(rows, "best"))
    held = {each for run in runs for each in ledger.ask(lambda rows, r=run: datasets_in(rows, r))}
    assert held == {A, B}


@given(holdings=st.lists(st.sets(st.sampled_from((A, B, C)), min_size=1), min_size=2, max_size=5))
def test_a_chain_never_loses_a_dataset(
    template: Path, tmp_path_factory: pytest.TempPathFactory, holdings: list[set[str]]
) -> None:
    """After any replacements the chain holds all it held, the replaced ones from the last run."""
    path = tmp_path_factory.mktemp("chain") / "ledger.db"
    path.write_bytes(template.read_bytes())
    with open_ledger(str(path)) as ledger:
        for number, names in enumerate(holdings):
            publish(ledger, f"{number}-run", *names)
        chain(ledger, "best", "0-run")
        for number in range(1, len(holdings)):
            move(ledger, "best", f"{number}-run")
        front = ledger.ask(lambda rows: look_at_front(rows, "best"))

        assert front.run == f"{len(holdings) - 1}-run"
        assert {*front.datasets} == set().union(*holdings)
