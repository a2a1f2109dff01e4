"""Datasets become jobs of a campaign: all or nothing, on one context, nobody twice."""

from __future__ import annotations

import dataclasses
import json
import time
from pathlib import Path
from typing import Any

import pytest

from calib.archive.outputs import open_output
from calib.campaigns.job_overrides import parse_words
from calib.campaigns.manifest import Entry, entries_of
from calib.cost_model import Features
from calib.errors import ConfigError, ContextError
from calib.ids import parse_dataset
from calib.ledger.campaign_reports import LeftJob, campaigns, chunks_left, jobs_left
from calib.ledger.campaigns import cancel_jobs
from calib.ledger.ledger import Ledger, Start, current_owner, open_ledger
from calib.ledger.predictions import record_features
from calib.ledger.reprocessings import NewReprocessing, enter_reprocessing
from calib.ledger.sessions import close_session, open_session
from calib.records import Outcome, from_json
from calib.repository.rebuild import rebuild
from calib.simulate.observatory import Observatory
from calib.stages import planning
from calib.stages.archive import job_fingerprint, run_content
from calib.stages.bestrefs import bestrefs
from calib.stages.calibrate import calibrate_key
from calib.stages.campaign_plan import GB, CampaignPlan
from calib.stages.engine import engine_of
from calib.stages.enrolment import (
    enrol,
    job_of,
    preview_enrolment,
    refuse_other_version,
    stored_text,
)
from calib.stages.fetch import fetch
from calib.stages.job import Job, Options
from calib.stages.planning import Request, plan_jobs
from calib.stages.recording import close_ledgers, ledger_of
from calib.stages.sequence import process_dataset
from calib.switches import Overrides, parse_overrides

NAMES = ("j8bt05njq", "j8bt06o6q", "acs_8ph_01", "lb4p02040")


@pytest.fixture
def plan(request_of: Request) -> CampaignPlan:
    """Return a plan for the simulated observatory."""
    return CampaignPlan(dataclasses.replace(request_of, campaign="nightly"), chunk_size=3)


@pytest.fixture
def ledger(plan: CampaignPlan) -> Any:
    """Return the ledger of the plan; closed afterwards."""
    yield ledger_of(plan.request.ledger)
    close_ledgers()


def left(ledger: Ledger, campaign: int = 1) -> list[LeftJob]:
    """Return all jobs that a campaign has left."""
    chunks = ledger.ask(lambda rows: chunks_left(rows, campaign))
    return [
        job
        for chunk in sorted(chunks)
        for job in ledger.ask(lambda rows, chunk=chunk: jobs_left(rows, campaign, chunk))  # type: ignore[misc]
    ]


def named(plan: CampaignPlan, name: str, **changes: Any) -> CampaignPlan:
    """Return a plan of another campaign."""
    request = dataclasses.replace(plan.request, campaign=name, **changes)
    return dataclasses.replace(plan, request=request)


def test_campaign_of_a_reprocessing_is_entered_by_that_alone(
    plan: CampaignPlan, ledger: Ledger
) -> None:
    """Also where it has not begun: it would become the reprocessing's, with another plan."""
    new = NewReprocessing("july", None, "hst_9002.pmap", "list", "{}")
    ledger.write(lambda c: enter_reprocessing(c, new, [], who="test"))
    for name in ("july", "july-visits"):
        for ask in (enrol, preview_enrolment):
            with pytest.raises(ConfigError, match="one of reprocessing july"):
                ask(named(plan, name), entries_of(NAMES))
    assert ledger.ask(campaigns) == []
    assert enrol(named(plan, "july-august"), entries_of(NAMES)).new == len(NAMES)
    mine = named(plan, "july-canary", run="of-july")
    assert enrol(mine, entries_of(NAMES[:1]), reprocessing="july").new == 1


def test_jobs_have_rungs_chunks_and_keys(plan: CampaignPlan, ledger: Ledger) -> None:
    """Every dataset is planned with memory and disk that it is expected to need."""
    done = enrol(plan, entries_of(NAMES))
    assert (done.new, done.known, sum(done.rungs.values())) == (4, 0, 4)
    assert set(done.rungs) <= set(plan.rungs)
    assert ledger.ask(lambda rows: chunks_left(rows, 1)) == {0: 3, 1: 1}
    found = left(ledger)
    assert [each.dataset for each in found] == list(NAMES)
    assert all(each.disk and each.memory for each in found)
    keys = ledger.ask(lambda rows: rows("SELECT work_key FROM job", {}))
    assert len({row["work_key"] for row in keys}) == 4


def test_disk_of_the_manifest_counts_before_what_is_predicted(
    plan: CampaignPlan, ledger: Ledger
) -> None:
    """A skycell of a few small images does not need what a typical one does."""
    cells = [parse_dataset(f"skycell-p2381x06y0{n}") for n in (1, 2)]
    enrol(plan, [Entry(cells[0]), Entry(cells[1], parse_words(["disk=20GB"]))])
    first, second = left(ledger)
    assert second.disk == 20 * GB
    assert first.disk
    assert first.disk > 4 * second.disk


def test_plan_is_frozen_and_comes_back(
    plan: CampaignPlan, ledger: Ledger, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The name of a campaign is enough to go on: nothing in its plan depends on where we are."""
    monkeypatch.chdir(tmp_path)
    request = dataclasses.replace(plan.request, output="file:out", work="work")
    done = enrol(dataclasses.replace(plan, request=request), entries_of(NAMES))
    (campaign,) = ledger.ask(lambda rows: campaigns(rows, "nightly"))
    found = from_json(CampaignPlan, json.dumps(campaign.plan))
    here = dataclasses.replace(found.request, ledger=plan.request.ledger)
    assert dataclasses.replace(found, request=here) == done.plan
    assert plan.request.ledger not in json.dumps(campaign.plan)
    assert (found.request.output, found.request.work) == (
        f"file:{tmp_path}/out",
        f"{tmp_path}/work",
    )


def test_stored_plan_has_no_password(plan: CampaignPlan) -> None:
    """Whoever may read the ledger does not learn from it how to write it."""
    text = stored_text(named(plan, "nightly", ledger="postgresql://me:s3cret@host/name"))
    assert "s3cret" not in text
    assert from_json(CampaignPlan, text).request.ledger == ""


def test_context_is_frozen(plan: CampaignPlan, ledger: Ledger, observatory: Observatory) -> None:
    """More datasets come in on the campaign's context, whatever is operational by then."""
    enrol(plan, entries_of(NAMES[:2]))
    open_one = named(plan, "nightly", context=None)
    again = enrol(open_one, entries_of(NAMES))
    assert (again.new, again.known) == (2, 2)
    assert again.plan.request.context == plan.request.context
    other = named(plan, "nightly", context=observatory.contexts[1])
    with pytest.raises(ConfigError, match="nightly"):
        enrol(other, entries_of(NAMES))
    assert len(left(ledger)) == 4


def test_other_settings_are_another_campaign(plan: CampaignPlan, ledger: Ledger) -> None:
    """What changes the results is refused; how it is run may change."""
    enrol(plan, entries_of(NAMES[:1]))
    options = Options(overrides=parse_overrides(["DARKCORR=OMIT"]))
    with pytest.raises(ConfigError, match="nightly exists with other settings"):
        enrol(named(plan, "nightly", options=options), entries_of(NAMES))
    faster = dataclasses.replace(plan, workers=9, rungs=(4 * GB,), priority=7)
    assert enrol(faster, entries_of(NAMES)).new == 3
    (campaign,) = ledger.ask(lambda rows: campaigns(rows, "nightly"))
    assert (campaign.plan["workers"], campaign.priority) == (9, 7)


@pytest.mark.parametrize(
    "name", ["", "adhoc", "reproduce", "rebuilt", "a b", "../x", "-x", "é", "x" * 101]
)
def test_bad_names_are_refused(plan: CampaignPlan, ledger: Ledger, name: str) -> None:
    """A name goes into names of flow runs and files; some are the ledger's own."""
    with pytest.raises(ConfigError, match="not a name for a campaign"):
        enrol(named(plan, name), entries_of(NAMES))
    assert ledger.ask(campaigns) == []


def test_nothing_is_written_for_what_cannot_work(plan: CampaignPlan, ledger: Ledger) -> None:
    """No dataset, or no such context: there is no campaign afterwards."""
    with pytest.raises(ConfigError, match="no dataset"):
        enrol(plan, [])
    with pytest.raises(ContextError):
        enrol(named(plan, "nightly", context="hst_8888.pmap"), entries_of(NAMES))
    assert ledger.ask(campaigns) == []


def test_rungs_of_the_manifest_are_those_of_the_ladder(plan: CampaignPlan, ledger: Ledger) -> None:
    """A dataset on a rung that no worker has would never run: all are listed, none is planned."""
    rungs = zip(NAMES, ["rung=3", "rung=64", "rung=8GiB", "priority=1"], strict=True)
    entries = [Entry(parse_dataset(name), parse_words([word])) for name, word in rungs]
    with pytest.raises(ConfigError, match=f"(?s)2 wrong.*{NAMES[0]}.*3 GB.*{NAMES[2]}") as caught:
        enrol(plan, entries)
    assert NAMES[1] not in str(caught.value)
    assert ledger.ask(campaigns) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"rungs": (8, 2)},
        {"rungs": (2, 2)},
        {"rungs": (0, 2)},
        {"workers": 0},
        {"chunk_size": 0},
        {"downloads": -1},
        {"delay_scale": -1.0},
        {"delay_scale": float("nan")},
    ],
)
def test_plans_that_cannot_be_run(plan: CampaignPlan, wrong: dict[str, Any]) -> None:
    """Whatever way a plan comes in, what cannot be run is refused before work."""
    with pytest.raises(ConfigError):
        dataclasses.replace(plan, **wrong)


def test_overrides_win(plan: CampaignPlan, ledger: Ledger) -> None:
    """Rung, factor, retries and priority of the manifest are those of the job."""
    words = ["rung=64", "timeout_scale=3", "retries=2", "priority=4"]
    entries = [*entries_of(NAMES[:1]), Entry(parse_dataset(NAMES[1]), parse_words(words))]
    done = enrol(plan, entries)
    urgent, usual = left(ledger)
    job = job_of(done.plan, urgent)
    assert (urgent.dataset, urgent.priority, usual.priority) == (NAMES[1], 4, 0)
    assert (job.grant.memory, job.grant.time_scale) == (64 * GB, 3.0)
    assert job.grant.most == {"memory": 2, "time": 2, "again": 2}
    assert (job.grant.rungs, job.grant.is_supervised) == (plan.rungs, True)
    assert set(job.grant.limits) >= {"fetch", "calibrate", "archive"}
    assert job_of(done.plan, usual).grant.most == {}


def test_job_of_a_row_is_the_job_of_a_request(
    plan: CampaignPlan, ledger: Ledger, observatory: Observatory
) -> None:
    """A campaign's job differs from that of `process` in its campaign and grant alone."""
    done = enrol(plan, entries_of(observatory.datasets))
    mine = job_of(done.plan, left(ledger)[0])
    theirs = plan_jobs(plan.request, observatory.datasets)[0]
    assert mine.attempts == 0
    same = {"grant": theirs.grant, "work_key": theirs.work_key, "attempts": None}
    assert dataclasses.replace(mine, **same) == theirs  # type: ignore[arg-type]
    row = ledger.ask(lambda rows: rows("SELECT work_key FROM job ORDER BY id", {}))[0]
    assert row["work_key"] == theirs.work_key


def test_own_settings_are_of_the_job_and_not_of_its_run(
    plan: CampaignPlan, ledger: Ledger, observatory: Observatory
) -> None:
    """Fingerprint, stage keys and work key know them; the run, which is write-once, does not."""
    first, second = observatory.datasets[:2]
    own = parse_words(["set=DARKCORR=OMIT", "env.PIPELINE_RESET_IDCTAB=on"])
    options = Options(overrides=Overrides({"FLATCORR": "OMIT"}))
    plan = named(plan, "nightly", options=options)
    done = enrol(plan, [Entry(parse_dataset(first), own), *entries_of([second])])
    special, usual = (job_of(done.plan, each) for each in left(ledger))

    assert special.options.overrides.switches == {"FLATCORR": "OMIT", "DARKCORR": "OMIT"}
    assert special.options.env == {"PIPELINE_RESET_IDCTAB": "on"}
    assert (special.run, run_content(special, "x")) == (usual.run, run_content(usual, "x"))
    plain = dataclasses.replace(special, options=options, run_options=None)
    no_env = dataclasses.replace(special, options=dataclasses.replace(special.options, env={}))
    assert len({_marks(each) for each in (special, plain, no_env)}) == 3
    keys = ledger.ask(lambda rows: rows("SELECT work_key FROM job ORDER BY id", {}))
    assert keys[0]["work_key"] != plan_jobs(plan.request, [first])[0].work_key
    assert keys[1]["work_key"] == plan_jobs(plan.request, [second])[0].work_key


def test_another_place_is_of_the_fetch_alone(
    plan: CampaignPlan, ledger: Ledger, observatory: Observatory
) -> None:
    """The job fetches there; its run and its work are those of the dataset, wherever it lies."""
    first, second = observatory.datasets[:2]
    own = parse_words(["input=file:/elsewhere"])
    done = enrol(plan, [Entry(parse_dataset(first), own), *entries_of([second])])
    special, usual = (job_of(done.plan, each) for each in left(ledger))
    assert special.source == "file:/elsewhere"
    assert usual.source == done.plan.request.source
    assert special.run == usual.run
    keys = ledger.ask(lambda rows: rows("SELECT work_key FROM job ORDER BY id", {}))
    assert keys[0]["work_key"] == plan_jobs(plan.request, [first])[0].work_key


def _marks(job: Job) -> tuple[str, str]:
    """Return the fingerprint of a job, and the key of its calibration."""
    inputs = fetch(job).record
    references = bestrefs(job, inputs).record
    engine = engine_of(job, inputs)
    key = calibrate_key(job, engine, inputs, references)
    return job_fingerprint(job, inputs, references, engine), key


def test_history_decides_the_rung(plan: CampaignPlan, ledger: Ledger) -> None:
    """A dataset that was seen before is predicted from what it looked like."""
    one = parse_dataset(NAMES[0])
    attempt = ledger.start(Start("adhoc", one, "r0", "hst_1.pmap"), current_owner())
    huge = Features(100, 20_000.0, 1, 1, 2, 0, 1, 1, 0)
    ledger.write(lambda c: record_features(c, attempt, huge))
    ledger.finish_attempt(attempt, Outcome(one.name, "processed", "a test"))
    enrol(plan, entries_of(NAMES[:1]))
    enrol(named(plan, "other"), entries_of(["j8bt05nkq"]))
    (seen,), (unseen,) = left(ledger, 2), left(ledger, 3)
    assert seen.disk is not None
    assert unseen.disk is not None
    assert (seen.memory or 0) >= (unseen.memory or 0)
    assert seen.disk > unseen.disk


def test_same_work_elsewhere_is_refused(plan: CampaignPlan, ledger: Ledger) -> None:
    """While another campaign is at work, its unfinished datasets cannot be asked for again."""
    names = [f"j8bt{number:02d}njq" for number in range(12)]
    enrol(plan, entries_of(names))
    other = named(plan, "other")
    session = ledger.write(lambda c: open_session(c, "nightly", current_owner()))
    expected = r"campaign nightly is processing the same: j8bt00njq, .*j8bt09njq and 2 more"
    for refuse in (enrol, preview_enrolment):
        with pytest.raises(ConfigError, match=expected):
            refuse(other, entries_of([*names, "j8bt99njq"]))
    assert [each.name for each in ledger.ask(campaigns)] == ["nightly"]
    enrol(plan, entries_of(names))  # its own jobs are no duplicates
    enrol(named(plan, "third", run="mine"), entries_of(names))  # nor is another run

    ledger.write(lambda c: close_session(c, session, "paused", "a test"))
    attempt = ledger.start(
        Start("nightly", parse_dataset(names[0]), left(ledger)[0].run, str(plan.request.context)),
        current_owner(),
    )
    with pytest.raises(ConfigError, match="the same: j8bt00njq "):
        enrol(other, entries_of(names))
    ledger.finish_attempt(attempt, Outcome(names[0], "processed", "a test"))
    assert enrol(other, entries_of(names)).new == 12


def test_preview_writes_nothing(plan: CampaignPlan, ledger: Ledger) -> None:
    """A dry run says what would be new, and leaves no campaign behind."""
    would = preview_enrolment(plan, entries_of(NAMES))
    assert ledger.ask(campaigns) == []
    assert would == enrol(plan, entries_of(NAMES))
    again = preview_enrolment(plan, entries_of([*NAMES, "j8bt99njq"]))
    assert (again.new, again.known) == (1, 4)


def test_ten_thousand_datasets_in_seconds(plan: CampaignPlan, ledger: Ledger) -> None:
    """Enrolment is a few statements, not one for each dataset."""
    entries = [Entry(parse_dataset(f"j{number:07d}q")) for number in range(10_000)]
    start = time.process_time()
    assert enrol(dataclasses.replace(plan, chunk_size=500), entries).new == 10_000
    assert time.process_time() - start < 3
    assert len(ledger.ask(lambda rows: chunks_left(rows, 1))) == 20


def test_campaign_with_own_settings_is_processed_and_rebuilt(
    plan: CampaignPlan, ledger: Ledger, observatory: Observatory, tmp_path: Path
) -> None:
    """One run takes datasets with and without settings of their own, and a rebuild knows both."""
    first, second = observatory.datasets[:2]
    own = parse_words(["set=DARKCORR=OMIT"])
    done = enrol(plan, [Entry(parse_dataset(first), own), *entries_of([second])])
    outcomes = [process_dataset(job_of(done.plan, each)) for each in left(ledger)]

    assert [(each.state, each.run) for each in outcomes] == [("processed", done.run)] * 2
    output = open_output(done.plan.request.output)
    told = [output.manifest(done.run, parse_dataset(each)).provenance for each in (first, second)]
    assert [each["switches"]["DARKCORR"] for each in told] == ["OMIT", "COMPLETE"]
    with open_ledger(str(tmp_path / "again.db")) as again:
        rebuild(output, again)
        runs = "SELECT parameters FROM run"
        assert again.ask(lambda rows: rows(runs, {})) == ledger.ask(lambda rows: rows(runs, {}))


@pytest.mark.parametrize("run", [None, "mine"])
def test_campaign_of_another_version_is_not_gone_on_with(
    plan: CampaignPlan, ledger: Ledger, monkeypatch: pytest.MonkeyPatch, run: str | None
) -> None:
    """Its run would hold products of two versions; where nothing is left there is no harm."""
    enrol(named(plan, "nightly", run=run), entries_of(NAMES[:1]))
    ledger.ask(lambda rows: refuse_other_version(rows, "nightly"))

    monkeypatch.setattr(planning, "version", lambda _name: "99.0")
    with pytest.raises(ConfigError, match=r"nightly was submitted with another version"):
        ledger.ask(lambda rows: refuse_other_version(rows, "nightly"))
    ledger.write(lambda c: cancel_jobs(c, [1], "no more"))
    ledger.ask(lambda rows: refuse_other_version(rows, "nightly"))


def test_visits_and_skycells_are_enrolled_beside_exposures(plan: CampaignPlan, ledger: Any) -> None:
    """Each with the memory of its kind: a skycell is an image of 21418 x 21418 pixels."""
    with_rungs = dataclasses.replace(plan, rungs=(2 * GB, 8 * GB, 16 * GB, 64 * GB))
    names = ["j8bt05njq", "acs_8ph_01", "skycell-p2381x06y09"]

    enrol(with_rungs, entries_of(names))

    rows = ledger.ask(lambda ask: ask("SELECT dataset, memory FROM job", {}))
    memory = {row["dataset"]: row["memory"] for row in rows}
    assert sorted(memory) == sorted(names)
    assert memory["j8bt05njq"] < memory["acs_8ph_01"] <= memory["skycell-p2381x06y09"]
