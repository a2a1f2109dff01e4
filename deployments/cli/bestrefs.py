"""`hstflow bestrefs`: which references CRDS assigns, beside what the headers say."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from rich.table import Table

from calib.errors import BESTREFS, DONE, GENERIC
from calib.records import ExposureReferences, References
from deployments.cli.console import Flag, out, print_json


@dataclass(frozen=True)
class Row:
    """One reference type of one file.

    Attributes
    ----------
    before
        Name in the header; ``N/A``, or '' where the card is blank or absent.
    now
        Name by the rules; ``N/A`` for none needed, ``NOT FOUND`` for no match.
    present
        Whether the file is at hand (always True for ``N/A``).
    certified
        Whether a calibration collection chose it.
    """

    file: str
    keyword: str
    before: str
    now: str
    present: bool
    certified: bool = False

    @property
    def differs(self) -> bool:
        """Whether the header names another file; blank, absent and N/A are the same."""
        return self.now not in {"NOT FOUND", self.before or "N/A"}

    @property
    def unmatched(self) -> bool:
        """Whether the rules should name a file but match none."""
        return self.now == "NOT FOUND"


def bestrefs(
    files: Annotated[list[Path], Parameter(required=True, negative=())],
    /,
    *,
    context: str | None = None,
    profile: str | None = None,
    calibrations: str | None = None,
    json: Flag = False,
    check: Flag = False,
    update: Flag = False,
) -> int:
    """Show the references that CRDS assigns to raw files.

    Nothing is downloaded, and references need not be at hand. Exit code 27 if the rules
    match no file for a type that needs one.

    Parameters
    ----------
    files
        Raw FITS files.
    context
        CRDS context, such as hst_0729.pmap; by default the operational one.
    profile
        onsite, offsite, cloud, or a TOML file; by default HSTFLOW_PROFILE, else what CRDS_PATH
        and CRDS_SERVER_URL say, else offsite.
    calibrations
        Calibration collection (`hstflow archive certify`) whose references are used for the
        exposures that they are valid for; by default HSTFLOW_CALIBRATIONS. none: no collection.
    json
        Write JSON to stdout.
    check
        Show only what differs from the headers; exit code 1 if anything does.
    update
        Write the answer into the headers of these files, in place. Pixels are not touched.
    """
    from calib.references.bestrefs import best_references
    from calib.references.context import resolve_context
    from calib.references.profile import load_profile
    from flows.parameters import chosen_collection
    from tasks.settings import load_settings

    settings = load_settings()
    place = load_profile(profile or settings.profile, os.environ)
    own = _read_collection(chosen_collection(calibrations or settings.calibrations))
    references = best_references(
        files,
        context=resolve_context(context, place),
        profile=place,
        required=_nothing,
        certified=own.choice,
        download=False,
    )
    rows = [
        row
        for path, exposure in zip(files, references.exposures, strict=True)
        for row in _compare(path, exposure, own)
    ]
    shown = [row for row in rows if row.differs or row.unmatched] if check else rows
    if json:
        _print_json(references, shown)
    else:
        _print_tables(references, shown, check=check)
    if update:
        _update(files, references)
    return _exit_code(rows, check=check and not update)


def _nothing(_header: Mapping[str, Any]) -> tuple[str, ...]:
    """Ask for no reference: the question is which files, not whether they are at hand."""
    return ()


@dataclass(frozen=True)
class _Own:
    """What a calibration collection holds.

    Attributes
    ----------
    choice
        Which of it is for an exposure; None without a collection.
    names
        Keywords and names of its files.
    """

    choice: Any = None
    names: frozenset[tuple[str, str]] = frozenset()


def _read_collection(name: str | None) -> _Own:
    if name is None:
        return _Own()
    from calib.ledger.location import ledger_url
    from calib.stages.calibrations import certified_for, read_certifications

    found = read_certifications(ledger_url(os.environ), name)
    return _Own(
        certified_for(name, found), frozenset((each.keyword, each.reference) for each in found)
    )


def _compare(path: Path, exposure: ExposureReferences, own: _Own) -> list[Row]:
    from calib.fitsfile import primary_header
    from calib.references.headers import reference_name

    header = primary_header(path)
    return [
        Row(
            exposure.file,
            use.keyword,
            reference_name(header.get(use.keyword)),
            use.name,
            use.present or use.name == "N/A",
            (use.keyword, use.name) in own.names,
        )
        for use in exposure.references
    ]


def _exit_code(rows: Sequence[Row], *, check: bool) -> int:
    if any(row.unmatched for row in rows):
        return BESTREFS
    return GENERIC if check and any(row.differs for row in rows) else DONE


def _update(files: Sequence[Path], references: References) -> None:
    from calib.references.headers import update_headers

    for path, exposure in zip(files, references.exposures, strict=True):
        update_headers(path, exposure, references.context)


def _print_json(references: References, rows: Sequence[Row]) -> None:
    answer: dict[str, dict[str, Any]] = {exposure.file: {} for exposure in references.exposures}
    for row in rows:
        answer[row.file][row.keyword] = {
            "reference": row.now,
            "header": row.before,
            "differs": row.differs,
            "present": row.present,
            "certified": row.certified,
        }
    print_json(
        {
            "context": references.context,
            "crds_version": references.crds_version,
            "files": answer,
            "differences": references.differences,
        }
    )


def _print_tables(references: References, rows: Sequence[Row], *, check: bool) -> None:
    for exposure in references.exposures:
        own = [row for row in rows if row.file == exposure.file]
        if own:
            out.print(_table(exposure.file, own))
        elif check:
            out.print(f"{exposure.file} agrees with {references.context}", soft_wrap=True)
    out.print(f"context {references.context}")


def _table(file: str, rows: Sequence[Row]) -> Table:
    table = Table("type", "reference", "in the header", "here", title=file, title_justify="left")
    for row in rows:
        here = "" if row.now in {"N/A", "NOT FOUND"} else "yes" if row.present else "no"
        style = "red" if row.unmatched else "yellow" if row.differs else None
        before = (row.before or "(none)") if row.differs else "same"
        now = f"{row.now} (certified)" if row.certified else row.now
        table.add_row(row.keyword, now, before, here, style=style)
    return table
