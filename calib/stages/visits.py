"""What the stages do otherwise for visits (SVM) and skycells (MVM): they have no raw exposures.

Their inputs are calibrated images. No rules choose references for them, so their result does
not depend on the CRDS context, only on the images, which name the context that they were
calibrated on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from calib.engines.lookup import choose_engine
from calib.fitsfile import primary_header
from calib.fitsfile.identity import data_id_of_image, shared_data_id
from calib.hap_names import POLLER
from calib.ids import DatasetId
from calib.records import DataId, InputFile, RawInputs, References
from calib.references.image_references import image_references
from calib.stages.job import Job

# Of drizzled products there is one for each of these, so all of them are told; a database may
# give the words this room (calib.ledger.schema).
_LISTED = {"detector": 32, "filter": 255}


def is_combined(dataset: DatasetId) -> bool:
    """Tell whether a dataset is a visit or skycell."""
    return dataset.kind != "ipst"


def check_can_be_made(job: Job) -> None:
    """Refuse a visit or skycell without its program before anything is downloaded.

    Raises
    ------
    UnsupportedMode
        No engine makes it; the message says how to get one.
    ConfigError
        There is no engine of this name.
    """
    if is_combined(job.id):
        choose_engine(job.options.engine, [], job.options.overrides, kind=job.id.kind)


def find_image_references(job: Job, inputs: RawInputs, *, download: bool = True) -> References:
    """Return the distortion files that images name, where drizzling opens them.

    Raises
    ------
    ReferenceUnavailable
        One has to be opened and is not to be had.
    """
    paths = [Path(file.path) for file in inputs.images]
    return image_references(paths, job.context, job.profile, download=download)


def fingerprint_context(job: Job) -> str:
    """Return the context that a result depends on; none for visits and skycells."""
    return "" if is_combined(job.id) else job.context


def visit_settings(job: Job) -> dict[str, str]:
    """Return what else a user set of a visit or skycell that decides its result."""
    return {"astrometry": job.options.astrometry} if is_combined(job.id) else {}


def is_kept(file: InputFile) -> bool:
    """Tell whether an input of a visit or skycell stays with its products: the poller file."""
    return file.suffix == POLLER


def visit_data_ids(dataset: DatasetId, inputs: RawInputs) -> list[DataId]:
    """Return what a visit or skycell shows, from the headers of its images.

    What images do not share is None, but for detectors and filters: all of them, with ``;``
    between them, in alphabetical order.
    """
    images = [data_id_of_image(dataset, primary_header(f.path)) for f in inputs.images]
    shared = shared_data_id(dataset.name, images)
    detector, beam = (_listed(name, images) for name in _LISTED)
    return [replace(shared, detector=detector, filter=beam)]


def _listed(name: str, images: Sequence[DataId]) -> str | None:
    """Join values of all images; None where one lacks it, or they take too much room."""
    values = [getattr(each, name) for each in images]
    if not values or None in values:
        return None
    text = ";".join(sorted({part for value in values for part in value.split(";")}))
    return text if len(text) <= _LISTED[name] else None
