"""From a new context on a CRDS server to the right datasets, through everything that is real.

Real: Prefect's server, its automation and a worker; Dask's scheduler and workers; the clients of
CRDS and MAST, against servers of this machine; the calibration of small exposures.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from astropy.io import fits
from campaign_audit import ask, wrong_history
from chaos import ROOT, Cluster, Machine, Server
from reprocess_control import REPROCESS, WATCH, Control, Watcher

from calib.fetch.options import URL_VARIABLE
from calib.references.profile import CrdsProfile
from calib.simulate.crds_server import CrdsServer
from calib.simulate.mast_server import MastServer
from calib.simulate.observatory import Observatory, build_observatory
from calib.stages.planning import Request, plan_jobs
from calib.stages.sequence import process_dataset
from flows.private_server import free_port

pytestmark = [pytest.mark.prefect, pytest.mark.slow]

A, B, C = "hst_9001.pmap", "hst_9002.pmap", "hst_9003.pmap"
NAME = "9001-9002"
DATASETS = 6
WORKER_MEMORY = 2 * 10**9
PATIENCE = 0.5  # minutes that a look gives the event
HELD_BACK = ["404"] * 1000  # for as long as the test wants


@pytest.fixture(scope="module")
def sky(tmp_path_factory: pytest.TempPathFactory) -> Observatory:
    """Return small exposures; every fourth was taken before the dark that B has."""
    folder = tmp_path_factory.mktemp("reprocess") / "sky"
    return build_observatory(folder, exposures=DATASETS, small=True)


class Archive:
    """An archive whose products are all on A, and that everything of the test works on."""

    def __init__(self, sky: Observatory, folder: Path, crds: CrdsServer, mast: MastServer) -> None:
        self.sky, self.folder, self.crds = sky, folder, crds
        self.ledger = f"sqlite:///{folder / 'ledger.db'}"
        self.output = f"file:{folder / 'out'}"
        self.environment = {
            **crds.environ(folder / "cache"),
            URL_VARIABLE: mast.url,
            "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}",
            "HSTFLOW_LEDGER": self.ledger,
            "HSTFLOW_WORK": str(folder / "work"),
        }

    def process_all(self) -> None:
        """Calibrate every dataset on A, as the archive did before."""
        request = Request(
            source=f"file:{self.sky.raws}",
            output=self.output,
            profile=CrdsProfile("environment", self.crds.url, self.folder / "cache"),
            work=str(self.folder / "work"),
            ledger=self.ledger,
            context=A,
        )
        ends = [process_dataset(job).state for job in plan_jobs(request, self.sky.datasets)]
        assert ends == ["processed"] * DATASETS

    def used(self) -> dict[str, tuple[str, str]]:
        """Return context and dark of the current product of each dataset."""
        found = {}
        for name in self.sky.datasets:
            product = self.folder / "out" / "data" / "acs" / name / f"{name}_flt.fits"
            header = fits.getheader(product)
            found[name] = (header["CRDS_CTX"], header["DARKFILE"].rpartition("$")[2])
        return found

    def reprocessing(self) -> dict[str, Any]:
        """Return the one reprocessing that there is."""
        (row,) = ask(self.ledger, "SELECT name, state, reason, transition FROM reprocessing")
        return row

    def current(self) -> list[dict[str, Any]]:
        """Return which run is current for each dataset."""
        return ask(self.ledger, "SELECT * FROM current_run ORDER BY dataset")

    def publications(self) -> int:
        """Return how often something was published."""
        return int(ask(self.ledger, "SELECT COUNT(*) AS n FROM publication")[0]["n"])


@pytest.fixture
def archive(sky: Observatory, tmp_path: Path) -> Iterator[Archive]:
    """Return an archive whose products are still to be made, and its servers."""
    with CrdsServer(sky.crds_path, context=A) as crds, MastServer(sky.raws) as mast:
        yield Archive(sky, tmp_path, crds, mast)


@pytest.fixture
def started(archive: Archive, tmp_path: Path) -> Iterator[tuple[Control, Watcher]]:
    """Start Prefect, Dask, a worker and a watcher; deploy what prefect.yaml has.

    The archive calibrates its products on A while they come up.
    """
    with ExitStack() as stack:
        machine = stack.enter_context(Machine(tmp_path))
        machine.environment |= archive.environment
        server, cluster = Server(machine, free_port()), Cluster(machine, [WORKER_MEMORY] * 2)
        server.start()
        cluster.start()
        watcher = Watcher(machine, PATIENCE)
        archive.process_all()
        server.wait()
        control = Control(machine, server)
        stack.callback(control.close)
        cluster.wait()
        how = {"runner": cluster.address, "stages": "plain", "rungs": [WORKER_MEMORY // 2]}
        control.deploy(
            {
                WATCH: {"patience": PATIENCE},
                REPROCESS: {
                    "output_uri": archive.output,
                    "asked": {"approval": "yes", "per_type": 1},
                    "how": {**how, "delay_scale": 0.01},
                },
            },
            {},
        )
        watcher.wait()
        yield control, watcher


def later_dark(sky: Observatory) -> str:
    """Return the name of the dark that B has and A has not."""
    texts = [
        "".join(path.read_text() for path in sky.profile.mappings.glob(f"hst_acs_darkfile_{n}*"))
        for n in ("9001", "9002")
    ]
    names = {path.name for path in sky.profile.references.glob("*_drk.fits")}
    (new,) = (name for name in names if name in texts[1] and name not in texts[0])
    return new


def test_new_context_reprocesses_what_it_changes_once(
    archive: Archive, started: tuple[Control, Watcher]
) -> None:
    """A change blocks without its dark, goes on when that is there, and is done once.

    While it waits, the next context becomes operational: it is finished on its own one, and
    says so. The look that sees the change is a run of the deployment, as all that it starts; the
    looks before and after are flow runs of one process (all by deployments:
    test_context_watch_deployed.py).
    """
    control, watcher = started
    dark, before = later_dark(archive.sky), archive.used()
    published = archive.publications()
    assert {context for context, _ in before.values()} == {A}

    assert f"first sight of {A}" in watcher.look()
    blocks_without_its_dark(archive, control, watcher, dark)
    assert (archive.used(), archive.publications()) == (before, published)

    goes_on_when_the_dark_is_there(archive, control, watcher)
    after = archive.used()
    affected = {name for name in before if after[name] != before[name]}
    marked = ask(archive.ledger, "SELECT dataset, changes FROM marked_dataset")
    assert {row["dataset"] for row in marked} == affected
    assert all(json.loads(row["changes"])["DARKFILE"][1] == dark for row in marked)
    assert 0 < len(affected) < DATASETS
    assert {after[name] for name in affected} == {(B, dark)}
    assert archive.publications() == published + len(affected)
    assert wrong_history(archive.ledger) == []

    current = archive.current()
    is_not_done_twice(archive, control, watcher)
    assert (archive.current(), archive.used()) == (current, after)
    assert archive.publications() == published + len(affected)


def blocks_without_its_dark(
    archive: Archive, control: Control, watcher: Watcher, dark: str
) -> None:
    """Event, automation and deployment start it; it stops at `blocked`, and is left so."""
    archive.crds.faults[dark] = list(HELD_BACK)
    archive.crds.context = B
    changed = control.look()
    (blocked,) = control.wait_for_runs(1)
    stands = archive.reprocessing()
    held_back = watcher.look()

    assert f"{A}->{B} has no reprocessing yet" in changed
    assert (blocked["parameters"]["old"], blocked["parameters"]["new"]) == (A, B)
    assert (blocked["state_type"], blocked["state_name"]) == ("FAILED", "Blocked")
    assert dark in blocked["state"]["message"]
    assert (stands["name"], stands["state"]) == (NAME, "blocked")
    assert stands["transition"] == f"{A}->{B}"
    assert dark in stands["reason"]
    assert dark in held_back
    assert len(control.runs()) == 1


def goes_on_when_the_dark_is_there(archive: Archive, control: Control, watcher: Watcher) -> None:
    """Start it again by a look; it ends on its own context, although there is a newer one."""
    archive.crds.faults.clear()
    archive.crds.context = C
    looked = watcher.look()
    _, done = control.wait_for_runs(2)
    ended = archive.reprocessing()

    assert f"{B}->{C}: waits for the end of {NAME}" in looked
    assert done["parameters"]["name"] == NAME
    assert done["state_type"] == "COMPLETED", done["state"]["message"]
    assert ended["state"] == "finished"
    assert C in ended["reason"]
    assert C in done["state"]["message"]


def is_not_done_twice(archive: Archive, control: Control, watcher: Watcher) -> None:
    """Tell of the change once more, and look once more: nothing happens."""
    archive.crds.context = B
    control.emit(A, B)
    *_, again = control.wait_for_runs(3)
    looked = watcher.look()

    assert again["state_type"] == "COMPLETED"
    assert f"operational context {B}" in looked
    assert len(control.runs()) == 3
