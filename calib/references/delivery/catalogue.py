"""Sizes and checksums of a delivery's files, and their place in the catalogue of a cache."""

from __future__ import annotations

import fcntl
import pprint
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from calib.errors import ArchiveError
from calib.fitsfile.writing import replacing, writing
from calib.references import library, server_config
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
    path = profile.server_config
    with _locked(path.with_name("server_config.lock")):
        library.forget()
        with library.session(profile):
            info = library.server_info(profile)
            rows = server_config.catalogue(info)
            rows |= {
                each.name: {"size": str(each.size), "sha1sum": each.sha1sum}
                for each in delivery.files
            }
            info["download_metadata"] = _as_before(info.get("download_metadata"), rows)
        names = [each.name for each in delivery.files if each.kind == "mapping"]
        info["mappings"] = _joined(info.get("mappings") or (), names)
        if operational:
            info |= dict.fromkeys(("operational_context", "latest_context"), delivery.context)
        with replacing(path) as stream:
            stream.write((pprint.pformat(info) + "\n").encode())


def _as_before(before: Any, rows: dict[str, dict[str, str]]) -> Any:
    """Return the catalogue in the form it had: the server sends it packed."""
    from crds.client import proxy

    is_packed = isinstance(before, dict) and "crds_encoded" in before
    return proxy.crds_encode(rows) if is_packed else rows


def _joined(names: Sequence[str], more: Sequence[str]) -> list[str]:
    return sorted({*names, *more})


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Keep others that enter deliveries out for as long as the block lasts."""
    with writing(path):
        stream = path.open("a")
    with stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield
