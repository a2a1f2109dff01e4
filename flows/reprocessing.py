"""The flow `reprocess`: from a new context to the right datasets, reviewed and done."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from typing import Annotated, Any

from prefect import flow, runtime
from prefect.client.schemas.objects import State, StateType
from prefect.states import Completed, Failed

from calib.errors import InOtherHands
from calib.ledger.reprocessing_reports import Reprocessing
from calib.reprocessing.canaries import canaries_of
from calib.reprocessing.life import Result, next_steps, said_of
from calib.stages.recording import ledger_of
from flows import form
from flows.approval import ask_approval
from flows.form import HOW, Context, InputUri, OutputUri
from flows.parameters import CampaignOptions, ReprocessOptions
from flows.reprocessing_hold import holding
from flows.reprocessing_plan import Wanted, enter_wanted
from flows.reprocessing_session import Life, Parts, reprocessing_of, run_reprocessing
from flows.run_page import label_run, tags_of
from flows.server import show_page
from tasks.settings import limit_reference_memory, load_settings

__all__ = ["Result", "reprocess", "run_reprocessing"]


OLD = form.asked(
    "Old context",
    "What the datasets were calibrated with. Nothing: the context before the new one.",
    examples=["hst_1233.pmap"],
)
NEW = form.asked(
    "New context",
    "What they are to be calibrated with. Nothing: the operational context.",
    examples=["hst_1234.pmap"],
)
NAME = form.asked(
    "Name",
    "Of the reprocessing; the same again goes on with it. Nothing: made of the two contexts.",
    examples=["1233-1234", "new-darks"],
    max_length=255,
)
ASKED = form.asked("Which datasets", "Which are taken, who approves, and how each is processed.")


def _run_name() -> str:
    given = runtime.flow_run.parameters
    return f"reprocess-{given.get('name') or given.get('new') or 'operational'}"


@flow(
    name="reprocess",
    flow_run_name=_run_name,
    persist_result=False,
    description="Reprocess the datasets that a new CRDS context changes: canary, approval, run.",
)
def reprocess(
    old: Annotated[Context, OLD] = None,
    new: Annotated[Context, NEW] = None,
    name: Annotated[str | None, NAME] = None,
    input_uri: InputUri = "astroquery:",
    output_uri: OutputUri = "file:.",
    asked: Annotated[ReprocessOptions | None, ASKED] = None,
    how: Annotated[CampaignOptions | None, HOW] = None,
) -> State[Any]:
    """Plan a reprocessing unless it is there, and take it on from wherever it stands.

    The same again goes on with the same reprocessing: there is one for a change of context. Where
    another process has it, or it has ended, nothing is done.

    Parameters
    ----------
    old, new
        From which CRDS context to which; without `new` the operational one.
    name
        Of the reprocessing; a change from hst_0632.pmap to hst_0633.pmap is `0632-0633`.
    input_uri, output_uri
        Where inputs come from and products go to, as for `campaign`.
    asked
        Which datasets, whether to ask before they run, and how each is processed.
    how
        As for `campaign`.

    Returns
    -------
    State
        Completed where every dataset is finished, Failed with counts; Completed but named Review
        or Rejected, Failed but named Blocked, or Cancelled, where it stands there.
    """
    asked = asked or ReprocessOptions()
    settings = load_settings()
    limit_reference_memory(settings)
    how = how or CampaignOptions()
    known = enter_wanted(Wanted(old, new, name, input_uri, output_uri, asked, how))
    label_run(tags=[f"reprocessing:{known}", *tags_of(context=new)])
    with ExitStack() as stack:
        try:
            heart = stack.enter_context(holding(known, settings.ledger))
        except InOtherHands as error:
            return Completed(message=f"nothing to do here: {error}")
        result = _lived(Life(known, settings.ledger, heart, _parts(asked)), asked)
    _show(reprocessing_of(ledger_of(settings.ledger), known), result)
    return _state_of(known, result)


def _parts(asked: ReprocessOptions) -> Parts:
    return Parts(choose=partial(canaries_of, per_type=asked.per_type))


def _lived(life: Life, asked: ReprocessOptions) -> Result:
    """Take a reprocessing on; ask where it has to be asked."""
    result = life.run("yes" if asked.approval == "yes" else "ask")
    while result.outcome == "review" and asked.approval == "ask":
        _show(reprocessing_of(life.ledger, life.name), result)
        if not ask_approval(life.ledger, reprocessing_of(life.ledger, life.name)):
            break
        result = life.run("ask")
    return result


def _show(found: Reprocessing, result: Result) -> None:
    """Put what there is to know into the page of the flow run."""
    label_run(tags=tags_of(context=found.new_context))
    change = f"{found.old_context} to {found.new_context}" if found.old_context else None
    lines = [
        f"# {found.name}: {found.state}",
        result.message,
        f"Context: {change or found.new_context}",
        f"Datasets: {said_of(result.counts)}",
        f"Report: `{found.report}`" if found.report else "",
        "\n".join(f"- `{step}`" for step in next_steps(found)),
    ]
    text = "\n\n".join(line for line in lines if line)
    show_page("reprocessing", found.name, text, f"Reprocessing {found.name}")


def _state_of(name: str, result: Result) -> State[Any]:
    message = f"{name}: {result.message}"
    if result.outcome == "finished":
        return Completed(message=message)
    if result.outcome == "failed":
        return Failed(message=message)
    kinds = {"blocked": StateType.FAILED, "review": StateType.COMPLETED}
    kinds |= {"rejected": StateType.COMPLETED}
    kind = kinds.get(result.outcome, StateType.CANCELLED)
    return State(type=kind, name=result.outcome.capitalize(), message=message)
