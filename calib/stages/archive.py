"""Stage 5: publication of a dataset, once, atomically, with its provenance."""

from __future__ import annotations

import dataclasses
import logging
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from calib.archive.fingerprint import fingerprint
from calib.archive.layout import Role
from calib.archive.outputs import Output, open_output
from calib.archive.provenance import provenance_record
from calib.archive.publish import File, Publication
from calib.archive.tar_output import publish_tar
from calib.caldp import DELETED_SUFFIXES, ENVIRONMENT, VERSION_KEYWORDS, product_suffix
from calib.engines.protocol import Engine
from calib.engines.stage2 import Stage2Plan
from calib.errors import ConfigError
from calib.fitsfile import primary_header
from calib.fitsfile.identity import data_id_of, product_data_ids, shared_data_id
from calib.ledger.ledger import Attempt
from calib.records import Archived, DataId, InputFile, Previews, Products, RawInputs, References
from calib.repository.registration import registration_of
from calib.stages.bestrefs import updated_inputs
from calib.stages.calibrate import reference_checksums
from calib.stages.calibrations import collection_record, use_record
from calib.stages.engine import engine_of
from calib.stages.environment import dataset_environment
from calib.stages.job import Job, Options
from calib.stages.joblog import LOG_NAME
from calib.stages.recording import ledger_of
from calib.stages.stage2 import plan_of
from calib.stages.visits import (
    fingerprint_context,
    is_combined,
    is_kept,
    visit_data_ids,
    visit_settings,
)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Made:
    """Everything the stages before publication made."""

    inputs: RawInputs
    references: References
    products: Products
    previews: Previews


def published_before(job: Job, inputs: RawInputs, references: References) -> Archived | None:
    """Return where the same result already lies, made current if wanted; None if there is none.

    Where a version of a later context is current it stays so, unless the job goes back.

    The same result means an equal fingerprint: inputs, context, references, engine with its
    numbers-version, and parameters.
    """
    found = find_published(job, *sought_fingerprints(job, inputs, references))
    output = output_of(job)
    if found is not None and output is not None and job.options.becomes_current:
        return output.lead_forward(job.id, found, _guarded_context(job))
    return found


def _guarded_context(job: Job) -> str | None:
    """Return the context that readers must not be led back to; None: they may be, it was asked."""
    return None if job.options.goes_back else job.context


def find_published(job: Job, *marks: str) -> Archived | None:
    """Return where the result with the first known fingerprint lies; None if none exists.

    Where the job has to be in its own run, other runs do not count.
    """
    output = output_of(job)
    runs = [job.run] if job.options.own_run else None
    if output is None:
        return None
    found = (output.find_published(job.id, mark, runs=runs) for mark in marks)
    return next(filter(None, found), None)


def output_of(job: Job) -> Output | None:
    """Return where the job's products go, None for the work folder."""
    return None if job.output is None else open_output(job.output)


def choose_run(job: Job, mark: str) -> str:
    """Return the name of the run to publish the result with a fingerprint in.

    A name that a person chose is kept. Otherwise a run that holds another result of this
    dataset (its inputs or a reference changed) gives way to NAME-2, NAME-3...
    """
    if job.run_is_named:
        return job.run
    return free_run(job, mark)


def free_run(job: Job, mark: str) -> str:
    """Return a run that can take the result with a fingerprint: the job's, or ``NAME-2``..."""
    output = output_of(job)
    return job.run if output is None else output.free_run(job.run, job.id, mark)


def archive(job: Job, made: Made, run: str, mark: str) -> Archived:
    """Publish products, previews and logs to ``OUTPUT/runs/RUN/INSTRUMENT/ID``.

    With no output folder the products stay in the work folder, and that is the answer.

    Parameters
    ----------
    run, mark
        Where, and the fingerprint of the result.

    Raises
    ------
    ArchiveError
        The output cannot be written or does not verify; nothing is half-published.
    """
    output = output_of(job)
    if output is None:
        return Archived(run=run, uri=job.folder.as_uri(), manifest_sha256="")
    publication = Publication(
        dataset=job.id,
        run=run,
        fingerprint=mark,
        files=files_of(job, made),
        provenance=_provenance(job, made),
        becomes_current=job.options.becomes_current,
        context=_guarded_context(job),
    )
    return output.publish(publication)


def register_run(job: Job, run: str) -> None:
    """Enter the run in the ledger, before anything is published in it.

    Raises
    ------
    ConfigError
        A run of this name exists with another context, engine, parameters or output.
    """
    if job.output is None:
        return
    ledger_of(job.ledger).ensure_run(run, **run_content(job, job.output))


def run_content(job: Job, output: str) -> dict[str, Any]:
    """Return what the ledger says of the run of a job: all that is fixed in it.

    What a campaign's manifest says of the dataset alone is not: the run is that of all.
    """
    options = job.run_options or job.options
    return {
        "context": job.context,
        "engine": options.engine,
        "engine_version": version("hstflow"),
        "parameters": _parameters(options) | options.stage2_settings | collection_record(options),
        "output": output,
    }


def register_products(job: Job, attempt: Attempt, archived: Archived) -> None:
    """Enter the published files in the ledger, as the manifest lists them, and what is current."""
    output = output_of(job)
    if output is None:
        return
    manifest = output.manifest(archived.run, job.id)
    found = registration_of(manifest, archived.uri, archived.manifest_sha256)
    ledger = ledger_of(job.ledger)
    ledger.record_publication(attempt, found.published, found.data_ids, found.members)
    if job.options.becomes_current:
        _follow_pointer(job, output, archived)


def _follow_pointer(job: Job, output: Output, archived: Archived) -> None:
    """Enter what is current in the archive, which need not be what was published just now.

    Others may publish the same dataset meanwhile. Each looks at the pointer again after its
    entry, so the last of them leaves the two in agreement.
    """
    entered, shown = None, output.pointed_run(job.id) or archived.run
    while shown != entered:
        entered = _enter_current(job, shown, archived)
        shown = output.pointed_run(job.id) or entered


def _enter_current(job: Job, shown: str, archived: Archived) -> str:
    """Enter a run as the current one; return what the pointer said."""
    ledger = ledger_of(job.ledger)
    try:
        ledger.set_current(job.id, shown)
    except ConfigError:
        log.warning("%s: this ledger does not know the current run, %s", job.id, shown)
        if archived.stays is None:
            ledger.set_current(job.id, archived.run)
    return shown


def register_found(job: Job, attempt: Attempt, archived: Archived) -> None:
    """Enter what was found published: a crash, or another ledger, may have left it out."""
    with suppress(ConfigError):  # the run is known, with the settings that it was made with
        register_run(job, archived.run)
    register_products(job, attempt, archived)


def lay_out_tar(job: Job) -> None:
    """Write CALDP's tar of what is current, where it was asked for and is not there.

    Raises
    ------
    ArchiveError
        It cannot be written. The dataset is published all the same, and the next run of the
        same job tries again.
    """
    output = output_of(job)
    if output is not None and job.options.tar and job.options.becomes_current:
        publish_tar(output, job.id, job.folder)


def sought_fingerprints(
    job: Job, inputs: RawInputs, references: References, engine: Engine | None = None
) -> list[str]:
    """Return the fingerprints of results that will do, the last one of what this job makes."""
    plans = plan_of(job, inputs).sought
    return [job_fingerprint(job, inputs, references, engine, plan) for plan in plans]


def job_fingerprint(
    job: Job,
    inputs: RawInputs,
    references: References,
    engine: Engine | None = None,
    plan: Stage2Plan | None = None,
) -> str:
    """Return the fingerprint of the result that this job makes.

    Parameters
    ----------
    engine
        The job's, where it was chosen already.
    plan
        What becomes of it after it is calibrated, where that is known already.
    """
    engine = engine or engine_of(job, inputs)
    return fingerprint(
        job.dataset,
        inputs=[file.sha256 for file in inputs.files],
        context=fingerprint_context(job),
        references=reference_checksums(references),
        engine=engine.name,
        numbers_version=engine.numbers_version,
        parameters=_all_parameters(job, references, plan or plan_of(job, inputs)),
    )


def _all_parameters(job: Job, references: References, plan: Stage2Plan) -> dict[str, Any]:
    """Return what a user set and what became of it; nothing of stage 2 where there is none."""
    drizzled = {"stage2": plan.record} if plan.record else {}
    said = _parameters(job.options)
    if is_combined(job.id):  # switches and references are those of exposures
        said = {name: value for name, value in said.items() if name == "env"}
    return said | use_record(job, references) | drizzled | visit_settings(job)


def _parameters(options: Options) -> dict[str, Any]:
    """Return what a user set; without an environment it is what it was before there was any."""
    return {
        "overrides": dataclasses.asdict(options.overrides),
        "references": options.reference_checksums,
        **({"env": options.env} if options.env else {}),
    }


def files_of(job: Job, made: Made) -> tuple[File, ...]:
    """Return the files to publish: products, raws with their references, previews, logs.

    The rule of what is not archived is data (:data:`calib.caldp.DELETED_SUFFIXES`); the log
    names what is left out. Of a visit or skycell the images are products of other datasets, and
    only the poller file stays with the products, among the logs.
    """
    kept = [file for file in made.products.files if not is_deleted(job, file.name)]
    products = [File("product", Path(f.path), f.sha256) for f in kept]
    made_names = {file.name for file in made.products.files}
    inputs = updated_inputs(job, made.inputs).files
    # An association's table comes out of calibration with its products marked as present:
    # that one is published, not the input of the same name.
    raws = [
        File(role, Path(file.path), None)
        for file in inputs
        if file.name not in made_names and (role := _role_of(job, file)) is not None
    ]
    previews = [File("preview", Path(f.path), f.sha256) for f in made.previews.files]
    logs = [File("log", path, None) for path in (job.folder / LOG_NAME,) if path.exists()]
    said = filter(None, (made.products.log, *made.products.logs))
    logs += [File("log", Path(path), None) for path in dict.fromkeys(said)]
    return (*products, *raws, *previews, *logs)


def _role_of(job: Job, file: InputFile) -> Role | None:
    """Return what an input is published as; None: it is not."""
    if file.suffix == ENVIRONMENT:
        return "env"
    if is_combined(job.id):
        return "log" if is_kept(file) else None
    return None if is_deleted(job, file.name) else "product"


def is_deleted(job: Job, name: str) -> bool:
    """Tell whether a file is not archived, and say so in the log."""
    suffix = product_suffix(name)
    if suffix not in DELETED_SUFFIXES.get(job.id.instrument, ()):
        return False
    log.info("%s is not archived: %s files of %s are not", name, suffix, job.id.instrument.upper())
    return True


def _provenance(job: Job, made: Made) -> dict[str, Any]:
    return provenance_record(
        inputs=made.inputs,
        references=made.references,
        products=made.products,
        parameters=_all_parameters(job, made.references, plan_of(job, made.inputs, made.products)),
        data_ids=_data_ids(job, made.inputs),
        request=_request(job, made),
        execution={"campaign": job.campaign, "engine": job.options.engine},
    )


def _request(job: Job, made: Made) -> dict[str, Any]:
    """Return how to ask for the same again: `archive reproduce` does.

    References of the CRDS cache are found by their names; others have their paths here. Where
    the dataset has settings of its own, those of its run stand here. Version keywords are
    those of the headers; the variables are those of the dataset's file.
    """
    uses = {use for exposure in made.references.exposures for use in exposure.references}
    cache = job.profile.references
    own = {use.path for use in uses if use.path and not Path(use.path).is_relative_to(cache)}
    said: dict[str, Any] = {
        "previews": job.options.previews,
        "thumb": job.options.thumb,
        "own_references": sorted(own),
        "versions": _written_versions(job, made),
    }
    if variables := dataset_environment(made.inputs):
        said["environment_file"] = variables
    if job.run_options is not None and job.output is not None:
        said["run_parameters"] = run_content(job, job.output)["parameters"]
    return said


def _written_versions(job: Job, made: Made) -> dict[str, str]:
    """Return the version keywords of headers: of exposures, or of what was combined."""
    exposures = [file.path for file in updated_inputs(job, made.inputs).calibrated]
    products = [file.path for file in made.products.files if file.name.endswith(".fits")]
    files = products if is_combined(job.id) else exposures
    header = primary_header(files[0]) if files else {}
    return {keyword: str(header[keyword]) for keyword in VERSION_KEYWORDS if keyword in header}


def _data_ids(job: Job, inputs: RawInputs) -> list[DataId]:
    """Return what every exposure shows, and what an association and its products show."""
    if is_combined(job.id):
        return visit_data_ids(job.id, inputs)
    headers = {file.rootname: primary_header(file.path) for file in inputs.calibrated}
    found = [data_id_of(rootname, header) for rootname, header in headers.items()]
    known = {each.rootname for each in found}
    if job.dataset in known:
        return found
    products = product_data_ids(inputs.members, found)
    within = [each for each in products if each.rootname != job.dataset]
    return [shared_data_id(job.dataset, found), *within, *found]
