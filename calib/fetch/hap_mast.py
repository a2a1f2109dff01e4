"""Which calibrated exposures MAST has of a visit, and of the visits that a skycell is made of.

As drizzlepac's retrieve_observation asks (3.11.0, haputils/astroquery_utils.py): all
observations whose names begin like the visit, then all their products. It then takes the FLC of
the whole answer or, where there is none at all, the FLT; here each exposure has its own.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from calib.errors import MAST, NotFound
from calib.fetch.copying import Copied
from calib.fetch.download import Remote
from calib.fetch.holdings import Listed
from calib.fetch.mast import MastHoldings, find_products
from calib.fetch.options import FetchOptions
from calib.hap_names import is_image_of, read_image_name
from calib.ids import DatasetId


@dataclass
class VisitHoldings:
    """The calibrated exposures that MAST has: names first, bytes when taken.

    Attributes
    ----------
    dataset, options
        Whose files, and how to get them.
    staging
        Where files are put.
    files
        By name in lower case.
    asked
        Visits that were asked for.
    notes
        Which exposures MAST has raw only: it is MAST's word that they are not calibrated.
    """

    dataset: DatasetId
    options: FetchOptions
    staging: Path
    files: dict[str, Remote] = field(default_factory=dict)
    asked: set[str] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)
    code: int = MAST
    is_chosen: bool = False

    @property
    def origin(self) -> str:
        """The archive."""
        return f"astroquery:{self.options.mast_url}"

    @property
    def names(self) -> Collection[str]:
        """Names of the files known so far."""
        return self.files

    def look_for(self, roots: Collection[str]) -> None:
        """Ask for visits that were not asked for yet, by the first six characters of exposures.

        Raises
        ------
        Unavailable, Proprietary
            As :func:`calib.fetch.mast.find_files`. That nothing is found is no error here.
        """
        for visit in sorted(set(roots) - self.asked):
            found = find_products(f"{visit}*", self.options)
            self.asked.add(visit)
            self.files |= {n: f for n, f in found.items() if is_image_of(self.dataset, n)}
            if self.dataset.kind == "svm":  # of a skycell the poller says which
                self.notes += _uncalibrated(visit, found)

    def describe(self, name: str) -> Listed:
        """Say what MAST's list says of a file."""
        return Listed(self.files[name].size, self.files[name].url)

    def take(self, name: str) -> Copied:
        """Bring one file, verified, into the staging folder."""
        one = MastHoldings(self.dataset, self.options, self.staging, self.files)
        return one.take(name)


def find_visit_holdings(dataset: DatasetId, options: FetchOptions, staging: Path) -> VisitHoldings:
    """Ask MAST for the exposures of a visit; for those of a skycell once its poller is read.

    Raises
    ------
    NotFound
        MAST has no calibrated exposure of the visit. Code 22.
    Unavailable, Proprietary
        As :func:`calib.fetch.mast.find_files`.
    """
    holdings = VisitHoldings(dataset, options, staging)
    if dataset.kind == "mvm":
        return holdings
    holdings.look_for([dataset.visit_root])
    if not holdings.files:
        raise NotFound(
            "MAST has no exposures of this visit",
            dataset=dataset.name,
            path=options.mast_url,
            expected=f"{dataset.visit_root}..._flc.fits or {dataset.visit_root}..._flt.fits",
            code=MAST,
        )
    return holdings


def _uncalibrated(visit: str, found: Collection[str]) -> list[str]:
    done = {image.exposure for name in found if (image := read_image_name(name)) is not None}
    raws = {n.partition("_")[0] for n in found if n.startswith(visit) and n.endswith("_raw.fits")}
    missing = " ".join(sorted(raws - done))
    return [f"MAST has no flc or flt of {missing}: not in the mosaics"] if missing else []
