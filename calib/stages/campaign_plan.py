"""How a campaign is run: kept in the ledger as JSON, so that its name is enough to go on."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from calib.campaigns.rungs import check_rungs
from calib.errors import ConfigError
from calib.stages.planning import Request

GB = 10**9

# CALCLOUD's four sizes of machines.
RUNGS = (2 * GB, 8 * GB, 16 * GB, 64 * GB)

# Chunks of 500: large enough that what a flow run costs does not count, small enough that its
# page can be read.
CHUNK_SIZE = 500

# Above this many datasets six rows each are more than the Prefect server keeps up with.
MOST_VISIBLE = 1_000

# Runners on the host of the campaign itself; the others are addresses and cluster files.
HERE = frozenset({"local", "threads"})

# All of them, for people.
RUNNERS = "local (Dask here), threads, tcp:// or tls://HOST:PORT, or a cluster file (.toml, .yaml)"

StageStyle = Literal["auto", "tasks", "plain"]


@dataclass(frozen=True)
class CampaignPlan:
    """How to run a campaign.

    Attributes
    ----------
    request
        Inputs, output, profile, context, options; its campaign is the name.
    runner
        ``local``, ``threads``, ``tcp://`` or ``tls://HOST:PORT`` or a cluster file.
    workers
        Processes or threads of ``local`` and ``threads``.
    stages
        ``tasks``: six Prefect tasks a dataset; ``plain``: none; ``auto``: tasks for up to
        1,000 datasets.
    rungs
        Sizes of memory, bytes, ascending: a job starts on the one that it is predicted to
        need, and climbs when that was not enough.
    chunk_size
        Datasets of one flow run.
    chunks
        ``here``: subflows of this process; ``deployment``: runs of the deployment
        `campaign-chunk`.
    downloads
        Downloads from MAST at the same time, over all campaigns and hosts.
    priority
        Higher ones go first where campaigns share workers.
    delay_scale
        Factor on the waits of the retry table before a failed job is tried again; 0: at once.
    """

    request: Request
    runner: str = "local"
    workers: int = 2
    stages: StageStyle = "auto"
    rungs: tuple[int, ...] = RUNGS
    chunk_size: int = CHUNK_SIZE
    chunks: Literal["here", "deployment"] = "here"
    downloads: int = 4
    priority: int = 0
    delay_scale: float = 1.0

    def __post_init__(self) -> None:
        """Refuse what cannot be run, whatever way it came in.

        Raises
        ------
        ConfigError
            Rungs do not ascend, or a number is out of its range.
        """
        check_rungs(self.rungs)
        for name in ("workers", "chunk_size", "downloads"):
            if getattr(self, name) < 1:
                expected = "a whole number from 1"
                raise ConfigError(
                    f"{name} cannot be this", expected=expected, found=getattr(self, name)
                )
        if not 0 <= self.delay_scale < math.inf:
            found = self.delay_scale
            raise ConfigError("delay_scale cannot be this", expected="0 or more", found=found)

    @property
    def name(self) -> str:
        """The campaign's name."""
        return self.request.campaign

    @property
    def runs_here(self) -> bool:
        """Whether the datasets are run on the host of the campaign."""
        return self.runner in HERE

    def style(self, datasets: int) -> Literal["tasks", "plain"]:
        """Return whether stages are Prefect tasks, for this many datasets."""
        if self.stages == "auto":
            return "tasks" if datasets <= MOST_VISIBLE else "plain"
        return self.stages
