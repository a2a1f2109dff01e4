"""Jobs climb to the memory that they need; what kills or hangs ends as an error of its own."""

from __future__ import annotations

import json

import pytest
from campaign_audit import ask, wrong_ends, wrong_history, wrong_publications
from chaos import SCRIPT, Cluster, Machine, wait_for
from ladder_needs import LIMIT, NEEDS

from calib.records import to_json
from calib.simulate.observatory import Observatory, build_observatory
from calib.stages.campaign_plan import CampaignPlan
from calib.stages.planning import Request

pytestmark = [pytest.mark.prefect, pytest.mark.slow]

# 2, 8, 16 and 64 GB, scaled down to what a worker needs anyhow, and what a small machine has.
RUNGS = (800_000_000, 1_200_000_000, 1_600_000_000, 2_000_000_000)

# Bytes beside those of a bare worker, of which up to 300 MB may be counted, too.
NEED = (0, 860_000_000, 1_260_000_000, 1_660_000_000)
HARMLESS = 4
SECONDS = 2.0  # limit of a stage


@pytest.fixture(scope="module")
def sky(tmp_path_factory: pytest.TempPathFactory) -> Observatory:
    """Return one exposure for each rung, one that kills, two that hang, and harmless ones."""
    folder = tmp_path_factory.mktemp("ladder") / "sky"
    return build_observatory(folder, exposures=len(RUNGS) + 3 + HARMLESS, small=True)


@pytest.fixture(scope="module")
def ledger(
    sky: Observatory,
    prefect_environment: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> str:
    """Run the campaign on three workers that are followed by others; return its ledger."""
    folder = tmp_path_factory.mktemp("climb")
    url = f"sqlite:///{folder / 'ledger.db'}"
    kinds = dict(zip(special(sky), ("poison", "hang", "freeze"), strict=True))
    needs = {**dict(zip(sky.datasets[: len(RUNGS)], NEED, strict=True)), **kinds}
    request = Request(
        source=f"file:{sky.raws}",
        output=f"file:{folder / 'out'}",
        profile=sky.profile,
        work=str(folder / "work"),
        ledger=url,
        context=sky.contexts[0],
        campaign="climb",
    )
    manifest = folder / "names.txt"
    manifest.write_text("".join(f"{name} rung={RUNGS[0]}B\n" for name in sky.datasets))
    with Machine(folder) as machine:
        server = {k: v for k, v in prefect_environment.items() if k.startswith("PREFECT_")}
        machine.environment.update(server)
        machine.environment.update({NEEDS: json.dumps(needs), LIMIT: str(SECONDS)})
        # As the documentation tells operators: a lost worker is for the campaign to judge.
        machine.environment["DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES"] = "0"
        machine.environment["PYTHONPATH"] = f"{SCRIPT.parent}:{SCRIPT.parents[1]}"
        cluster = Cluster(machine, [RUNGS[-1]] * 2)
        cluster.start()
        cluster.wait()
        plan = folder / "plan.json"
        asked = CampaignPlan(request, runner=cluster.address, stages="plain", rungs=RUNGS)
        plan.write_text(to_json(asked))
        submit = ("submit", str(plan), str(manifest), "ladder_stages:STAGES")
        process = machine.start("campaign", str(SCRIPT), *submit)

        def has_ended() -> bool:
            cluster.mend()
            return process.poll() is not None

        wait_for(has_ended, "the campaign to end")
        assert "RESULT failed" in machine.said("campaign"), machine.said("campaign")
        assert cluster.losses == len(RUNGS) + 2  # poison on each rung, the frozen one twice
        cluster.stop()
    return url


def special(sky: Observatory) -> tuple[str, ...]:
    """Return the datasets that kill, hang, and hang in a call of C."""
    return sky.datasets[len(RUNGS) : len(RUNGS) + 3]


def tries(url: str, dataset: str) -> list[tuple[int, float, str, str | None]]:
    """Return memory, scale of time, outcome and error class of each attempt."""
    query = """
        SELECT attempt.memory AS memory, attempt.time_scale AS scale, attempt.outcome AS outcome,
          attempt.error_class AS error
        FROM attempt JOIN job ON job.id = attempt.job_id
        WHERE job.dataset = :dataset ORDER BY attempt.number
    """
    rows = ask(url, query, dataset=dataset)
    return [(row["memory"], row["scale"], row["outcome"], row["error"]) for row in rows]


@pytest.mark.parametrize("place", range(len(RUNGS)))
def test_job_ends_on_the_rung_that_it_needs(ledger: str, sky: Observatory, place: int) -> None:
    """It climbs one rung after each lack of memory, and no further than it has to."""
    found = tries(ledger, sky.datasets[place])

    assert [memory for memory, *_ in found] == list(RUNGS[: place + 1])
    assert [error for *_, error in found] == ["OutOfMemory"] * place + [None]


def test_poison_ends_as_an_error_after_the_top_rung(ledger: str, sky: Observatory) -> None:
    """It kills one worker on each rung, and then no more."""
    found = tries(ledger, special(sky)[0])

    assert [memory for memory, *_ in found] == list(RUNGS)


@pytest.mark.parametrize("place", [1, 2])
def test_hang_is_tried_once_more_with_twice_the_time(
    ledger: str, sky: Observatory, place: int
) -> None:
    """Its second end is exit code 137, also where its worker has to be ended: no rung is lost."""
    hanging = special(sky)[place]

    assert [(memory, scale, error) for memory, scale, _, error in tries(ledger, hanging)] == [
        (RUNGS[0], 1.0, "TimedOut"),
        (RUNGS[0], 2.0, "TimedOut"),
    ]
    query = "SELECT code FROM job WHERE dataset = :dataset"
    assert ask(ledger, query, dataset=hanging) == [{"code": 137}]


def test_nobody_else_is_harmed(ledger: str, sky: Observatory) -> None:
    """All others are published, each once, and every history is whole."""
    poison, hanging, frozen = special(sky)
    expected = dict.fromkeys(sky.datasets, "processed")
    expected |= {poison: "error WorkerLost", **dict.fromkeys((hanging, frozen), "error TimedOut")}

    assert wrong_ends(ledger, "climb", expected) == []
    assert wrong_history(ledger) == []
    assert (
        wrong_publications(ledger, [k for k, end in expected.items() if end == "processed"]) == []
    )
