"""A newcomer's first hours: the demo, the tutorial, and the tours of the pages.

One story in one folder, since the demo takes most of the time: the pages go on where an
interrupted demo stopped.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import psutil
import pytest
from PIL import Image

from calib.simulate.programme import build_programme
from tests.played import play

pytestmark = pytest.mark.prefect

ROOT = Path(__file__).parents[1]
PAGES = ROOT / "docs"
BROKEN = "jsky04aaq"


def start(folder: Path) -> subprocess.Popen[str]:
    """Start the demo in a session of its own, as a terminal does."""
    return subprocess.Popen(
        [sys.executable, "-m", "deployments.cli", "demo", str(folder)],
        cwd=ROOT,
        env={key: value for key, value in os.environ.items() if not key.startswith("PREFECT_")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def job_states(folder: Path) -> dict[str, str]:
    """Return the state of each dataset, read from the ledger's file."""
    path = folder / "ledger.db"
    if not path.exists():
        return {}
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        try:
            return dict(database.execute("select dataset, state from job").fetchall())
        except sqlite3.OperationalError:
            return {}


def rows(folder: Path, query: str) -> list[tuple[object, ...]]:
    """Ask Prefect's database."""
    with closing(sqlite3.connect(folder / "prefect" / "prefect.db")) as database:
        return database.execute(query).fetchall()


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder in which all pages are played."""
    return tmp_path_factory.mktemp("story")


@pytest.fixture
def told(story: Path) -> Path:
    """Return the folder after the tutorial, also where a tour is tested alone."""
    if not (story / "pictures").exists():
        play_tutorial(story)
    return story


def test_newcomer(story: Path) -> None:
    """Ctrl-C, then every block of the tutorial, with what it promises."""
    interrupt_demo(story / "demo")
    play_tutorial(story)
    check_demo(story / "demo")


@pytest.mark.slow
def test_tour_of_the_archive(told: Path) -> None:
    """Every block of the tour, with what it promises."""
    play_tour(told)


@pytest.mark.slow
def test_tour_of_campaigns(told: Path) -> None:
    """Every block of the tour: a campaign with a broken dataset, and one that is rescued."""
    play_campaign(told)


@pytest.mark.slow
def test_tour_of_deliveries(story: Path) -> None:
    """Every block of the tour: a dark becomes a context, and seven datasets would change."""
    build_programme(story / "demo" / "observatory")  # of the demo this is all that is needed
    play_delivery(story)


@pytest.mark.slow
def test_tour_of_reprocessing(story: Path) -> None:
    """Every block of the tour, from a new context on a server to the final report."""
    build_programme(story / "demo" / "observatory")  # of the demo this is all that is needed
    play_reprocessing(story)


@pytest.mark.slow
def test_tour_of_engines(story: Path) -> None:
    """Every block of the tour: STIS, natively where that is asked for, and nothing to do."""
    play_engines(story)


def interrupt_demo(folder: Path) -> None:
    """Ctrl-C leaves no process and a consistent ledger."""
    with start(folder) as child:
        deadline = time.monotonic() + 200
        while time.monotonic() < deadline and child.poll() is None:
            if "processing" in job_states(folder).values():
                break
            time.sleep(0.05)
        assert child.poll() is None, child.communicate()
        family = psutil.Process(child.pid).children(recursive=True)
        os.killpg(child.pid, signal.SIGINT)
        _, err = child.communicate(timeout=60)

    assert child.returncode == 130, err
    assert "interrupted" in err
    assert "Traceback" not in err
    gone, alive = psutil.wait_procs(family, timeout=20)
    assert (bool(gone), alive) == (True, [])
    assert "processing" not in job_states(folder).values()


def play_tutorial(folder: Path) -> None:
    """Its first command finishes the demo; nothing is said on stderr."""
    done = play(PAGES / "tutorial.md", folder)

    assert done.stderr.strip() == ""
    for promised in ("broken on purpose", "nothing to do", "no-dark", "hstflow native", "50.0"):
        assert promised in done.stdout, promised


def check_demo(folder: Path) -> None:
    """All datasets but one are processed, each archived by one finished task of Prefect's."""
    states = job_states(folder)
    assert states.pop(BROKEN) == "error"
    assert set(states.values()) == {"processed"}
    assert len(states) == 15
    with Image.open(next((folder / "archive" / "runs").rglob("jsky05011_crj.jpg"))) as picture:
        assert picture.size == (512, 512)
    tasks = rows(folder, "select name from task_run where state_type = 'COMPLETED'")
    done = {str(name).rsplit("-", 1)[-1] for (name,) in tasks if str(name).startswith("archive-")}
    assert done == set(states)


def play_tour(folder: Path) -> None:
    """Among other things every product of the demo is made again, and compared bit for bit."""
    toured = play(PAGES / "archive.md", folder).stdout

    assert toured.count(" reproduced  exact: ") == 1 + 15
    for promised in (
        "all is well",
        "2 to run",
        "chain best begins with second; first has left it",
        "2 versions removed",
        "25 files",
        "jsky02aaq  skipped  nothing to do",
        "jsky02abq  processed  published",
        "synced",
        "CCDData electron True",
        "['patched', 'raws']",
        "publications new, 0 known",
    ):
        assert promised in toured, promised


def play_campaign(folder: Path) -> None:
    """One dataset stays broken, one is rescued from the stage that failed; little is left."""
    toured = play(PAGES / "campaigns.md", folder).stdout

    for promised in (
        "4 would run",
        "exit code",
        "1 dataset would be submitted again; nothing was written",
        "3 of 4 done, 1 failed",
        "tried again",
        "blackboardAWS.snapshot: 4 rows",
    ):
        assert promised in toured, promised
    assert stages_of(folder, "jsky02aaq", 2) == {
        "fetch": "reused",
        "bestrefs": "reused",
        "calibrate": "done",
        "preview": "done",
        "archive": "done",
        "state-message": "done",
    }
    counts = json.loads((folder / "status.json").read_text())["counts"]
    assert counts == {"processed": 3, "error": 1}
    previews = folder / "night" / "data" / "acs" / "jsky02aaq" / "previews"
    assert (previews / "jsky02aaq_flt_thumb.jpg").exists()  # it could not be drawn at first
    assert (folder / "night.html").read_text().count("jsky02aaq") > 0
    assert len((folder / "costs.csv").read_text().splitlines()) == 1 + 3 * 6 + 6 + 2
    assert [path for path in (folder / "campaign-work").rglob("*") if path.is_file()] == []


def play_engines(folder: Path) -> None:
    """Calibrate a split of STIS; an acquisition ends well, and nothing comes of it."""
    toured = play(PAGES / "engines.md", folder).stdout

    for promised in (
        "on request (--engine native)",
        "made/obsky1010_crj.fits",
        "pictures/obsky1010_crj.jpg",
        "pictures/obsky1010_raw.jpg",
    ):
        assert promised in toured, promised
    assert sorted(path.name for path in (folder / "made").glob("*.fits")) == ["obsky1010_crj.fits"]


def play_delivery(folder: Path) -> None:
    """Archive the delivery in a copy of the cache; the cache of the demo stays as it is."""
    toured = play(PAGES / "delivery.md", folder).stdout

    for promised in (
        "1 file against hst_9002.pmap: no error",
        "100 different pixels found",
        "exit code 1",
        "7 datasets would change, of 21 exposures looked at",
        "hst_9003.pmap from hst_9002.pmap is ready",
        "hst_9003.pmap from hst_9002.pmap is archived",
        "7 datasets to process again",
        "canaries      2: jsky02aaq, jsky02abq",
    ):
        assert promised in toured, promised
    rules = Path("crds", "mappings", "hst", "hst_9003.pmap")
    assert (folder / "my-crds" / Path(*rules.parts[1:])).exists()
    assert not (folder / "demo" / "observatory" / rules).exists()


def play_reprocessing(folder: Path) -> None:
    """Reprocess what the new dark is for: tried, approved, made once; the rest stays."""
    toured = play(PAGES / "reprocessing.md", folder).stdout

    for promised in (
        "first sight of hst_9001.pmap",
        "hst_9001.pmap->hst_9002.pmap has no reprocessing yet",
        "rules       17 files came",
        "ACS DARKFILE new z0000012j_drk.fits",
        "5 exposures compared, 4 affected; 3 datasets to process again",
        "2: jsky02aaq, jsky03aaq",
        "july review, hst_9001.pmap to hst_9002.pmap",
        "jsky03aaq processed {'DARKFILE': ['z0000002j_drk.fits', 'z0000012j_drk.fits']}",
        "3 of 3 datasets are on hst_9002.pmap",
        "nothing to do: no dataset is affected; nothing was written",
        "5 exposures compared, 0 affected",
        "3 datasets, 4 uses",
    ):
        assert promised in toured, promised
    canary = toured.index("july review")
    before, after = toured.index("-> ../../runs/hst_9001"), toured.index("july finished")
    assert canary < before < after, "readers were shown a canary"
    current = {path.name: path.resolve().parts[-3] for path in (folder / "sky/data/acs").iterdir()}
    assert current.pop("jsky01aaq").startswith("hst_9001")
    assert sorted(current) == ["jsky02aaq", "jsky03aaq", "jsky05010"]
    assert all(run.startswith("hst_9002") for run in current.values())
    listed = (folder / "ids.txt").read_text().split()
    numbers = ["02aaq", "02abq", "03aaq", "04aaq", "05010", "06010", "07010"]
    assert listed == [f"jsky{number}" for number in numbers]
    assert "<svg" in (folder / "july.svg").read_text()
    assert "hot pixels as expected" in (folder / "july.html").read_text()


def stages_of(folder: Path, dataset: str, attempt: int) -> dict[str, str]:
    """Return how the stages of an attempt ended, from the campaign's ledger."""
    query = "select stage, state from costs where dataset = ? and attempt = ?"
    with closing(sqlite3.connect(folder / "campaigns.db")) as database:
        return dict(database.execute(query, (dataset, attempt)).fetchall())
