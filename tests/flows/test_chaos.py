"""A campaign that is disturbed in every way that an operator meets loses and doubles nothing."""

from __future__ import annotations

import dataclasses
import logging
import random
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import pytest
from campaign_audit import (
    ask,
    other_products,
    scratch_left,
    wrong_ends,
    wrong_history,
    wrong_publications,
)
from chaos import SCRIPT, Cluster, FaultyBucket, Machine, Server, wait_for

from calib.fetch.options import URL_VARIABLE
from calib.records import to_json
from calib.simulate.mast_server import MastServer
from calib.simulate.observatory import Observatory, build_observatory
from calib.simulate.programme import flip_bits
from calib.stages.campaign_plan import CampaignPlan
from calib.stages.job import Options
from calib.stages.planning import Request, plan_jobs
from calib.stages.sequence import process_dataset
from calib.stores.s3_client import open_client
from calib.stores.s3_store import S3Store
from flows.private_server import free_port

pytestmark = [pytest.mark.prefect, pytest.mark.slow]

log = logging.getLogger(__name__)

SEED = 20261123
DATASETS = 44
BROKEN = 5
NAME, BUCKET = "night", "archive"
WORKER_MEMORY = 2 * 10**9

# A lost worker is taken for a lack of memory: each loss is one rung, and all fit every worker.
RUNGS = tuple(WORKER_MEMORY * step // 10 for step in range(5, 11))

# How many workers are killed, and when: at these numbers of finished datasets.
KILLS = 6
SERVER_STOPS_AT, CAMPAIGN_DIES_AT = 10, 24
SERVER_DOWN = 3.0  # seconds

# A worker that is killed while it downloads keeps its turn for a minute.
DOWNLOADS = KILLS + 4

# What the archive does to the first downloads of a dataset; each passes by itself.
FAULTS = ("503:1", "truncate:20000", "html", "slow:1", "500", "no-length", "pace:0.2")


@pytest.fixture(scope="module")
def sky(tmp_path_factory: pytest.TempPathFactory) -> Observatory:
    """Return 44 small exposures, of which one is broken."""
    sky = build_observatory(
        tmp_path_factory.mktemp("chaos") / "sky", exposures=DATASETS, small=True
    )
    flip_bits(sky.raws / f"{sky.datasets[BROKEN]}_raw.fits")
    return sky


class Chaos:
    """A campaign on a cluster, a server, an archive and a bucket, all of which misbehave."""

    def __init__(self, sky: Observatory, folder: Path) -> None:
        self.sky, self.folder = sky, folder
        self.rng = random.Random(SEED)
        self.ledger = f"sqlite:///{folder / 'ledger.db'}"
        self.expected = dict.fromkeys(sky.datasets, "processed")
        self.expected[sky.datasets[BROKEN]] = "error CorruptFile"
        self.good = [name for name, end in self.expected.items() if end == "processed"]
        self.request = Request(
            source="astroquery:",
            output=f"s3://{BUCKET}/hst",
            profile=sky.profile,
            work=str(folder / "work"),
            ledger=self.ledger,
            context=sky.contexts[1],
            run=NAME,
            campaign=NAME,
            options=Options(messages="flat"),
        )

    def run_undisturbed(self) -> Path:
        """Process all datasets here, one after the other; return the folder of the run."""
        calm = dataclasses.replace(
            self.request,
            source=f"file:{self.sky.raws}",
            output=f"file:{self.folder / 'calm'}",
            work=str(self.folder / "calm-work"),
            ledger=f"sqlite:///{self.folder / 'calm.db'}",
        )
        outcomes = [process_dataset(job) for job in plan_jobs(calm, self.sky.datasets)]
        ends = Counter(each.state for each in outcomes)
        assert ends == {"processed": len(self.good), "error": 1}
        return self.folder / "calm" / "runs" / NAME

    def start(self, machine: Machine, cluster: Cluster) -> None:
        """Start the campaign process for the first time."""
        plan = CampaignPlan(
            self.request,
            runner=cluster.address,
            stages="tasks",
            rungs=RUNGS,
            downloads=DOWNLOADS,
            delay_scale=0.01,
        )
        files = self.folder / "plan.json", self.folder / "names.txt"
        files[0].write_text(to_json(plan))
        files[1].write_text("\n".join(self.sky.datasets) + "\n")
        self.process = machine.start("campaign", str(SCRIPT), "submit", *map(str, files))

    def disturb(self, machine: Machine, server: Server, cluster: Cluster) -> None:
        """Run the campaign to its end, and break something at set numbers of datasets."""
        acts = sorted(
            [
                *((number, "worker") for number in self.rng.sample(range(2, 40), KILLS)),
                (SERVER_STOPS_AT, "server"),
                (CAMPAIGN_DIES_AT, "campaign"),
            ]
        )
        began = time.monotonic()
        self.start(machine, cluster)
        for number, act in acts:
            self._wait_until_finished(number, cluster)
            time.sleep(self.rng.uniform(0, 0.4))
            passed = time.monotonic() - began
            log.info("%5.1f s: %d ended, %s dies", passed, self.finished(), act)
            if act == "worker":
                cluster.kill(self.rng.randrange(len(cluster.workers)))
            elif act == "server":
                server.stop()
                time.sleep(SERVER_DOWN)
                server.start()
            else:
                self.process.kill()
                self.process.wait()
                self.process = machine.start("resumed", str(SCRIPT), "resume", NAME, self.ledger)
                wait_for(lambda: self._sessions() > 1, "the campaign to be resumed")
                self.intruder = machine.start("intruder", str(SCRIPT), "resume", NAME, self.ledger)
        wait_for(lambda: self.process.poll() is not None, "the campaign to end")
        log.info("%5.1f s: the campaign has ended", time.monotonic() - began)
        self.intruder.wait(60)

    def _wait_until_finished(self, number: int, cluster: Cluster) -> None:
        def is_so() -> bool:
            cluster.mend()
            return self.process.poll() is not None or self.finished() >= number

        wait_for(is_so, f"{number} datasets to end")

    def _sessions(self) -> int:
        return len(ask(self.ledger, "SELECT id FROM campaign_session"))

    def finished(self) -> int:
        """Return how many datasets have ended."""
        query = "SELECT COUNT(*) AS n FROM job WHERE state IN ('processed', 'error')"
        return sum(row["n"] for row in ask(self.ledger, query))


def plan_faults(mast: MastServer, sky: Observatory, rng: random.Random) -> None:
    """Let the archive fail one or two downloads of half of all datasets."""
    for name in rng.sample(sky.datasets, DATASETS // 2):
        mast.faults[f"{name}_raw.fits"] = rng.choices(FAULTS, k=rng.choice([1, 2]))
    mast.query_faults["missions"] = ["503", "html", "slow:1", "503"]


def fetch_all(folder: Path) -> list[str]:
    """Copy the run from the bucket; return the keys of what is left of work in progress."""
    store, left = S3Store(BUCKET, "hst"), []
    for stored in list(store.list_keys("")):
        if not stored.key.startswith(f"runs/{NAME}/acs/"):
            left.append(stored.key)
            continue
        path = folder / stored.key.removeprefix(f"runs/{NAME}/")
        path.parent.mkdir(parents=True, exist_ok=True)
        store.get(stored.key, path)
    return [key for key in left if not key.endswith("current.json")]


def test_disturbed_campaign_loses_and_doubles_nothing(
    sky: Observatory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Workers, campaign process and server die, archives refuse: each dataset is done once."""
    log.info("seed %d", SEED)
    chaos, bucket = Chaos(sky, tmp_path), FaultyBucket(SEED, share=0.0)
    with ExitStack() as stack:
        settings = {
            "AWS_ENDPOINT_URL_S3": stack.enter_context(bucket.running()),
            "AWS_ACCESS_KEY_ID": "somebody",
            "AWS_SECRET_ACCESS_KEY": "s3cr3t-of-the-tests",
            "AWS_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            URL_VARIABLE: stack.enter_context(mast := MastServer(sky.raws)).url,
        }
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        open_client(settings["AWS_ENDPOINT_URL_S3"], anonymous=False).create_bucket(Bucket=BUCKET)
        machine = stack.enter_context(Machine(tmp_path))
        server, cluster = Server(machine, free_port()), Cluster(machine, [WORKER_MEMORY] * 3)
        server.start()
        cluster.start()
        calm = chaos.run_undisturbed()
        plan_faults(mast, sky, chaos.rng)
        bucket.share = 0.05
        server.wait()
        cluster.wait()
        chaos.disturb(machine, server, cluster)
        bucket.share = 0.0
        events = Counter(server.events("hst.dataset."))
        cluster.stop()
        server.stop()
        strays = [" ".join(each.cmdline()) for each in machine.strays()]
        left = fetch_all(tmp_path / "copy")

    assert "RESULT" in machine.said("resumed"), machine.said("campaign") + machine.said("resumed")
    assert "campaign night is run by pid" in machine.said("intruder")
    assert cluster.kills == KILLS
    assert bucket.faults
    assert wrong_ends(chaos.ledger, NAME, chaos.expected) == []
    assert wrong_history(chaos.ledger) == []
    assert wrong_publications(chaos.ledger, chaos.good) == []
    assert other_products(calm / "acs", tmp_path / "copy" / "acs") == []
    assert (strays, left, scratch_left(tmp_path / "work", chaos.good)) == ([], [], [])
    # Those of the time without a server are lost: the ledger has what they say.
    assert sum(events.values()) > len(chaos.good) // 2
    assert [pair for pair in events.items() if pair[1] > 1] == []
