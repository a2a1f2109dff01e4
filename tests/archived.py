"""A small archive with everything that its datasets were made of, to be copied and spoiled."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from astropy.io import fits

from calib.simulate.context import CONTEXTS
from calib.simulate.detector import SMALL_FRAME
from calib.simulate.observatory import Observatory, Plan, build
from calib.simulate.programme import plan_programme_visits, plan_sbc, plan_wfc
from calib.stages.planning import Request, plan_jobs
from calib.stages.published import find_publication
from calib.stages.reproduction import Reproduction, Rerun, reproduce
from calib.stages.sequence import process_dataset
from calib.stores.store import hash_file

EXPOSURE, PAIR = "jsky12aaq", "jsky05010"


@dataclasses.dataclass(frozen=True)
class Home:
    """Raws, references, an archive and its ledger in one folder, to be copied and spoiled."""

    root: Path
    datasets: tuple[str, ...]
    context: str

    @property
    def observatory(self) -> Observatory:
        """Where raws and references are."""
        names = (self.context, self.context)
        return Observatory(self.root / "sky" / "raw", self.root / "sky" / "crds", (), names)

    @property
    def request(self) -> Request:
        """How its datasets were asked for."""
        return Request(
            source=f"file:{self.observatory.raws}",
            output=f"file:{self.root / 'archive'}",
            profile=self.observatory.profile,
            work=str(self.root / "work"),
            ledger=f"sqlite:///{self.root / 'ledger.db'}",
            context=self.context,
        )

    def file(self, name: str, dataset: str = EXPOSURE) -> Path:
        """Return a file of the current version of a dataset."""
        return (self.root / "archive" / "data" / "acs" / dataset / name).resolve()

    def again(self, name: str = EXPOSURE, **options: Any) -> Reproduction:
        """Make a dataset of this home again, found in its archive."""
        run = options.pop("run", None)
        found = find_publication(name, run=run, output=self.request.output)
        rerun = Rerun(self.observatory.profile, self.root / "again", self.request.ledger)
        return reproduce(found, dataclasses.replace(rerun, **options))


def publish_home(root: Path) -> Home:
    """Make an archive with a quadrant of the WFC, an SBC frame and a pair of the HRC."""
    visits = plan_programme_visits(1)[:1]
    plan = Plan.of(SMALL_FRAME, 1, [plan_wfc(1)[2], plan_sbc(1)[0]], visits)
    build(root / "sky", plan, {})
    home = Home(root, plan.datasets, CONTEXTS[0])
    for job in plan_jobs(home.request, plan.datasets):
        assert process_dataset(job).state == "processed"
    return home


def states(result: Reproduction) -> dict[str, str]:
    """Return the states of the files that are not identical."""
    return {file.name: file.state for file in result.files if file.state != "identical"}


def tree(root: Path) -> dict[str, tuple[int, int]]:
    """Return everything in an archive, with sizes and times."""
    return {
        str(path.relative_to(root)): (path.lstat().st_size, path.lstat().st_mtime_ns)
        for path in sorted(root.rglob("*"))
    }


def spoil(path: Path, change: Callable[[fits.HDUList], object]) -> None:
    """Change a FITS file in place."""
    with fits.open(path, memmap=False) as hdus:
        change(hdus)
        content = fits.HDUList(hdus)
        content.writeto(path.with_suffix(".new"), output_verify="ignore")
    path.with_suffix(".new").replace(path)


def rewrite(
    home: Home, change: Callable[[dict[str, Any]], object], dataset: str = EXPOSURE
) -> None:
    """Change the provenance in a manifest, as if it had been written so."""
    path = home.file("manifest.json", dataset)
    manifest = json.loads(path.read_bytes())
    change(manifest["provenance"])
    path.write_text(json.dumps(manifest))


def rewrite_sum(home: Home, name: str) -> None:
    """Make the manifest agree with a changed file: what was published was always so."""
    path, file = home.file("manifest.json"), home.file(name)
    manifest = json.loads(path.read_bytes())
    for entry in manifest["files"]:
        if entry["name"] == name:
            entry.update(sha256=hash_file(file), size=file.stat().st_size)
    path.write_text(json.dumps(manifest))
