"""Stage 1: the raw inputs, complete and verified, in the job's work folder."""

from __future__ import annotations

import os
from pathlib import Path

from calib.caldp import ENVIRONMENT_FILE, tarball_name
from calib.fetch.local import fetch_inputs
from calib.fetch.options import options_from
from calib.fetch.registered import RegisteredFile
from calib.hap_names import poller_name
from calib.records import RawInputs
from calib.repository.inputs import look_up
from calib.stages.job import Job, key_of
from calib.stages.workfolder import RECORD, Finished, StageFolder


def fetch(job: Job) -> Finished[RawInputs]:
    """Copy, download, unpack and verify the inputs of a dataset.

    Where MAST is, and the user's token, are read from the environment here, in the process
    that downloads: a secret never enters a job, a flow parameter or the ledger.

    Inputs fetched by an earlier attempt are used again unless a source file is newer, or the
    registry now has other files for this dataset.

    Raises
    ------
    NotFound, MissingMember, CorruptFile, ConfigError
        As :func:`calib.fetch.local.fetch_inputs`; with ``archive:`` also as
        :func:`calib.repository.inputs.look_up`.
    """
    registered = look_up(job.id, job.source, job.ledger)

    def work(folder: Path) -> RawInputs:
        options = options_from(os.environ)
        return fetch_inputs(job.id, job.source, folder, options=options, registered=registered)

    place = _place(job, registered)
    return place.run(work, still_valid=lambda inputs: _not_newer(job, inputs, place.path))


def finished_fetch(job: Job) -> RawInputs | None:
    """Return the inputs that an earlier attempt fetched and that would be used again."""
    place = _place(job, look_up(job.id, job.source, job.ledger))
    inputs = place.load()
    return inputs if inputs is not None and _not_newer(job, inputs, place.path) else None


def _place(job: Job, registered: dict[str, RegisteredFile] | None) -> StageFolder[RawInputs]:
    key = key_of("fetch", job.dataset, job.source, *_parts(registered))
    return StageFolder(job.folder / "fetch", RawInputs, key)


def _parts(registered: dict[str, RegisteredFile] | None) -> list[object]:
    """Return what the key of the stage has of the registry's answer."""
    return [] if registered is None else [[n, vars(file)] for n, file in sorted(registered.items())]


def _not_newer(job: Job, inputs: RawInputs, finished: Path) -> bool:
    """Tell whether every local source file is older than our copy (the rule of make)."""
    scheme, _, folder = job.source.partition(":")
    if scheme == "astroquery" and folder:  # where the pollers lie
        sources = [Path(folder) / poller_name(job.id)]
    elif scheme == "file":
        known = (tarball_name(job.dataset), ENVIRONMENT_FILE.format(dataset=job.dataset))
        names = {*known, *(file.name for file in inputs.files)}
        sources = [Path(folder), *(Path(folder) / name for name in names)]
    else:
        return True
    limit = (finished / RECORD).stat().st_mtime
    return all(path.stat().st_mtime <= limit for path in sources if path.is_file())
