"""What the manifest of a publication says about its making, beside what the ledger knows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from calib.archive.layout import MANIFEST
from calib.archive.manifest import digest, read_bytes
from calib.caldp import suffix_of
from calib.errors import ArchiveError
from calib.ledger.lineage import Lineage, UsedInput, UsedReference
from calib.repository.provenance import Told, read_provenance


@dataclass(frozen=True)
class Making:
    """What a manifest says about the making of a publication; empty where it does not.

    Attributes
    ----------
    code, engine
        Name and version of each.
    environment
        Versions of Python, the platform and the packages that decide a result.
    switches
        What was done: ``BIASCORR: COMPLETE``.
    parameters
        Every parameter of the steps, as it was.
    notes
        What the engine had to say.
    inputs, references
        As in the lineage.
    as_registered
        Whether the manifest is the one that was registered; None where its checksum was not.
    """

    code: dict[str, str]
    engine: dict[str, str]
    environment: dict[str, str]
    switches: dict[str, str]
    parameters: dict[str, Any]
    notes: tuple[str, ...]
    inputs: tuple[UsedInput, ...]
    references: tuple[UsedReference, ...]
    as_registered: bool | None


def is_local(uri: str) -> bool:
    """Tell whether a publication lies in a folder of this machine."""
    return uri.startswith("file:")


def read_making(lineage: Lineage) -> Making:
    """Return what the manifest of a publication says.

    Raises
    ------
    ArchiveError
        There is no manifest, or it cannot be read.
    ConfigError
        It lies in a bucket, and boto3 is not installed.
    Unavailable
        The bucket does not answer.
    """
    content = _read(lineage.uri)
    try:
        provenance = json.loads(content)["provenance"]
    except (ValueError, KeyError, TypeError) as error:
        message = "the manifest does not parse"
        raise ArchiveError(message, dataset=lineage.dataset, path=lineage.uri) from error
    told = read_provenance(lineage.dataset, provenance, lineage.uri)
    return Making(
        code=told.code,
        engine=told.engine,
        environment=told.environment,
        switches=told.switches,
        parameters=told.resolved_parameters,
        notes=told.notes,
        inputs=tuple(_inputs(told)),
        references=tuple(_references(told)),
        as_registered=_as_registered(content, lineage.manifest_sha256),
    )


def complete(lineage: Lineage, making: Making) -> Lineage:
    """Fill in inputs and references that the ledger does not know from the manifest."""
    if lineage.recorded:
        return lineage
    return replace(
        lineage,
        inputs=lineage.inputs or making.inputs,
        references=lineage.references or making.references,
    )


def _read(uri: str) -> bytes:
    from calib.stores.s3_store import open_store
    from calib.stores.transfer import local_path
    from calib.stores.uri import parse_uri

    if (path := local_path(uri)) is not None:
        return read_bytes(path)

    found = open_store(parse_uri(uri).location, "output").read(MANIFEST)
    if found is None:
        message = "no manifest"
        raise ArchiveError(message, path=uri)
    return found.data


def _as_registered(content: bytes, expected: str | None) -> bool | None:
    return None if expected is None else digest(content) == expected


def _inputs(told: Told) -> Iterator[UsedInput]:
    for each in told.inputs:
        yield UsedInput(
            name=each.name,
            type=suffix_of(each.name),
            rootname=each.rootname,
            sha256=each.sha256,
            size=each.size,
            source=told.source,
        )


def _references(told: Told) -> Iterator[UsedReference]:
    for exposure in told.references:
        for use in exposure.references:
            yield UsedReference(
                exposure=exposure.file,
                keyword=use.keyword,
                reference=use.name,
                sha1=use.sha1,
                required=use.required,
                present=use.present,
            )
