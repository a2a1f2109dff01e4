"""Archive and ledger agree, wherever the machine stops and whoever publishes beside us."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import databases
import pytest
from breakable import PowerCut

from calib.archive import pointer, publish
from calib.archive.outputs import open_output
from calib.ids import DatasetId, parse_dataset
from calib.ledger.ledger import Ledger, current_owner
from calib.ledger.products import ProductQuery, find_products
from calib.ledger.reports import current_run_of, states_in
from calib.stages import archive as archiving
from calib.stages import sequence, state_message
from calib.stages.job import Job, Options
from calib.stages.recording import ledger_of
from calib.stages.sequence import process_dataset

template, url = databases.template, databases.url


# The steps from the first entry of the run to the end of the job: renames of the archive, and
# every transaction of the ledger.
STEPS: tuple[tuple[Any, str], ...] = (
    (publish, "_move"),
    (pointer, "swap"),
    (archiving, "publish_tar"),
    (Ledger, "ensure_run"),
    (Ledger, "record_publication"),
    (Ledger, "set_current"),
    (Ledger, "write"),
    (state_message, "finish"),
)


@contextmanager
def cut_at(number: int) -> Iterator[list[str]]:
    """Stop before one of the steps, and at all later ones; give the steps that were begun."""
    begun: list[str] = []

    def wrap(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **kwargs: Any) -> Any:
            if begun or name == "ensure_run":
                begun.append(name)
            if len(begun) > number:
                raise PowerCut
            return call(*args, **kwargs)

        return counted

    with pytest.MonkeyPatch.context() as patch:
        for owner, name in STEPS:
            patch.setattr(owner, name, wrap(name, getattr(owner, name)))
        yield begun


def insist_on_agreement(job: Job, run: str) -> None:
    """Compare pointer, manifest and files with what the ledger says."""
    output, ledger = open_output(str(job.output)), ledger_of(job.ledger)
    manifest = output.current_manifest(job.id)
    assert manifest is not None
    assert manifest.run == run
    assert output.verify(job.id) == []
    assert ledger.ask(lambda rows: current_run_of(rows, job.dataset)) == run
    query = ProductQuery(datasets=(job.dataset,), current=True)
    found = ledger.ask(lambda rows: find_products(rows, query))
    assert {(each.name, each.sha256) for each in found} == {
        (file.name, file.sha256) for file in manifest.files
    }


@pytest.fixture
def dead_owner(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Work as a process that will be taken for dead: its start is not that of ours."""
    with monkeypatch.context() as patch:
        owner = dataclasses.replace(current_owner(), started=1.0)
        patch.setattr(sequence, "current_owner", lambda: owner)
        yield patch


def test_a_crash_between_any_two_steps_is_mended(
    job: Job, url: str, tmp_path: Path, dead_owner: pytest.MonkeyPatch
) -> None:
    """The next attempt of the same job ends processed or skipped, archive and ledger agree."""
    options = Options(tar=True, previews="none", keep_scratch=True)
    base = dataclasses.replace(job, ledger=url, options=options, run="r", run_is_named=True)

    def job_in(run: str) -> Job:
        # The stages before publication are finished: they are not what is tested.
        if run != base.run:
            shutil.copytree(base.folder, Path(base.work) / run / base.dataset)
        output = f"file:{tmp_path / 'out' / run}"
        return dataclasses.replace(base, run=run, output=output)

    with cut_at(1000) as steps:
        process_dataset(job_in("r"))
    ended = set()
    for number in range(len(steps)):
        broken = job_in(f"r{number}")
        with cut_at(number), pytest.raises(PowerCut):
            process_dataset(broken)

        outcome = process_dataset(broken)

        ended.add(outcome.state)
        assert outcome.state in {"processed", "skipped"}
        insist_on_agreement(broken, broken.run)
        tar = tmp_path / "out" / broken.run / "outputs" / job.dataset / f"{job.dataset}.tar.gz"
        assert tar.is_file()

    assert steps[0] == "ensure_run"
    assert {"_move", "swap", "record_publication", "set_current", "publish_tar"} < set(steps)
    assert {"write", "finish"} < set(steps)
    assert ended == {"processed", "skipped"}


def test_the_ledger_follows_the_pointer(job: Job) -> None:
    """A run that is published again, but is not the newest, does not become current."""
    job = dataclasses.replace(job, options=Options(previews="none", keep_scratch=True))
    process_dataset(job)
    output, ledger = open_output(str(job.output)), ledger_of(job.ledger)
    manifest = output.current_manifest(job.id)
    assert manifest is not None
    overrides = dataclasses.replace(job.options.overrides, switches={"DARKCORR": "OMIT"})
    newer = dataclasses.replace(job.options, overrides=overrides)
    process_dataset(dataclasses.replace(job, run="newer", options=newer))

    number = ledger.submit("late", job.id, job.run, context=job.context)
    ledger.ensure_campaign("late")
    attempt = ledger.begin_attempt(number, current_owner())
    old = archiving.Archived(job.run, f"{output.uri}/runs", "0" * 64, already_there=True)
    archiving.register_products(job, attempt, old)

    insist_on_agreement(job, "newer")


PUBLISHER = """
import json, sys
from pathlib import Path
from calib.archive.outputs import open_output
from calib.archive.publish import File, Publication
from calib.errors import HstflowError
from calib.ledger.ledger import current_owner
from calib.references.profile import load_profile
from calib.stages.archive import register_products, register_run
from calib.stages.job import Job
from calib.stages.recording import ledger_of

me, url, output, work, rounds = sys.argv[1:]
files = tuple(File("product", path) for path in sorted(Path(work).iterdir()))
ledger = ledger_of(url)
ledger.ensure_campaign(me)
print("ready", flush=True)
input()
answers = []
for dataset, run, fingerprint in json.loads(rounds):
    job = Job(
        dataset=dataset, campaign=me, run=run, run_is_named=True, context="hst_1.pmap",
        profile=load_profile("onsite", {}), source="file:x", output=output, work=work, ledger=url,
    )
    number = ledger.submit(me, job.id, run, context=job.context)
    attempt = ledger.begin_attempt(number, current_owner())
    register_run(job, run)
    try:
        archived = open_output(output).publish(Publication(job.id, run, fingerprint, files))
        register_products(job, attempt, archived)
        answers.append("there" if archived.already_there else "published")
    except HstflowError as error:
        answers.append(error.message)
print(json.dumps(answers), flush=True)
"""

NAMES = ["one", "two"]
LETTERS = "abc"


def contests(me: str) -> list[tuple[str, str, str]]:
    """Return datasets with the run and fingerprint of one of two publishers."""
    twins = [(f"j8bt05{each}tq", "twins", "same") for each in LETTERS]
    rivals = [(f"j8bt05{each}rq", "rivals", f"of {me}") for each in LETTERS]
    apart = [(f"j8bt05{each}aq", f"run-{me}", f"of {me}") for each in LETTERS]
    return [each for three in zip(twins, rivals, apart, strict=True) for each in three]


def race(url: str, output: str, folder: Path) -> list[list[str]]:
    """Publish all contests by two processes at once; return what came of each."""
    with ExitStack() as stack:
        processes = []
        for me in NAMES:
            work = folder / me
            work.mkdir()
            for name in ("a.fits", "b.fits", f"{me}.fits"):
                (work / name).write_text(me * 20_000)
            words = [me, url, output, str(work), json.dumps(contests(me))]
            process = subprocess.Popen(
                [sys.executable, "-c", PUBLISHER, *words],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            stack.enter_context(process)
            stack.callback(process.kill)
            processes.append(process)
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        return [json.loads(process.communicate(timeout=100)[0]) for process in processes]


def insist_on_one_winner(output: str, url: str, dataset: DatasetId) -> str:
    """Insist that what is current is whole and of one writer, in the ledger too; return it."""
    job = Job(
        dataset=dataset.name,
        campaign="",
        run="",
        run_is_named=True,
        context="",
        profile=None,  # type: ignore[arg-type] - nothing is asked of CRDS
        source="",
        output=output,
        work="",
        ledger=url,
    )
    manifest = open_output(output).current_manifest(dataset)
    assert manifest is not None
    insist_on_agreement(job, manifest.run)
    names = {file.name for file in manifest.files}
    winner = ({"one.fits", "two.fits"} & names).pop().removesuffix(".fits")
    assert names == {"a.fits", "b.fits", f"{winner}.fits"}
    assert len({file.sha256 for file in manifest.files}) == 1, "a mixture"
    return winner


def check_race(url: str, output: str, answers: list[list[str]]) -> None:
    """Hold the end of a race against what each of the two was told."""
    for number, (dataset, run, _) in enumerate(contests("one")):
        said = [each[number] for each in answers]
        winner = insist_on_one_winner(output, url, parse_dataset(dataset))
        if run == "twins":
            assert sorted(said) == ["published", "there"]
            assert said[NAMES.index(winner)] == "published"
        elif run == "rivals":
            assert sorted(text[:21] for text in said) == ["a run is written once", "published"]
            assert said[NAMES.index(winner)] == "published"
        else:
            assert said == ["published", "published"]
    states = [ledger_of(url).ask(lambda rows, me=me: states_in(rows, me)) for me in NAMES]
    assert all(len(each) == 3 * len(LETTERS) for each in states)


def test_two_processes_have_one_winner(url: str, tmp_path: Path) -> None:
    """The same and different results, in one run and in two: no mixture, no lock error."""
    output = f"file:{tmp_path / 'out'}"

    answers = race(url, output, tmp_path)

    check_race(url, output, answers)


@pytest.mark.slow
def test_two_processes_at_a_bucket(url: str, bucket: str, tmp_path: Path) -> None:
    """The same where publication is put by put."""
    output = f"s3://{bucket}/out"

    answers = race(url, output, tmp_path)

    check_race(url, output, answers)
