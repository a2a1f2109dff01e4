"""A flow with the name and the parameters of `reprocess`, which only enters and ends."""

from __future__ import annotations

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed

from calib.ledger.ledger import Ledger, open_ledger
from calib.ledger.reprocessing_reports import reprocessings
from calib.ledger.reprocessings import NewReprocessing, advance, enter_reprocessing
from tasks.settings import load_settings


@flow(name="reprocess", persist_result=False)
def reprocess(
    old: str | None = None, new: str | None = None, name: str | None = None
) -> State[Any]:
    """Enter the reprocessing of a change as approved; end the one of a name."""
    with open_ledger(load_settings().ledger) as ledger:
        if name is None:
            name, steps = f"{old}-{new}", ("approved",)
            asked = NewReprocessing(name, old, str(new), "context", "{}", once=True)
            ledger.write(lambda c: enter_reprocessing(c, asked, [], who="standin"))
            if _state(ledger, name) != "planned":
                steps = ()
        else:
            steps = ("running", "finished")
        for state in steps:
            ledger.write(lambda c, to=state: advance(c, name, to, who="standin"))
        return Completed(message=f"{name} is {_state(ledger, name)}")


def _state(ledger: Ledger, name: str) -> str:
    return ledger.ask(lambda rows: reprocessings(rows, name))[0].state
