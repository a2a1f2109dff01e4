"""The files of a publication beside those that were made again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from calib.archive.manifest import FileEntry
from calib.errors import CorruptFile, NotFound
from calib.fitsfile.comparison import (
    EXACT,
    CardDifference,
    ExtensionDifference,
    Tolerance,
    compare_fits,
)
from calib.preview.comparison import compare_descriptions, compare_pictures
from calib.stages.text_comparison import compare_texts
from calib.stores.store import Store, hash_file

# Roles that are the same again: logs tell the time and the host of each line.
COMPARED = ("product", "preview", "env")

# Products that are logs all the same: drizzlepac's trailers of visits and skycells.
LOGS = ("_trl.txt",)

# Cards that name versions: where those differ, so do these, and nothing else follows from it.
VERSION_CARDS = {"CAL_VER": "engine", "CRDS_VER": "crds"}

# What counts as made again, from the best.
REPRODUCED = ("identical", "dates", "versions", "equal", "tolerated")

# Levels of 255 that a picture may be off where Pillow's JPEG coder is another one: about one
# step of its quantisation of fine detail at our quality of 90 (ITU-T T.81, table K.1).
PICTURE_LEVELS = 12

# Cards named in one line of the report.
_CARDS = 4


@dataclass(frozen=True)
class FileResult:
    """How one file came out.

    Attributes
    ----------
    name
        Below the folder of the dataset.
    state
        ``identical``: every byte. ``dates``: but for dates. ``versions``: but for dates and
        the cards that name versions. ``equal``: the same values, written otherwise.
        ``tolerated``: within the tolerance of its class. ``differs``. ``missing``: not made
        again. ``extra``: not made then. ``damaged``: the archived file is not what its
        manifest says.
    details
        What differs, one line each.
    extensions
        The same of a FITS file, for programs.
    """

    name: str
    state: str
    details: tuple[str, ...] = ()
    extensions: tuple[ExtensionDifference, ...] = ()

    @property
    def reproduced(self) -> bool:
        """Whether the file counts as made again."""
        return self.state in REPRODUCED


@dataclass(frozen=True)
class Terms:
    """On which terms a file is compared.

    Attributes
    ----------
    tolerance
        How close numbers have to be.
    versions
        Keywords of cards that may differ: their versions do.
    other_pillow
        Whether another Pillow draws the pictures now.
    other_words
        Whether any card of a header may differ.
    """

    tolerance: Tolerance = EXACT
    versions: tuple[str, ...] = ()
    other_pillow: bool = False
    other_words: bool = False


def compare_all(
    entries: Sequence[FileEntry],
    store: Store,
    made: Mapping[str, Path],
    terms: Mapping[str, Terms],
    folder: Path,
) -> tuple[FileResult, ...]:
    """Compare every file of a publication with the one made again.

    Parameters
    ----------
    entries
        Files of the manifest.
    store
        The folder of the publication.
    made
        Files made again, by their names in the archive.
    terms
        Terms by the same names.
    folder
        Where archived files are brought to.
    """
    wanted = {
        entry.name: entry
        for entry in entries
        if entry.role in COMPARED and not entry.name.endswith(LOGS)
    }
    results = [
        _compare(entry, store, made.get(name), terms.get(name, Terms()), folder)
        for name, entry in wanted.items()
    ]
    extra = [
        FileResult(name, "extra", ("not made then",))
        for name in made
        if name not in wanted and not name.endswith(LOGS)
    ]
    return tuple(sorted([*results, *extra], key=lambda result: result.name))


def _compare(
    entry: FileEntry, store: Store, made: Path | None, terms: Terms, folder: Path
) -> FileResult:
    if made is None:
        return FileResult(entry.name, "missing", ("not made again",))
    archived = folder / entry.name.replace("/", "_")
    try:
        store.get(entry.name, archived)
    except (NotFound, CorruptFile) as error:
        return FileResult(entry.name, "damaged", (str(error),))
    is_intact = hash_file(archived) == entry.sha256
    try:
        result = _judge(entry.name, archived, made, terms)
    except CorruptFile as error:
        result = FileResult(entry.name, "differs", (str(error),))
    archived.unlink()
    if is_intact:
        return result
    changed = "the archived file is not what its manifest says: its sha256 differs"
    return replace(result, state="damaged", details=(changed, *result.details))


def _judge(name: str, archived: Path, made: Path, terms: Terms) -> FileResult:
    if hash_file(archived) == hash_file(made):
        return FileResult(name, "identical")
    if name.endswith(".fits"):
        return _judge_fits(name, archived, made, terms)
    if name.endswith((".jpg", ".png")):
        return _judge_picture(name, archived, made, terms)
    if name.endswith(".json"):
        other = compare_descriptions(archived, made)
        return FileResult(name, "differs" if other else "equal", other)
    if name.endswith((".ecsv", ".txt")):
        return _judge_text(name, archived, made, terms)
    return FileResult(name, "differs", ("other bytes",))


def _judge_text(name: str, archived: Path, made: Path, terms: Terms) -> FileResult:
    found = compare_texts(archived, made, terms.tolerance)
    if not found.rows:
        return FileResult(name, "equal", ("comments differ",))
    is_far = found.beyond > terms.tolerance.fraction * found.total
    details = (f"{found.rows} of {found.total} rows differ",)
    return FileResult(name, "differs" if is_far else "tolerated", details)


def _judge_picture(name: str, archived: Path, made: Path, terms: Terms) -> FileResult:
    found = compare_pictures(archived, made)
    if not (found.pixels or found.form):
        return FileResult(name, "equal", ("coded otherwise",))
    close = terms.other_pillow and not found.form and found.largest <= PICTURE_LEVELS
    text = f"{found.pixels} of {found.total} pixels differ, by up to {found.largest} of 255"
    return FileResult(name, "tolerated" if close else "differs", (found.form or text,))


def _judge_fits(name: str, archived: Path, made: Path, terms: Terms) -> FileResult:
    found = compare_fits(archived, made, terms.tolerance)
    states = [_state(extension, terms) for extension in found]
    worst = max(states, key=_RANK.index, default="equal")
    details = tuple(line for extension in found for line in _lines(extension))
    return FileResult(name, worst, details, found)


_RANK = (*REPRODUCED, "differs")


def _state(extension: ExtensionDifference, terms: Terms) -> str:
    cards = [card for card in extension.cards if card.keyword not in terms.versions]
    are_close = terms.other_words or all(_is_close(card, terms.tolerance) for card in cards)
    if extension.form or not are_close:
        return "differs"
    data = extension.data
    if data is not None and data.beyond > terms.tolerance.fraction * data.total:
        return "differs"
    if data is not None or cards:
        return "tolerated"
    if extension.cards:
        return "versions"
    return "dates" if extension.dates else "equal"


def _is_close(card: CardDifference, tolerance: Tolerance) -> bool:
    """Tell whether a card holds a number (a mean, a rate) that follows the pixels."""
    values = [_number(text) for text in (card.expected, card.found)]
    if tolerance == EXACT or None in values:
        return False
    then, now = (float(value) for value in values if value is not None)
    return abs(now - then) <= tolerance.atol + tolerance.rtol * abs(then)


def _number(card: str | None) -> float | None:
    text = "" if card is None else card[10:].partition("/")[0].strip()
    try:
        return float(text)
    except ValueError:
        return None


def _lines(extension: ExtensionDifference) -> list[str]:
    """Say what differs in an extension; dates alone are no news."""
    lines = []
    if extension.form:
        lines.append(f"{extension.name}: {extension.form}")
    if data := extension.data:
        size = "" if data.largest is None else f", by up to {data.largest:.6g}"
        lines.append(f"{extension.name}: {data.values} of {data.total} values differ{size}")
    for card in extension.cards[:_CARDS]:
        then, now = ("nothing" if text is None else text for text in card[1:])
        lines.append(f"{extension.name}: {card.keyword} is [{now}], was [{then}]")
    if len(extension.cards) > _CARDS:
        lines.append(f"{extension.name}: {len(extension.cards) - _CARDS} more cards differ")
    return lines
