"""Visits and skycells are made again of what the waves before them published, by the HAP engine."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import pytest
from hap_inputs import SKYCELL, make_poller
from reprocessing_world import CHANGES, NEW, OLD, World, sky, states_in_of, world
from standin_programs import FINDS_NOTHING_VIABLE, make_combiners, put_first_on_path

from calib.archive.outputs import open_output
from calib.hap_names import visit_of
from calib.ids import parse_dataset
from calib.references.changes import AffectedExposure, ReferenceChange
from calib.reprocessing.selection import select_datasets
from calib.stages.planning import plan_jobs
from calib.stages.sequence import process_dataset

__all__ = ["sky", "world"]


class Mosaics:
    """The visits and the skycell of a world, made by stand-ins of drizzlepac's programs."""

    def __init__(self, world: World, bin_folder: Path) -> None:
        self.world, self.bin = world, bin_folder
        self.visits = sorted({visit_of(each) for each in world.sky.datasets})

    def process(self, source: str, *datasets: str) -> set[str]:
        """Process on the older context, one by one; return the states.

        Not as a campaign, which asks for the disk that skycells take: 80 GB.
        """
        request = dataclasses.replace(self.world.plan("adhoc", OLD).request, source=source)
        return {process_dataset(job).state for job in plan_jobs(request, datasets)}

    def folder_of(self, dataset: str) -> Path:
        """Return the folder that readers are shown."""
        instrument = parse_dataset(dataset).instrument
        return (self.world.folder / "out" / "data" / instrument / dataset).resolve()

    def skycell_inputs(self) -> str:
        """Lay the images of the visits and their poller in a folder; return its URI."""
        folder = self.world.folder / "skycell"
        folder.mkdir()
        images = [
            Path(shutil.copy(path, folder))
            for visit in self.visits
            for path in sorted(self.folder_of(visit).glob("hst_*_flt.fits"))
        ]
        make_poller(folder, SKYCELL, *images)
        return f"file:{folder}"

    def inputs_of(self, dataset: str) -> dict[str, str]:
        """Return the sha256 of the images that the current version was made of, by name."""
        output = open_output(f"file:{self.world.folder / 'out'}")
        manifest = output.current_manifest(parse_dataset(dataset))
        assert manifest is not None
        inputs = manifest.provenance["inputs"]
        return {f["name"]: f["sha256"] for f in inputs if f["name"].endswith(".fits")}

    def published(self, *datasets: str) -> dict[str, str]:
        """Return the sha256 of the products of datasets that readers are shown, by name."""
        output = open_output(f"file:{self.world.folder / 'out'}")
        found: dict[str, str] = {}
        for dataset in datasets:
            manifest = output.current_manifest(parse_dataset(dataset))
            assert manifest is not None
            found |= {file.name: file.sha256 for file in manifest.files}
        return found

    def marked(self) -> list[Any]:
        """Return what one exposure with another dark marks, as the ledger knows."""
        name = self.world.sky.datasets[0]
        change = ReferenceChange("DARKFILE", *CHANGES["DARKFILE"])
        affected = [AffectedExposure(name, name, "acs", (change,))]
        return list(self.world.ledger.ask(lambda rows: select_datasets(affected, rows)).marks)


@pytest.fixture
def mosaics(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Mosaics:
    """Return a world on the older context, with its visits and a skycell."""
    bin_folder = make_combiners(tmp_path / "bin")
    put_first_on_path(bin_folder, monkeypatch)
    found = Mosaics(world, bin_folder)
    world.calibrate()
    assert found.process("archive:", *found.visits) == {"processed"}
    assert found.process(found.skycell_inputs(), SKYCELL) == {"processed"}
    return found


@pytest.mark.slow
def test_visits_and_skycells_follow_the_exposures(mosaics: Mosaics) -> None:
    """One exposure marks its visit and the skycell; each wave takes what the last one made."""
    world, first = mosaics.world, mosaics.world.sky.datasets[0]
    visit = visit_of(first)
    marked = mosaics.marked()
    assert [(m.dataset.name, m.wave) for m in marked] == [(first, 1), (visit, 2), (SKYCELL, 3)]
    before = {each: mosaics.inputs_of(each) for each in (visit, SKYCELL)}
    world.enter(*marked[1:], datasets=[first])

    end = world.run("yes", choose=lambda _: [])

    assert (end.outcome, end.counts) == ("finished", {"processed": 3})
    assert [world.context_of(each) for each in (first, visit, SKYCELL)] == [NEW] * 3
    for made, of in ((visit, world.sky.datasets), (SKYCELL, mosaics.visits)):
        used = mosaics.inputs_of(made)
        assert used.keys() == before[made].keys()
        changed = {name for name in used if used[name] != before[made][name]}
        assert {name.partition("_flt")[0].rpartition("_")[2][:8] for name in changed} == {first[:8]}
        assert used.items() <= mosaics.published(*of).items()


@pytest.mark.slow
def test_visit_without_viable_data_is_told_apart(mosaics: Mosaics) -> None:
    """Its state is `skipped`, the reprocessing is finished, and readers keep what they had."""
    world, visit = mosaics.world, mosaics.visits[0]
    make_combiners(mosaics.bin, visit=FINDS_NOTHING_VIABLE)
    marked = mosaics.marked()
    world.enter(*marked[1:2], datasets=world.sky.datasets[:1])

    end = world.run("yes", choose=lambda _: [])

    assert (end.outcome, end.counts) == ("finished", {"processed": 1, "skipped": 1})
    assert states_in_of(world, "darks-visits") == {visit: "skipped"}
    assert world.context_of(visit) == OLD
