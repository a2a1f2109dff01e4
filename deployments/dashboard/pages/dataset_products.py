"""What the versions of a dataset were made from and with, and what they hold: a part of a page."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path, PurePosixPath
from typing import Any

from calib.ledger.dataset_files import (
    StoredFile,
    files_in,
    uses_of_files,
    warnings_of,
)
from calib.ledger.lineage import Lineage, UsedReference, made_from
from calib.ledger.reports import Rows
from calib.ledger.versions import Version, versions_of
from deployments.dashboard.bundles import find_bundles
from deployments.dashboard.files import is_picture
from deployments.dashboard.links import Links

# Versions that are shown with all that they hold; of others a line tells.
_MOST_VERSIONS = 5

# Publications that used a file and are named; others are counted.
MOST_USES = 5

_THUMB = "_thumb"


@dataclass(frozen=True)
class Preview:
    """A picture of a product.

    Attributes
    ----------
    file
        The picture.
    small
        A smaller one of the same, where there is one.
    shows
        Name of the product without its ending.
    """

    file: StoredFile
    small: StoredFile | None
    shows: str

    @property
    def text(self) -> str:
        """What it shows, for who does not see it."""
        return f"preview of {self.shows}, run {self.file.run}"


@dataclass(frozen=True)
class ShownVersion:
    """A publication as it is shown.

    Attributes
    ----------
    version, lineage
        Which one, and how it was made.
    references
        By exposure; those that are not needed are left out.
    products, logs
        Files.
    previews
        Pictures.
    uses
        Publications (run and dataset) that were made from a file, by its checksum.
    warnings
        Of the attempt that made it.
    """

    version: Version
    lineage: Lineage
    references: Mapping[str, Sequence[UsedReference]] = field(default_factory=dict)
    products: Sequence[StoredFile] = ()
    logs: Sequence[StoredFile] = ()
    previews: Sequence[Preview] = ()
    uses: Mapping[str, Sequence[tuple[str, str]]] = field(default_factory=dict)
    warnings: Sequence[str] = ()

    @property
    def unneeded(self) -> int:
        """How many references are not needed."""
        shown = sum(len(each) for each in self.references.values())
        return len(self.lineage.references) - shown

    @property
    def parameters(self) -> str:
        """What was set for the run, as text."""
        return json.dumps(self.lineage.parameters, indent=1, sort_keys=True)


def products_of(
    rows: Rows, _links: Links, dataset: str, work: str | Path | None = None
) -> dict[str, Any]:
    """Return what `dataset_products.html` shows, to be joined to the content of a page.

    Parameters
    ----------
    rows
        Asks the ledger.
    dataset
        Its name.
    work
        The work folder, for what is kept of failed jobs; None: it is not seen from here.

    Returns
    -------
    dict
        ``dataset``; ``versions``: :class:`ShownVersion`, the current one first, then the latest;
        ``older``: versions of which only a line tells; ``bundles``: what is kept of jobs without
        products.
    """
    latest_first = versions_of(rows, dataset)[::-1]
    ordered = sorted(latest_first, key=lambda each: not each.is_current)
    return {
        "dataset": dataset,
        "versions": [_shown(rows, each) for each in ordered[:_MOST_VERSIONS]],
        "older": ordered[_MOST_VERSIONS:],
        "bundles": find_bundles(rows, dataset, work),
        "most_uses": MOST_USES,
        "has_work": work is not None,
    }


def previews_in(files: Sequence[StoredFile]) -> list[Preview]:
    """Return the pictures among the files of a publication, each with its smaller one."""
    pictures = {PurePosixPath(each.name).stem: each for each in files if _is_preview(each)}
    return [
        Preview(file, pictures.get(stem + _THUMB), stem)
        for stem, file in pictures.items()
        if not stem.endswith(_THUMB)
    ]


def _is_preview(file: StoredFile) -> bool:
    return file.type == "preview" and is_picture(file)


def _shown(rows: Rows, version: Version) -> ShownVersion:
    files = files_in(rows, version.id)
    lineage = made_from(rows, version.run, version.dataset)
    uses: dict[str, list[tuple[str, str]]] = {}
    for each in uses_of_files(rows, files):
        uses.setdefault(each.sha256, []).append((each.run, each.dataset))
    return ShownVersion(
        version=version,
        lineage=lineage,
        references=_by_exposure(lineage.references),
        products=[each for each in files if each.type not in {"preview", "log", "env"}],
        logs=[each for each in files if each.type in {"log", "env"}],
        previews=previews_in(files),
        uses=uses,
        warnings=warnings_of(rows, version.id),
    )


def _by_exposure(references: Sequence[UsedReference]) -> dict[str, list[UsedReference]]:
    """Group what is needed, or was there; references come in the order of exposures."""
    wanted = [each for each in references if each.required or each.present]
    return {name: list(those) for name, those in groupby(wanted, lambda each: each.exposure)}
