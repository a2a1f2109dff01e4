"""From the manifest of a publication to the rows of the registry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from calib.archive.manifest import Manifest
from calib.ids import rootname_of
from calib.ledger.publications import Published, PublishedFile, dataset_type
from calib.records import DataId, Member


@dataclass(frozen=True)
class Registration:
    """What the registry keeps of a publication."""

    published: Published
    data_ids: tuple[DataId, ...]
    members: tuple[Member, ...]


def registration_of(manifest: Manifest, uri: str, manifest_sha256: str) -> Registration:
    """Return what the registry keeps of a publication.

    Parameters
    ----------
    manifest
        What was published.
    uri
        The folder that it lies in.
    manifest_sha256
        Checksum of the manifest's bytes.
    """
    provenance = manifest.provenance
    files = tuple(
        PublishedFile(
            name=file.name,
            type=dataset_type(file.name, file.role),
            rootname=rootname_of(file.name, manifest.dataset),
            sha256=file.sha256,
            size=file.size,
        )
        for file in manifest.files
    )
    published = Published(
        run=manifest.run,
        dataset=manifest.dataset,
        uri=uri,
        files=files,
        published_at=manifest.created,
        fingerprint=manifest.fingerprint,
        manifest_sha256=manifest_sha256,
        tombstones=tuple((each.name, each.last_run) for each in manifest.tombstones),
        transfer="link" if provenance.get("transfer") == "link" else "copy",
    )
    return Registration(
        published,
        tuple(_record(DataId, each) for each in provenance.get("data_ids", ())),
        tuple(_record(Member, each) for each in provenance.get("members", ())),
    )


def _record(kind: type, values: Mapping[str, Any]) -> Any:
    """Make a record of what a manifest says; newer versions of ours may say more."""
    known = {field.name for field in fields(kind)}
    return kind(**{name: value for name, value in values.items() if name in known})
