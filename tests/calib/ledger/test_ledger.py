"""Any story of jobs, told to the ledger and to a model of it: both must agree at every step."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from sqlalchemy import select

from calib.errors import ConfigError, Interrupted, Unavailable
from calib.ids import DatasetId, parse_dataset
from calib.ledger import schema
from calib.ledger.ledger import Attempt, Ledger, current_owner, open_ledger
from calib.ledger.states import OUTCOMES, STATES, TRANSITIONS
from calib.records import Outcome

DATASETS = [parse_dataset("j8bt05njq"), parse_dataset("la8q99030")]
CONTEXT = "hst_1.pmap"


@dataclass
class Model:
    """A job as it should be."""

    id: int | None = None
    states: list[str] = field(default_factory=list)
    attempts: list[Attempt] = field(default_factory=list)
    owner_lives: bool = True

    @property
    def state(self) -> str | None:
        """Where it stands."""
        return self.states[-1] if self.states else None


class LedgerStory(RuleBasedStateMachine):
    """Submit, begin, finish, lose, cancel in any order, also where it is illegal."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.models = {dataset: Model() for dataset in DATASETS}
        self.ledger: Ledger = open_ledger(str(_copy_template(self.folder)))

    def teardown(self) -> None:
        """Remove the ledger."""
        self.ledger.close()
        shutil.rmtree(self.folder)

    datasets = st.sampled_from(DATASETS)

    @initialize(plan=st.booleans())
    def plan_first(self, plan: bool) -> None:
        """Plan both jobs, or neither."""
        if plan:
            self.ledger.plan("adhoc", DATASETS, "r1", context=CONTEXT)
            for dataset, model in self.models.items():
                (job,) = self.ledger.jobs_of(dataset)
                model.id, model.states = job.id, ["planned"]

    @rule(dataset=datasets)
    def submit(self, dataset: DatasetId) -> None:
        """Get a submitted job, unless a live owner has it."""
        model = self.models[dataset]
        if model.state == "processing" and model.owner_lives:
            with pytest.raises(Unavailable):
                self.ledger.submit("adhoc", dataset, "r1", context=CONTEXT)
            return
        model.id = self.ledger.submit("adhoc", dataset, "r1", context=CONTEXT)
        if model.state is None:
            model.states.append("planned")
        if model.state != "submitted":
            model.states.append("submitted")

    @rule(dataset=datasets, lives=st.booleans())
    def begin(self, dataset: DatasetId, lives: bool) -> None:
        """Begin an attempt as an owner that lives, or as one that is dead already."""
        model = self.models[dataset]
        owner = current_owner()
        owner = owner if lives else replace(owner, started=1.0)
        if model.id is None:
            return
        taken_over = model.state == "processing" and not model.owner_lives
        if model.state == "submitted" or taken_over:
            model.states += ["submitted"] if taken_over else []
            model.states.append("processing")
            model.attempts.append(self.ledger.begin_attempt(model.id, owner))
            model.owner_lives = lives
        else:
            error = Unavailable if model.state == "processing" else ConfigError
            with pytest.raises(error):
                self.ledger.begin_attempt(model.id, owner)

    @rule(dataset=datasets, state=st.sampled_from(sorted(OUTCOMES)), back=st.integers(0, 2))
    def finish(self, dataset: DatasetId, state: str, back: int) -> None:
        """Finish as the owner of the last attempt, or of one before."""
        model = self.models[dataset]
        if back >= len(model.attempts):
            return
        attempt = model.attempts[-1 - back]
        outcome = Outcome(attempt.dataset, state, "a test")
        if back == 0 and model.state == "processing":
            self.ledger.finish_attempt(attempt, outcome)
            model.states.append(state)
        elif self._ended_as(attempt) == state:
            self.ledger.finish_attempt(attempt, outcome)
        else:
            with pytest.raises(Interrupted):
                self.ledger.finish_attempt(attempt, outcome)

    @rule(dataset=datasets, state=st.sampled_from(STATES))
    def change_state(self, dataset: DatasetId, state: str) -> None:
        """Ask for any state at all."""
        model = self.models[dataset]
        if model.id is None or model.state is None:
            return
        if state != "processing" and state in TRANSITIONS[model.state]:
            self.ledger.change_state(model.id, state, "a test")
            model.states.append(state)
        else:
            with pytest.raises(ConfigError):
                self.ledger.change_state(model.id, state, "a test")

    @rule()
    def mark_dead_owners(self) -> None:
        """Look for jobs of the dead, as every process does at its start."""
        freed = {attempt.dataset for attempt in self.ledger.mark_dead_owners()}
        dead = {
            dataset.name: model
            for dataset, model in self.models.items()
            if model.state == "processing" and not model.owner_lives
        }
        assert freed == set(dead)
        for model in dead.values():
            model.states.append("submitted")

    @invariant()
    def histories_are_complete(self) -> None:
        """See every change in the history, each from where the one before ended, all legal."""
        for dataset, model in self.models.items():
            history = self.ledger.history(dataset)
            assert [change.to_state for change in history] == model.states
            assert [change.from_state for change in history] == ([None, *model.states][:-1])
            steps = zip(model.states, model.states[1:], strict=False)
            assert all(after in TRANSITIONS[before] for before, after in steps)
            assert [c.at for c in history] == sorted(c.at for c in history)

    @invariant()
    def jobs_agree_with_their_histories(self) -> None:
        """See the job in the last state of its history, with as many attempts as were begun."""
        for dataset, model in self.models.items():
            found = [(job.state, job.attempts) for job in self.ledger.jobs_of(dataset)]
            assert found == ([(model.state, len(model.attempts))] if model.state else [])
            assert [attempt.number for attempt in model.attempts] == list(
                range(1, len(model.attempts) + 1)
            )

    @invariant()
    def one_attempt_is_open_while_processing(self) -> None:
        """See exactly the jobs that are processing with an attempt that has no outcome."""
        query = select(schema.attempt.c.job_id).where(schema.attempt.c.outcome.is_(None))
        found = self.ledger._store.read(lambda c: c.scalars(query).all())
        expected = [m.id for m in self.models.values() if m.state == "processing"]
        assert sorted(found) == sorted(number for number in expected if number is not None)

    def _ended_as(self, attempt: Attempt) -> str | None:
        query = select(schema.attempt.c.outcome).where(schema.attempt.c.id == attempt.id)
        return self.ledger._store.read(lambda c: c.scalar(query))


_TEMPLATE: list[Path] = []


def _copy_template(folder: Path) -> Path:
    """Copy an empty ledger, made once: migrating for every story takes long."""
    if not _TEMPLATE:
        _TEMPLATE.append(Path(tempfile.mkdtemp()) / "template.db")
        open_ledger(str(_TEMPLATE[0])).close()
    return Path(shutil.copy(_TEMPLATE[0], folder / "ledger.db"))


LedgerStory.TestCase.settings = settings(max_examples=40, stateful_step_count=20)
TestLedgerStory = LedgerStory.TestCase
