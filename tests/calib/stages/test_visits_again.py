"""Visits of an archive: foreseen, made with their astrometry, and made again."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from archived import EXPOSURE, Home, rewrite, spoil, states
from astropy.io import fits
from foretelling import look, process, tree
from standin_programs import (
    COMBINES_VISIT,
    FINDS_NOTHING_VIABLE,
    hide_programs,
    make_combiners,
    put_first_on_path,
)

from calib.engines import astrometry
from calib.errors import ConfigError, CorruptFile, NotFound
from calib.hap_names import visit_of
from calib.simulate.mast_server import MastServer
from calib.stages.job import Options
from calib.stages.planning import Request, plan_jobs
from calib.stages.sequence import process_dataset
from calib.switches import parse_overrides

VISIT = visit_of(EXPOSURE)
CODE_OF_A_VISIT = 40

# As the real programs do: times in logs and in comments of catalogues, which have rows.
DATES = r"""
for each in hst_*_trl.txt; do date +%s.%N >> "$each"; done
for each in hst_*.ecsv; do printf '# %s\n1 2.50 nan\n' "$(date +%s.%N)" >> "$each"; done
"""


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of stand-ins, first on PATH."""
    folder = make_combiners(tmp_path / "bin", visit=f"{COMBINES_VISIT}{DATES}")
    put_first_on_path(folder, monkeypatch)
    return folder


def asking(home: Home, **options: Any) -> Request:
    """Return a request for what was published in a home."""
    return dataclasses.replace(home.request, source="archive:", options=Options(**options))


def made(home: Home, **options: Any) -> dict[str, Any]:
    """Process the visit; return the provenance of what readers see."""
    outcome = process_dataset(plan_jobs(asking(home, **options), [VISIT])[0])
    assert outcome.state == "processed", outcome.reason
    found: dict[str, Any] = json.loads(home.file("manifest.json", VISIT).read_text())["provenance"]
    return found


def test_visit_is_made_again_from_the_archive(
    home: Home, programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same images, astrometry and version keywords; logs and comments tell another time."""
    monkeypatch.setenv("CSYS_VER", "image:1")
    told = made(home)
    assert told["request"]["versions"]["CSYS_VER"] == "image:1"
    monkeypatch.setenv("CSYS_VER", "image:2")

    result = home.again(VISIT)

    assert result.reproduced
    assert result.inputs.startswith("archive:")
    assert {*states(result).values()} == {"equal"}
    assert all(name.endswith(".ecsv") for name in states(result))
    images = [file.name for file in result.files if file.name.endswith(".fits")]
    assert images
    assert fits.getheader(home.file(images[0], VISIT))["CSYS_VER"] == "image:1"
    assert not [file.name for file in result.files if "_trl" in file.name]
    assert {why.split()[0] for why in result.reasons} == {"drizzled"}


def test_visit_of_mast_is_made_again_with_its_poller(
    home: Home, programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the exposure that the poller names, which lies where the record says."""
    images, pollers = tmp_path / "mast", tmp_path / "pollers"
    images.mkdir()
    pollers.mkdir()
    (image,) = home.file("manifest.json").parent.glob(f"{EXPOSURE}_fl?.fits")
    shutil.copy(image, images)
    shutil.copy(image, images / f"{EXPOSURE[:7]}z{image.name[8:]}")  # the poller leaves it out
    (pollers / f"{VISIT}_input.out").write_text(image.name)
    with MastServer(images, {}) as server:
        monkeypatch.setenv("HSTFLOW_MAST_URL", server.url)
        monkeypatch.setenv("HSTFLOW_DOWNLOADS", str(tmp_path / "kept"))
        request = dataclasses.replace(home.request, source=f"astroquery:{pollers}")
        outcome = process_dataset(plan_jobs(request, [VISIT])[0])
        assert outcome.state == "processed", outcome.reason

        result = home.again(VISIT)

    assert result.inputs == f"astroquery:{pollers}"
    assert result.reproduced


@pytest.mark.parametrize(
    ("program", "name", "state"),
    [
        ("echo '2 3.5 1' >> $(ls hst_*.ecsv)", ".ecsv", "differs"),
        ("sed -i s/2.50/2.60/ $(ls hst_*.ecsv)", ".ecsv", "differs"),
        ("sed -i s/2.50/2.5000001/ $(ls hst_*.ecsv)", ".ecsv", "tolerated"),
    ],
)
def test_another_catalogue_is_found(
    home: Home, programs: Path, program: str, name: str, state: str
) -> None:
    """A row more, another number; what lies within the tolerance counts as made again."""
    made(home)
    make_combiners(programs, visit=f"{COMBINES_VISIT}{DATES}{program}")

    result = home.again(VISIT)

    assert {file: each for file, each in states(result).items() if file.endswith(name)} == {
        file.name: state for file in result.files if file.name.endswith(name)
    }
    assert result.reproduced == (state == "tolerated")


def test_images_that_have_changed_are_refused(home: Home, programs: Path) -> None:
    """The message says which source has those that the visit was made of."""
    made(home)
    folder = home.root / "images"
    folder.mkdir()
    image = folder / f"{EXPOSURE}_flt.fits"
    image.write_bytes(home.file(image.name).read_bytes())
    spoil(image, lambda hdus: hdus[0].header.set("TARGNAME", "OTHER"))

    with pytest.raises(CorruptFile, match="archive:RUN"):
        home.again(VISIT, source=f"file:{folder}")


@pytest.mark.parametrize("place", ["file:{}", "astroquery:{}"])
def test_a_visit_is_looked_for_where_it_came_from(home: Home, programs: Path, place: str) -> None:
    """The folder of its poller is kept, and what the source says is told: there is no other."""
    made(home)
    folder = home.root / "gone"
    rewrite(home, lambda told: told.update(source=place.format(folder)), VISIT)

    with pytest.raises(NotFound, match="gone"):
        home.again(VISIT)


def test_images_are_not_in_the_archive_of_a_visit(home: Home, programs: Path) -> None:
    """The message says which source has them."""
    made(home)
    with pytest.raises(ConfigError, match="--source archive:RUN"):
        home.again(VISIT, from_archive=True)


def test_settings_of_exposures_do_not_make_a_visit_again(
    home: Home, programs: Path, tmp_path: Path
) -> None:
    """A campaign may set switches and references: its visits have the same result, and say so."""
    told = made(home)
    flat = tmp_path / "own_pfl.fits"
    flat.write_bytes(b"any")

    found = look(
        asking(
            home,
            overrides=parse_overrides(["DARKCORR=OMIT"]),
            references={"PFLTFILE": str(flat)},
        ),
        VISIT,
    )[VISIT]

    assert found.state == "skip", found.reason
    assert not {"overrides", "references"} & {*told["parameters"]}


def test_forecast_of_a_visit_is_what_processing_does(
    home: Home, programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Images, engine, run and fingerprint; nothing is left; then nothing to do; then no program."""
    folders = [home.root / name for name in ("archive", "work")]
    before = [tree(folder) for folder in folders]

    found = look(asking(home), VISIT)[VISIT]

    assert [tree(folder) for folder in folders] == before
    assert (found.state, found.start, found.engine) == ("run", "fetch", "hap")
    assert f"{EXPOSURE}_flt.fits" in {file.name for file in found.inputs}
    assert found.trouble is None
    made(home)
    manifest = json.loads(home.file("manifest.json", VISIT).read_text())
    assert manifest["fingerprint"] == found.fingerprint
    assert home.file("manifest.json", VISIT).parts[-4] == found.run
    again = look(asking(home), VISIT)[VISIT]
    assert (again.state, again.run) == ("skip", found.run)
    other = look(asking(home, astrometry="off"), VISIT)[VISIT]
    assert other.state == "run"
    assert other.fingerprint != found.fingerprint
    hide_programs(monkeypatch)
    absent = look(asking(home), VISIT)[VISIT]
    assert absent.state == "error"
    assert "hstflow[drizzle]" in absent.reason


@pytest.mark.parametrize(
    ("asked", "answers", "done"),
    [("auto", False, "off"), ("auto", True, "full"), ("apriori", False, "apriori")],
)
def test_astrometry_is_told_and_recorded(
    home: Home,
    programs: Path,
    monkeypatch: pytest.MonkeyPatch,
    asked: str,
    answers: bool,
    done: str,
) -> None:
    """What was asked for, what was done, and why it was less; the program is told what was done."""
    monkeypatch.setattr(astrometry, "is_reachable", lambda _: answers)
    words = 'echo "$ASTROMETRY_STEP_CONTROL $ASTROMETRY_APPLY_APRIORI"'
    make_combiners(programs, visit=f"{words}\n{COMBINES_VISIT}")

    told = made(home, astrometry=asked)

    assert told["parameters"]["astrometry"] == asked
    assert told["resolved_parameters"]["astrometry"] == done
    assert [note.partition(":")[0] for note in told["notes"]] == (
        [] if done != "off" else ["astrometry"]
    )
    log = home.file(f"logs/{VISIT}_runsinglehap.log", VISIT).read_text()
    assert ("off off" if done == "off" else "on on") in log


def test_astrometry_asked_by_name_that_is_not_to_be_had(home: Home, programs: Path) -> None:
    """The program goes on without it, and ends as if all were well: the visit does not."""
    body = f"echo 'AstrometryDB service unavailable!'; {COMBINES_VISIT}"
    make_combiners(programs, visit=body)

    outcome = process(asking(home, astrometry="full"), VISIT)

    assert (outcome.state, outcome.code) == ("error", CODE_OF_A_VISIT)
    assert "--astrometry off instead of full" in outcome.reason


def test_visit_without_viable_data_is_not_foreseen_as_done(home: Home, programs: Path) -> None:
    """Nothing was published, so it would be run again."""
    make_combiners(programs, visit=FINDS_NOTHING_VIABLE)
    assert process_dataset(plan_jobs(asking(home), [VISIT])[0]).state == "skipped"

    assert look(asking(home), VISIT)[VISIT].state == "run"
