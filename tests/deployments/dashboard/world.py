"""A ledger with all that pages show: products of two contexts, failures, work, a reprocessing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from campaign_ledger import BUSY, CONTEXT, GB, GONE, HEAVY, WAITING, end, enter
from reprocessed import Twice, canary

from calib.ids import parse_dataset
from calib.ledger.ledger import current_owner, open_ledger
from calib.records import Outcome
from calib.simulate.observatory import Observatory
from deployments.dashboard.settings import DashboardSettings
from tests.deployments.dashboard.reviewed import review

CAMPAIGN = "spring"
REVIEWED = "july"
HOSTILE = "[no] such <b onmouseover=alert(1)>file</b> \"'&"
# No dataset has a name that a browser could take for HTML, but reasons say what files say.
TO_FAIL = {HEAVY: ("more than 8 GB", 32, "OutOfMemory"), GONE: (HOSTILE, 21, "NotFound")}

_OPENED = "SELECT DISTINCT name FROM reference_used WHERE sha1 IS NOT NULL"


@dataclass(frozen=True)
class World:
    """Where it is, and what of it has pages.

    Attributes
    ----------
    ledger, work
        URL of the ledger, and the work folder.
    good, broken
        A dataset that was processed twice, and one that failed.
    references
        Names of references that were used.
    product
        Numbers of products in the ledger, by name.
    """

    ledger: str
    work: Path
    good: str
    broken: str
    references: tuple[str, ...]
    product: dict[str, int]

    @property
    def log(self) -> int:
        """Number of a log of the good dataset."""
        return next(number for name, number in self.product.items() if name.startswith("logs/"))

    @property
    def settings(self) -> DashboardSettings:
        """The dashboard on it, with forms; pages are never kept."""
        return DashboardSettings(
            ledger=self.ledger,
            work=str(self.work),
            differences=str(self.work.parent / "differences"),
            may_change=True,
            period=0.0,
        )


def build_world(root: Path, observatory: Observatory) -> World:
    """Return a new world below a folder: two datasets are processed twice, two fail."""
    twice = Twice.at(root, observatory)
    twice.process("winter", twice.contexts[0], *twice.datasets)
    twice.process(CAMPAIGN, twice.contexts[1], *twice.datasets)
    good = twice.datasets[0]
    with open_ledger(twice.ledger) as ledger:
        enter(ledger, CAMPAIGN, (*TO_FAIL, BUSY, WAITING))
        for name, (reason, code, kind) in TO_FAIL.items():
            end(ledger, CAMPAIGN, Outcome(name, "error", reason, code, kind))
        job = ledger.submit(CAMPAIGN, parse_dataset(BUSY), CAMPAIGN, context=CONTEXT)
        ledger.open_stage(ledger.begin_attempt(job, current_owner()), "calibrate")
        review(ledger, root / "work", REVIEWED)
        products = ledger.ask(lambda rows: rows("SELECT id, name FROM product", {}))
        used = ledger.ask(lambda rows: rows(_OPENED, {}))
    twice.enter(CAMPAIGN, canary(good))
    return World(
        twice.ledger,
        root / "work",
        good,
        GONE,
        tuple(sorted(str(row["name"]) for row in used)),
        {str(row["name"]): int(row["id"]) for row in products},
    )


__all__ = ["CAMPAIGN", "GB", "HOSTILE", "REVIEWED", "World", "build_world"]
