"""The answers of MAST's query services, as rows, for files in a folder.

Shapes as astroquery 0.4.11 reads them (its modules discovery_portal and missions); columns
that neither astroquery nor we read are left out.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

from calib.errors import HstflowError
from calib.fetch.local import read_association
from calib.fitsfile import primary_header
from calib.hap_names import read_image_name

log = logging.getLogger(__name__)

_MJD_ZERO = datetime(1858, 11, 17)  # noqa: DTZ001 - headers have no zone either

_INSTRUMENTS = {"i": "WFC3", "j": "ACS", "l": "COS", "o": "STIS"}

# Columns of Mast.Caom.Filtered and Mast.Caom.Products with their types.
OBSERVATION_TYPES = {
    "obs_collection": "string",
    "instrument_name": "string",
    "obs_id": "string",
    "target_name": "string",
    "calib_level": "int",
    "t_exptime": "float",
    "dataRights": "string",
    "obsid": "string",
    "proposal_id": "string",
    "t_min": "float",
}
PRODUCT_TYPES = {
    "obsID": "string",
    "obs_collection": "string",
    "obs_id": "string",
    "dataURI": "string",
    "description": "string",
    "productType": "string",
    "productSubGroupDescription": "string",
    "productFilename": "string",
    "size": "int",
    "dataRights": "string",
}
_FIRST_NUMBER = 24_000_000  # the portal numbers its observations; real numbers look like this


@dataclass(frozen=True)
class Holdings:
    """What the archive has: files ``ROOT_SUFFIX.fits`` in a folder.

    Attributes
    ----------
    root
        The folder; files may come and go.
    associations
        Members of each association, lower case.
    exclusive
        Datasets in their exclusive-access period.
    wrong_sizes
        Report sizes that are not true, as the archive's data base sometimes does.
    members_listed
        Whether the product list of an association has the files of its members.
    """

    root: Path
    associations: Mapping[str, tuple[str, ...]]
    exclusive: frozenset[str] = frozenset()
    wrong_sizes: bool = False
    members_listed: bool = True
    numbers: dict[str, str] = field(default_factory=dict)

    def products(self, datasets: Iterable[str]) -> list[dict[str, Any]]:
        """Answer ``post_list_products`` of MastMissions."""
        return [self._product(name, path) for name, path in self._files(datasets)]

    def observations(self, filters: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
        """Answer ``Mast.Caom.Filtered``: associations, and exposures that are in none."""
        members = {member for names in self.associations.values() for member in names}
        roots = {_owner(path.name) for path in self.root.glob("*_*.fits")}
        filters = list(filters)
        rows = [self._observation(name) for name in sorted(roots - members)]
        return _mashup(OBSERVATION_TYPES, [r for r in rows if all(_matches(r, f) for f in filters)])

    def portal_products(self, numbers: Iterable[str]) -> dict[str, Any]:
        """Answer ``Mast.Caom.Products`` for the numbers that observations gave."""
        names = {number: name for name, number in self.numbers.items()}
        known = [(number, names[number]) for number in numbers if number in names]
        return _mashup(
            PRODUCT_TYPES,
            [
                self._portal_product(number, owner, path)
                for number, name in known
                for owner, path in self._files([name])
            ],
        )

    def _files(self, datasets: Iterable[str]) -> list[tuple[str, Path]]:
        owners = [
            owner
            for name in datasets
            for owner in (name, *(self.associations.get(name, ()) if self.members_listed else ()))
        ]
        return [
            (owner, path)
            for owner in dict.fromkeys(owners)
            for path in sorted(self.root.glob("*_*.fits"))
            if _owner(path.name) == owner
        ]

    def _product(self, owner: str, path: Path) -> dict[str, Any]:
        return {
            "product_key": f"{owner.upper()}_{path.name}",
            "access": "PRIVATE" if owner in self.exclusive else "PUBLIC",
            "dataset": owner.upper(),
            "filename": path.name,
            "instrument_name": _INSTRUMENTS.get(owner[0], ""),
            "uri": f"{owner.upper()}/{path.name}",
            "file_suffix": _suffix(path),
            "category": "UNCALIBRATED",
            "type": "science",
            "size": self._size(path),
        }

    def _observation(self, name: str) -> dict[str, Any]:
        number = self.numbers.setdefault(name, str(_FIRST_NUMBER + len(self.numbers)))
        return {
            "obs_collection": "HST",
            "instrument_name": _INSTRUMENTS.get(name[0], ""),
            "obs_id": name,
            "target_name": "ANY",
            "calib_level": 1,
            "t_exptime": 100.0,
            "dataRights": "EXCLUSIVE_ACCESS" if name in self.exclusive else "PUBLIC",
            "obsid": number,
            **self._when(name),
        }

    def _when(self, name: str) -> dict[str, Any]:
        """Return programme and beginning of an observation, as its raws say."""
        for owner in (name, *self.associations.get(name, ())):
            for path in sorted(self.root.glob(f"{owner}_raw*.fits")):
                header = _header(path, path.stat().st_mtime_ns)
                if "DATE-OBS" in header:
                    return {"proposal_id": str(header.get("PROPOSID")), "t_min": _begin(header)}
        return {"proposal_id": None, "t_min": None}

    def _portal_product(self, number: str, owner: str, path: Path) -> dict[str, Any]:
        return {
            "obsID": number,
            "obs_collection": "HST",
            "obs_id": owner,
            "dataURI": f"mast:HST/product/{path.name}",
            "description": f"{'HAP' if path.name.startswith('hst_') else 'DADS'} {_suffix(path)}",
            "productType": "SCIENCE",
            "productSubGroupDescription": _suffix(path),
            "productFilename": path.name,
            "size": self._size(path),
            "dataRights": "EXCLUSIVE_ACCESS" if owner in self.exclusive else "PUBLIC",
        }

    def _size(self, path: Path) -> int:
        size = path.stat().st_size
        return size // 2 if self.wrong_sizes else size


def read_associations(folder: Path) -> dict[str, tuple[str, ...]]:
    """Return the members of every association that has its table in a folder."""
    tables = [read_association(path) for path in sorted(folder.glob("*_asn.fits"))]
    return {table.name: table.required for table in tables}


@lru_cache(maxsize=4096)
def _header(path: Path, modified: int) -> Mapping[str, Any]:
    """Read a primary header; a file that is no FITS has none."""
    log.debug("reading %s of %d", path, modified)
    try:
        header: Mapping[str, Any] = primary_header(path)
    except HstflowError:
        return {}
    return header


def _begin(header: Mapping[str, Any]) -> float:
    """Return the beginning of an exposure as the portal does: modified Julian date."""
    text = f"{header['DATE-OBS']}T{header.get('TIME-OBS', '00:00:00')}"
    return (datetime.fromisoformat(text) - _MJD_ZERO) / timedelta(days=1)


def _suffix(path: Path) -> str:
    after = path.stem.rpartition if path.stem.startswith("hst_") else path.stem.partition
    return after("_")[2].upper()


def _owner(name: str) -> str:
    """Return the observation that lists a file; an exposure also lists its file of a mosaic."""
    image = read_image_name(name)
    if image is not None and image.of_mosaic:
        return f"{image.exposure}q"
    return name.partition("_")[0]


def _matches(row: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Apply one filter: a range, one of its values, or free text with % for anything."""
    known = row.get(wanted["paramName"])
    ranges = [each for each in wanted.get("values", ()) if isinstance(each, Mapping)]
    if ranges:
        return known is not None and any(
            float(each["min"]) <= known <= float(each["max"]) for each in ranges
        )
    value = str(known).lower()
    text = str(wanted.get("freeText") or "").lower()
    if text and re.fullmatch(".*".join(map(re.escape, text.split("%"))), value):
        return True
    return value in [str(item).lower() for item in wanted.get("values", ())]


def _mashup(types: Mapping[str, str], rows: list[dict[str, Any]]) -> dict[str, Any]:
    count = len(rows)
    paging = {"page": 1, "pageSize": 50_000, "pagesFiltered": 1}
    return {
        "status": "COMPLETE",
        "msg": "",
        "data": rows,
        "fields": [{"name": name, "type": kind} for name, kind in types.items()],
        "paging": {**paging, "rows": count, "rowsFiltered": count, "rowsTotal": count},
    }
