"""`hstflow affected` and `hstflow context diff`: tables, lists, JSON, the ledger, the server."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from calib.errors import BESTREFS, COMMAND, INPUT
from calib.ids import parse_dataset
from calib.ledger.ledger import current_owner, open_ledger
from calib.ledger.location import ledger_url
from calib.ledger.publications import Published, PublishedFile
from calib.references import library
from calib.references.bestrefs import best_references
from calib.references.header_sources import headers_of_files
from calib.simulate.crds_server import CrdsServer
from calib.simulate.observatory import Observatory, build_observatory
from deployments.cli.main import run

OLD, NEW = "hst_9001.pmap", "hst_9002.pmap"
PAIR = ("--old", OLD, "--new", NEW)


@pytest.fixture(scope="module")
def sky(tmp_path_factory: pytest.TempPathFactory) -> Observatory:
    """Return four exposures, of which the fourth is older than the later dark."""
    return build_observatory(tmp_path_factory.mktemp("sky"), exposures=4, small=True)


@pytest.fixture
def raws(sky: Observatory, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Return the raw files, with CRDS pointed at their observatory."""
    for name, value in sky.environ.items():
        monkeypatch.setenv(name, value)
    return sorted(sky.raws.glob("*_raw.fits"))


@pytest.fixture
def server(
    sky: Observatory, raws: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[CrdsServer]:
    """Return a server that knows the exposures; the cache is empty."""
    archive = {f"{h.dataset}:{h.exposure}".upper(): h.header for h in headers_of_files(raws)}
    with CrdsServer(sky.crds_path, headers=archive) as running:
        for name, value in running.environ(tmp_path / "cache").items():
            monkeypatch.setenv(name, value)
        yield running
    library.forget()


def asked(capsys: pytest.CaptureFixture[str], *words: object) -> Any:
    """Return what a command prints as JSON."""
    assert run([*map(str, words), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def marked(sky: Observatory) -> list[str]:
    """Return the exposures that the later dark is for."""
    return sorted(sky.datasets)[:3]


def test_table(sky: Observatory, raws: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    """Datasets with what changes, counts by instrument and type."""
    assert run(["affected", *map(str, raws), *PAIR]) == 0
    text = capsys.readouterr().out
    for name in sky.datasets:
        assert (name in text) == (name in marked(sky))
    assert "DARKFILE z0000002j_drk.fits -> z0000012j_drk.fits" in text
    assert "4 exposures compared, 3 affected; 3 datasets to process again" in text
    assert "ACS: DARKFILE 3" in text


@pytest.mark.parametrize("group", [[], ["context"]])
def test_list_is_one_name_a_line(
    sky: Observatory,
    raws: list[Path],
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    group: list[str],
) -> None:
    """`hstflow campaign submit @FILE` takes it as it is; files may come in a list, too."""
    names = tmp_path / "raws.txt"
    names.write_text("\n".join(map(str, raws)))
    assert run([*group, "affected", f"@{names}", *PAIR, "--list"]) == 0
    assert capsys.readouterr().out.split() == marked(sky)


def test_nothing_affected(raws: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    """No dataset is an answer, too: an empty list, exit code 0."""
    assert run(["affected", str(raws[-1]), *PAIR, "--list"]) == 0
    assert capsys.readouterr().out == ""
    assert run(["affected", str(raws[-1]), *PAIR]) == 0
    assert "1 exposure compared, 0 affected; 0 datasets" in capsys.readouterr().out


def test_details_and_a_broken_file(
    raws: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every exposure with old and new; what cannot be read is affected, with the reason."""
    broken = Path(shutil.copy(raws[0], tmp_path / "jbad01aaq_raw.fits"))
    broken.write_bytes(b"nothing")
    assert run(["affected", str(raws[0]), str(broken), *PAIR, "--details"]) == 0
    text = capsys.readouterr().out
    assert "z0000012j_drk.fits" in text
    assert "problem" in text
    assert "1 exposure with a problem" in text
    found = asked(capsys, "affected", broken, *PAIR)
    assert [each["dataset"] for each in found["datasets"]] == ["jbad01aaq"]


def test_json_has_all_of_it(
    sky: Observatory, raws: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """Datasets with waves, exposures with changes, counts."""
    found = asked(capsys, "affected", *raws, *PAIR)
    assert (found["old"], found["new"], found["compared"]) == (OLD, NEW, 4)
    assert found["counts"] == {"acs": {"DARKFILE": 3}}
    assert [each["dataset"] for each in found["datasets"]] == marked(sky)
    assert found["datasets"][0]["wave"] == 1
    assert found["datasets"][0]["stage2_only"] is False
    assert found["datasets"][0]["changes"] == {
        "DARKFILE": ["z0000002j_drk.fits", "z0000012j_drk.fits"]
    }
    assert found["exposures"][0]["problem"] is None
    assert "server" not in found


def test_source(raws: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    """Raw files that name no references differ from what the rules choose."""
    found = asked(capsys, "affected", raws[0], "--source", "--new", OLD)
    changes = {c["keyword"]: c for c in found["exposures"][0]["changes"]}
    assert (changes["DARKFILE"]["old"], changes["DARKFILE"]["new"]) == (
        "N/A",
        "z0000002j_drk.fits",
    )
    assert found["old"] is None


def test_what_was_processed_here(
    sky: Observatory, raws: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """The ledger knows what the rules matched with, and what the products were made with."""
    name = marked(sky)[0]
    record(sky, name, next(path for path in raws if path.name.startswith(name)))
    found = asked(capsys, "affected", "--from-ledger", *PAIR)
    assert [each["dataset"] for each in found["datasets"]] == [name]
    assert found["exposures"][0]["problem"] is None
    found = asked(capsys, "affected", "--from-ledger", "--new", NEW)
    assert [each["dataset"] for each in found["datasets"]] == [name], "from its own context"
    assert (found["old"], found["bases"], found["compared"]) == (None, {OLD: 1}, 1)
    assert run(["affected", "--from-ledger", "--new", NEW]) == 0
    assert f"{OLD} -> {NEW}: 1 exposure compared" in capsys.readouterr().out
    found = asked(capsys, "affected", "--from-ledger", "--new", OLD)
    assert (found["datasets"], found["bases"]) == ([], {})
    assert asked(capsys, "affected", "--from-ledger", "--source", "--new", OLD)["exposures"] == []
    found = asked(capsys, "affected", "--from-ledger", "--source", "--new", NEW)
    assert found["counts"] == {"acs": {"DARKFILE": 1}}


def record(sky: Observatory, name: str, raw: Path) -> None:
    """Put an exposure and its current product into the ledger, as processing does."""
    chosen = best_references(
        [raw], context=OLD, profile=sky.profile, required=lambda _: (), download=False
    )
    dataset = parse_dataset(name)
    file = PublishedFile(f"{name}_flt.fits", "flt", name, "a" * 64, 1)
    with open_ledger(ledger_url(os.environ)) as ledger:
        job = ledger.submit("adhoc", dataset, "r1", context=OLD)
        attempt = ledger.begin_attempt(job, current_owner())
        ledger.record_references(attempt, chosen)
        ledger.ensure_run(
            "r1",
            context=OLD,
            engine="native",
            engine_version="1",
            parameters={},
            output="file:///o",
        )
        at = "2026-11-23T06:20:41.000000+00:00"
        ledger.record_publication(attempt, Published("r1", name, "file:///o/r1", (file,), at))
        ledger.set_current(dataset, "r1")


def test_server_and_what_it_computed(
    sky: Observatory, server: CrdsServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """Headers of the server, its own list, and the difference between the two."""
    one, two, three = marked(sky)
    server.affected[OLD, NEW] = [f"{name}:{name}".upper() for name in (one, two, "jold01aaq")]
    found = asked(capsys, "affected", "--from-server", "--server-list", *PAIR)
    assert found["server"]["only_server"] == ["jold01aaq"]
    assert found["server"]["only_ours"] == [three]
    assert run(["affected", "--from-server", "--server-list", *PAIR]) == 0
    text = capsys.readouterr().out
    assert "only there: jold01aaq" in text
    assert f"only here: {three}" in text
    assert run(["affected", "--server-list", "--old", NEW, "--new", OLD]) == 0
    assert "nothing was computed" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["--old", OLD], COMMAND, "no exposures to compare"),
        (["x.fits", "--from-ledger", "--old", OLD], COMMAND, "several sources"),
        (["x.fits"], COMMAND, "compared with what?"),
        (["x.fits", "--source", "--old", OLD], COMMAND, "compared with what?"),
        (["x.fits", "--old", OLD], COMMAND, "both contexts are the same"),
        (["--source", "--from-server"], COMMAND, "two contexts"),
        (["--from-ledger", "--old", OLD, "--new", NEW], COMMAND, "nothing was processed here yet"),
        (["--from-ledger"], COMMAND, "nothing was processed here yet"),
        (["--from-ledger", "--server-list"], COMMAND, "compared with what?"),
        (["--from-server", "--old", OLD, "--new", NEW], COMMAND, "no CRDS server"),
        (["x.fits", "--old", OLD, "--new", NEW], INPUT, "x.fits"),
        (["--headers", "x.json", "--old", OLD, "--new", NEW], INPUT, "x.json"),
        (["x.fits", "--old", "hst_1234.pmap"], BESTREFS, "hst_9002.pmap"),
        (["x.fits", "--old", OLD, "--processes", "0"], COMMAND, "--processes"),
    ],
)
@pytest.mark.usefixtures("raws")
def test_bad_questions(
    capsys: pytest.CaptureFixture[str], words: list[str], code: int, told: str
) -> None:
    """Refused in one line, with the code of the reason."""
    assert run(["affected", *words]) == code
    captured = capsys.readouterr()
    assert told in captured.err
    assert captured.out == ""


@pytest.mark.usefixtures("raws")
def test_diff_of_contexts(capsys: pytest.CaptureFixture[str]) -> None:
    """Types with old and new rules, how many references came, since when."""
    assert run(["context", "diff", OLD, NEW, "--references"]) == 0
    text = capsys.readouterr().out
    (line,) = [line for line in text.splitlines() if ".rmap" in line]
    assert line.split()[:2] == ["ACS", "DARKFILE"]
    assert "2002-04-13 18:00:00" in line
    assert "1 type of 1 instrument" in text
    assert "ACS DARKFILE new z0000012j_drk.fits" in text
    found = asked(capsys, "context", "diff", OLD, NEW)
    assert found["instruments"]["acs"]["DARKFILE"]["added"] == ["z0000012j_drk.fits"]
    assert run(["context", "diff", NEW, NEW]) == 0
    assert "no rules differ" in capsys.readouterr().out
    assert run(["context", "diff", OLD, "hst_1234.pmap"]) == BESTREFS
