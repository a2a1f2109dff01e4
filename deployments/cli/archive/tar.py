"""`hstflow archive tar`: published datasets as CALDP's tar files."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.markup import escape

from calib.errors import ArchiveError, ConfigError, HstflowError
from calib.ids import DatasetId, parse_dataset
from calib.ledger.location import hide_credentials, ledger_url
from calib.ledger.reading import open_reader
from deployments.cli.console import Flag, err, expand_names, out, print_json, size_text
from deployments.cli.progress import counted

if TYPE_CHECKING:
    from calib.archive.tar_output import Saved

Save = Callable[[DatasetId], "Saved"]
Result = tuple[DatasetId, "Saved | HstflowError"]


def tar(
    *arguments: str,
    run: str | None = None,
    output: str | None = None,
    json: Flag = False,
) -> int:
    """Write published datasets as CALDP's tar files: FOLDER/ID.tar.gz.

    In a tar are `ID/*.fits`, `ID/*.tra` and `ID/previews/*`. Equal files give equal bytes, on any
    machine with the same zlib. A file of that name with other bytes is never replaced.
    A dataset that cannot be packed is told on stderr, and the first one gives the exit code; the
    others are packed all the same.

    Parameters
    ----------
    arguments
        DATASET...: names, or @FILE with one name a line; then FOLDER.
    run
        The version of this run; without it the current one.
    output
        file:FOLDER or s3://BUCKET/PREFIX: look there, and not in the ledger.
    json
        Write JSON to stdout.
    """
    names, folder = _read_arguments(arguments)
    results: list[Result] = []
    with _saving(folder, run, output) as save:
        for each in counted(_pack(names, save), "datasets", len(names)):
            results.append(each)
            if not json:
                _show(each[1])
    if json:
        print_json([_plain(*each) for each in results])
    return next((saved.code for _, saved in results if isinstance(saved, HstflowError)), 0)


def _pack(names: Sequence[DatasetId], save: Save) -> Iterator[Result]:
    """Pack datasets one after the other; one that cannot be packed does not stop the others."""
    for name in names:
        try:
            saved: Saved | HstflowError = save(name)
        except HstflowError as error:
            saved = error
        yield name, saved


def _plain(name: DatasetId, saved: Saved | HstflowError) -> dict[str, Any]:
    if isinstance(saved, HstflowError):
        return {"dataset": name.name, "path": None, "error": str(saved)}
    return {**asdict(saved), "error": None}


def _read_arguments(arguments: tuple[str, ...]) -> tuple[list[DatasetId], Path]:
    names = [parse_dataset(name) for name in expand_names(arguments[:-1])]
    if not names:
        raise ConfigError(
            "a dataset and a folder are needed",
            expected="DATASET... FOLDER",
            found=" ".join(arguments) or "nothing",
        )
    return [*dict.fromkeys(names)], Path(arguments[-1].removeprefix("file:")).expanduser()


@contextmanager
def _saving(folder: Path, run: str | None, output: str | None) -> Iterator[Save]:
    from calib.archive.outputs import open_output
    from calib.archive.tar_output import save_tar
    from calib.repository.tars import save_known_tar

    if output is not None:
        opened = open_output(output)
        yield lambda name: save_tar(opened, name, folder, run=run)
        return
    url = ledger_url(os.environ)
    with open_reader(url) as rows:
        if rows is None:
            raise ArchiveError(
                "nothing was published yet: there is no ledger",
                path=hide_credentials(url),
                expected="a ledger (HSTFLOW_LEDGER), or --output file:FOLDER",
            )
        yield lambda name: save_known_tar(rows, name, folder, run=run)


def _show(saved: Saved | HstflowError) -> None:
    if isinstance(saved, HstflowError):
        err.print(f"[red]{type(saved).__name__}[/red] {escape(str(saved))}", soft_wrap=True)
        return
    there = ", already there" if saved.already_there else ""
    text = f"{saved.path}  {size_text(saved.size)}, run {saved.run}{there}"
    out.print(escape(text), soft_wrap=True)
