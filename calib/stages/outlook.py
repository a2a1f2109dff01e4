"""The records of a forecast: what processing would do with datasets, as JSON can hold it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Literal

from calib.errors import HstflowError
from calib.fetch.looking import SeenFile

DatasetState = Literal["run", "resume", "skip", "blocked", "error"]
ReferenceState = Literal["present", "download", "missing", "bad", "no match", "N/A"]

STATES: tuple[DatasetState, ...] = ("run", "resume", "skip", "blocked", "error")


@dataclass(frozen=True, slots=True)
class MemberForecast:
    """One row of an association table.

    Attributes
    ----------
    name, type, present
        As the table has them.
    is_product
        Whether calibration makes it, as opposed to an exposure.
    found
        Whether the exposure is among the inputs.
    """

    name: str
    type: str
    is_product: bool
    present: bool
    found: bool


@dataclass(frozen=True, slots=True)
class ReferenceForecast:
    """One reference keyword of one exposure.

    Attributes
    ----------
    exposure, keyword, name
        File, keyword, and name of the reference; empty where the rules name none.
    required
        Whether a PERFORM switch opens it.
    custom
        Whether the user gave it.
    state
        ``present``; ``download``: it will be fetched; ``missing``: it is not in the cache and
        there is nowhere to fetch it from; ``bad``: CRDS lists it as such; ``no match``: the
        rules name no file; ``N/A``: none is needed.
    size
        Bytes, where known.
    path
        Where it lies.
    note
        What is wrong with it.
    """

    exposure: str
    keyword: str
    name: str
    required: bool
    custom: bool
    state: ReferenceState
    size: int | None = None
    path: str | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Trouble:
    """What processing would end with: stage, class of the error, exit code, message."""

    stage: str
    error_class: str
    code: int
    message: str


@dataclass(frozen=True, slots=True)
class DatasetForecast:
    """What processing would do with one dataset.

    Attributes
    ----------
    dataset
        Its name.
    state
        ``run``; ``resume``: an earlier attempt left finished stages; ``skip``: nothing to do;
        ``blocked``: a reference is awaited; ``error``.
    reason
        One line for people.
    start
        The stage that work begins at; None where there is nothing to do.
    run, uri
        Run that it would be published in, or that holds the same result already, and where.
    current_run
        Run that is current now; asked only where the inputs are not known.
    engine, switches, products
        Engine, the switches that it would carry out, and files that it would make; None where
        the engine cannot say.
    stage2
        What would drizzle them, or why nothing would; empty where nobody asks for it.
    inputs, members
        Input files and rows of the association table.
    inputs_known
        False where only fetching shows what is in them: references, engine and products are
        then as of the last attempt in the ledger, or not known.
    references
        By exposure and keyword.
    references_from
        ``headers``, ``work folder``, ``ledger`` (the last attempt on this context), or
        ``after fetch``: not known yet.
    differences
        Keywords for which exposures have different references.
    finished
        Stages of an earlier attempt that would be used again.
    fingerprint
        Identity of the result; None where something that decides it is not known.
    work_bytes, output_bytes
        Disk that it would take while it is at work, and for good; estimated from the size of
        the images. None where not known.
    trouble
        What it would end with, if not well.
    notes
        What else is worth knowing.
    """

    dataset: str
    state: DatasetState
    reason: str
    start: str | None = None
    run: str | None = None
    uri: str | None = None
    current_run: str | None = None
    engine: str | None = None
    switches: tuple[str, ...] = ()
    products: tuple[str, ...] | None = None
    stage2: str = ""
    inputs: tuple[SeenFile, ...] = ()
    members: tuple[MemberForecast, ...] = ()
    inputs_known: bool = False
    references: tuple[ReferenceForecast, ...] = ()
    references_from: str | None = None
    differences: tuple[str, ...] = ()
    finished: tuple[str, ...] = ()
    fingerprint: str | None = None
    work_bytes: int | None = None
    output_bytes: int | None = None
    trouble: Trouble | None = None
    notes: tuple[str, ...] = ()

    @property
    def code(self) -> int:
        """Exit code that processing it would give."""
        return self.trouble.code if self.trouble else 0


@dataclass(frozen=True)
class Settings:
    """What is the same for all datasets of a forecast, resolved.

    Attributes
    ----------
    context, source, output, run
        As in :class:`calib.stages.job.Job`; context and run are None where no name was usable.
    run_is_named
        Whether a person chose the run.
    engine
        ``auto`` or a name.
    switches, parameters
        What the user set.
    references
        Reference files of the user, path by keyword.
    fetched
        Whether inputs were fetched to look into them.
    """

    context: str | None
    source: str
    output: str | None
    run: str | None
    run_is_named: bool
    engine: str
    switches: dict[str, str]
    parameters: dict[str, str]
    references: dict[str, str]
    fetched: bool


@dataclass(frozen=True)
class Forecast:
    """What processing a list of datasets would do.

    Attributes
    ----------
    settings
        The same for all.
    datasets
        In the order that they were named.
    notes
        What concerns all of them.
    """

    settings: Settings
    datasets: tuple[DatasetForecast, ...]
    notes: tuple[str, ...] = ()

    @property
    def code(self) -> int:
        """Exit code: that of the first dataset that would not end well, else 0."""
        return next((each.code for each in self.datasets if each.code), 0)

    @property
    def counts(self) -> dict[DatasetState, int]:
        """How many datasets are in each state, without those that none is in."""
        found = Counter(each.state for each in self.datasets)
        return {state: found[state] for state in STATES if found[state]}

    @property
    def is_nothing_to_do(self) -> bool:
        """Whether every dataset is published already."""
        return all(each.state == "skip" for each in self.datasets)

    @property
    def downloads(self) -> dict[str, int | None]:
        """References to download: size by name, each file once."""
        uses = [use for each in self.datasets for use in each.references]
        return {use.name: use.size for use in uses if use.state == "download"}

    @property
    def output_bytes(self) -> int:
        """Disk that all products would take, as far as it is known."""
        return sum(each.output_bytes or 0 for each in self.datasets)


def trouble_of(error: HstflowError, stage: str) -> Trouble:
    """Return the record of an error."""
    return Trouble(stage, type(error).__name__, error.code, str(error))
