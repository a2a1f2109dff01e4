"""The references that calibrated images name: found, where drizzling opens them, never chosen.

A visit or skycell is made of images that were calibrated before. Their headers name what they
were calibrated with; of that, drizzlepac opens the distortion of the detector, and only where
the image has no alignment yet (DRIZCORR is OMIT: haputils/product.py, class ExposureProduct,
calls updatewcs then).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from calib.errors import ReferenceUnavailable, TransientError
from calib.records import ExposureReferences, References, ReferenceUse
from calib.references.exposure import ExposureHeaders, read_headers
from calib.references.files import NOT_APPLICABLE, locate_reference, use_of
from calib.references.headers import reference_name
from calib.references.library import crds_version
from calib.references.profile import CrdsProfile
from calib.references.stage2_types import STAGE2_TYPES
from calib.references.syncing import sync_references

logger = logging.getLogger(__name__)

# Parameters of AstroDrizzle for pipelines: visits and skycells have files of their own.
_NOT_OPENED = frozenset({"MDRIZTAB"})


def image_references(
    images: Sequence[Path], context: str, profile: CrdsProfile, *, download: bool = True
) -> References:
    """Find the distortion files that calibrated images name.

    Images that name none ask nobody: no server, no rules, no cache.

    Parameters
    ----------
    images
        Calibrated ACS and WFC3 images.
    context
        Recorded; its rules are not asked.
    profile
        CRDS server and cache.
    download
        Whether to fetch what has to be opened and is not in the cache.

    Raises
    ------
    ReferenceUnavailable
        A file that has to be opened is not in the cache, and cannot be had.
    NotFound, CorruptFile, MissingReference
        An image cannot be read, or is of an instrument that is not known here.
    """
    headers = [each for each in map(read_headers, images) if _named(each)]
    absent = sorted({name for each in headers for name in _absent(each, profile)})
    if absent and download and profile.can_fill:
        _bring(profile, context, absent)
    found = tuple(_found(each, profile) for each in headers)
    _check(found)
    return References(context, crds_version(), found)


def _named(image: ExposureHeaders) -> dict[str, str]:
    """Return the files that an image names, by keyword."""
    types = STAGE2_TYPES.get(image.instrument, frozenset()) - _NOT_OPENED
    names = {key: reference_name(image.header.get(key)) for key in sorted(types)}
    return {key: name for key, name in names.items() if name not in {"", NOT_APPLICABLE}}


def _is_opened(header: Mapping[str, Any]) -> bool:
    return str(header.get("DRIZCORR", "")).strip().upper() == "OMIT"


def _absent(image: ExposureHeaders, profile: CrdsProfile) -> list[str]:
    if not _is_opened(image.header):
        return []
    names = _named(image).values()
    return [n for n in names if locate_reference(profile, image.instrument, n) is None]


def _bring(profile: CrdsProfile, context: str, absent: Sequence[str]) -> None:
    """Bring files into the cache; those that cannot be had are named later."""
    try:
        synced = sync_references(profile, context, absent)
    except TransientError as error:
        logger.warning("references of %s cannot be had: %s", context, error)
        return
    for name, why in synced.failed:
        logger.warning("%s: %s", name, why)


def _found(image: ExposureHeaders, profile: CrdsProfile) -> ExposureReferences:
    uses = [_use(image, key, name, profile) for key, name in _named(image).items()]
    return ExposureReferences(image.path.name, tuple(uses))


def _use(image: ExposureHeaders, keyword: str, name: str, profile: CrdsProfile) -> ReferenceUse:
    required = _is_opened(image.header)
    path = locate_reference(profile, image.instrument, name)
    if path is None:
        return ReferenceUse(keyword, name, required=required)
    return use_of(keyword, path, required=required)


def _check(found: Sequence[ExposureReferences]) -> None:
    missing = [
        f"{each.file} {use.keyword} {use.name}"
        for each in found
        for use in each.references
        if use.required and not use.present
    ]
    if missing:
        raise ReferenceUnavailable(
            f"distortion files that drizzling opens are not in the cache: {'; '.join(missing)}",
            expected="them in the CRDS cache",
        )
