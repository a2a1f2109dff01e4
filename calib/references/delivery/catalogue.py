"""Sizes and checksums of a delivery's files, and their place in the catalogue of a cache."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from calib.errors import ArchiveError
from calib.fitsfile.writing import writing
from calib.references import server_config
from calib.references.delivery.steps import Delivery, Entry
from calib.references.files import sha1_of
from calib.references.profile import CrdsProfile

_PIPELINE_PARTS = 2  # hst_9001.pmap
_INSTRUMENT_PARTS = 3  # hst_acs_9001.imap


def entry_of(
    path: Path, instrument: str = "", kind: str = "", original: Path | None = None
) -> Entry:
    """Return the row of a file: rules say in their name what they are of."""
    is_rules = path.suffix != ".fits"
    parts = path.stem.split("_")
    if is_rules and len(parts) >= _INSTRUMENT_PARTS:
        instrument = parts[1]
        kind = "_".join(parts[2:-1])
    return Entry(
        path.name,
        "mapping" if is_rules else "reference",
        path.stat().st_size,
        sha1_of(path),
        instrument,
        kind,
        None if original is None else str(original.absolute()),
    )


def verify(delivery: Delivery) -> None:
    """Compare the files of a delivery with its catalogue.

    Raises
    ------
    ArchiveError
        A file is missing, a link, or was changed since the delivery was made.
    """
    for entry in delivery.files:
        if delivery.path(entry).is_symlink():
            raise ArchiveError("a file of the delivery is a link", path=delivery.path(entry))
        check_file(delivery.path(entry), entry, "a file of the delivery")


def check_file(path: Path, entry: Entry, what: str) -> None:
    """Compare a file with its row.

    Raises
    ------
    ArchiveError
        It is missing, or has another size or sha1.
    """
    if not path.is_file():
        raise ArchiveError(f"{what} is missing", path=path)
    found = sha1_of(path)
    if found != entry.sha1sum:
        raise ArchiveError(
            f"{what} was changed", path=path, expected=f"sha1 {entry.sha1sum}", found=found
        )


def merge(profile: CrdsProfile, delivery: Delivery, *, operational: bool) -> None:
    """Enter the files of a delivery in what a cache without a server says of itself.

    Parameters
    ----------
    operational
        Make its context the one that is used where none is named.

    Raises
    ------
    ConfigError
        server_config is damaged.
    ArchiveError
        It cannot be written.
    """

    def change(info: dict[str, Any]) -> dict[str, Any]:
        found = server_config.with_files(info, rows)
        named = ("operational_context", "latest_context") if operational else ()
        return found | dict.fromkeys(named, delivery.context)

    rows = {each.name: {"size": str(each.size), "sha1sum": each.sha1sum} for each in delivery.files}
    with writing(profile.server_config):
        server_config.change_info(profile, change)
