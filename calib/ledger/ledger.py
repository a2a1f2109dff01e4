"""The ledger: the truth about the states of jobs, and about what exists.

Every method that writes is one transaction, tried again when another process was in the way:
nothing is ever half written, and no update is lost. Methods that belong to an attempt refuse
to write for an owner whose attempt was taken over.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from types import TracebackType
from typing import Any, Self, TypeVar

from sqlalchemy import Connection

from calib.ids import DatasetId
from calib.ledger import attempts, jobs, publications, registry, reports, stage_runs, starting
from calib.ledger.attempts import Attempt
from calib.ledger.location import as_url
from calib.ledger.owners import STALE_AFTER, Owner, current_owner
from calib.ledger.publications import Published
from calib.ledger.rows import rows_of
from calib.ledger.stage_runs import StageMetrics
from calib.ledger.starting import Start
from calib.ledger.store import Store
from calib.records import DataId, Member, Outcome, RawInputs, References

__all__ = ["Attempt", "Ledger", "Owner", "StageMetrics", "Start", "current_owner", "open_ledger"]

log = logging.getLogger(__name__)
T = TypeVar("T")


def open_ledger(url: str, *, stale_after: timedelta = STALE_AFTER) -> Ledger:
    """Open the ledger at a URL; made if it is new, brought up to date if it is old.

    Parameters
    ----------
    url
        ``sqlite:////folder/ledger.db``, ``postgresql://host/database``, or the path of a SQLite
        file, whose folder is made.
    stale_after
        Silence after which an owner on another host is given up.

    Raises
    ------
    ConfigError
        It cannot be opened or written, is not a ledger, or a newer hstflow made it. The
        message names the URL without credentials.
    """
    return Ledger(Store(as_url(url)), stale_after)


class Ledger:
    """An open ledger; safe to use from many threads, and beside many processes.

    Parameters
    ----------
    store
        The database.
    stale_after
        Silence after which an owner on another host is given up.
    """

    def __init__(self, store: Store, stale_after: timedelta = STALE_AFTER) -> None:
        self._store = store
        self._stale_after = stale_after

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def url(self) -> str:
        """The URL, without credentials."""
        return self._store.shown_url

    def close(self) -> None:
        """Give the connections back."""
        self._store.close()

    def ensure_campaign(self, name: str, *, context: str | None = None) -> int:
        """Return the number of a campaign, made if it is new.

        Raises
        ------
        ConfigError
            The name is empty, or the campaign is frozen on another context.
        """
        return self._store.write(lambda c: jobs.ensure_campaign(c, name, context))

    def ensure_run(
        self,
        name: str,
        *,
        context: str,
        engine: str,
        engine_version: str,
        parameters: Mapping[str, Any],
        output: str,
    ) -> int:
        """Return the number of a run, made if it is new.

        Raises
        ------
        ConfigError
            The run exists with other content (a run is write-once), or a parameter looks like
            a secret.
        """
        content = {
            "context": context,
            "engine": engine,
            "engine_version": engine_version,
            "parameters": parameters,
            "output": output,
        }
        return self._store.write(lambda c: registry.ensure_run(c, name, content))

    def plan(self, campaign: str, datasets: Iterable[DatasetId], run: str, *, context: str) -> int:
        """Enter jobs as planned, in one transaction, and return how many are new.

        Jobs that exist, in whatever state, stay as they are.

        Raises
        ------
        ConfigError
            The campaign or the run is frozen on another context.
        """
        wanted = tuple(datasets)
        return self._store.write(lambda c: jobs.plan(c, campaign, wanted, run, context))

    def submit(self, campaign: str, dataset: DatasetId, run: str, *, context: str) -> int:
        """Bring a job into ``submitted`` from wherever it rests, and return its number.

        Campaign and job are entered if they are new. A job that is submitted already stays
        so; one that is processing is freed if its owner is dead.

        Raises
        ------
        ConfigError
            The campaign or the run is frozen on another context.
        Unavailable
            A live owner is processing it.
        """
        return self._store.write(
            lambda c: attempts.submit(
                c, campaign, dataset, run, context=context, stale_after=self._stale_after
            )
        )

    def begin_attempt(self, job_id: int, owner: Owner) -> Attempt:
        """Bring a submitted job into ``processing``, with a new attempt of this owner.

        One that a dead owner is processing is taken over: the history says so.

        Raises
        ------
        Unavailable
            A live owner is processing it; the message says who, and since when.
        ConfigError
            It is in another state than ``submitted``, or there is no such job.
        """
        return self._store.write(
            lambda c: attempts.begin(c, job_id, owner, stale_after=self._stale_after)
        )

    def start(self, wanted: Start, owner: Owner) -> Attempt:
        """Enter and submit a job, and begin an attempt of it, in one transaction.

        Raises
        ------
        ConfigError
            The campaign or the run is frozen on another context.
        Unavailable
            A live owner is processing it, or the same work in another campaign; the message
            says who, where, and since when.
        Interrupted, Cancelled, WorkerLost
            It is supervised, and ended, was begun or was lost meanwhile.
        """
        return self._store.write(
            lambda c: starting.start(c, wanted, owner, stale_after=self._stale_after)
        )

    def heartbeat(self, attempt: Attempt) -> None:
        """Write down that the owner of an attempt lives.

        Raises
        ------
        Interrupted
            The attempt is closed: taken over, cancelled or finished.
        """
        self._store.write(lambda c: attempts.beat(c, attempt))

    def open_stage(self, attempt: Attempt, stage: str) -> int:
        """Enter a stage run as running, and return its number.

        Raises
        ------
        Interrupted
            The attempt is closed: taken over, cancelled or finished.
        """
        return self._store.write(lambda c: stage_runs.open_stage(c, attempt, stage))

    def close_stage(
        self,
        stage_run_id: int,
        state: str,
        *,
        metrics: StageMetrics | None = None,
        error: str | None = None,
    ) -> None:
        """Close a stage run as ``done``, ``reused``, ``skipped``, ``error`` or ``interrupted``.

        One that is closed already (its attempt was taken over) stays as it is.

        Raises
        ------
        ConfigError
            The state is not the end of a stage run.
        """
        closed = self._store.write(
            lambda c: stage_runs.close_stage(c, stage_run_id, state, metrics, error)
        )
        if not closed:
            log.warning("stage run %s was closed before: %s not recorded", stage_run_id, state)

    def record_inputs(self, attempt: Attempt, inputs: RawInputs) -> None:
        """Write down the input files of an attempt.

        Raises
        ------
        Interrupted
            The attempt is closed: taken over, cancelled or finished.
        """
        self._store.write(lambda c: registry.record_inputs(c, attempt, inputs))

    def record_references(self, attempt: Attempt, references: References) -> None:
        """Write down the references of an attempt, and the headers that selected them.

        Raises
        ------
        Interrupted
            The attempt is closed: taken over, cancelled or finished.
        """
        self._store.write(lambda c: registry.record_references(c, attempt, references))

    def record_publication(
        self,
        attempt: Attempt,
        published: Published,
        data_ids: Sequence[DataId] = (),
        members: Sequence[Member] = (),
    ) -> None:
        """Write down what an attempt published; the same again changes nothing.

        Parameters
        ----------
        attempt
            The attempt that published it.
        published
            The dataset in its run, which must exist.
        data_ids
            What its exposures show.
        members
            Rows of its association table.

        Raises
        ------
        ArchiveError
            The run has a file of this name with another checksum: a run is write-once.
        ConfigError
            There is no such run.
        Interrupted
            The attempt is closed: taken over, cancelled or finished.
        """

        def record(connection: Connection) -> None:
            attempts.check_held(connection, attempt)
            publications.record_publications(connection, [published], attempt_id=attempt.id)
            publications.record_data_ids(connection, data_ids)
            if members:
                publications.record_members(connection, published.dataset, members)

        self._store.write(record)

    def finish_attempt(self, attempt: Attempt, outcome: Outcome) -> None:
        """Close an attempt, and bring its job into the state of its outcome.

        ``skipped`` with a URI is a dataset that is published already: the job is
        ``processed``. Finishing again with the same outcome changes nothing.

        Raises
        ------
        Interrupted
            The attempt was taken over or cancelled meanwhile; nothing was written.
        ConfigError
            The outcome is of another dataset, or its state is not the end of an attempt.
        """
        self._store.write(lambda c: attempts.finish(c, attempt, outcome))

    def change_state(
        self,
        job_id: int,
        state: str,
        reason: str,
        *,
        error_class: str | None = None,
        code: int | None = None,
    ) -> None:
        """Bring a job into a state from outside: cancelled, synced, archived, a lost worker.

        An attempt that is at work is closed with it: its owner learns so at its next word.

        Raises
        ------
        ConfigError
            The change is illegal, only an attempt can make it, or there is no such job.
        """
        self._store.write(
            lambda c: attempts.change_state(
                c, job_id, state, reason, error_class=error_class, code=code
            )
        )

    def set_current(self, dataset: DatasetId, run: str) -> None:
        """Point a dataset at the run whose products are current.

        Raises
        ------
        ConfigError
            There is no such run.
        """
        self._store.write(lambda c: registry.set_current(c, dataset, run))

    def mark_dead_owners(self) -> list[Attempt]:
        """Bring the jobs of dead owners back into ``submitted``, and return their attempts.

        ``submitted`` and not ``error``: another process may be about to run the job again (a
        scheduler after the loss of a worker), and begins from there. The attempts are closed
        as interrupted, and the history says who was lost.
        """
        after = self._stale_after
        if not self._store.read(lambda c: attempts.with_dead_owners(c, stale_after=after)):
            return []
        return self._store.write(lambda c: attempts.free_all_dead(c, stale_after=after))

    def write(self, work: Callable[[Connection], T]) -> T:
        """Run one of the functions of this package that take a connection, in one transaction.

        The function may run more than once, so it touches nothing but the connection.

        Raises
        ------
        Unavailable
            The database stayed locked, or cannot be reached any more.
        HstflowError
            Whatever the function raises; nothing was written.

        Examples
        --------
        >>> from calib.ledger.publications import record_publications
        >>> with open_ledger(url) as ledger:  # doctest: +SKIP
        ...     new = ledger.write(lambda c: record_publications(c, rows))
        """
        return self._store.write(work)

    def ask(self, question: Callable[[reports.Rows], T]) -> T:
        """Answer a question of :mod:`calib.ledger.reports`, on one state of the ledger.

        Examples
        --------
        >>> from calib.ledger.reports import states_in
        >>> with open_ledger(url) as ledger:  # doctest: +SKIP
        ...     done = ledger.ask(lambda rows: states_in(rows, "nightly"))
        """
        return self._store.read(lambda c: question(rows_of(c)))

    def history(self, dataset: DatasetId) -> list[reports.Change]:
        """Return every change of every job of a dataset, in order."""
        return self.ask(lambda rows: reports.history_of(rows, dataset.name))

    def jobs_of(
        self, dataset: DatasetId, *, campaign: str | None = None
    ) -> list[reports.JobSummary]:
        """Return the jobs of a dataset as they are now, the oldest first."""
        return self.ask(lambda rows: reports.jobs_of(rows, dataset.name, campaign=campaign))

    def count_states(self, *, campaign: str | None = None) -> dict[str, int]:
        """Return how many jobs are in each state."""
        return self.ask(lambda rows: reports.count_states(rows, campaign=campaign))
