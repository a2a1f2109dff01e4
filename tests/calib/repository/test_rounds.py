"""The watchman's round: everything is seen in so many nights, what waited longest first."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from calib.archive.outputs import FileOutput, Output
from calib.archive.verification import Problem
from calib.errors import Unavailable
from calib.ids import parse_dataset
from calib.ledger.ledger import Ledger
from calib.ledger.verifications import holding_of, inconsistencies
from calib.repository import rounds
from calib.repository.rounds import Round, go_round
from calib.repository.verification import Checked, verify_repository

Publish = Callable[..., str]
DATASETS = ("j8bt05njq", "j8bt06niq", "iaaua1n4q", "iaaj01ivq", "j8bt07oyq")
HOUR = timedelta(hours=1)


def night(ledger: Ledger, url: str, nights: int, **options: Any) -> Round:
    """Go one round."""
    given = {"deep": True, "limit": HOUR, **options}
    return go_round(ledger, url, nights=nights, **given)


def test_everything_is_seen_in_so_many_nights(
    tmp_path: Path, ledger: Ledger, url: str, publish: Publish
) -> None:
    """Five publications in three nights: two, two, and the last with the first again."""
    output = FileOutput(tmp_path / "out")
    for dataset in DATASETS:
        publish(output, "r1", dataset)

    seen = [night(ledger, url, 3) for _ in range(3)]

    assert [each.holding.never for each in seen] == [5, 3, 1]
    assert [each.seen for each in seen] == [2, 2, 2]
    assert ledger.ask(holding_of).never == 0
    assert all(each.problems == [] and not each.is_cut_off for each in seen)


def test_damage_is_told_once_it_is_its_turn(
    tmp_path: Path, ledger: Ledger, url: str, publish: Publish
) -> None:
    """A changed byte is found by reading, and by nothing less; the publication counts as seen."""
    output = FileOutput(tmp_path / "out")
    publish(output, "r1", DATASETS[0])
    path = next((tmp_path / "out" / "runs" / "r1").rglob("*_flt.fits"))
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)

    shallow = night(ledger, url, 1, deep=False)
    deep = night(ledger, url, 1)

    assert shallow.problems == []
    ((uri, run, dataset, problem),) = deep.problems
    assert (run, dataset, problem.kind) == ("r1", DATASETS[0], "changed")
    assert (uri, problem.path) == (output.uri, str(path))
    assert deep.seen == 1


def test_disk_that_is_away_is_no_damage(
    tmp_path: Path, ledger: Ledger, url: str, publish: Publish
) -> None:
    """An output that is not there is said once; what it holds is looked at another night."""
    output = FileOutput(tmp_path / "out")
    for dataset in DATASETS:
        publish(output, "r1", dataset)
    shutil.move(tmp_path / "out", tmp_path / "away")

    seen = night(ledger, url, 1)

    assert (seen.seen, seen.problems) == (0, [])
    assert "is it mounted" in seen.unreached[output.uri]
    assert ledger.ask(holding_of).never == 5


def test_round_ends_in_time(tmp_path: Path, ledger: Ledger, url: str, publish: Publish) -> None:
    """Nothing is begun after the time is over, and the share says so."""
    publish(FileOutput(tmp_path / "out"), "r1", DATASETS[0])

    seen = night(ledger, url, 1, limit=timedelta(0))

    assert seen.is_cut_off
    assert (seen.seen, seen.wanted) == (0, 1)


def test_what_is_away_does_not_take_the_share_of_others(
    tmp_path: Path, ledger: Ledger, url: str, publish: Publish
) -> None:
    """Two of five are unmounted and wait longest: the three others are seen in three nights."""
    away, there = FileOutput(tmp_path / "away"), FileOutput(tmp_path / "there")
    for number, dataset in enumerate(DATASETS):
        publish(away if number < 2 else there, "r1" if number < 2 else "r2", dataset)
    shutil.move(tmp_path / "away", tmp_path / "moved")

    seen = [night(ledger, url, 3) for _ in range(3)]

    assert [each.seen for each in seen] == [2, 2, 2]
    assert [[*each.unreached] for each in seen] == [[away.uri]] * 3
    assert ledger.ask(holding_of).never == 2
    assert not any(each.is_cut_off for each in seen)


@pytest.mark.parametrize("error", [PermissionError("not ours"), Unavailable("503")])
def test_output_that_goes_away_half_way(
    tmp_path: Path,
    ledger: Ledger,
    url: str,
    publish: Publish,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
) -> None:
    """What was seen before counts, with its problems; the rest is told as not reached."""
    output = FileOutput(tmp_path / "out")
    for dataset in DATASETS:
        publish(output, "r1", dataset)
    real = verify_repository

    def breaks(*given: Any, **options: Any) -> Iterator[Checked]:
        for number, each in enumerate(real(*given, **options)):
            if number == 2:
                raise error
            yield replace(each, problems=(Problem("changed", each.uri, "other bytes"),))

    monkeypatch.setattr(rounds, "verify_repository", breaks)
    seen = night(ledger, url, 1)

    assert (seen.seen, len(seen.problems), seen.left) == (2, 2, 0)
    assert str(error) in seen.unreached[output.uri]
    assert ledger.ask(holding_of).never == 3


def test_time_is_looked_at_between_publications(
    tmp_path: Path,
    ledger: Ledger,
    url: str,
    publish: Publish,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Five publications of 50 minutes and two hours: three are seen, and two are left."""
    output = FileOutput(tmp_path / "out")
    for dataset in DATASETS:
        publish(output, "r1", dataset)
    clock = [0.0]
    real = verify_repository

    def slow(*given: Any, **options: Any) -> Iterator[Checked]:
        for each in real(*given, **options):
            clock[0] += 3000.0
            yield each

    monkeypatch.setattr(rounds, "verify_repository", slow)
    monkeypatch.setattr(rounds.time, "monotonic", lambda: clock[0])
    seen = night(ledger, url, 1, limit=2 * HOUR)

    assert (seen.seen, seen.left, seen.is_cut_off) == (3, 2, True)
    assert ledger.ask(holding_of).never == 2


def test_empty_archive(ledger: Ledger, url: str) -> None:
    """Nothing to see is no trouble."""
    seen = night(ledger, url, 30)

    assert (seen.seen, seen.wanted, seen.problems) == (0, 0, [])


def test_current_pointer_without_publication(
    tmp_path: Path, ledger: Ledger, publish: Publish, output: Output
) -> None:
    """A current run that has nothing of the dataset is an inconsistency of the ledger."""
    from calib.ledger.versions import mark_removed, versions_of

    publish(output, "r1", DATASETS[0])
    assert ledger.ask(lambda rows: inconsistencies(rows, silent_for=HOUR)) == []

    versions = ledger.ask(lambda rows: versions_of(rows, DATASETS[0]))
    ledger.write(lambda c: mark_removed(c, versions))

    (said,) = ledger.ask(lambda rows: inconsistencies(rows, silent_for=HOUR))
    assert said == f"{DATASETS[0]}: the current run is r1, which has nothing of it"


def test_job_that_nobody_works_on(ledger: Ledger) -> None:
    """A dead owner is told after the time that its campaign has to see it, not before."""
    from dataclasses import replace

    from calib.ledger.ledger import current_owner

    job = ledger.submit("spring", parse_dataset(DATASETS[0]), "r1", context="hst_0001.pmap")
    gone = replace(current_owner(), pid=2**22 - 1, started=1.0)
    ledger.begin_attempt(job, gone)

    now = ledger.ask(lambda rows: inconsistencies(rows, silent_for=HOUR))
    later = ledger.ask(lambda rows: inconsistencies(rows, silent_for=timedelta(0)))

    assert now == []
    assert len(later) == 1
    assert f"{DATASETS[0]} of campaign spring is processing, and nobody is at work" in later[0]
