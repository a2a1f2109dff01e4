"""`hstflow process` as a user meets it: what it makes, and what a second run does."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from astropy.io import fits

from calib.engines.native import NativeEngine
from calib.engines.protocol import CalibrationRequest, available_cpus
from calib.errors import Unavailable
from calib.records import Outcome, Products
from calib.simulate.observatory import Observatory
from deployments.cli.main import run

Process = Callable[..., tuple[int, Any, str]]
Published = Callable[[str], Path]


def stages_of(own_home: Path) -> list[str]:
    """Return the stage runs in the ledger as attempt:stage:state, in order."""
    import sqlite3

    with sqlite3.connect(own_home / "ledger.db") as database:
        rows = database.execute(
            "select a.number, s.stage, s.state from stage_run s join attempt a"
            " on a.id = s.attempt_id order by s.id"
        ).fetchall()
    database.close()
    return [":".join(map(str, row)) for row in rows]


def test_one_exposure_is_published_with_everything(
    process: Process,
    published: Published,
    crds: Observatory,
    raws: Path,
    tmp_path: Path,
    own_home: Path,
) -> None:
    """Products, previews, log, manifest, message file and ledger rows are all there."""
    name = crds.datasets[0]

    code, outcomes, _ = process(name, "--messages", "flat", "--run", "first")

    assert (code, outcomes[0]["state"], outcomes[0]["run"]) == (0, "processed", "first")
    folder = published(name)
    there = {str(path.relative_to(folder.resolve())) for path in folder.resolve().rglob("*.*")}
    assert there >= {
        f"{name}_flt.fits",
        f"{name}_raw.fits",
        f"previews/{name}_flt.jpg",
        f"previews/{name}_flt_thumb.jpg",
        f"previews/{name}_raw.jpg",
        "logs/process.txt",
        "manifest.json",
    }
    message = tmp_path / "out" / "messages" / f"processed-{name}.trigger"
    assert message.read_text().startswith("processed")
    assert stages_of(own_home) == [
        f"1:{stage}:done"
        for stage in ("fetch", "bestrefs", "calibrate", "preview", "archive", "state-message")
    ]
    assert not (own_home / "work" / "first" / name).exists()


def test_same_thing_twice_does_nothing_and_says_so(
    process: Process, crds: Observatory, raws: Path, tmp_path: Path
) -> None:
    """The second run publishes nothing, changes no byte, and exits 0."""
    name = crds.datasets[0]
    process(name)
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "out" / "runs").rglob("*")}

    code, outcomes, _ = process(name)

    assert (code, outcomes[0]["state"]) == (0, "skipped")
    assert "nothing to do" in outcomes[0]["reason"]
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "out" / "runs").rglob("*")} == before


def test_other_context_makes_second_run_and_moves_the_pointer(
    process: Process, published: Published, crds: Observatory, raws: Path, tmp_path: Path
) -> None:
    """Both runs stay; the current version is the newer one; going back has to be asked for."""
    name = crds.datasets[0]
    old, new = crds.contexts[:2]

    first = process(name, "--context", old)[1][0]
    second = process(name, "--context", new)[1][0]

    assert first["run"] != second["run"]
    assert published(name).resolve().parts[-3] == second["run"]
    assert (tmp_path / "out" / "runs" / first["run"] / "acs" / name / "manifest.json").exists()
    again = process(name, "--context", old)[1][0]
    assert (again["state"], again["run"]) == ("skipped", first["run"])
    assert "--current leads them here" in again["warnings"][-1]
    assert published(name).resolve().parts[-3] == second["run"]

    asked = process(name, "--context", old, "--current")[1][0]
    assert (asked["state"], asked["run"], asked["warnings"]) == ("skipped", first["run"], [])
    assert published(name).resolve().parts[-3] == first["run"]


def test_changed_input_is_another_result(
    process: Process, published: Published, crds: Observatory, raws: Path, tmp_path: Path
) -> None:
    """A raw file that changed is calibrated again into a run of its own."""
    name = crds.datasets[0]
    first = process(name)[1][0]
    with fits.open(raws / f"{name}_raw.fits", mode="update") as hdus:
        hdus[0].header["TARGNAME"] = "CHANGED"

    second = process(name)[1][0]

    assert (second["state"], second["run"] != first["run"]) == ("processed", True)
    assert fits.getval(published(name) / f"{name}_flt.fits", "TARGNAME") == "CHANGED"


def test_output_none_leaves_products_in_the_work_folder(
    crds: Observatory, raws: Path, own_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With OUTPUT none nothing is copied; the outcome says where the products are."""
    name = crds.datasets[0]
    command = ["process", name, f"file:{raws}", "none", "--context", crds.contexts[0], "--json"]

    assert run(command) == 0

    outcome = json.loads(capsys.readouterr().out)[0]
    folder = Path(outcome["uri"].removeprefix("file://"))
    assert folder.is_relative_to(own_home / "work")
    assert (folder / "calibrate" / f"{name}_flt.fits").exists()
    assert run(command) == 0
    assert json.loads(capsys.readouterr().out)[0]["state"] == "skipped"


def test_list_file_and_two_datasets(
    process: Process, crds: Observatory, raws: Path, tmp_path: Path
) -> None:
    """@FILE names datasets one a line; one that fails does not stop the other."""
    bad, good = crds.datasets[:2]
    (raws / f"{bad}_raw.fits").write_bytes(b"SIMPLE  = nonsense")
    (tmp_path / "list.txt").write_text(f"# two\n{bad}\n\n{good}  # the good one\n")

    code, outcomes, _ = process(f"@{tmp_path / 'list.txt'}")

    assert code == 21
    assert [outcome["state"] for outcome in outcomes] == ["error", "processed"]


def test_switch_set_by_the_user_changes_the_result_and_is_recorded(
    process: Process, published: Published, crds: Observatory, raws: Path, tmp_path: Path
) -> None:
    """--set DARKCORR=OMIT is another result, marked in header and manifest."""
    name = crds.datasets[0]
    plain = process(name)[1][0]

    custom = process(name, "--set", "DARKCORR=OMIT")[1][0]

    assert custom["run"] != plain["run"]
    header = fits.getheader(published(name) / f"{name}_flt.fits")
    assert header["DARKCORR"] == "OMIT"
    manifest = json.loads((published(name) / "manifest.json").read_text())
    assert "DARKCORR" in json.dumps(manifest["provenance"]["parameters"])


@pytest.mark.parametrize("options", [(), ("--threads", "3")], ids=["all", "3"])
def test_threads_reach_the_engine_and_no_key(
    process: Process,
    crds: Observatory,
    raws: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: tuple[str, ...],
) -> None:
    """All CPUs of this process, or as many as asked; another number is nothing to do."""
    seen, calibrate = [], NativeEngine.calibrate

    def listen(self: NativeEngine, request: CalibrationRequest) -> Products:
        seen.append(request.threads)
        return calibrate(self, request)

    monkeypatch.setattr(NativeEngine, "calibrate", listen)

    process(crds.datasets[0], *options)
    again = process(crds.datasets[0], "--threads", "2")[1][0]

    assert seen == [3 if options else available_cpus()]
    assert again["state"] == "skipped"


def test_a_flow_run_that_cannot_begin_stops_no_other(
    process: Process, crds: Observatory, raws: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the flow raises before its stages is the outcome of that dataset alone."""
    one, two = crds.datasets[:2]

    def answer(dataset: str, *_: object) -> Outcome:
        if dataset == one:
            raise Unavailable("being processed by another", dataset=dataset, code=1)
        return Outcome(dataset, "processed", "published", run="first")

    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    monkeypatch.setenv("PREFECT_LOGGING_LEVEL", "WARNING")
    monkeypatch.setattr("deployments.cli.process.check_server", lambda _: None)
    monkeypatch.setattr("flows.dataset.process_dataset", answer)

    code, outcomes, _ = process(f"{two},{one},{two}")

    assert code == 1
    assert [(each["dataset"], each["state"]) for each in outcomes] == [
        (two, "processed"),
        (one, "error"),
    ]
    assert outcomes[1]["error_class"] == "Unavailable"
