"""`hstflow archive tar`: published datasets as CALDP's tar files."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from calib.errors import ArchiveError, ConfigError
from calib.ids import DatasetId, parse_dataset
from calib.ledger.location import hide_credentials, ledger_url
from calib.ledger.reading import open_reader
from deployments.cli.console import err, expand_names, out, print_json, size_text

if TYPE_CHECKING:
    from calib.archive.tar_output import Saved

Save = Callable[[DatasetId], "Saved"]


def tar(
    *arguments: str,
    run: str | None = None,
    output: str | None = None,
    json: Annotated[bool, Parameter(negative=())] = False,
) -> int:
    """Write published datasets as CALDP's tar files: TARGET_FOLDER/ID.tar.gz.

    In a tar are ID/*.fits, ID/*.tra and ID/previews/*. Equal files give equal bytes, on any
    machine with the same zlib. A file of that name with other bytes is never replaced.

    Parameters
    ----------
    arguments
        DATASET...: names, or @FILE with one name a line; then TARGET_FOLDER.
    run
        The version of this run; without it the current one.
    output
        file:FOLDER or s3://BUCKET/PREFIX: look there, and not in the ledger.
    json
        Write what was made as JSON to stdout.
    """
    names, folder = _read_arguments(arguments)
    saved: list[Saved] = []
    with _saving(folder, run, output) as save, _progress() as progress:
        for name in progress.track(names, description="packing"):
            saved.append(save(name))
            if not json:
                _show(saved[-1])
    if json:
        print_json([asdict(each) for each in saved])
    return 0


def _read_arguments(arguments: tuple[str, ...]) -> tuple[list[DatasetId], Path]:
    names = [parse_dataset(name) for name in expand_names(arguments[:-1])]
    if not names:
        raise ConfigError(
            "a dataset and a folder are needed",
            expected="DATASET... TARGET_FOLDER",
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


def _progress() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    return Progress(*columns, console=err, transient=True, disable=not err.is_terminal)


def _show(saved: Saved) -> None:
    there = ", already there" if saved.already_there else ""
    text = f"{saved.path}  {size_text(saved.size)}, run {saved.run}{there}"
    out.print(escape(text), soft_wrap=True)
