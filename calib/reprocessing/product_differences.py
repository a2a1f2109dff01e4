"""Two versions of a product beside each other: headers, pixels, tables, pictures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from calib.errors import CorruptFile, DataError
from calib.fitsfile.comparison import CardDifference, ExtensionDifference, compare_fits
from calib.fitsfile.image_data import ImageSet, image_versions, read_image_sets
from calib.references.keywords import reference_keywords
from calib.reprocessing.pictures import Pictures, draw_pictures
from calib.reprocessing.pixel_differences import compare_flags, compare_planes
from calib.reprocessing.product_records import (
    HeaderChange,
    ImageSetDifference,
    PlaneDifference,
    ProductDifference,
    TableDifference,
)
from calib.stores.store import hash_file

# Planes beside SCI that are compared as numbers; DQ is compared as flags.
NUMBERS = ("ERR", "WHT")

# Checksums follow from whatever else differs (FITS standard 4.0, 4.4.2.7).
_FOLLOWS = frozenset({"CHECKSUM", "DATASUM"})

# Cards of a product that are told: HISTORY may be thousands of lines.
MOST_CARDS = 200

# Image sets of a product that are drawn: a ramp of WFC3/IR has sixteen much alike.
MOST_PICTURES = 4


@dataclass(frozen=True)
class Pair:
    """Two versions of a product as files, its name and dataset type, and whose it is."""

    old: Path
    new: Path
    name: str
    type: str
    instrument: str


@dataclass(frozen=True)
class Compared:
    """A difference, and pictures of it by EXTVER."""

    difference: ProductDifference
    pictures: dict[int, Pictures] = field(default_factory=dict)


def compare_products(pair: Pair) -> Compared:
    """Compare two versions of a product.

    Files that cannot be read as FITS are told by their bytes, or as unreadable: a report of many
    does not end with one of them.
    """
    blank = ProductDifference(pair.name, pair.type, "identical")
    if hash_file(pair.old) == hash_file(pair.new):
        return Compared(blank)
    if not pair.name.endswith(".fits"):
        return Compared(replace(blank, state="data", forms=("other bytes",)))
    try:
        return _compare_fits(pair, blank)
    except DataError as error:
        return Compared(replace(blank, state="unreadable", problem=str(error)))


def _compare_fits(pair: Pair, blank: ProductDifference) -> Compared:
    extensions = compare_fits(pair.old, pair.new)
    cards = list(_header_changes(extensions, pair.instrument))
    sets: list[ImageSetDifference] = []
    pictures: dict[int, Pictures] = {}
    for version in _versions(pair, [each.name for each in extensions if each.data or each.form]):
        one, drawn = _compare_set(pair, version, draws=len(pictures) < MOST_PICTURES)
        sets.append(one)
        pictures |= {version: drawn} if drawn else {}
    forms = tuple(f"{each.name}: {each.form}" for each in extensions if each.form)
    tables = tuple(_tables(extensions, sets))
    found = replace(
        blank,
        state="form" if forms else "data" if sets or tables else "header" if cards else "dates",
        headers=tuple(cards[:MOST_CARDS]),
        more_headers=max(0, len(cards) - MOST_CARDS),
        sets=tuple(sets),
        tables=tables,
        forms=forms,
    )
    return Compared(found, pictures)


def _header_changes(
    extensions: Sequence[ExtensionDifference], instrument: str
) -> Iterator[HeaderChange]:
    """Yield the cards that differ: those that name references first, HISTORY at the end."""
    references = reference_keywords(instrument)
    found = [
        HeaderChange(each.name, card.keyword, card.expected, card.found, card.keyword in references)
        for each in extensions
        for card in each.cards
        if _tells(card)
    ]
    yield from sorted(found, key=lambda card: (not card.is_reference, card.keyword == "HISTORY"))


def _tells(card: CardDifference) -> bool:
    return card.keyword not in _FOLLOWS


def _versions(pair: Pair, names: Sequence[str]) -> list[int]:
    """Return the EXTVER of the image sets of which an array differs."""
    if not names:
        return []
    try:
        there = sorted({*image_versions(pair.old)} & {*image_versions(pair.new)})
    except DataError:  # a file of tables
        return []
    planes = ("SCI", "DQ", *NUMBERS)
    concerned = {f"{plane},{version}": version for version in there for plane in planes}
    if "PRIMARY" in names:  # the only image of a file, or extensions that are others now
        return there
    return sorted({concerned[name] for name in names if name in concerned})


def _compare_set(
    pair: Pair, version: int, *, draws: bool
) -> tuple[ImageSetDifference, Pictures | None]:
    try:
        before, after = (_read(path, version) for path in (pair.old, pair.new))
    except CorruptFile as error:  # arrays of one set differ in shape
        return ImageSetDifference(version, "", form=str(error)), None
    unit = str(after.header.get("BUNIT", "")).strip().lower()
    shapes = before.planes["SCI"].shape, after.planes["SCI"].shape
    if shapes[0] != shapes[1]:
        form = f"{shapes[1]} pixels in place of {shapes[0]}"
        return ImageSetDifference(version, unit, form=form), None
    planes = tuple(_planes(before, after, version))
    flags = None
    if "DQ" in before.planes and "DQ" in after.planes:
        arrays = before.planes["DQ"], after.planes["DQ"]
        flags = compare_flags(f"DQ,{version}", *arrays, instrument=pair.instrument)
    found = ImageSetDifference(version, unit, planes, flags)
    is_drawn = draws and planes[0].changed and len(shapes[0]) == _IMAGE_AXES
    return found, draw_pictures(before, after) if is_drawn else None


_IMAGE_AXES = 2


def _read(path: Path, version: int) -> ImageSet:
    names = (*NUMBERS, "DQ")
    return next(found for _, found in read_image_sets(path, names, [version], wcs=False))


def _planes(before: ImageSet, after: ImageSet, version: int) -> Iterator[PlaneDifference]:
    for name in ("SCI", *NUMBERS):
        if name in before.planes and name in after.planes:
            error = before.planes.get("ERR") if name == "SCI" else None
            arrays = before.planes[name], after.planes[name]
            yield compare_planes(f"{name},{version}", *arrays, error=error)


def _tables(
    extensions: Sequence[ExtensionDifference], sets: Sequence[ImageSetDifference]
) -> Iterator[TableDifference]:
    """Yield what differs in extensions that no image set tells of."""
    told = {plane.name for one in sets for plane in one.planes}
    told |= {one.flags.name for one in sets if one.flags}
    for each in extensions:
        is_only_image = each.name == "PRIMARY" and bool(sets)
        if each.data and each.name not in told and not is_only_image:
            yield TableDifference(each.name, each.data.values, each.data.total, each.data.largest)
