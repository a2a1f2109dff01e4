"""Message files: the state of a dataset, for programs that watch a folder.

Two styles, as data in :mod:`calib.caldp`:

``flat``
    CALDP's and CALCLOUD's names, all in one folder: ``submit-ID``, ``processing-ID``,
    ``processed-ID.trigger``, ``error-ID``, ``terminated-ID``.
``folders``
    The folders of CALDP's documentation: ``datasets-processed/ID`` (empty, as there),
    ``dataset-synced/ID`` (the downloaded files) and ``dataset-archived/ID``; for failures
    ``dataset-error/ID``, CALDP's folder of 2020. States without a folder of their own say
    that nothing holds any more: they remove what was there.

Beside them ``skipped-ID`` says in the flat style that there was nothing to make of a dataset, and
why: CALDP writes ``processed-ID.trigger`` there, for which a watcher finds no files.

A new state comes with its file complete, then the files of the dataset's other states go: a
reader may see both for a moment, and never none or half a one. The ledger is the truth;
messages are written after its commit, once.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal

from calib import caldp
from calib.archive import disk
from calib.archive.layout import STAGING, refuse_detour
from calib.archive.staging import staged, sweep
from calib.errors import ConfigError, HstflowError
from calib.ids import DatasetId, parse_dataset

Style = Literal["flat", "folders"]

# dataset-error: folder of CALDP's code in December 2020, absent from its documentation.
_FOLDERS = {**caldp.MESSAGE_FOLDERS, "error": "dataset-error"}
# CALDP leaves the file in datasets-processed empty; its name says all.
_EMPTY = "datasets-processed"
# Ours: nothing to make, no failure.
_SKIPPED = "skipped"
_STATES = frozenset({*caldp.MESSAGE_STATES, *_FOLDERS, _SKIPPED})


def message_folder(output: str | None, work: Path) -> Path:
    """Return where message files go: beside products in a folder, else in the work folder.

    Parameters
    ----------
    output
        URI of the output; None where there is none.
    work
        Work folder of all jobs.
    """
    scheme, _, place = (output or "").partition(":")
    return (Path(place) if scheme == "file" else work) / "messages"


def write_message(
    folder: Path, style: Style, state: str, dataset: DatasetId | str, lines: Sequence[str] = ()
) -> Path | None:
    """Write the message of a state, and remove the dataset's other messages.

    Parameters
    ----------
    folder
        Where messages go, made where missing.
    style
        ``flat`` or ``folders``.
    state
        ``submit``, ``processing``, ``processed``, ``synced``, ``archived``, ``error``,
        ``terminated`` or ``skipped``.
    dataset
        The dataset.
    lines
        What follows the line with the state, as CALDP does: one archived file or URI per
        line, or the reason of a failure.

    Returns
    -------
    Path or None
        The file; None where the style has none for this state. Flat messages then stay as
        they are (``processed-ID.trigger`` is for whoever archives to remove), folders are
        cleared.

    Raises
    ------
    ConfigError
        The style or the state does not exist.
    ArchiveError
        The folder cannot be written; the earlier message is still there.
    """
    name = parse_dataset(str(dataset)).name
    if style not in {"flat", "folders"} or state not in _STATES:
        raise ConfigError(
            "no such message", dataset=name, expected=sorted(_STATES), found=f"{style} {state}"
        )
    places = _flat_places(name) if style == "flat" else _folder_places(name)
    target = places.get(state)
    with disk.archive_errors(folder, dataset=name):
        if target is not None:
            _replace(folder, folder / target, _content(target, state, lines))
        if target is not None or style == "folders":
            for other in sorted({*places.values()} - {target}):
                (folder / other).unlink(missing_ok=True)
    return None if target is None else folder / target


def find_style(folder: Path, dataset: DatasetId | str) -> Style | None:
    """Return the style in which a dataset has a message in a folder; None where it has none."""
    name = parse_dataset(str(dataset)).name
    if any((folder / place).is_file() for place in _folder_places(name).values()):
        return "folders"
    if any((folder / place).is_file() for place in _flat_places(name).values()):
        return "flat"
    return None


def messages_of(folder: Path) -> dict[str, tuple[Path, ...]]:
    """Return the message files in a folder, of both styles, by dataset."""
    names = {name for place in (folder, *_places_in(folder)) for name in _names_in(place)}
    datasets = sorted({found for name in names if (found := _dataset_of(name))})
    kept = {}
    for dataset in datasets:
        places = {*_flat_places(dataset).values(), *_folder_places(dataset).values()}
        paths = (folder / place for place in sorted(places))
        if there := tuple(path for path in paths if path.is_file()):
            kept[dataset] = there
    return kept


def _places_in(folder: Path) -> list[Path]:
    return [folder / name for name in sorted({*_FOLDERS.values()})]


def _names_in(folder: Path) -> list[str]:
    return [each.name for each in folder.iterdir() if each.is_file()] if folder.is_dir() else []


def _dataset_of(name: str) -> str | None:
    """Return the dataset that a message file is named after; None where it is none of ours."""
    whole = name.removesuffix(".trigger")
    for text in (whole, whole.partition("-")[2]):  # names of skycells have a hyphen, too
        with suppress(HstflowError):
            return parse_dataset(text).name
    return None


def _flat_places(dataset: str) -> dict[str, str]:
    places: dict[str, str] = {s: caldp.message_name(s, dataset) for s in caldp.MESSAGE_STATES}
    return places | {_SKIPPED: f"{_SKIPPED}-{dataset}"}


def _folder_places(dataset: str) -> dict[str, str]:
    return {state: f"{folder}/{dataset}" for state, folder in _FOLDERS.items()}


def _content(target: str, state: str, lines: Sequence[str]) -> bytes:
    if target.startswith(_EMPTY):
        return b""
    return "".join(f"{line}\n" for line in (state, *lines)).encode(errors="surrogateescape")


def _replace(folder: Path, target: Path, content: bytes) -> None:
    """Write a file beside the messages, flush it, and rename it into place."""
    area = folder / STAGING
    refuse_detour(folder, area)
    sweep(area)
    disk.make_folders(target.parent)
    with staged(area, target.name) as entry:
        disk.write_new(entry / target.name, content)
        (entry / target.name).replace(target)
    disk.sync_folder(target.parent)
