"""Whether the archive still is what was published, and the ledger agrees with itself."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from functools import partial
from typing import Annotated, Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.events import emit_event
from prefect.states import Completed, Failed

from calib.ledger.verifications import inconsistencies
from calib.repository.rounds import Round, go_round
from calib.stages.recording import ledger_of
from flows.form import asked
from flows.server import has_server, show_page
from tasks.settings import load_settings

EVENT = "hst.archive.damaged"
RESOURCE = "hst.archive"

# A job whose owner died is taken up by the session of its campaign within minutes. One that was
# not after this time has no session.
SILENT_FOR = timedelta(hours=1)

_SHOWN = 200  # problems in the report, and in the event: the server keeps both in its database
_TOLD = 20
_GB = 1e9


@flow(
    name="nightly-verify",
    flow_run_name="nightly-verify",
    persist_result=False,
    description="Compare a share of the archive with its manifests; look at the ledger, too.",
)
def nightly_verify(
    nights: Annotated[
        int,
        asked(
            "Nights",
            "In how many nights the whole archive is seen: each takes this part of it, by "
            "number and by bytes, what has waited longest first.",
            examples=[30],
            ge=1,
            le=3650,
        ),
    ] = 30,
    deep: Annotated[
        bool,
        asked("Read the bytes", "Compare checksums; without it presence and size alone."),
    ] = True,
    hours: Annotated[
        float,
        asked(
            "Hours",
            "After this time nothing more is begun; what was not seen comes first tomorrow.",
            examples=[6],
            gt=0,
            le=23,
        ),
    ] = 6.0,
    threads: Annotated[
        int, asked("Threads", "Publications compared at the same time.", examples=[4], ge=1, le=64)
    ] = 4,
) -> State[Any]:
    """Verify the share of one night; nothing is changed but when it was verified.

    Parameters
    ----------
    nights
        In how many nights everything is seen.
    deep
        Read all files and compare their checksums.
    hours
        How long, at most.
    threads
        Publications at the same time.

    Returns
    -------
    State
        Completed where all is well. Failed with the reasons where something is damaged, an
        output cannot be reached, or the ledger does not agree with itself; damage is told as
        the event ``hst.archive.damaged``, too.
    """
    settings = load_settings()
    ledger = ledger_of(settings.ledger)
    seen = go_round(
        ledger,
        settings.ledger,
        nights=nights,
        deep=deep,
        limit=timedelta(hours=hours),
        at_once=threads,
    )
    wrong = ledger.ask(partial(inconsistencies, silent_for=SILENT_FOR))
    if has_server():
        show_page("nightly-verify", "archive", page_of(seen, wrong, nights), "The nightly round")
        if seen.problems:
            _tell(seen)
    return _state_of(seen, wrong)


def page_of(seen: Round, wrong: list[str], nights: int) -> str:
    """Return the report of one night, in Markdown."""
    holding = seen.holding
    lines = [
        "# " + ("Something is wrong" if _reasons(seen, wrong) else "All is well"),
        (
            f"Verified tonight: {seen.seen} of {holding.number} publications, "
            f"{seen.size / _GB:.1f} of {holding.size / _GB:.1f} GB; "
            f"everything{' that can be reached' if seen.unreached else ''} within {nights} nights."
        ),
        f"Before tonight {holding.never} had never been verified.",
    ]
    if seen.problems:
        lines += ["## Damage", _table(seen)]
    if seen.unreached:
        lines += ["## Not reached", _list(f"{uri}: {why}" for uri, why in seen.unreached.items())]
    if wrong:
        lines += ["## The ledger", _list(wrong[:_SHOWN])]
    if seen.problems or wrong:
        lines.append("`hstflow archive verify DATASET` looks again.")
    return "\n\n".join(lines)


def _table(seen: Round) -> str:
    rows = ["| problem | dataset | run | what |", "|---|---|---|---|"]
    for _, run, dataset, problem in seen.problems[:_SHOWN]:
        what = _cell(f"{problem.path}: {problem.message}")
        rows.append(f"| {problem.kind} | {dataset or ''} | {run or ''} | {what} |")
    more = len(seen.problems) - _SHOWN
    return "\n".join(rows) + (f"\n\nand {more} more" if more > 0 else "")


def _cell(text: str) -> str:
    """Return a text that is one cell of a table, whatever a file is called."""
    return text.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")


def _list(texts: Any) -> str:
    return "\n".join(f"- {_cell(text)}" for text in texts)


def _reasons(seen: Round, wrong: list[str]) -> list[str]:
    kinds = Counter(problem.kind for *_, problem in seen.problems)
    reasons = [f"{number} {kind}" for kind, number in kinds.most_common()]
    reasons += [f"{uri} cannot be reached: {why}" for uri, why in seen.unreached.items()]
    return reasons + ([f"{len(wrong)} in the ledger: {wrong[0]}"] if wrong else [])


def _state_of(seen: Round, wrong: list[str]) -> State[Any]:
    said = f"{seen.seen} of {seen.holding.number} publications verified"
    if seen.is_cut_off:
        said += f", {seen.left} of tonight's share are left: the time was over"
    reasons = _reasons(seen, wrong)
    if reasons:
        return Failed(message=f"{'; '.join(reasons)} ({said})")
    return Completed(message=f"all is well: {said}")


def _tell(seen: Round) -> None:
    kinds = Counter(problem.kind for *_, problem in seen.problems)
    told = [
        {"output": output, "run": run, "dataset": dataset, "problem": str(problem)}
        for output, run, dataset, problem in seen.problems[:_TOLD]
    ]
    emit_event(
        event=EVENT,
        resource={"prefect.resource.id": RESOURCE, "prefect.resource.name": "the archive"},
        payload={"counts": dict(kinds), "problems": told, "datasets": _datasets(seen)},
    )


def _datasets(seen: Round) -> int:
    return len({dataset for _, _, dataset, _ in seen.problems if dataset})
