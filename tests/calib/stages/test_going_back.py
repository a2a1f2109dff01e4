"""Readers are not led from the products of a later CRDS context back to those of an earlier one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from calib.archive.outputs import open_output
from calib.ids import parse_dataset
from calib.ledger.published_contexts import kept_back, kept_back_text
from calib.records import Outcome
from calib.simulate.observatory import Observatory
from calib.stages.job import Options
from calib.stages.planning import Request, plan_jobs
from calib.stages.recording import ledger_of
from calib.stages.sequence import process_dataset


def test_a_late_run_on_an_earlier_context_does_not_undo_a_reprocessing(
    request_of: Request, observatory: Observatory
) -> None:
    """Made or found, its product waits in its run; archive, ledger and outcome agree; or asked."""
    old, new = observatory.contexts
    dataset = observatory.datasets[0]

    def run(context: str, **options: Any) -> Outcome:
        wanted = replace(request_of, context=context, options=Options(**options))
        return process_dataset(plan_jobs(wanted, [dataset])[0])

    def shown(run: str) -> bool:
        rows = "SELECT run FROM publications WHERE is_current = 1"
        ledger = ledger_of(request_of.ledger).ask(lambda ask: [r["run"] for r in ask(rows, {})])
        output = open_output(request_of.output)
        return ledger == [run] == [output.pointed_run(parse_dataset(dataset))]

    late = run(new)
    made, found = run(old), run(old)

    assert shown(late.run or "")
    stays = f"run {late.run}, of a later context, stays current"
    assert made.reason == f"published in run {made.run}; {stays}"
    assert (made.state, found.state) == ("processed", "skipped")
    assert stays in found.reason
    assert "with --current leads them here" in made.warnings[-1] == found.warnings[-1]

    ledger = ledger_of(request_of.ledger)
    rows = ledger.ask(lambda ask: ask("SELECT DISTINCT campaign_id AS id FROM job", {}))
    counts = ledger.ask(lambda ask: kept_back(ask, int(rows[0]["id"])))
    assert counts == {new: 1}
    assert kept_back_text(counts) == f"not current, as others are: 1 of the later {new}"
    assert kept_back_text({}) is None

    assert run(old, goes_back=True).warnings == ()
    assert ledger.ask(lambda ask: kept_back(ask, int(rows[0]["id"]))) == {}
    assert shown(made.run or "")
    assert run(new).state == "skipped"
    assert shown(late.run or "")
