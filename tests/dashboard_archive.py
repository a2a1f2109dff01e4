"""A dataset in two runs with real files, for the pages of products."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path

import numpy as np
from astropy.io import fits
from PIL import Image
from small_registry import RUN

from calib.ids import parse_dataset
from calib.ledger.ledger import Ledger, current_owner
from calib.ledger.publications import Published, PublishedFile
from calib.records import (
    ExposureReferences,
    InputFile,
    Outcome,
    RawInputs,
    References,
    ReferenceUse,
)

DATASET, BIAS = "jbxx01abq", "z1_bia.fits"
FLT, LOG = f"{DATASET}_flt.fits", "logs/process.txt"
PICTURE, THUMB = f"previews/{DATASET}_flt.jpg", f"previews/{DATASET}_flt_thumb.jpg"
HOSTILE = "logs/<b>x\"'.txt"
WARNING = "no preview of <script>alert(1)</script>"
TYPES = {FLT: "flt", LOG: "log", PICTURE: "preview", THUMB: "preview", HOSTILE: "log"}


def stock(ledger: Ledger, root: Path) -> None:
    """Publish the dataset in r1, then in r2, which is current; pixels differ by 2 in 5 places."""
    for day, run in enumerate(("r1", "r2"), start=1):
        folder = root / run / DATASET
        write_files(folder, changed=5 * (day - 1))
        ledger.ensure_run(run, **{**RUN, "output": f"file:{root}"})
        _publish(ledger, run, folder, day)
    ledger.set_current(parse_dataset(DATASET), "r2")


def write_files(folder: Path, *, changed: int) -> None:
    """Write the files of a publication."""
    for name in ("logs", "previews"):
        (folder / name).mkdir(parents=True)
    pixels = np.zeros((16, 16), np.float32)
    pixels.flat[:changed] += 2
    image = fits.ImageHDU(pixels, name="SCI", ver=1)
    image.header["BUNIT"] = "ELECTRONS"
    error = fits.ImageHDU(np.ones((16, 16), np.float32), name="ERR", ver=1)
    flags = fits.ImageHDU(np.zeros((16, 16), np.int16), name="DQ", ver=1)
    fits.HDUList([fits.PrimaryHDU(), image, error, flags]).writeto(folder / FLT)
    (folder / LOG).write_text("first line\nlast line of <b>the log</b>\n")
    (folder / HOSTILE).write_text("\x1b[31mred\u202e\n")
    for name, side in ((PICTURE, 40), (THUMB, 8)):
        stream = io.BytesIO()
        Image.new("L", (side, side), changed).save(stream, "JPEG")
        (folder / name).write_bytes(stream.getvalue())


def number_of(ledger: Ledger, name: str, run: str = "r2") -> int:
    """Return the number of a file in the ledger."""
    query = "SELECT id FROM products WHERE name = :name AND run = :run"
    return int(ledger.ask(lambda rows: rows(query, {"name": name, "run": run}))[0]["id"])


def _file(folder: Path, name: str) -> PublishedFile:
    data = (folder / name).read_bytes()
    return PublishedFile(name, TYPES[name], DATASET, hashlib.sha256(data).hexdigest(), len(data))


def _publish(ledger: Ledger, run: str, folder: Path, day: int) -> None:
    files = tuple(_file(folder, name) for name in TYPES)
    at = f"2026-01-{day:02d}T00:00:00.000000+00:00"
    found = Published(run, DATASET, folder.as_uri(), files, at)
    job = ledger.submit("shown", parse_dataset(DATASET), run, context=RUN["context"])
    attempt = ledger.begin_attempt(job, current_owner())
    raw = f"{DATASET}_raw.fits"
    read = InputFile(raw, f"/in/{raw}", "a" * 64, 1000, "raw", DATASET)
    ledger.record_inputs(attempt, RawInputs(DATASET, "file:/in", (read,)))
    uses = (
        ReferenceUse("BIASFILE", BIAS, f"/refs/{BIAS}", "b" * 40, required=True),
        ReferenceUse("DARKFILE", "N/A"),
    )
    recorded = References(RUN["context"], "14.0", (ExposureReferences(raw, uses, {}),))
    ledger.record_references(attempt, recorded)
    ledger.record_publication(attempt, found)
    ended = Outcome(DATASET, "processed", "published", uri=found.uri, warnings=(WARNING,))
    ledger.finish_attempt(attempt, ended)


def keep_bundle(work: Path, run: str, dataset: str) -> None:
    """Write what is kept of a failed job."""
    folder = work / "failed" / run / dataset
    folder.mkdir(parents=True)
    (folder / "process.txt").write_text("fetch\nthe <i>end</i>\n")
    (folder / "outcome.json").write_text(json.dumps({"outcome": "error"}))
