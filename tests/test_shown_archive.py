"""The commands of the archive's reference pages are run, each line of them, on simulated data.

A line runs as it stands but for names: datasets, runs, folders and contexts are those of a
simulated observatory, and a bucket is a folder (stores have tests of their own).
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from calib.simulate.observatory import Observatory, build_observatory
from deployments.cli.main import run
from tests.drizzle_world import write_references
from tests.ingestible import write_caldp
from tests.shown_commands import shown_lines
from tests.standin_programs import make_program, put_first_on_path

pytestmark = pytest.mark.slow

DOCS = Path(__file__).parents[1] / "docs"
SETTING = re.compile(r"^([A-Z_]+)=(\S*) ")  # at most one stands before a command here
NAMES = {
    r"j8bt05njq|jsky01aaq": "jsim01aaq",
    r"j8bt06k9q|jsky02abq": "jsim01abq",
    r"jsky02a\?q|jsky02aaq": "jsim01aaq",
    r"jsky05aaq": "jsia01aaq",
    r"j8bt05010|j8bt05020|jsky05010": "jsia01010",
    r"j8bt05011": "jsia01011",
    r"j8bt06\*": "jsim01*",
    r"j8bt05\*": "jsia01*",
    r"j8bt\*": "jsim*",
    r"x_bia\.fits": "z0000001j_bia.fits",
    r"hst_0730\.pmap": "hst_9002.pmap",
    r"hst_0729\*": "fir*",
    r"hst_07\*": "hst_9*",
    r"hst_1290-5b50bef7|hst_0729-1f2e3d4c|hst_0729-9c1f": "first",
    r"file:/data/caldp": "file:caldp",
    r"file:/archive": "file:archive",
    r"demo/observatory/raw": "raw",
    r"s3://bucket/prefix": "file:out",
    r"s3://bucket/": "file:",
    r"postgresql://host/hst": "sqlite:///moved.db",
}
# A stand-in for drizzlepac's program: it copies what it would drizzle.
DRIZZLES = """
for file in *_flt.fits; do cp "$file" "${3%_*}_drz.fits"; done
"""
# Where another code than 0 is right.
CODES = {
    # No product is drizzled, and the sky has no M31.
    "hstflow archive tag paper1 --type drz --target M31 --in best": 2,
}


@pytest.fixture
def sky(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Observatory:
    """Return exposures and pairs, in the folder in which the commands run."""
    found = build_observatory(tmp_path / "sky", exposures=4, small=True, associations=True)
    for name, value in found.environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    Path("raw").symlink_to(found.raws)
    Path("raws").symlink_to(found.raws)
    for name in ("more.txt", "taken.txt"):
        Path(name).write_text("jsim01abq\n")
    for name in ("names.txt", "visit.txt"):
        Path(name).write_text("jsim01aaq\n")
    return found


# What has been made is not made again: each run has switches of its own.
SWITCHES = ("", "DARKCORR", "FLATCORR", "DARKCORR FLATCORR", "BIASCORR", "BIASCORR DARKCORR")


def made(output: str, *runs: str) -> None:
    """Process two exposures and a pair into each of some runs."""
    for name, omitted in zip(runs, SWITCHES, strict=False):
        words = ["process", "jsim01aaq,jsim01abq,jsia01010", "file:raw", f"file:{output}"]
        switches = [word for each in omitted.split() for word in ("--set", f"{each}=OMIT")]
        assert run([*words, "--context", "hst_9001.pmap", "--run", name, *switches]) == 0


def of_products() -> None:
    """Make what the page has: runs by these names, and a chain."""
    made("out", "first", "ingested", "r1", "nightly-1", "nightly-2", "nightly-3")
    assert run(["archive", "chain", "best", "first"]) == 0


def of_keep() -> None:
    """Make what the page has: a run that others have replaced."""
    made("out", "old-run", "nightly-2", "first")


def of_reprocess() -> None:
    """Make what the page has: an archive with a chain, and a reference of one's own."""
    made("archive", "zero")
    made("out", "first")
    shutil.copy("sky/crds/references/hst/z0000001j_bia.fits", "my_bia.fits")


def of_ingest() -> None:
    """Make what the page has: CALDP's folders, here and in a bucket, and MAST's."""
    for folder in ("caldp", "old"):
        write_caldp(Path(folder))
    raw = Path("sky/raw/jsim01aaq_raw.fits")
    home = Path("~/mastDownload/HST/jsim01aaq").expanduser()
    home.mkdir(parents=True)
    shutil.copy(raw, home)


WORLDS: dict[str, Callable[[], None]] = {
    "products": of_products,
    "keep": of_keep,
    "reprocess": of_reprocess,
    "ingest": of_ingest,
}


def is_ours(line: str) -> bool:
    """Tell whether a line begins with hstflow; what draws or shows its answer is left out."""
    return SETTING.sub("", line).startswith("hstflow ")


def renamed(line: str) -> str:
    """Return a line with the names of the simulated data."""
    for old, new in NAMES.items():
        line = re.sub(old, new, line)
    return line


def words_of(line: str) -> list[str]:
    """Return the words as a shell makes them: quotes, ~, patterns and variables."""
    script = f"printf '%s\\0' {re.split(' (?:[|]|&&) ', line)[0]}"
    said = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    return said.stdout.split("\0")[:-1]


@pytest.mark.parametrize("page", WORLDS)
def test_each_line_does_what_it_says(
    page: str,
    sky: Observatory,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Every line of the page ends as it should, one after the other."""
    WORLDS[page]()
    ends = {}
    for line in filter(is_ours, shown_lines((DOCS / f"{page}.md").read_text(encoding="utf-8"))):
        capsys.readouterr()
        typed = renamed(line)
        with monkeypatch.context() as own:
            for name, value in SETTING.findall(typed):
                own.setenv(name, value)
            code = run(words_of(SETTING.sub("", typed))[1:])
        if code != CODES.get(line, 0):
            ends[line] = (code, capsys.readouterr().err)
    assert ends == {}


def test_drizzling_is_asked_for_on_the_command_line(
    sky: Observatory, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A stand-in drizzles although the header does not ask for it, and no service is asked."""
    make_program(Path("bin").absolute(), "runastrodriz", DRIZZLES, "3.11.0")
    put_first_on_path(Path("bin").absolute(), monkeypatch)
    Path("drizzle").mkdir()
    table = write_references(Path("drizzle").absolute())["MDRIZTAB"]
    line = "hstflow process j8bt05010 file:raws file:out --stage2 always --astrometry off"
    more = ["--context", "hst_9001.pmap", "--reference", f"MDRIZTAB={table}"]

    assert run([*words_of(renamed(line))[1:], *more]) == 0, capsys.readouterr().err
    manifest = next(Path("out").rglob("manifest.json")).read_text()
    assert '"drizzlepac 3.11.0, astrometry off"' in manifest
    assert "jsia01010_drz.fits" in manifest
