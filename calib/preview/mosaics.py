"""Names of the mosaics of visits (SVM) and skycells (MVM).

Source: drizzlepac 3.11 (haputils/product.py): ``hst_PROPOSAL_VISIT_INSTRUMENT_DETECTOR_FILTER_
IPPPSS[OO]_SUFFIX.fits``, where FILTER is ``total`` for all of a detector together, and
``hst_SKYCELL_INSTRUMENT_DETECTOR_FILTER_LAYER[-IPPPSSOO]_SUFFIX.fits``, where LAYER is ``all``
or ``coarse-all``.
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

Level = Literal["total", "filter", "exposure"]

_REST = r"(?P<instrument>acs|wfc3)_(?P<detector>[a-z]+)_(?P<filter>[a-z0-9-]+)"
_SUFFIX = r"(?P<suffix>dr[cz])\.fits"
_VISIT = re.compile(
    rf"hst_(?P<field>[a-z0-9]+_[a-z0-9]+)_{_REST}"
    rf"_(?P<label>[ij][a-z0-9]{{5}})(?P<exposure>[a-z0-9]{{2,3}})?_{_SUFFIX}"
)
_SKYCELL = re.compile(
    rf"hst_(?P<field>skycell-p[0-9]{{4}}x[0-9]{{2}}y[0-9]{{2}})_{_REST}"
    rf"_(?P<label>[a-z0-9]+(?:-all)?)(?P<exposure>-[ij][a-z0-9]{{7,8}})?_{_SUFFIX}"
)


class Mosaic(NamedTuple):
    """What the name of a mosaic says.

    Attributes
    ----------
    field
        ``PROPOSAL_VISIT``, or the skycell.
    instrument, detector
        ``acs`` or ``wfc3``; ``wfc``, ``uvis``, ``ir``...
    filter
        ``f606w``, ``f606w-pol0v``, ``clear``; ``total`` for all filters.
    label
        The visit (``ipppss``), or the layer of the skycell.
    suffix
        ``drc`` or ``drz``.
    level
        What was drizzled together.
    """

    field: str
    instrument: str
    detector: str
    filter: str
    label: str
    suffix: str
    level: Level

    @property
    def colour_stem(self) -> str:
        """How names of the composites of all filters of this detector begin."""
        parts = (self.field, self.instrument, self.detector, "total", self.label, self.suffix)
        return f"hst_{'_'.join(parts)}_color"


def parse_mosaic(name: str) -> Mosaic | None:
    """Read the name of a mosaic; None for any other name, such as that of its weight map.

    Parameters
    ----------
    name
        Of the file, without folders, in any case.
    """
    match = _SKYCELL.fullmatch(name.lower()) or _VISIT.fullmatch(name.lower())
    if match is None:
        return None
    level: Level = "filter"
    if match["exposure"]:
        level = "exposure"
    elif match["filter"] == "total":
        level = "total"
    return Mosaic(
        field=match["field"],
        instrument=match["instrument"],
        detector=match["detector"],
        filter=match["filter"],
        label=match["label"],
        suffix=match["suffix"],
        level=level,
    )
