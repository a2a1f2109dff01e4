"""The static site of a campaign: what it has, where its links lead, and what may go wrong."""

from __future__ import annotations

import errno
import json
import re
import zipfile
from html import unescape
from pathlib import Path
from urllib.parse import unquote

import pytest

from calib.errors import ConfigError
from calib.ledger.campaign_reports import campaigns
from calib.ledger.ledger import Ledger
from calib.ledger.reading import open_reader
from deployments.dashboard import static_files
from deployments.dashboard.export import Others, Wanted, Written, export_site
from deployments.dashboard.static_links import Address, Book, Rule, safe_name
from tests.deployments.dashboard.browser import Visitor, check_access, check_words, picture
from tests.deployments.dashboard.world import CAMPAIGN, World

_LINK = re.compile(r'(?:href|src|action)="([^"]*)"')


def export(
    world: World,
    target: Path,
    datasets: Others = "failed",
    *,
    replace: bool = False,
    others: int = 200,
) -> Written:
    """Write the site of the world's campaign."""
    with open_reader(world.ledger) as rows:
        assert rows is not None
        (found,) = campaigns(rows, CAMPAIGN)
        wanted = Wanted(world.settings, (found.id, found.name), CAMPAIGN, datasets, others)
        return export_site(rows, wanted, target, replace=replace)


@pytest.fixture(scope="module")
def exported(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a site with all datasets."""
    target = tmp_path_factory.mktemp("site") / "site"
    export(world, target, "all")
    return target


def links_of(page: Path) -> list[str]:
    """Return the addresses in a page."""
    return [unescape(found) for found in _LINK.findall(page.read_text(encoding="utf-8"))]


def test_every_link_leads_to_a_file(exported: Path) -> None:
    """All links are relative, and each has its file in the site; every file is linked to."""
    found = {exported / "index.html"}
    waiting = [*found]
    while waiting:
        page = waiting.pop()
        for link in links_of(page):
            if link.startswith("#"):
                continue
            assert not link.startswith(("/", "http:", "https:", "data:")), (page, link)
            assert "?" not in link, (page, link)
            target = (page.parent / unquote(link.partition("#")[0])).resolve()
            assert target.is_file(), (page, link)
            assert target.is_relative_to(exported.resolve())
            if target.suffix == ".html" and target not in found:
                found.add(target)
                waiting.append(target)
    assert found == {*exported.rglob("*.html")}


def test_site_has_the_pages(exported: Path, world: World) -> None:
    """Overview, matrix by state and class, errors, datasets, pictures, references are there."""
    names = {path.relative_to(exported).as_posix() for path in exported.rglob("*.*")}
    expected = {"index.html", "matrix.html", "matrix-state-error.html", "errors.html"}
    expected |= {"gallery.html", "workers.html", "references.html", "reprocessing.html"}
    expected |= {f"datasets/{d[:4]}/{d}.html" for d in (world.good, world.broken)}
    assert expected <= names
    assert any(re.fullmatch(r"matrix-class-notfound.*\.html", name) for name in names)
    assert any(re.fullmatch(r"pictures/.*\.(png|jpg)", name) for name in names)
    assert any(name.startswith("references/") for name in names)


def test_site_has_nothing_that_needs_a_server(exported: Path) -> None:
    """No page has a script, a form, a reload, or a style of its own; hostile words are text."""
    for page in exported.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        for word in ("<script", "<form", "http-equiv", " style=", "<b onmouseover", "hx-get"):
            assert word not in text, (page, word)


def test_written_says_what_is_there(world: World, tmp_path: Path) -> None:
    """The numbers are those of the files; without datasets none has a page or a picture."""
    written = export(world, tmp_path / "site", "none")
    assert written.pages == len([*(tmp_path / "site").rglob("*.html")])
    assert written.bytes + (tmp_path / "site" / "report.json").stat().st_size >= written.bytes
    assert (written.datasets, written.pictures) == (0, 0)
    assert not (tmp_path / "site" / "datasets").exists()


def test_failed_datasets_come_before_others(world: World, tmp_path: Path) -> None:
    """All that failed have a page, and as many others as are asked for."""
    written = export(world, tmp_path / "site", others=1)
    assert written.datasets == 3  # two failed, one other
    assert (tmp_path / "site" / "datasets" / world.broken[:4] / f"{world.broken}.html").is_file()


def test_zip_has_one_folder(world: World, tmp_path: Path) -> None:
    """A zip unpacks into a folder of its name, with the same pages."""
    export(world, tmp_path / "night.zip", "none")
    with zipfile.ZipFile(tmp_path / "night.zip") as opened:
        assert opened.testzip() is None
        names = opened.namelist()
    assert all(name.startswith("night/") for name in names)
    assert "night/index.html" in names
    export(world, tmp_path / "night.zip", "none", replace=True)


def test_existing_target_is_refused(world: World, tmp_path: Path) -> None:
    """A folder that is there stays; --replace takes the place of a report, and of nothing else."""
    target = tmp_path / "site"
    export(world, target, "none")
    (target / "note.txt").write_text("mine")
    with pytest.raises(ConfigError, match="--replace"):
        export(world, target, "none")
    assert (target / "note.txt").exists()
    export(world, target, "none", replace=True)
    assert not (target / "note.txt").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["site"]
    other = tmp_path / "home"
    other.mkdir()
    (other / "thesis.tex").write_text("years")
    with pytest.raises(ConfigError, match="this is none"):
        export(world, other, "none", replace=True)
    assert (other / "thesis.tex").read_text() == "years"


def test_full_disk_leaves_nothing(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the disk is full in the middle, the error says so and the older report stays."""
    export(world, tmp_path / "site", "none")
    before = (tmp_path / "site" / "report.json").read_bytes()
    put = static_files.Folder.put

    def full(self: static_files.Folder, name: str, content: bytes) -> None:
        if name == "errors.html":
            raise OSError(errno.ENOSPC, "No space left on device")
        put(self, name, content)

    monkeypatch.setattr(static_files.Folder, "put", full)
    with pytest.raises(ConfigError, match="disk is full"):
        export(world, tmp_path / "site", "none", replace=True)
    assert [path.name for path in tmp_path.iterdir()] == ["site"]
    assert (tmp_path / "site" / "report.json").read_bytes() == before


def test_folder_that_is_not_there(world: World, tmp_path: Path) -> None:
    """A place that cannot be written is said so, with its path."""
    with pytest.raises(ConfigError, match="cannot be written"):
        export(world, tmp_path / "no" / "site", "none")


def test_mark_says_what_the_report_is_of(exported: Path) -> None:
    """A program reads from report.json which campaign a folder is of."""
    content = json.loads((exported / "report.json").read_text())
    assert content["campaign"] == CAMPAIGN


@pytest.mark.parametrize("text", ["../../etc/passwd", "a/b", ".", "..", "CON:", "ä" * 300, "x\0y"])
def test_no_name_leaves_the_folder(text: str) -> None:
    """A name of a ledger makes one file name, short and plain, whatever it holds."""
    name = safe_name(text)
    assert re.fullmatch(r"[a-z0-9_-][a-z0-9_.-]*", name)
    assert len(name) < 100


def test_two_names_have_two_files() -> None:
    """Names that differ in what a file name cannot have, or in case, do not share a file."""
    book = Book({"reference": Rule("references/{0}", lambda names: True)}, Address("campaign"))
    files = [
        book.find(Address("reference", (n,)), book.first) for n in ("a/b", "a:b", "A_b", "a_b")
    ]
    assert len({str(each).lower() for each in files}) == 4


def test_next_part_leads_back() -> None:
    """The next part of a list has a number, and its way back is the part it was found from."""
    rule = Rule("matrix", lambda _: True, forward=frozenset({"after"}), back=frozenset({"before"}))
    first = Address("matrix", ("a",))
    book = Book({"matrix": rule}, Address("campaign", ("a",)))
    assert book.find(first, book.first) == "matrix.html"
    second = Address("matrix", ("a",), (("after", "x"),))
    assert book.find(second, first) == "matrix-2.html"
    assert book.find(Address("matrix", ("a",), (("before", "y"),)), second) == "matrix.html"
    assert book.find(Address("matrix", ("a",), (("before", "y"),)), first) is None
    assert book.find(Address("matrix", ("a",), (("sort", "age"),)), first) is None


@pytest.mark.slow
def test_site_opens_from_disk(exported: Path, visit: Visitor) -> None:
    """A browser shows it from a folder with its style, asks nobody, and axe finds nothing."""
    for name in ("index", "matrix", "errors", "gallery", "references", "reprocessing"):
        seen = visit((exported / f"{name}.html").as_uri())
        check_words(seen)
        check_access(seen)
        picture(seen, f"static-{name}")
        assert seen.evaluate("getComputedStyle(document.querySelector('nav')).display") == "flex"


def test_site_by_the_command(
    ledger: Ledger,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """`-o` writes the pages and says so in JSON; a folder that is there is refused, and --html."""
    from deployments.cli.main import run

    target = tmp_path / "site"
    assert run(["campaign", "report", "spring", "-o", str(target), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["pages"] == len([*target.rglob("*.html")])
    assert (told["campaign"], told["path"]) == ("spring", str(target))
    assert run(["campaign", "report", "spring", "-o", str(target)]) == ConfigError.code
    both = ["-o", str(tmp_path / "b"), "--html", str(tmp_path / "b.html")]
    assert run(["campaign", "report", "spring", *both]) == ConfigError.code
    assert not (tmp_path / "b").exists()
