"""Which of the files at hand belong to a dataset. Names only: nothing is opened."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from calib.association import Association
from calib.caldp import (
    ENVIRONMENT,
    EXPOSURE_SUFFIXES,
    EXPOSURES_UNDER_ASSOCIATION_NAME,
    INPUT_SUFFIXES,
    suffix_of,
    tarball_name,
)
from calib.errors import MissingMember, NotFound
from calib.ids import DatasetId

_SHOWN = 12  # names in a message: enough to see what is wrong, short enough for one line


def root_of(name: str) -> str:
    """Return the dataset a file name begins with, lower case."""
    return name.lower().partition("_")[0]


def inputs_of(root: str, instrument: str, names: Iterable[str]) -> tuple[str, ...]:
    """Return the input files of one exposure or association, in name order.

    Files that calibration made (``_flt``, ``_crj``) have no input suffix and stay out.
    """
    suffixes = INPUT_SUFFIXES[instrument]
    return tuple(sorted(n for n in names if root_of(n) == root and suffix_of(n) in suffixes))


def is_exposure(name: str, instrument: str) -> bool:
    """Whether a file carries an exposure, as opposed to a table or engineering data."""
    return suffix_of(name) in EXPOSURE_SUFFIXES[instrument]


def exposure_files(dataset: DatasetId, names: Collection[str]) -> tuple[str, ...]:
    """Return the files of a dataset that stands for itself: an exposure.

    An association table beside it is left out: an exposure id means that exposure alone.

    Raises
    ------
    NotFound
        No file of this dataset carries an exposure; the message lists what is nearby.
    """
    own = inputs_of(dataset.name, dataset.instrument, names)
    if not any(is_exposure(n, dataset.instrument) for n in own):
        kinds = sorted(EXPOSURE_SUFFIXES[dataset.instrument])
        suffix = kinds[0] if len(kinds) == 1 else f"({'|'.join(kinds)})"
        raise NotFound(
            "no exposure file of this dataset",
            dataset=dataset.name,
            expected=f"{dataset.name}_{suffix}.fits or {tarball_name(dataset.name)}",
            found=nearby(dataset.name, names),
        )
    return tuple(n for n in own if suffix_of(n) != "asn")


def table_name(dataset: DatasetId, names: Collection[str]) -> str | None:
    """Return the name of the association table; None where the dataset needs none.

    Raises
    ------
    NotFound
        The dataset is an association and its table is not there.
    """
    if not dataset.is_association:
        return None
    name = f"{dataset.name}_asn.fits"
    if name in names:
        return name
    own = inputs_of(dataset.name, dataset.instrument, names)
    if _holds_exposures_itself(dataset.instrument, own):
        return None
    raise NotFound(
        "no association table of this dataset",
        dataset=dataset.name,
        expected=f"{name} or {tarball_name(dataset.name)}",
        found=nearby(dataset.name, names),
    )


def association_files(
    association: Association, instrument: str, names: Collection[str]
) -> tuple[str, ...]:
    """Return the files of an association: its own and those of the exposures it requires.

    Raises
    ------
    MissingMember
        An exposure that the table marks as present has no exposure file. Every missing
        member is listed, and what was found instead.
    """
    own = inputs_of(association.name, instrument, names)
    files = {m: inputs_of(m, instrument, names) for m in association.required}
    missing = [
        member for member, its in files.items() if not any(is_exposure(n, instrument) for n in its)
    ]
    if missing and not _holds_exposures_itself(instrument, own):
        raise MissingMember(
            f"{len(missing)} of {len(files)} exposures of the association are missing: "
            + " ".join(missing),
            dataset=association.name,
            expected=" ".join(files),
            found=nearby(missing[0], names),
        )
    own_alone = {"asn", ENVIRONMENT}  # the variables of a member are for it alone
    members = (n for its in files.values() for n in its if suffix_of(n) not in own_alone)
    return tuple(sorted({*own, *members}))


def nearby(dataset: str, names: Collection[str]) -> str:
    """List for a message the files that look related: same program first, then any FITS."""
    related = sorted(n for n in names if n.startswith(dataset[:4]))
    shown = related or sorted(n for n in names if n.endswith((".fits", ".gz", ".tar")))
    if not shown:
        return f"no FITS file among {len(names)} files" if names else "nothing"
    more = f" and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else ""
    return " ".join(shown[:_SHOWN]) + more


def _holds_exposures_itself(instrument: str, own: Collection[str]) -> bool:
    return instrument in EXPOSURES_UNDER_ASSOCIATION_NAME and any(
        is_exposure(n, instrument) for n in own
    )
