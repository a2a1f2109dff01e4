"""CALDP's tar of a dataset that the registry knows."""

from __future__ import annotations

from pathlib import Path

from calib.archive.outputs import open_output
from calib.archive.tar_output import Saved, save_tar
from calib.errors import ArchiveError
from calib.ids import DatasetId
from calib.ledger.reports import Rows
from calib.stores.transfer import local_path

_PLACE = """
SELECT run, uri, manifest_sha256 FROM publications
WHERE dataset = :dataset AND removed_at IS NULL
  AND (run = CAST(:run AS VARCHAR) OR (CAST(:run AS VARCHAR) IS NULL AND is_current = 1))
"""


def save_known_tar(
    rows: Rows, dataset: DatasetId, folder: Path, *, run: str | None = None
) -> Saved:
    """Write the tar of a published version into a folder.

    Parameters
    ----------
    rows
        Runs a SELECT on the ledger.
    dataset, run
        Which; the current version where no run is given.
    folder
        Where ``ID.tar.gz`` goes; made where missing.

    Raises
    ------
    ArchiveError
        The ledger knows of no such publication, or it has no manifest (ingested files that
        were made elsewhere); and as for :func:`calib.archive.tar_output.save_tar`.
    """
    found = rows(_PLACE, {"dataset": dataset.name, "run": run})
    if not found:
        what = "nothing is published" if run is None else f"nothing is published in run {run}"
        raise ArchiveError(f"{what}, as far as the ledger knows", dataset=dataset.name)
    place = found[0]
    output = output_of(place["uri"], place["run"], dataset)
    if output is None or place["manifest_sha256"] is None:
        raise ArchiveError(
            "only what hstflow published can be packed",
            dataset=dataset.name,
            path=place["uri"],
            expected="a publication with a manifest",
            found=f"run {place['run']}, made elsewhere",
        )
    return save_tar(open_output(output), dataset, folder, run=place["run"])


def output_of(uri: str, run: str, dataset: DatasetId) -> str | None:
    """Return the output that a publication lies in; None where the layout is not ours.

    Parameters
    ----------
    uri
        ``OUTPUT/runs/RUN/INSTRUMENT/ID``, as the ledger has it.
    run, dataset
        Whose folder that is.
    """
    end = f"/runs/{run}/{dataset.instrument}/{dataset.name}"
    if not uri.endswith(end):
        return None
    path = local_path(uri)
    return uri.removesuffix(end) if path is None else f"file:{path}".removesuffix(end)
