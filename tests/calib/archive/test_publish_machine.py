"""Any order of publishing, crashing, trying again, going back and damage: whole versions only.

Two datasets, three versions of each with files of their own, two runs. Publishing stops at any
call that changes something, or another publication runs from beginning to end at that call.
After every step a reader must find nothing (before the first version) or one version whole;
what a run holds must not change; and what is found by its fingerprint must be undamaged.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from breakable import Bucket, Folder, PowerCut, World, cut
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from calib.archive import claim, layout, staging
from calib.archive.layout import Role
from calib.archive.publish import File, Publication
from calib.errors import ArchiveError, HstflowError
from calib.ids import DatasetId, parse_dataset
from calib.stores import FileStore, S3Store

DATASETS = [parse_dataset("j8bt05njq"), parse_dataset("j8bt05nkq")]
RUNS = ["r1", "r2"]

# Versions have files of their own, so that a mixture shows, and tombstones come into being.
VERSIONS: dict[str, dict[str, Role]] = {
    "a": {"x_flt.fits": "product", "x_crj.fits": "product", "process.txt": "log"},
    "b": {"x_flt.fits": "product", "x_flt.jpg": "preview"},
    "c": {"x_flt.fits": "product", "x_flc.fits": "product", "process.txt": "log"},
}


@dataclass(frozen=True)
class Publish:
    """Publish a version; stop at a call, or let another one through at that call."""

    dataset: DatasetId
    version: str
    run: str
    at: int | None = None
    other: Publish | None = None


@dataclass(frozen=True)
class GoBack:
    """Make a run current; stop at a call."""

    dataset: DatasetId
    run: str
    at: int | None = None


@dataclass(frozen=True)
class Damage:
    """Lose a product of a run."""

    dataset: DatasetId
    run: str


Step = Publish | GoBack | Damage


def steps(calls: int) -> st.SearchStrategy[list[Step]]:
    """Return lists of steps; a publication makes about so many calls."""
    datasets, versions, runs = (
        st.sampled_from(DATASETS),
        st.sampled_from("abc"),
        st.sampled_from(RUNS),
    )
    at = st.sampled_from(range(calls))  # a range alone would prefer its ends
    whole = st.builds(Publish, datasets, versions, runs)
    return st.lists(
        whole
        | st.builds(Publish, datasets, versions, runs, at)
        | st.builds(Publish, datasets, versions, runs, at, whole)
        | st.builds(GoBack, datasets, runs, st.none() | at)
        | st.builds(Damage, datasets, runs),
        min_size=2,
        max_size=8,
    )


@dataclass
class Story:
    """What was done, and what must hold after it."""

    world: World
    sources: Path
    shown: set[DatasetId] = field(default_factory=set)
    written: dict[tuple[str, DatasetId], dict[str, bytes]] = field(default_factory=dict)
    damaged: set[tuple[str, DatasetId]] = field(default_factory=set)
    interrupted: list[Publish] = field(default_factory=list)

    def files(self, step: Publish) -> dict[str, bytes]:
        """Return the names in the archive and bytes of a version."""
        roles = VERSIONS[step.version]
        return {
            layout.relative_name(role, name): f"{step.dataset} {step.version} {name}".encode()
            for name, role in roles.items()
        }

    def publication(self, step: Publish) -> Publication:
        """Return a version, ready to publish."""
        folder = self.sources / f"{step.dataset}-{step.version}"
        folder.mkdir(exist_ok=True)
        files = []
        for (name, role), content in zip(
            VERSIONS[step.version].items(), self.files(step).values(), strict=True
        ):
            (folder / name).write_bytes(content)
            files.append(File(role, folder / name))
        return Publication(step.dataset, step.run, fingerprint_of(step), tuple(files))

    def do(self, step: Step) -> None:
        """Take a step, whatever comes of it, and check."""
        if isinstance(step, Damage):
            if "x_flt.fits" in self.world.holds(step.run, step.dataset):
                self.world.damage(step.run, step.dataset)
                self.damaged.add((step.run, step.dataset))
        elif isinstance(step, GoBack):
            self._go_back(step)
        else:
            self._publish(step)
        self.check()

    def _go_back(self, step: GoBack) -> None:
        def back() -> None:
            self.world.output.make_current(step.dataset, step.run)

        place = (step.run, step.dataset)
        is_whole = place in self.written and place not in self.damaged
        with self._stopping(step.at), refused_unless(is_whole):
            back()

    def _publish(self, step: Publish) -> None:
        publication = self.publication(step)
        inner = step.other
        if inner is not None and step.at is not None:
            if isinstance(self.world, Bucket) and _place(inner) == _place(step):
                return  # the second would wait for the claim of the first
            other = self.publication(inner)
            with self.world.wire.at(step.at, lambda: self._try(other)):
                self._try(publication)
            return
        with self._stopping(step.at) as stopped:
            archived = self._try(publication)
            if archived:
                left = self.world.leftovers(step.run)  # of another dataset: it may wait for finish
                assert [name for name in left if step.dataset.name in name] == []
                manifest = self.world.output.current_manifest(step.dataset)
                assert manifest is not None
                assert manifest.run == step.run or archived.already_there
                held = self.world.output.manifest(step.run, step.dataset)
                assert held.fingerprint == publication.fingerprint
        if stopped:
            self.interrupted.append(step)

    def _try(self, publication: Publication) -> Any:
        """Publish; a run that holds another result, or lost a file, refuses."""
        try:
            return self.world.output.publish(publication)
        except ArchiveError as error:
            assert "written once" in error.message or "damaged" in error.message  # noqa: PT017
            return None

    @contextmanager
    def _stopping(self, at: int | None) -> Iterator[list[int]]:
        """Stop the machine at a call; tell whether it came to that."""
        stopped: list[int] = []
        if at is None:
            yield stopped
            return
        try:
            with self.world.wire.at(at, cut):
                yield stopped
        except PowerCut:
            stopped.append(at)

    def check(self) -> None:
        """Insist on everything that a reader may rely on."""
        for dataset in DATASETS:
            self._check_shown(dataset)
            for run in RUNS:
                self._check_written(run, dataset)
            for version in VERSIONS:
                self._check_found(Publish(dataset, version, "any"))

    def _check_shown(self, dataset: DatasetId) -> None:
        manifest = self.world.output.current_manifest(dataset)
        if manifest is None:
            assert dataset not in self.shown, "what was published is gone"
            return
        self.shown.add(dataset)
        if (manifest.run, dataset) not in self.damaged:
            assert self.world.output.verify(dataset) == []
            held = self.world.holds(manifest.run, dataset)
            held.pop("manifest.json")
            assert held == self._version_of(dataset, manifest.fingerprint)

    def _version_of(self, dataset: DatasetId, fingerprint: str) -> dict[str, bytes]:
        steps_ = [Publish(dataset, version, "any") for version in VERSIONS]
        return next(self.files(step) for step in steps_ if fingerprint_of(step) == fingerprint)

    def _check_written(self, run: str, dataset: DatasetId) -> None:
        held = self.world.holds(run, dataset)
        place = (run, dataset)
        if held and place not in self.damaged:
            assert self.written.setdefault(place, held) == held, "a run has changed"
        elif not held:
            assert place not in self.written, "a run has lost a dataset"

    def _check_found(self, step: Publish) -> None:
        found = self.world.output.find_published(step.dataset, fingerprint_of(step))
        whole = {
            run
            for (run, dataset), held in self.written.items()
            if dataset == step.dataset
            and (run, dataset) not in self.damaged
            and self.files(step).items() <= held.items()
        }
        assert (found.run in whole) if found else not whole

    def finish(self) -> None:
        """Try again what was interrupted: it is published, or its run has another result."""
        for step in self.interrupted:
            self._publish(Publish(step.dataset, step.version, step.run))
            self.check()
            assert (step.run, step.dataset) in self.written
        for step in self.interrupted:
            assert self.world.leftovers(step.run) == []


def _place(step: Publish) -> tuple[str, DatasetId]:
    return step.run, step.dataset


def fingerprint_of(step: Publish) -> str:
    """Return the identity of a version."""
    return f"{step.dataset} {step.version}"


@contextmanager
def refused_unless(is_whole: bool) -> Iterator[None]:
    """Expect an archive error where a run does not hold a dataset whole, and none elsewhere."""
    try:
        yield
    except HstflowError:
        assert not is_whole


def tell(world: World, root: Path, story: list[Step]) -> None:
    """Take all steps, then finish what was left."""
    (root / "sources").mkdir()
    told = Story(world, root / "sources")
    for step in story:
        told.do(step)
    told.finish()


@pytest.fixture
def mortal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sign claims by a process that is no more: a later publication takes them over at once."""
    token = "+4194999+1+00000000"  # noqa: S105 - beyond the largest pid of Linux, 4194304
    name = staging.owner_name("x").split("+")[1]
    monkeypatch.setattr(claim, "owner_name", lambda label: f"{label}+{name}{token}")


PATIENT = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


@given(story=steps(30))
@settings(suppress_health_check=PATIENT, max_examples=20)
def test_a_folder_shows_whole_versions_only(tmp_path: Path, story: list[Step]) -> None:
    """On disk, where publication ends with two renames."""
    with tempfile.TemporaryDirectory(dir=tmp_path) as root:
        tell(Folder(Path(root)), Path(root), story)


@pytest.mark.usefixtures("mortal")
@given(story=steps(14))
@settings(suppress_health_check=PATIENT, max_examples=20)
def test_a_store_shows_whole_versions_only(tmp_path: Path, story: list[Step]) -> None:
    """Where the manifest is put last, and claims keep writers apart."""
    with tempfile.TemporaryDirectory(dir=tmp_path) as root:
        tell(Bucket(FileStore(Path(root) / "store")), Path(root), story)


@pytest.mark.slow
@pytest.mark.usefixtures("mortal")
def test_a_bucket_shows_whole_versions_only(bucket: str, tmp_path: Path) -> None:
    """The same on a server that speaks S3, a few times."""
    count = iter(range(1000))

    @given(story=steps(14))
    @settings(max_examples=4)
    def run(story: list[Step]) -> None:
        with tempfile.TemporaryDirectory(dir=tmp_path) as root:
            tell(Bucket(S3Store(bucket, f"p{next(count)}")), Path(root), story)

    run()
