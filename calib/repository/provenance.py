"""What the manifest of a publication says about its making, read into types.

The archive does not look inside of it, so anybody may have written it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from calib.errors import ArchiveError
from calib.records import (
    DataId,
    ExposureReferences,
    Member,
    ReferenceUse,
    first_fault,
    from_json,
)


@dataclass(frozen=True)
class Input:
    """An input file."""

    name: str
    sha256: str
    size: int
    rootname: str


@dataclass(frozen=True)
class Use:
    """A reference of an exposure."""

    keyword: str
    name: str
    sha1: str | None = None
    required: bool = False
    present: bool = False


@dataclass(frozen=True)
class Exposure:
    """An exposure, its references, and the header that selected them."""

    file: str
    references: tuple[Use, ...] = ()
    matching_header: dict[str, str] = field(default_factory=dict)

    def as_recorded(self) -> ExposureReferences:
        """Return it as bestrefs wrote it down.

        The path of a reference says only that the file was there: where it lies now is not known.
        """
        uses = tuple(
            ReferenceUse(u.keyword, u.name, u.name if u.present else None, u.sha1, u.required)
            for u in self.references
        )
        return ExposureReferences(self.file, uses, self.matching_header)


@dataclass(frozen=True)
class Told:
    """What is read of a provenance; what else it says is passed over.

    The fields are those of :mod:`calib.archive.provenance`.
    """

    context: str = ""
    crds_version: str = ""
    source: str = ""
    origin: str = ""
    engine: dict[str, str] = field(default_factory=dict)
    code: dict[str, str] = field(default_factory=dict)
    execution: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    switches: dict[str, str] = field(default_factory=dict)
    request: dict[str, Any] = field(default_factory=dict)
    parameters: dict[str, Any] = field(default_factory=dict)
    resolved_parameters: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    inputs: tuple[Input, ...] = ()
    references: tuple[Exposure, ...] = ()
    reference_differences: tuple[str, ...] = ()
    data_ids: tuple[DataId, ...] = ()
    members: tuple[Member, ...] = ()


def read_provenance(dataset: str, provenance: Mapping[str, Any], place: str) -> Told:
    """Read a provenance.

    Parameters
    ----------
    dataset, provenance, place
        That of a dataset, and where its publication lies.

    Raises
    ------
    ArchiveError
        A field is not what it should be; the message names it.
    """
    from pydantic import ValidationError

    try:
        return from_json(Told, json.dumps(provenance))
    except ValidationError as error:
        message = "the provenance of the manifest does not parse"
        found = first_fault(error)
        raise ArchiveError(message, dataset=dataset, path=place, found=found) from error
