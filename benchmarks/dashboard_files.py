"""Real files behind some datasets of a ledger of ``dashboard_ledger.py``, and a canary report.

The pages of logs, files, differences and canaries read the disk: they have something to read.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from astropy.io import fits
from dashboard_ledger import CAMPAIGN, CANARIES, CONTEXT, KEYWORDS, NEWER, REPROCESSING, driver_url
from PIL import Image
from sqlalchemy import Connection, create_engine, text

from calib.fitsfile.image_data import ImageSet, write_image_sets
from calib.ledger.ledger import open_ledger
from calib.ledger.reprocessing_reports import Reprocessing, reprocessings
from calib.ledger.reprocessings import advance
from calib.reprocessing.canary_page import canary_page
from calib.reprocessing.canary_records import CanaryDifference, Summary
from calib.reprocessing.canary_runs import Publication
from calib.reprocessing.pictures import Pictures
from calib.reprocessing.product_records import (
    PERCENTILES,
    BitChange,
    FlagDifference,
    HeaderChange,
    ImageSetDifference,
    PlaneDifference,
    ProductDifference,
    Spread,
)

WITH_FILES = 12
SIDE = 512  # pixels of an image: a subarray
PREVIEW = 700  # pixels of a preview: some 250 kB of noise
LOG_LINES = 400

_VERSIONS = """
SELECT publication.id AS id, run.name AS run, publication.dataset AS dataset
FROM publication JOIN run ON run.id = publication.run_id
WHERE publication.dataset IN (
  SELECT dataset FROM publication GROUP BY dataset HAVING COUNT(*) > 1
) ORDER BY publication.dataset, publication.id LIMIT :number
"""

_FILES = "SELECT id, name FROM product WHERE publication_id = :id ORDER BY id"


@dataclass(frozen=True)
class Files:
    """What is there.

    Attributes
    ----------
    datasets
        Those with two versions on disk, and a page in the canary report.
    products, pictures
        Numbers of FITS files, and of previews and their thumbnails.
    logs
        Dataset and number of each log.
    """

    datasets: tuple[str, ...]
    products: tuple[int, ...]
    pictures: tuple[int, ...]
    logs: tuple[tuple[str, int], ...]


def put_files(url: str, folder: Path) -> Files:
    """Write files below a folder, and name them in a ledger of ours; write the report."""
    engine = create_engine(driver_url(url))
    with engine.begin() as connection:
        rows = connection.execute(text(_VERSIONS), {"number": 2 * WITH_FILES}).mappings()
        found = [_publish(connection, dict(row), folder / "archive") for row in rows.all()]
    engine.dispose()
    datasets = tuple(dict.fromkeys(dataset for dataset, _ in found))
    _write_report(url, folder / "work", datasets)
    numbers = [(dataset, name, number) for dataset, files in found for name, number in files]
    return Files(
        datasets,
        tuple(number for _, name, number in numbers if name.endswith(".fits")),
        tuple(number for _, name, number in numbers if name.endswith(".jpg")),
        tuple((dataset, number) for dataset, name, number in numbers if name.startswith("logs/")),
    )


def _publish(
    connection: Connection, row: dict[str, Any], archive: Path
) -> tuple[str, list[tuple[str, int]]]:
    """Write the files of a publication; return its dataset, and name and number of each."""
    folder = archive / str(row["run"]) / str(row["dataset"])
    draw = np.random.default_rng(int(row["id"]))
    files = []
    for number, name in connection.execute(text(_FILES), {"id": row["id"]}).all():
        data = _write(folder / name, draw, is_new=row["run"] != CAMPAIGN)
        values = {"id": number, "sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
        words = "UPDATE product SET sha256 = :sha256, size = :size WHERE id = :id"
        connection.execute(text(words), values)
        files.append((str(name), int(number)))
    words = "UPDATE publication SET uri = :uri WHERE id = :id"
    connection.execute(text(words), {"id": row["id"], "uri": folder.as_uri()})
    return str(row["dataset"]), files


def _write(path: Path, draw: np.random.Generator, *, is_new: bool) -> bytes:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".fits":
        _write_image(path, is_new=is_new)
    elif path.suffix == ".jpg":
        side = PREVIEW // 8 if "thumb" in path.name else PREVIEW
        Image.fromarray(_noise(draw, side)).save(path, "JPEG")
    else:
        lines = (f"2026-01-31 12:00:00 INFO calibrate: line {n} of 400" for n in range(LOG_LINES))
        path.write_text("\n".join(lines))
    return path.read_bytes()


def _write_image(path: Path, *, is_new: bool) -> None:
    """Write one image set; of the newer version one pixel in twenty is higher by two."""
    pixels = np.random.default_rng(1).normal(100, 10, (SIDE, SIDE)).astype(np.float32)
    if is_new:
        pixels.flat[::20] += 2
    planes: dict[str, npt.NDArray[Any]] = {
        "SCI": pixels,
        "ERR": np.full((SIDE, SIDE), 10, np.float32),
        "DQ": np.zeros((SIDE, SIDE), np.int16),
    }
    header = fits.Header([("BUNIT", "ELECTRONS")])
    write_image_sets(path, fits.Header([("INSTRUME", "ACS")]), [ImageSet(planes, header)])


def _noise(draw: np.random.Generator, side: int) -> npt.NDArray[np.uint8]:
    return draw.integers(0, 256, (side, side), dtype=np.uint8)


def _write_report(url: str, work: Path, datasets: Sequence[str]) -> None:
    """Write the difference report of the reprocessing: numbers of all canaries, some pages."""
    folder = work / "reprocessings" / REPROCESSING / "differences"
    folder.mkdir(parents=True)
    with open_ledger(url) as ledger:
        (one,) = ledger.ask(lambda rows: reprocessings(rows, REPROCESSING))
        at = one.created_at
        every = [*_differences((*datasets, *(f"jc{n:06d}q" for n in range(CANARIES))), at)]
        numbers = [asdict(each) for each in every[:CANARIES]]
        report = {"schema": 1, "written_at": at, "canaries": numbers}
        (folder / "report.json").write_text(json.dumps(report))
        (folder / "index.html").write_text("the report")
        for each in every[: len(datasets)]:
            (folder / f"{each.dataset}.html").write_text(_page(each, one))
        given = str(folder / "index.html")
        for state in ("canary", "review"):
            change = partial(advance, name=REPROCESSING, state=state, who="demo", report=given)
            ledger.write(change)


def _page(found: CanaryDifference, one: Reprocessing) -> str:
    draw = np.random.default_rng(2)
    shown = [_png(_noise(draw, SIDE)) for _ in range(3)]
    pictures = Pictures(*shown, SIDE, SIDE, 1, 2.0, is_mean=True, low=0.0, high=255.0)
    return canary_page(found, {found.products[0].name: {1: pictures}}, one)


def _png(pixels: npt.NDArray[np.uint8]) -> bytes:
    made = io.BytesIO()
    Image.fromarray(pixels).save(made, "PNG")
    return made.getvalue()


def _differences(datasets: Sequence[str], at: str) -> Iterator[CanaryDifference]:
    """Yield what a report says of canaries: one product each, with two image sets."""
    zeros = {str(place): 0.0 for place in PERCENTILES}
    spread = Spread(SIDE, -1.0, 2.0, 0.1, 0.05, 0.3, 0.2, zeros)
    sets = tuple(
        ImageSetDifference(
            version,
            "ELECTRONS",
            (PlaneDifference("SCI", SIDE**2, SIDE, where_changed=spread),),
            FlagDifference("DQ", SIDE**2, 3, (BitChange(16, "hot pixel", 2, 1),)),
        )
        for version in (1, 2)
    )
    headers = tuple(
        HeaderChange("0", each, f"{each}= 'old'", f"{each}= 'new'", is_reference=True)
        for each in KEYWORDS
    )
    changes = {"DARKFILE": ("old_drk.fits", "new_drk.fits")}
    before, now = (
        Publication(run, run, at, is_current=True, campaign=None) for run in (CONTEXT, NEWER)
    )
    for name in datasets:
        product = ProductDifference(f"{name}_flt.fits", "flt", "data", headers=headers, sets=sets)
        summary = Summary(product.name, 0.04, 0.05, 2.0, 0.001, "ELECTRONS", 2, 1)
        fixed = ("acs", name[:4], 1, changes, "processed", None, before, now)
        yield CanaryDifference(name, *fixed, (product,), summary)
