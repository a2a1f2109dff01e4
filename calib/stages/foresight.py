"""What processing would do with one dataset: every stage asked, none of them run."""

from __future__ import annotations

import dataclasses
import os
import tempfile
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from calib.archive.disk import free_bytes
from calib.association import Association
from calib.engines.idle import REASON, IdleEngine
from calib.engines.lookup import choose_engine
from calib.engines.protocol import Engine, ForeseeingEngine
from calib.engines.stage2 import NOT_INSTALLED
from calib.errors import ArchiveError, ConfigError, HstflowError, ReferenceUnavailable
from calib.fetch.looking import SeenFile, find_inputs
from calib.fetch.options import FetchOptions
from calib.fetch.selection import is_exposure, root_of
from calib.fitsfile import opened, primary_header
from calib.ledger.admission import check_admission, check_run
from calib.ledger.reading import open_reader
from calib.records import Member, RawInputs, References
from calib.references.bestrefs import Choice
from calib.references.profile import CrdsProfile
from calib.repository.inputs import look_up
from calib.stages.archive import (
    find_published,
    free_run,
    output_of,
    run_content,
    sought_fingerprints,
)
from calib.stages.bestrefs import choose, finished_bestrefs
from calib.stages.calibrate import finished_calibrate, request_of
from calib.stages.engine import engine_of
from calib.stages.fetch import finished_fetch
from calib.stages.job import Job
from calib.stages.outlook import (
    DatasetForecast,
    DatasetState,
    Forecast,
    MemberForecast,
    trouble_of,
)
from calib.stages.policy import STAGES
from calib.stages.preview import finished_preview
from calib.stages.reference_outlook import (
    as_downloaded,
    can_download,
    describe_choice,
    remembered_references,
)
from calib.stages.stage2 import check_program, plan_of
from calib.stages.visits import check_can_be_made, find_image_references, is_combined
from calib.switches import Switch, is_switch, read_switch

# A calibrated pixel: SCI and ERR as float32, DQ as int16.
_PIXEL_BYTES = 10

WORK_FOLDER = "work folder"


@dataclass(frozen=True)
class Desk:
    """What all datasets of a forecast share.

    Attributes
    ----------
    scratch
        A temporary folder.
    profile
        CRDS server and cache, so that nothing is written into the user's cache.
    options
        How to ask MAST.
    fetch
        Whether to fetch what is not at hand, into `scratch`.
    lock
        Held while FITS files are read: Python's list of warning filters is one for all threads.
    """

    scratch: Path
    profile: CrdsProfile
    options: FetchOptions
    fetch: bool
    lock: threading.Lock


@dataclass
class _Draft:
    """A forecast in the making, and the stage that it has come to."""

    job: Job
    stage: str = "plan"
    found: dict[str, Any] = field(default_factory=dict)
    finished: list[str] = field(default_factory=list)
    engine: Engine | None = None

    def end(self, state: DatasetState, reason: str, start: str | None = None) -> DatasetForecast:
        """Return the forecast."""
        return DatasetForecast(
            self.job.dataset,
            state,
            reason,
            start=start,
            finished=tuple(self.finished),
            **self.found,
        )

    def fail(self, error: HstflowError) -> DatasetForecast:
        """Return the forecast of a failure: the state that processing would give it."""
        self.found["trouble"] = trouble_of(error, self.stage)
        blocked = isinstance(error, ReferenceUnavailable)
        return self.end("blocked" if blocked else "error", str(error), self.stage)


def foresee(job: Job, desk: Desk) -> DatasetForecast:
    """Find out what processing would do with one dataset; errors are in the record."""
    draft = _Draft(job)
    with tempfile.TemporaryDirectory(dir=desk.scratch, ignore_cleanup_errors=True) as folder:
        try:
            return _foresee(draft, desk, Path(folder))
        except HstflowError as error:
            return draft.fail(error)


def _foresee(draft: _Draft, desk: Desk, scratch: Path) -> DatasetForecast:
    job = draft.job
    with open_reader(job.ledger) as rows:
        if rows is not None:
            check_admission(rows, job.campaign, job.dataset, job.run, job.context)
    draft.stage = "fetch"
    check_can_be_made(job)
    check_program(job)
    _check_folder(Path(job.work), ConfigError("the work folder cannot be written"))
    inputs = _fetched_before(draft) or _look(draft, desk, scratch)
    if inputs is None:
        return _after_fetch(draft)
    with desk.lock:
        references = _references(draft, inputs, desk)
        engine = draft.engine or engine_of(job, inputs)
        marks = sought_fingerprints(job, inputs, references, engine)
        mark = draft.found["fingerprint"] = marks[-1]
    if found := find_published(job, *marks):
        draft.found |= {"run": found.run, "uri": found.uri}
        return draft.end("skip", f"nothing to do: the same result is in run {found.run}")
    if isinstance(engine, IdleEngine):
        return draft.end("skip", f"nothing to do: {REASON}")
    with desk.lock:
        _remaining(draft, engine, inputs, references)
    return _publication(draft, mark)


def _fetched_before(draft: _Draft) -> RawInputs | None:
    inputs = finished_fetch(draft.job)
    if inputs is not None:
        draft.finished.append("fetch")
        draft.found["inputs"] = tuple(
            SeenFile(f.name, f.suffix, f.size, f.sha256, WORK_FOLDER, f.path) for f in inputs.files
        )
        draft.found["inputs_known"] = True
        _note_members(draft, inputs.members, draft.found["inputs"])
    return inputs


def _look(draft: _Draft, desk: Desk, scratch: Path) -> RawInputs | None:
    job = draft.job
    view = find_inputs(
        job.id,
        job.source,
        scratch,
        desk.options,
        fetch=desk.fetch,
        registered=look_up(job.id, job.source, job.ledger),
    )
    with desk.lock:
        sight = view.look()
    draft.found["inputs"] = sight.files
    draft.found["inputs_known"] = sight.inputs is not None
    _note_members(draft, sight.members, sight.files)
    if sight.error is not None:
        raise sight.error
    return sight.inputs


def _note_members(draft: _Draft, members: tuple[Member, ...], files: tuple[SeenFile, ...]) -> None:
    if draft.job.id.kind != "ipst":  # a visit's members are the files that were found
        draft.found["members"] = tuple(
            MemberForecast(m.name, m.type, is_product=False, present=m.present, found=m.present)
            for m in members
        )
        return
    there = {
        root_of(file.name) for file in files if is_exposure(file.name, draft.job.id.instrument)
    }
    products = set(Association(draft.job.dataset, members).products)
    draft.found["members"] = tuple(
        MemberForecast(m.name, m.type, m in products, m.present, m.name in there) for m in members
    )


def _references(draft: _Draft, inputs: RawInputs, desk: Desk) -> References:
    """Return the references; of those to be downloaded with the checksum that CRDS names."""
    job = draft.job
    draft.stage = "bestrefs"
    _note_engine(draft, inputs)
    draft.found["stage2"] = plan_of(job, inputs).said
    if found := finished_bestrefs(job, inputs):
        draft.finished.append("bestrefs")
        draft.found["references_from"] = WORK_FOLDER
        closed = dataclasses.replace(job.profile, readonly=True)  # nothing is downloaded for it
        _note_references(draft, dataclasses.replace(job, profile=closed), Choice(found), closed)
        return found
    draft.found["references_from"] = "headers"
    if is_combined(job.id):
        return find_image_references(job, inputs, download=False)
    looking = dataclasses.replace(job, profile=desk.profile)
    choice = choose(looking, inputs, download=False)
    _note_references(draft, job, choice, desk.profile)
    open_problems = tuple(p for p in choice.problems if not can_download(p.name, choice, job))
    dataclasses.replace(choice, problems=open_problems).check()
    return as_downloaded(choice)


def _note_references(draft: _Draft, job: Job, choice: Choice, profile: CrdsProfile) -> None:
    draft.found["references"] = describe_choice(job, choice, profile)
    draft.found["differences"] = choice.references.differences


def _note_engine(draft: _Draft, inputs: RawInputs) -> None:
    """Note engine and switches also where a reference is missing; its own error comes later."""
    overrides = draft.job.options.overrides
    headers = [overrides.apply(primary_header(file.path)) for file in inputs.calibrated]
    switches = {key for header in headers for key in filter(is_switch, header)}
    with suppress(HstflowError):
        performed = [key for key in sorted(switches) if any(_performs(h, key) for h in headers)]
        draft.found["switches"] = tuple(performed)
        name, kind = draft.job.options.engine, draft.job.id.kind
        draft.engine = choose_engine(name, headers, overrides, kind=kind)
        draft.found["engine"] = draft.engine.name


def _performs(header: Mapping[str, Any], switch: str) -> bool:
    return read_switch(header, switch) is Switch.PERFORM


def _remaining(draft: _Draft, engine: Engine, inputs: RawInputs, references: References) -> None:
    """Look for finished products and previews; where there are none, ask what would be made."""
    job = draft.job
    draft.stage = "calibrate"
    plan_of(job, inputs).check()
    made = finished_calibrate(job, engine, inputs, references)
    if made is not None:
        draft.finished.append("calibrate")
        draft.found["products"] = tuple(file.name for file in made.files)
        _note_sizes(draft, inputs, sum(file.size for file in made.files))
        if finished_preview(job, made) is not None:
            draft.finished.append("preview")
    elif isinstance(engine, ForeseeingEngine):
        request = request_of(job, inputs, references, job.folder / "calibrate")
        names = draft.found["products"] = engine.product_names(request)
        images = [name for name in names if not name.endswith("_asn.fits")]
        largest = max((_calibrated_bytes(file.path) for file in inputs.exposures), default=0)
        _note_sizes(draft, inputs, len(images) * largest)


def _note_sizes(draft: _Draft, inputs: RawInputs, products: int) -> None:
    """Note the disk needed; inputs lie in the work folder twice, the second with new headers."""
    raws = sum(file.size for file in inputs.files)
    draft.found["work_bytes"] = 2 * raws + products
    draft.found["output_bytes"] = raws + products


def _calibrated_bytes(path: str) -> int:
    """Estimate the size of the product of an exposure, from the shape of its images."""
    with opened(path) as hdus:
        shapes = [hdu.shape for hdu in hdus if hdu.name == "SCI" and hdu.is_image]
    return sum(_PIXEL_BYTES * ny * nx for ny, nx in (s for s in shapes if len(s) == 2))  # noqa: PLR2004 - axes of an image


def _publication(draft: _Draft, mark: str) -> DatasetForecast:
    """Look whether the run and the output can take the result."""
    job, output = draft.job, output_of(draft.job)
    draft.stage = "archive"
    if output is None:
        draft.found |= {"run": job.run, "uri": job.folder.as_uri()}
        if {"calibrate", "preview"} <= set(draft.finished):
            return draft.end("skip", f"nothing to do: the same result is in run {job.run}")
        return _work(draft)
    run = draft.found["run"] = _run_for(job, mark, output.uri)
    if output.uri.startswith("file:"):
        folder = Path(output.uri.removeprefix("file:"))
        _check_folder(folder, ArchiveError("not writable, or not allowed", dataset=job.dataset))
    with open_reader(job.ledger) as rows:
        if rows is not None:
            check_run(rows, run, run_content(job, str(job.output)))
    return _work(draft)


def _run_for(job: Job, mark: str, output: str) -> str:
    run = free_run(job, mark)
    if not job.run_is_named or run == job.run:
        return run
    raise ArchiveError(
        "the run holds another result for this dataset, or a damaged one",
        dataset=job.dataset,
        path=output,
        expected="another --run",
        found=job.run,
    )


def _work(draft: _Draft) -> DatasetForecast:
    start = next(stage for stage in STAGES if stage not in draft.finished)
    where = f"run {draft.found['run']}" if draft.job.output else "the work folder"
    if draft.finished:
        return draft.end("resume", f"goes on at {start}, into {where}", start)
    return draft.end("run", f"all stages, into {where}", start)


def _check_folder(folder: Path, error: HstflowError) -> None:
    """Raise an error where a folder, or the nearest one above it, cannot be written."""
    place = folder
    while not place.exists() and place != place.parent:
        place = place.parent
    if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
        error.path = str(place)
        raise error


def _after_fetch(draft: _Draft) -> DatasetForecast:
    """Say what is known of a dataset whose files nobody has looked into."""
    job = draft.job
    draft.found["run"] = job.run
    draft.found["references_from"] = "after fetch"
    if used := remembered_references(job):
        draft.found |= {"references_from": "ledger", "references": used}
    output = output_of(job)
    manifest = output.current_manifest(job.id) if output else None
    draft.found["current_run"] = manifest.run if manifest else None
    draft.found["notes"] = (
        "references, engine and whether it is published are known after fetch (or with --fetch)",
    )
    return draft.end("run", "all stages; more is known after fetch", "fetch")


def sum_up(found: Forecast) -> Forecast:
    """Return a forecast with what concerns all datasets: stage 2, and room on the disk."""
    absent = [each.stage2 for each in found.datasets if each.stage2.startswith(NOT_INSTALLED)]
    if absent:
        note = f"stage 2 is asked for by {len(absent)} of {len(found.datasets)}; {absent[0]}"
        found = dataclasses.replace(found, notes=(*found.notes, note))
    output = found.settings.output or ""
    if not output.startswith("file:"):
        return found
    free, needed = free_bytes(Path(output.removeprefix("file:"))), found.output_bytes
    if needed <= free:
        return found
    note = f"the output needs about {needed} bytes; {free} are free"
    return dataclasses.replace(found, notes=(*found.notes, note))
