"""A dataset processed on two contexts, of which the newer one has another dark."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from sqlalchemy import Connection, text

from calib.ids import parse_dataset
from calib.ledger.ledger import open_ledger
from calib.ledger.reading import open_reader
from calib.ledger.reprocessing_reports import Reprocessing, reprocessings
from calib.ledger.reprocessings import NewMark, NewReprocessing, advance, enter_reprocessing
from calib.simulate.observatory import Observatory
from calib.stages.planning import Request, plan_jobs
from calib.stages.recording import close_ledgers
from calib.stages.sequence import process_dataset

DARKS = {"DARKFILE": ("a<b>_drk.fits", "b_drk.fits")}

BEFORE = "entered-before"


@dataclasses.dataclass(frozen=True)
class Twice:
    """Datasets on the older and on the newer context: a ledger, and what is in it."""

    request: Request
    datasets: tuple[str, ...]
    contexts: tuple[str, str]

    @classmethod
    def at(cls, root: Path, observatory: Observatory) -> Twice:
        """Return a place below a folder, with nothing processed yet."""
        request = Request(
            source=f"file:{observatory.raws}",
            output=f"file:{root / 'out'}",
            profile=observatory.profile,
            work=str(root / "work"),
            ledger=f"sqlite:///{root / 'ledger.db'}",
        )
        return cls(request, observatory.datasets, observatory.contexts)

    @property
    def ledger(self) -> str:
        """Its URL."""
        return self.request.ledger

    def process(self, campaign: str, context: str, *names: str) -> None:
        """Process datasets in a campaign on a context."""
        request = dataclasses.replace(self.request, campaign=campaign, context=context)
        for job in plan_jobs(request, names):
            assert process_dataset(job).state in {"processed", "skipped"}
        close_ledgers()

    def run_on(self, context: str) -> str:
        """Return the name of the run on a context."""
        with open_reader(self.ledger) as rows:
            assert rows is not None
            (found,) = rows("SELECT name FROM run WHERE context = :c", {"c": context})
        return str(found["name"])

    def file(self, name: str, dataset: str, context: str) -> Path:
        """Return a published file."""
        output = Path(self.request.output.removeprefix("file:"))
        return output / "runs" / self.run_on(context) / "acs" / dataset / name

    def enter(self, name: str, *marks: NewMark, state: str = "canary") -> Reprocessing:
        """Enter a reprocessing, whose canaries are running."""
        old, new = self.contexts
        entered = NewReprocessing(BEFORE, old, new, "context", "{}", {"by": "test"})
        with open_ledger(self.ledger) as ledger:
            ledger.write(lambda c: enter_reprocessing(c, entered, marks, who="test"))
            ledger.write(lambda c: give_name(c, name))
            ledger.write(lambda c: advance(c, name, state, who="test"))
        return self.read(name)

    def read(self, name: str) -> Reprocessing:
        """Return a reprocessing as it is now."""
        with open_reader(self.ledger) as rows:
            assert rows is not None
            return reprocessings(rows, name)[0]


def give_name(connection: Connection, name: str) -> None:
    """Name the reprocessing that was entered as `BEFORE` like the campaign that is there.

    Really it is entered before its campaigns; a campaign of another purpose keeps its name.
    """
    change = text("UPDATE reprocessing SET name = :name WHERE name = :before")
    connection.execute(change, {"name": name, "before": BEFORE})


def canary(dataset: str, **options: object) -> NewMark:
    """Return a canary for which the dark changes."""
    return NewMark(parse_dataset(dataset), 1, DARKS, is_canary=True, **options)  # type: ignore[arg-type]
