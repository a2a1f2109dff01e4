"""Deliveries come into the CRDS cache: from then on their context can be used."""

from __future__ import annotations

import shutil
from pathlib import Path

from calib.errors import ConfigError
from calib.references import library
from calib.references.delivery.catalogue import check_file, merge, verify
from calib.references.delivery.placing import new_file
from calib.references.delivery.staging import context_files
from calib.references.delivery.steps import (
    ORDER,
    Delivery,
    Entry,
    advance,
    check_step,
    held,
)
from calib.references.files import sha1_of
from calib.references.profile import CrdsProfile


def confirm(folder: Path, who: str) -> Delivery:
    """Say that a delivery is as it should be; its files are verified.

    Raises
    ------
    ConfigError
        There is no delivery, or it is not ready.
    ArchiveError
        A file is missing or was changed.
    """
    with held(folder) as delivery:
        check_step(delivery, "confirmed")
        verify(delivery)
        return advance(delivery, "confirmed", who)


def cancel(folder: Path, who: str) -> Delivery:
    """Give up a delivery; its files stay in its folder.

    Raises
    ------
    ConfigError
        There is no delivery, or it is archived (some of it, perhaps) or cancelled already.
    """
    with held(folder) as delivery:
        return advance(delivery, "cancelled", who)


def archive(profile: CrdsProfile, folder: Path, who: str, *, operational: bool = False) -> Delivery:
    """Copy a confirmed delivery into the CRDS cache, and enter it in the catalogue there.

    Nothing is written where a name is taken by another file. What was copied before an
    interruption is found, and the rest follows in the next call.

    Parameters
    ----------
    operational
        Make its context the one that is used where none is named; only in a cache without a
        server, which would say otherwise.

    Raises
    ------
    ConfigError
        There is no delivery, it is not confirmed, the cache is read-only, or has another file
        of one of the names.
    ContextError
        The cache has not the context that the delivery was made from.
    ArchiveError
        A file of the delivery was changed, or the cache cannot be written.
    """
    with held(folder) as delivery:
        if delivery.state != "archiving":
            check_step(delivery, "archiving")
        _check_cache(profile, operational=operational)
        verify(delivery)
        context_files(profile, delivery.old)
        entries = sorted(delivery.files, key=lambda each: ORDER.index(Path(each.name).suffix))
        missing = [each for each in entries if not _is_there(profile, each)]
        begun = delivery.state == "archiving"
        under_way = delivery if begun else advance(delivery, "archiving", who)
        for entry in missing:
            _copy(delivery.path(entry), target_of(profile, entry), entry)
        if profile.offline and profile.server_config.is_file():
            merge(profile, delivery, operational=operational)
        library.forget()
        return advance(under_way, "archived", who)


def target_of(profile: CrdsProfile, entry: Entry) -> Path:
    """Return where a file of a delivery goes in a cache."""
    if entry.kind == "mapping":
        return profile.mappings / entry.name
    is_flat = library.reference_layout(profile) == "flat"
    return profile.references / ("" if is_flat else entry.instrument) / entry.name


def _check_cache(profile: CrdsProfile, *, operational: bool) -> None:
    if profile.readonly:
        raise ConfigError(
            "the CRDS cache is read-only: nothing can be archived in it",
            path=profile.cache,
            expected="a profile whose cache may be written (--profile)",
        )
    if not operational:
        return
    if profile.has_store or not profile.offline:
        place = profile.rules_uri or profile.references_uri
        raise ConfigError(
            f"the {'store of rules' if place else 'CRDS server'} says which context is operational",
            path=place or profile.server_url,
            expected="a cache that is filled from nowhere, or a pin (hstflow context pin)",
        )
    if not profile.server_config.is_file():
        message = "the CRDS cache has no server_config to name an operational context in"
        raise ConfigError(message, path=profile.server_config)


def _is_there(profile: CrdsProfile, entry: Entry) -> bool:
    """Tell whether a file is in the cache already.

    Raises
    ------
    ConfigError
        Another file has its name.
    """
    target = target_of(profile, entry)
    if not target.exists():
        return False
    if sha1_of(target) == entry.sha1sum:
        return True
    raise ConfigError(
        "another delivery has taken this name",
        path=target,
        expected=f"sha1 {entry.sha1sum}; deliver again, with another --serial",
        found=sha1_of(target),
    )


def _copy(source: Path, target: Path, entry: Entry) -> None:
    with new_file(target) as part:
        shutil.copyfile(source, part)
        check_file(part, entry, "the copy in the cache")
