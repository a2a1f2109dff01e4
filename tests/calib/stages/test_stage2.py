"""Stage 2 in a run: key and fingerprint, references, what is published and what is said."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from drizzle_world import write_references
from foretelling import look, process
from standin_programs import FAILS, hide_programs, make_program, put_first_on_path

from calib.archive.outputs import open_output
from calib.engines import astrometry
from calib.engines.astrometry import AstrometryMode
from calib.errors import STAGE2
from calib.records import Outcome
from calib.references.stage2_types import STAGE2_TYPES
from calib.simulate.observatory import Observatory
from calib.stages import preview
from calib.stages.job import Options
from calib.stages.planning import Request, plan_jobs
from calib.stages.stage2 import stage2_references
from calib.stores.store import hash_file
from calib.switches import parse_overrides

# Changes every calibrated exposure as the real program does, and drizzles nothing but a copy.
DRIZZLES = """
for file in *_flt.fits; do
  LC_ALL=C sed -i "s/conforms to FITS standard/conforms to FITS STANDARD/" "$file"
  cp "$file" "${3%_*}_drz.fits"
done
"""


@pytest.fixture
def drizzled(asked: Request, tmp_path: Path) -> Request:
    """Return a request whose exposures ask for stage 2, with parameters of a drizzle."""
    (tmp_path / "drizzle").mkdir()
    table = write_references(tmp_path / "drizzle")["MDRIZTAB"]
    options = Options(
        overrides=parse_overrides(["DRIZCORR=PERFORM"]),
        references={"MDRIZTAB": str(table)},
        astrometry="off",
        previews="none",
    )
    return dataclasses.replace(asked, options=options)


def with_program(folder: Path, monkeypatch: pytest.MonkeyPatch, version: str = "3.11.0") -> None:
    """Put a runastrodriz of a version on PATH."""
    make_program(folder / version, "runastrodriz", DRIZZLES, version)
    put_first_on_path(folder / version, monkeypatch)


def asking(request: Request, **changes: Any) -> Request:
    """Return a request with other options."""
    return dataclasses.replace(request, options=dataclasses.replace(request.options, **changes))


def manifest_of(request: Request, outcome: Outcome) -> Any:
    """Return what was published."""
    return open_output(request.output).manifest(
        outcome.run, plan_jobs(request, [outcome.dataset])[0].id
    )


def provenance_of(request: Request, outcome: Outcome) -> dict[str, Any]:
    """Return what a manifest says of the making."""
    return dict(manifest_of(request, outcome).provenance)


def test_without_the_program(
    drizzled: Request, own: Observatory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It finishes, and says so in the outcome, the manifest and the forecast."""
    hide_programs(monkeypatch)
    dataset = own.datasets[0]
    words = "not installed: pip install 'hstflow[drizzle]'"

    seen = look(drizzled, dataset)[dataset]
    outcome = process(drizzled, dataset)

    assert seen.stage2 == words
    assert outcome.state == "processed"
    assert f"stage 2: {words}" in outcome.warnings
    found = provenance_of(drizzled, outcome)
    assert found["stage2"] == words
    assert f"stage 2: {words}" in found["notes"]
    assert "stage2" not in found["parameters"]
    assert outcome.reason.endswith("; not drizzled")
    again = process(drizzled, dataset)
    assert (again.state, again.warnings) == ("skipped", (f"stage 2: {words}",))


def test_installing_the_program_makes_it_again(
    drizzled: Request, own: Observatory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So does another version of it; each fingerprint is the one that was foreseen."""
    hide_programs(monkeypatch)
    dataset = own.datasets[0]
    outcomes, marks = [process(drizzled, dataset)], []
    for version in ("3.11.0", "3.12.0"):
        with_program(tmp_path / "bin", monkeypatch, version)
        seen = look(drizzled, dataset)[dataset]
        outcomes.append(process(drizzled, dataset))
        marks.append(manifest_of(drizzled, outcomes[-1]).fingerprint)
        assert seen.state in {"run", "resume"}
        assert (seen.stage2, seen.fingerprint) == (f"drizzlepac {version}", marks[-1])

    assert [outcome.state for outcome in outcomes] == ["processed"] * 3
    assert len({outcome.run for outcome in outcomes}) == 3
    assert len(set(marks)) == 2
    assert process(drizzled, dataset).state == "skipped"


def test_drizzled_files_are_published(
    drizzled: Request, own: Observatory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The flt is the one that the program has left, and pictures are drawn of the result."""
    with_program(tmp_path / "bin", monkeypatch)
    dataset = own.datasets[0]

    outcome = process(asking(drizzled, previews="normal"), dataset)

    assert outcome.state == "processed"
    folder = Path(outcome.uri.removeprefix("file:").replace("//", "/"))
    files = {file.name: file for file in manifest_of(drizzled, outcome).files}
    flt = folder / f"{dataset}_flt.fits"
    assert b"conforms to FITS STANDARD" in flt.read_bytes()[:80]
    assert files[flt.name].sha256 == hash_file(flt)
    assert f"{dataset}_drz.fits" in files
    assert f"previews/{dataset}_drz.jpg" in files
    sidecar = json.loads((folder / "previews" / f"{dataset}_flt_preview.json").read_text())
    assert sidecar["source_sha256"] == hash_file(flt)
    found = provenance_of(drizzled, outcome)
    assert found["stage2"] == "drizzlepac 3.11.0, astrometry off"
    assert found["parameters"]["stage2"] == {"program": "drizzlepac 3.11.0", "astrometry": "off"}
    assert found["resolved_parameters"]["stage2.astrometry"] == "off"
    table = next(
        use for use in found["references"][0]["references"] if use["keyword"] == "MDRIZTAB"
    )
    assert table["required"]


@pytest.mark.parametrize(
    ("astrometry", "end"), [("auto", "; drizzled without astrometry"), ("off", "")]
)
def test_outcome_says_what_alignment_was_not_to_be_had(
    drizzled: Request,
    own: Observatory,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    astrometry: AstrometryMode,
    end: str,
) -> None:
    """`status` shows it of each dataset; what was asked for is not told."""
    with_program(tmp_path, monkeypatch)
    monkeypatch.setenv("ASTROMETRY_SERVICE_URL", "http://127.0.0.1:9")

    outcome = process(asking(drizzled, astrometry=astrometry), own.datasets[0])

    assert outcome.reason == f"published in run {outcome.run}{end}"


def test_always_without_the_program(
    drizzled: Request, own: Observatory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is error 24, also where the same was published without, and nothing is fetched."""
    hide_programs(monkeypatch)
    dataset = own.datasets[0]
    assert process(drizzled, dataset).state == "processed"
    must = asking(drizzled, stage2="always")

    seen = look(must, dataset)[dataset]
    outcome = process(must, dataset)

    assert seen.code == outcome.code == STAGE2
    assert (outcome.state, outcome.stage) == ("error", "fetch")
    assert seen.trouble is not None
    assert seen.trouble.stage == "fetch"
    assert not list((tmp_path / "work").rglob("*_raw.fits"))
    assert "pip install 'hstflow[drizzle]'" in outcome.reason


def test_night_without_network(
    drizzled: Request, own: Observatory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was drizzled without alignment is made again when the service answers, not before.

    What was aligned is not made again without.
    """
    with_program(tmp_path / "bin", monkeypatch)
    dataset, request = own.datasets[0], asking(drizzled, astrometry="auto")
    seen, outcomes = [], []
    for answers in (False, False, True, False):
        astrometry._answers.clear()
        monkeypatch.setattr(astrometry, "is_reachable", lambda _, answers=answers: answers)
        seen.append(look(request, dataset)[dataset])
        outcomes.append(process(request, dataset))

    assert [outcome.state for outcome in outcomes] == ["processed", "skipped"] * 2
    assert [each.state for each in seen] == ["run", "skip", "run", "skip"]
    first, _, second, last = outcomes
    marks = [manifest_of(request, outcome).fingerprint for outcome in (first, second)]
    assert marks == [seen[0].fingerprint, seen[2].fingerprint]
    assert "does not answer" in first.warnings[0]
    assert (last.run, last.warnings) == (second.run, ())
    for outcome, mode in ((first, "off"), (second, "full")):
        assert provenance_of(request, outcome)["parameters"]["stage2"]["astrometry"] == mode
    named = asking(drizzled, astrometry="full")
    assert process(named, dataset).run == second.run


def test_service_that_goes_away_while_drizzling(
    drizzled: Request, own: Observatory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The record and the fingerprint are those of what was done."""
    body = f"[ $ASTROMETRY_STEP_CONTROL = off ] || echo 'AstrometryDB not available.'{DRIZZLES}"
    make_program(tmp_path / "bin", "runastrodriz", body, "3.11.0")
    put_first_on_path(tmp_path / "bin", monkeypatch)
    monkeypatch.setattr(astrometry, "is_reachable", lambda _: True)
    dataset, request = own.datasets[0], asking(drizzled, astrometry="auto")
    foreseen = look(request, dataset)[dataset].fingerprint

    outcome = process(request, dataset)

    found = provenance_of(request, outcome)
    assert found["parameters"]["stage2"]["astrometry"] == "off"
    assert found["resolved_parameters"]["stage2.astrometry"] == "off"
    mark = manifest_of(request, outcome).fingerprint
    assert mark == look(request, dataset)[dataset].fingerprint != foreseen
    assert process(request, dataset).state == "skipped"
    astrometry._answers.clear()
    assert look(request, dataset)[dataset].fingerprint == foreseen


def test_reproducing_what_was_not_viable(
    drizzled: Request, own: Observatory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is the calibrated image alone, then and now, and no failure."""
    from calib.stages.published import find_publication
    from calib.stages.reproduction import Rerun, reproduce

    body = 'echo "No valid data found in input exposures."'
    make_program(tmp_path / "bin", "runastrodriz", body, "3.11.0")
    put_first_on_path(tmp_path / "bin", monkeypatch)
    outcome = process(drizzled, own.datasets[0])
    assert "stage 2: no viable data" in outcome.warnings

    found = find_publication(outcome.dataset, run=outcome.run, output=drizzled.output)
    folders = (tmp_path / "drizzle",)
    rerun = Rerun(drizzled.profile, tmp_path / "again", drizzled.ledger, folders=folders)

    assert reproduce(found, rerun).reproduced


def test_never(drizzled: Request, own: Observatory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is drizzled or said, and it is the result that is made without the program."""
    hide_programs(monkeypatch)
    dataset = own.datasets[0]
    without = process(drizzled, dataset)

    outcome = process(asking(drizzled, stage2="never"), dataset)

    assert outcome.warnings == ()
    assert (outcome.state, outcome.run) == ("skipped", without.run)


def test_failure_is_error_24(
    drizzled: Request, own: Observatory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is published where drizzling fails."""
    make_program(tmp_path / "bin", "runastrodriz", FAILS)
    put_first_on_path(tmp_path / "bin", monkeypatch)

    outcome = process(drizzled, own.datasets[0])

    assert (outcome.state, outcome.code, outcome.stage) == ("error", STAGE2, "calibrate")
    assert "something is wrong with the input" in outcome.reason


def test_missing_table_is_found_first(
    drizzled: Request, own: Observatory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What drizzling opens is required where it is done, and only there."""
    request = asking(drizzled, references={})
    hide_programs(monkeypatch)
    assert process(request, own.datasets[0]).state == "processed"
    with_program(tmp_path / "bin", monkeypatch)

    outcome = process(request, own.datasets[0])

    assert (outcome.code, outcome.stage) == (27, "bestrefs")
    assert "MDRIZTAB" in outcome.reason


def test_what_asks_for_nothing_is_as_before(
    asked: Request, own: Observatory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With DRIZCORR=OMIT neither program nor settings change the fingerprint."""
    dataset = own.datasets[0]
    marks = [look(asked, dataset)[dataset].fingerprint]
    with_program(tmp_path / "bin", monkeypatch)
    marks += [look(asked, dataset)[dataset].fingerprint]
    marks += [look(asking(asked, astrometry="full"), dataset)[dataset].fingerprint]

    assert len(set(marks)) == 1
    assert look(asked, dataset)[dataset].stage2 == ""


@pytest.mark.parametrize(
    ("header", "keywords"),
    [
        ({"INSTRUME": "ACS"}, ("MDRIZTAB",)),
        ({"INSTRUME": "ACS", "IDCTAB": "jref$x_idc.fits"}, ("IDCTAB", "MDRIZTAB")),
        ({"INSTRUME": "ACS", "NPOLFILE": "N/A", "D2IMFILE": " "}, ("MDRIZTAB",)),
        ({"INSTRUME": "ACS", "DGEOFILE": "jref$x_dxy.fits"}, ("MDRIZTAB",)),
        ({"INSTRUME": "WFC3", "NPOLFILE": "iref$x_npl.fits"}, ("MDRIZTAB", "NPOLFILE")),
        ({"INSTRUME": "STIS", "IDCTAB": "oref$x_idc.fits"}, ()),
        ({}, ()),
    ],
)
def test_references(header: dict[str, str], keywords: tuple[str, ...]) -> None:
    """The table of parameters always, of the others what is named and still opened."""
    assert stage2_references(header) == keywords
    assert set(keywords) <= STAGE2_TYPES.get(header.get("INSTRUME", "").lower(), frozenset())


def test_reproducing_drizzles_alike(
    drizzled: Request, own: Observatory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was drizzled is drizzled, with the astrometry that it had; the rest is not."""
    from calib.stages.published import find_publication
    from calib.stages.reproduction import Rerun, reproduce

    hide_programs(monkeypatch)
    plain = process(drizzled, own.datasets[0])
    with_program(tmp_path / "bin", monkeypatch)
    done = process(drizzled, own.datasets[0])
    for outcome, kind in ((plain, "exact"), (done, "tolerance")):
        found = find_publication(outcome.dataset, run=outcome.run, output=drizzled.output)
        work = tmp_path / f"again-{kind}"
        folders = (tmp_path / "drizzle",)
        again = reproduce(found, Rerun(drizzled.profile, work, drizzled.ledger, folders=folders))
        assert again.reproduced
        assert again.kind == kind
        drizzles = any(file.name.endswith("_drz.fits") for file in again.files)
        assert drizzles is (kind == "tolerance")


def test_quick_look(
    drizzled: Request, own: Observatory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is a preview, made where its package is here and nothing was drizzled."""
    hide_programs(monkeypatch)
    drizzled = asking(drizzled, previews="normal")
    dataset = own.datasets[0]

    def combine(exposures: list[Path], root: str, folder: Path) -> Path:
        return Path(shutil.copy(exposures[0], folder / f"{root}_quicklook.fits"))

    def quick(outcome: Outcome) -> list[str]:
        names = (file.name for file in manifest_of(drizzled, outcome).files)
        return sorted(name for name in names if "quicklook" in name)

    monkeypatch.setattr(preview, "package_version", str)
    assert quick(process(asking(drizzled, thumb=64), dataset)) == []
    monkeypatch.setattr(preview, "package_version", lambda: "3.0.0")
    monkeypatch.setattr(preview, "drizzle_lightly", combine)
    endings = (".fits", ".jpg", "_preview.json", "_thumb.jpg")
    wanted = sorted(f"previews/{own.datasets[1]}_quicklook{ending}" for ending in endings)
    assert quick(process(drizzled, own.datasets[1])) == wanted
    with_program(tmp_path / "bin", monkeypatch)
    assert quick(process(drizzled, own.datasets[1])) == []
