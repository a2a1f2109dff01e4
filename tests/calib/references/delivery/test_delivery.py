"""From reference files to a context in the cache, and everything that can stop it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from astropy.io import fits

from calib.errors import ArchiveError, ConfigError, ContextError
from calib.references import library, server_config
from calib.references.bestrefs import best_references
from calib.references.context import resolve_context
from calib.references.delivery import archiving
from calib.references.delivery.archiving import archive, cancel, confirm
from calib.references.delivery.certify import certify_files
from calib.references.delivery.delivery import Asked, Made, deliver
from calib.references.delivery.steps import FOLLOWS, Entry, Touched, read_delivery
from calib.references.files import sha1_of
from calib.references.profile import CrdsProfile
from tests.calib.references.delivery.conftest import OLD, NewDark, snapshot

if TYPE_CHECKING:
    from calib.simulate.observatory import Observatory

NEW = "hst_9003.pmap"


def make(profile: CrdsProfile, folder: Path, *paths: Path, **asked: object) -> Made:
    """Certify and deliver."""
    found = certify_files(profile, paths, OLD)
    return deliver(profile, found, Asked(OLD, folder, "me@here", **asked))  # type: ignore[arg-type]


def dark_of(profile: CrdsProfile, observatory: Observatory, context: str | None) -> set[str]:
    """Return the names of the darks that a context chooses for the simulated raws."""
    raws = sorted(observatory.raws.glob("*_raw.fits"))
    name = resolve_context(context, profile)
    found = best_references(
        raws, context=name, profile=profile, required=lambda _: ("DARKFILE",), download=False
    )
    return {Path(each.path("DARKFILE") or "").name for each in found.exposures}


def test_the_whole_life(
    cache: CrdsProfile, new_dark: NewDark, observatory: Observatory, tmp_path: Path
) -> None:
    """A context is offered once its delivery is archived, and chooses the new reference."""
    replacing = new_dark("replacing.fits", USEAFTER="Apr 13 2002 18:00:00")
    later, before = new_dark(), snapshot(cache.cache)
    made = make(cache, tmp_path / "out" / "my delivery", replacing, later)
    delivery = made.delivery
    assert (delivery.context, delivery.old, delivery.state) == (NEW, OLD, "ready")
    assert snapshot(cache.cache) == before
    names = {Path(e.original).name: e.name for e in delivery.files if e.original}
    assert [(d.action, d.old, d.new, d.since[-8:]) for d in made.differences] == [
        ("replaced", "z0000012j_drk.fits", names["replacing.fits"], "18:00:00"),
        ("added", None, names["my dark.fits"], "19:00:00"),
    ]
    assert names["my dark.fits"] in (delivery.folder / "difference.txt").read_text()
    assert made.warnings == ()
    with pytest.raises(ContextError, match="no such context"):
        resolve_context(NEW, cache)

    confirm(delivery.folder, "you@there")
    with pytest.raises(ContextError, match="no such context"):
        resolve_context(NEW, cache)
    archived = archive(cache, delivery.folder, "you@there", operational=True)
    assert [(step.state, step.who) for step in archived.steps] == [
        ("ready", "me@here"),
        ("confirmed", "you@there"),
        ("archiving", "you@there"),
        ("archived", "you@there"),
    ]
    assert resolve_context(None, cache) == resolve_context(NEW, cache) == NEW
    assert dark_of(cache, observatory, None) == {names["replacing.fits"]}
    rows = server_config.catalogue(library.server_info(cache))
    assert {e.name: e.sha1sum for e in delivery.files}.items() <= {
        name: row["sha1sum"] for name, row in rows.items()
    }.items()
    assert read_delivery(delivery.folder) == archived


def test_what_is_in_the_folder(cache: CrdsProfile, new_dark: NewDark, tmp_path: Path) -> None:
    """Files are those of the catalogue; names are in the headers; nothing else is left behind."""
    dark = new_dark()
    original = dark.read_bytes()
    folder = make(cache, tmp_path / "d", dark).delivery.folder
    rows = json.loads((folder / "catalogue.json").read_text())
    found = [p for p in folder.rglob("*") if p.is_file() and p.parent != folder]
    assert {path.name: (path.stat().st_size, sha1_of(path), "ready") for path in found} == {
        name: (row["size"], row["sha1sum"], row["state"]) for name, row in rows.items()
    }
    assert sorted(Path(name).suffix for name in rows) == [".fits", ".imap", ".pmap", ".rmap"]
    (copy,) = (folder / "references").iterdir()
    header = fits.getheader(copy)
    assert header["FILENAME"] == copy.name
    assert f"renamed to {copy.name}" in str(header["HISTORY"]).replace("\n", "")
    assert dark.read_bytes() == original
    assert not [path.name for path in tmp_path.iterdir() if path.name.startswith(".")]
    for path in (folder / "mappings").iterdir():
        assert f"'name' : '{path.name}'" in path.read_text()


def test_dry_run(cache: CrdsProfile, new_dark: NewDark, tmp_path: Path) -> None:
    """Everything is told, a look at the datasets included, and nothing is kept."""
    dark, looked = new_dark(), []
    before = snapshot(tmp_path)

    def look(stage: CrdsProfile, old: str, new: str) -> Touched:
        looked.append((resolve_context(new, stage), old))
        return Touched(7, {"jsim01aaq": ("DARKFILE",)})

    found = certify_files(cache, [dark], OLD)
    made = deliver(cache, found, Asked(OLD, tmp_path / "d", "me", dry_run=True), look)
    assert made.delivery.affected == Touched(7, {"jsim01aaq": ("DARKFILE",)})
    assert looked == [(NEW, OLD)]
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("number", [9002, 17, 0, 100_000])
def test_numbers(cache: CrdsProfile, new_dark: NewDark, tmp_path: Path, number: int) -> None:
    """A number that is taken, or none that rules can have, is refused."""
    with pytest.raises(ConfigError, match=r"such rules already|not older|not a number of rules"):
        make(cache, tmp_path / "d", new_dark(), number=number)
    assert not (tmp_path / "d").exists()


def test_names_that_are_kept(cache: CrdsProfile, new_dark: NewDark, tmp_path: Path) -> None:
    """A name that CRDS can have is kept, byte for byte; others, and taken ones, are refused."""
    good = new_dark("zz000099j_drk.fits")
    made = make(cache, tmp_path / "d", good, rename=False, number=9123)
    assert made.delivery.context == "hst_9123.pmap"
    copy = made.delivery.folder / "references" / good.name
    assert copy.read_bytes() == good.read_bytes()
    for name in ("my dark.fits", "zz000099l_drk.fits", "ZZ000099J_drk.fits", "x.fits"):
        with pytest.raises(ConfigError, match="not a name that CRDS can have"):
            make(cache, tmp_path / "e", new_dark(name), rename=False)
    with pytest.raises(ConfigError, match="such a reference already"):
        make(cache, tmp_path / "e", new_dark("z0000012j_drk.fits"), rename=False)
    assert not (tmp_path / "e").exists()


def test_refusals(cache: CrdsProfile, new_dark: NewDark, tmp_path: Path) -> None:
    """A folder that is there, rules among the files, and files that crds refuses: all stops."""
    (tmp_path / "there").mkdir()
    before = snapshot(tmp_path)
    for folder, path, message in (
        ("there", new_dark(), "nothing is overwritten"),
        ("d", cache.mappings / OLD, "not a reference"),
        ("d", new_dark("b.fits", USEAFTER=None), "crds refuses the references"),
    ):
        before |= snapshot(tmp_path)
        with pytest.raises(ConfigError, match=message):
            make(cache, tmp_path / folder, path)
    assert snapshot(tmp_path) == before


def test_read_only_caches(cache: CrdsProfile, new_dark: NewDark, tmp_path: Path) -> None:
    """A delivery is made beside a read-only cache, and cannot be archived in it."""
    readonly = CrdsProfile("shared", cache.server_url, cache.cache, readonly=True, layout="flat")
    folder = make(readonly, tmp_path / "d", new_dark()).delivery.folder
    confirm(folder, "me")
    before = snapshot(cache.cache)
    with pytest.raises(ConfigError, match="read-only"):
        archive(readonly, folder, "me")
    assert snapshot(cache.cache) == before


@pytest.mark.parametrize(
    ("steps", "error"),
    [
        ("archive", "is ready since"),
        ("confirm confirm", "is confirmed since"),
        ("cancel confirm", "is cancelled since"),
        ("confirm cancel archive", "is cancelled since"),
        ("confirm archive cancel", "is archived since"),
        ("confirm archive archive", "is archived since"),
    ],
)
def test_steps_that_do_not_follow(
    one_delivery: tuple[CrdsProfile, Path], steps: str, error: str
) -> None:
    """Only the steps of the table can be taken, and the refusal says when and by whom."""
    profile, folder = one_delivery
    *good, last = steps.split()
    work = {
        "confirm": lambda: confirm(folder, "me"),
        "cancel": lambda: cancel(folder, "me"),
        "archive": lambda: archive(profile, folder, "me"),
    }
    for step in good:
        work[step]()
    before = snapshot(folder)
    with pytest.raises(ConfigError, match=error):
        work[last]()
    assert snapshot(folder) == before


def test_the_table_of_states() -> None:
    """Every state is in the table, and nothing follows an end."""
    assert {after for states in FOLLOWS.values() for after in states} | {"ready"} == {*FOLLOWS}
    assert FOLLOWS["archived"] == FOLLOWS["cancelled"] == ()


@pytest.fixture(scope="module")
def made_once(
    observatory: Observatory, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Path]:
    """Return a cache and a delivery for it, made once."""
    from calib.simulate.context import offline_profile

    folder = tmp_path_factory.mktemp("delivery")
    shutil.copytree(observatory.crds_path, folder / "crds")
    dark = folder / "dark.fits"
    shutil.copyfile(observatory.profile.references / "z0000012j_drk.fits", dark)
    make(offline_profile(folder / "crds"), folder / "delivery", dark)
    return folder / "crds", folder / "delivery"


@pytest.fixture
def one_delivery(made_once: tuple[Path, Path], tmp_path: Path) -> tuple[CrdsProfile, Path]:
    """Return the profile of a cache of its own, and a delivery of its own, which is ready."""
    from calib.simulate.context import offline_profile

    for name, path in zip(("crds", "delivery"), made_once, strict=True):
        shutil.copytree(path, tmp_path / name)
    return offline_profile(tmp_path / "crds"), tmp_path / "delivery"


def test_a_name_that_another_took(one_delivery: tuple[CrdsProfile, Path]) -> None:
    """Where another delivery came first with the same names, nothing is written."""
    profile, folder = one_delivery
    confirm(folder, "me")
    rules = next((folder / "mappings").glob("*.rmap")).name
    (profile.mappings / rules).write_text("another")
    before = snapshot(profile.cache)
    with pytest.raises(ConfigError, match="another delivery has taken this name"):
        archive(profile, folder, "me")
    assert snapshot(profile.cache) == before
    assert read_delivery(folder).state == "confirmed"


@pytest.mark.parametrize("damage", ["changed", "gone"])
def test_files_that_were_changed(one_delivery: tuple[CrdsProfile, Path], damage: str) -> None:
    """A file that is not that of the catalogue any more stops confirmation and archiving."""
    profile, folder = one_delivery
    path = next((folder / "references").iterdir())
    data = path.read_bytes()
    path.write_bytes(data + b"x") if damage == "changed" else path.unlink()
    with pytest.raises(ArchiveError, match=r"was changed|is missing"):
        confirm(folder, "me")
    path.write_bytes(data)
    confirm(folder, "me")
    path.write_bytes(data[:-1])
    before = snapshot(profile.cache)
    with pytest.raises(ArchiveError, match="was changed"):
        archive(profile, folder, "me")
    assert snapshot(profile.cache) == before


def test_interrupted_archiving(
    one_delivery: tuple[CrdsProfile, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever was copied before an interruption, the context comes last; a second call ends it."""
    profile, folder = one_delivery
    confirm(folder, "me")
    copied: list[str] = []
    real = archiving._copy

    def failing(source: Path, target: Path, entry: Entry) -> None:
        if len(copied) == 2:
            raise ArchiveError("the disk is full", path=target)
        real(source, target, entry)
        copied.append(target.suffix)

    monkeypatch.setattr(archiving, "_copy", failing)
    with pytest.raises(ArchiveError, match="the disk is full"):
        archive(profile, folder, "me")
    assert copied == [".fits", ".rmap"]
    assert read_delivery(folder).state == "archiving"
    with pytest.raises(ConfigError, match="is archiving since"):
        cancel(folder, "me")
    with pytest.raises(ContextError):
        resolve_context(NEW, profile)
    monkeypatch.setattr(archiving, "_copy", real)
    assert archive(profile, folder, "me").state == "archived"
    assert resolve_context(NEW, profile) == NEW


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{",
        '{"context": "hst_9003.pmap", "old": "hst_9002.pmap", "steps": []}',
        '{"context": "hst_9003.pmap", "old": "x", "steps": [{"state": "", "time": "", "who": ""}]}',
    ],
)
def test_damaged_records(one_delivery: tuple[CrdsProfile, Path], text: str) -> None:
    """A record that cannot be read is refused with its place, and nothing is guessed."""
    _, folder = one_delivery
    (folder / "delivery.json").write_text(text)
    with pytest.raises(ConfigError, match="damaged") as caught:
        read_delivery(folder)
    assert caught.value.path == str(folder)


@pytest.mark.parametrize(
    "damage",
    [
        {"name": "../../evil.fits"},
        {"name": "evil.txt"},
        {"kind": "mapping/../reference"},
        {"instrument": "../../../../outside"},
        {"instrument": "/outside"},
    ],
)
def test_catalogue_leads_nowhere_else(
    one_delivery: tuple[CrdsProfile, Path], damage: dict[str, str]
) -> None:
    """No row of a catalogue names a place outside the delivery and its place in the cache."""
    _, folder = one_delivery
    rows = json.loads((folder / "catalogue.json").read_text())
    first = next(each for each in rows.values() if each["kind"] == "reference")
    first.update(damage)
    (folder / "catalogue.json").write_text(json.dumps(rows))
    with pytest.raises(ConfigError, match="not files of a delivery"):
        read_delivery(folder)


@pytest.mark.parametrize("context", ["hst_9009.pmap", "nonsense"])
def test_context_is_one_of_the_files(one_delivery: tuple[CrdsProfile, Path], context: str) -> None:
    """A record cannot make another context operational than the one that it delivers."""
    _, folder = one_delivery
    record = json.loads((folder / "delivery.json").read_text())
    (folder / "delivery.json").write_text(json.dumps(record | {"context": context}))
    with pytest.raises(ConfigError, match=r"none of its files|not contexts"):
        read_delivery(folder)


def test_links_are_no_files_of_a_delivery(one_delivery: tuple[CrdsProfile, Path]) -> None:
    """A link is refused, whatever it leads to."""
    _, folder = one_delivery
    first = next((folder / "references").iterdir())
    first.rename(folder / "moved")
    first.symlink_to(folder / "moved")
    with pytest.raises(ArchiveError, match="is a link"):
        confirm(folder, "me")


def test_with_a_server(observatory: Observatory, new_dark: NewDark, tmp_path: Path) -> None:
    """Rules come from the server, and the archived context works beside those of the server."""
    from calib.simulate.crds_server import CrdsServer

    with CrdsServer(observatory.crds_path) as server:
        profile = server.profile(tmp_path / "empty")
        dark = new_dark(USEAFTER="Apr 13 2002 18:00:00")
        folder = make(profile, tmp_path / "d", dark).delivery.folder
        confirm(folder, "me")
        with pytest.raises(ConfigError, match="the CRDS server says"):
            archive(profile, folder, "me", operational=True)
        archive(profile, folder, "me")
        name = read_delivery(folder).files[0].name
        assert dark_of(profile, observatory, NEW) == {name}
        assert resolve_context(None, profile) == "hst_9001.pmap"
        assert (profile.references / "acs" / name).is_file()
