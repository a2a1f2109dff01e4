"""What a person reads before a reprocessing runs: its canaries beside what was there before.

The report is a folder: ``index.html``, a page for each canary, and ``report.json`` with all
numbers. It is made beside its place and renamed, so that a reader sees a whole one. A folder
cannot take the place of another in one step: a process that is killed between the two leaves the
one before aside, and the next one puts it back.
"""

from __future__ import annotations

import glob
import json
import math
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from calib.errors import ArchiveError, ConfigError, Proprietary
from calib.ledger.location import hide_credentials
from calib.ledger.products import Product
from calib.ledger.reading import open_reader
from calib.ledger.reports import Rows
from calib.ledger.reprocessing_reports import Mark, Reprocessing, mark_counts, marks
from calib.records import utc_now
from calib.repository.retrieval import copy_out, find_path
from calib.reprocessing.canary_page import canary_page
from calib.reprocessing.canary_records import CanaryDifference
from calib.reprocessing.canary_runs import CanaryRun, canary_runs
from calib.reprocessing.difference_index import index_page
from calib.reprocessing.difference_records import DifferenceReport, summed_up, type_changes
from calib.reprocessing.pictures import Pictures
from calib.reprocessing.product_differences import Compared, Pair, compare_products
from calib.reprocessing.product_records import ProductDifference
from calib.stores.store import check_key
from calib.stores.transfer import local_path

INDEX, NUMBERS = "index.html", "report.json"

# Pictures of one page: each takes some 300 kB.
_MOST_PICTURES = 12

# What a writer has aside that was killed: a report takes minutes, so after a day it is nobody's.
_LEFT_OVER = timedelta(days=1)


def write_difference_report(ledger: str, reprocessing: Reprocessing, folder: Path) -> Path:
    """Write the difference report of a reprocessing.

    Parameters
    ----------
    ledger
        URL of the ledger.
    reprocessing
        The reprocessing, whose campaign NAME-canary has run. What has not run is said, too.
    folder
        The folder of the report. One that is there is replaced whole.

    Returns
    -------
    Path
        ``index.html`` in the folder.

    Raises
    ------
    ConfigError
        There is no ledger, or the folder holds something else than a report.
    ArchiveError
        The folder cannot be written.
    Unavailable
        A store of products does not answer now; the report that was there stays.
    """
    folder = folder.absolute()
    _refuse_other(folder)
    with _reading(ledger) as rows:
        runs = canary_runs(rows, reprocessing)
        marked = marks(rows, reprocessing.id)
        counts = tuple(mark_counts(rows, reprocessing.id))
    with _replaced(folder) as part:
        found = tuple(_write_canary(run, reprocessing, part) for run in runs)
        report = DifferenceReport(
            reprocessing=reprocessing,
            written_at=utc_now(),
            counts=counts,
            types=type_changes(marked),
            left_out=_left_out(marked),
            canaries=tuple(sorted(found, key=lambda each: each.rank)),
        )
        _write(part / NUMBERS, numbers_of(report))
        _write(part / INDEX, index_page(report))
    return folder / INDEX


def numbers_of(report: DifferenceReport) -> str:
    """Return a report as JSON; a number that JSON does not have is null."""
    content = {"schema": 1, **asdict(report)}
    # The plan holds addresses, and nothing that a reader of the report needs.
    del content["reprocessing"]["plan"]
    return json.dumps(_plain(content), indent=1, allow_nan=False) + "\n"


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _left_out(marked: list[Mark]) -> dict[str, int]:
    reasons: dict[str, int] = {}
    for mark in marked:
        if mark.left_out is not None:
            reasons[mark.left_out] = reasons.get(mark.left_out, 0) + 1
    return reasons


@contextmanager
def _reading(ledger: str) -> Iterator[Rows]:
    with open_reader(ledger) as rows:
        if rows is None:
            raise ConfigError("there is no ledger", path=hide_credentials(ledger))
        yield rows


def _write_canary(run: CanaryRun, reprocessing: Reprocessing, part: Path) -> CanaryDifference:
    """Compare a canary and write its page: only its pictures are in memory."""
    compared = list(_compare(run))
    found = CanaryDifference(
        dataset=run.mark.dataset,
        instrument=run.mark.instrument,
        kind=run.mark.kind,
        wave=run.mark.wave,
        changes=run.mark.changes,
        state=run.state,
        reason=run.reason,
        old=run.old,
        new=run.new,
        products=tuple(each.difference for each in compared),
    )
    found = replace(found, summary=summed_up(found))
    pictures = {each.difference.name: each.pictures for each in _few(compared)}
    page = canary_page(found, pictures, reprocessing)
    _write(part / check_key(f"{found.dataset}.html"), page)
    return found


def _few(compared: list[Compared]) -> Iterator[Compared]:
    """Yield what was compared with no more pictures than a page may have."""
    left = _MOST_PICTURES
    for each in compared:
        kept: dict[int, Pictures] = dict(list(each.pictures.items())[:left])
        left -= len(kept)
        yield replace(each, pictures=kept)


def _compare(run: CanaryRun) -> Iterator[Compared]:
    with _told("there is no place for copies of products"):
        scratch = tempfile.TemporaryDirectory(prefix="hstflow-differences-")
    with scratch as place:
        for old, new in run.pairs:
            yield compare_pair(old, new, run.mark.instrument, Path(place))


def compare_pair(
    old: Product | None, new: Product | None, instrument: str, scratch: Path
) -> Compared:
    """Compare two versions of a product, which is told of whatever is wrong with it.

    Parameters
    ----------
    old, new
        The versions; one may be None.
    instrument
        Whose they are.
    scratch
        A folder for copies of what lies in a bucket.
    """
    one = old or new
    if one is None:  # a pair has one of the two
        raise ValueError(one)
    if old is None or new is None:
        state = "new" if old is None else "vanished"
        return Compared(ProductDifference(one.name, one.type, state))
    if old.sha256 is not None and old.sha256 == new.sha256:
        return Compared(ProductDifference(one.name, one.type, "identical"))
    try:
        with _lent(old, scratch / "old") as before, _lent(new, scratch / "new") as after:
            return compare_products(Pair(before, after, one.name, one.type, instrument))
    except (ArchiveError, Proprietary, OSError) as error:
        problem = ProductDifference(one.name, one.type, "unreadable", problem=str(error))
        return Compared(problem)


@contextmanager
def _lent(product: Product, folder: Path) -> Iterator[Path]:
    """Give the file of a product, checked; what comes from a bucket is removed afterwards."""
    if local_path(product.uri) is not None:
        yield find_path(product)
        return
    target = folder / Path(check_key(product.name)).name
    try:
        copy_out(product, target)
        yield target
    finally:
        target.unlink(missing_ok=True)


def _refuse_other(folder: Path) -> None:
    """Refuse to replace what is no report of ours."""
    if not folder.exists() or (folder / NUMBERS).is_file():
        return
    if not folder.is_dir() or any(folder.iterdir()):
        message = "this is not a difference report, and is not replaced"
        raise ConfigError(message, path=folder, expected="a new or empty folder")


@contextmanager
def _replaced(folder: Path) -> Iterator[Path]:
    """Lend a folder that takes the place of another at the end; what fails leaves the old one."""
    with _told("the report cannot be written", folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        _tidy(folder)
        place = tempfile.TemporaryDirectory(prefix=_aside(folder), dir=folder.parent)
    with place as name:
        part = Path(name) / "new"
        with _told("the report cannot be written", folder):
            part.mkdir()
        yield part
        with _told("the report cannot be written", folder):
            _put(part, folder, Path(name) / "old")


def _aside(folder: Path) -> str:
    return f".part-{folder.name}-"


def _tidy(folder: Path) -> None:
    """Put back what a killed writer of this report took from its place, and remove the rest."""
    start = _aside(folder)
    for place in sorted(folder.parent.glob(f"{glob.escape(start)}*")):
        # What tempfile adds has no dash: with one it is of a report whose name is longer.
        if "-" in place.name.removeprefix(start):
            continue
        with suppress(FileNotFoundError):  # a live writer has just come to its end
            age = time.time() - place.stat().st_mtime
            if not folder.exists() and (place / "old" / NUMBERS).is_file():
                (place / "old").rename(folder)
            if age > _LEFT_OVER.total_seconds():
                shutil.rmtree(place, ignore_errors=True)


def _write(path: Path, text: str) -> None:
    with _told("the report cannot be written", path):
        path.write_text(text, encoding="utf-8")


@contextmanager
def _told(what: str, path: Path | None = None) -> Iterator[None]:
    """Say what it was that the system refused."""
    try:
        yield
    except OSError as error:
        raise ArchiveError(f"{what}: {error}", path=path) from error


def _put(part: Path, folder: Path, aside: Path) -> None:
    """Rename a folder into its place; where that fails the one that was there comes back."""
    if not folder.exists():
        part.rename(folder)
        return
    folder.rename(aside)
    try:
        part.rename(folder)
    except OSError:
        aside.rename(folder)
        raise
