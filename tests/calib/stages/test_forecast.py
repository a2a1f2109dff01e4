"""A forecast says what processing then does, of every dataset, and leaves nothing behind."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from foretelling import ONCE, change, failing, look, pack, process, tree

from calib.archive.outputs import open_output
from calib.errors import ConfigError, EngineError, Unavailable
from calib.records import Outcome
from calib.simulate.observatory import Observatory
from calib.stages.forecast import forecast
from calib.stages.job import Options
from calib.stages.outlook import DatasetForecast, Forecast
from calib.stages.planning import Request, plan_jobs
from calib.switches import parse_overrides

ENDS = {"run": "processed", "resume": "processed", "skip": "skipped"}


def cut(path: Path) -> None:
    """Take the last block off a raw exposure."""
    path.write_bytes(path.read_bytes()[:-2880])


def darks_of(found: Forecast) -> dict[str, set[str]]:
    """Return which datasets need each dark."""
    users: dict[str, set[str]] = {}
    for each in found.datasets:
        for use in each.references:
            if use.keyword == "DARKFILE":
                users.setdefault(use.name, set()).add(each.dataset)
    return users


@pytest.mark.slow
def test_forecast_is_what_processing_then_does(asked: Request, own: Observatory) -> None:
    """State, error, code, stage, run, engine, products and references agree, dataset by dataset.

    Among them: plain exposures, a tar file, associations, one published before, one half
    finished, a damaged raw, a missing member, a missing reference, no match, an unknown name.
    """
    first, second, third, old = own.datasets[:4]
    split, repeated, dithered, positions = own.associations
    users = darks_of(forecast(asked, own.datasets[:4]))
    alone = next(dark for dark, its in users.items() if its == {old})
    process(asked, first)
    stopping = dataclasses.replace(ONCE, calibrate=failing(EngineError("stopped")))
    process(asked, repeated, stopping)
    pack(own.raws, second)
    change(own.raws / f"{third}_raw.fits", FILTER1="F999W")
    next(own.crds_path.rglob(alone)).unlink()
    cut(own.raws / f"{own.associations[dithered][0]}_raw.fits")
    (own.raws / f"{own.associations[split][1]}_raw.fits").unlink()
    names = [*own.datasets, "j8zz01zzq", "acs_8ph_01"]

    found = look(asked, *names)
    outcomes = {name: process(asked, name) for name in names}

    states = {name: each.state for name, each in found.items()}
    assert states == {
        first: "skip",
        second: "run",
        third: "error",
        old: "blocked",
        split: "error",
        repeated: "resume",
        dithered: "error",
        positions: "run",
        "j8zz01zzq": "error",
        "acs_8ph_01": "error",
    }
    for name, each in found.items():
        _compare(asked, each, outcomes[name])


def _compare(request: Request, each: DatasetForecast, outcome: Outcome) -> None:
    """Hold a forecast against the outcome and the manifest."""
    assert outcome.state == ENDS.get(each.state, each.state), each.dataset
    assert outcome.code == each.code
    if each.trouble:
        found = (each.trouble.error_class, each.trouble.stage)
        assert found == (outcome.error_class, outcome.stage), each.dataset
        return
    assert outcome.run == each.run
    job = plan_jobs(request, [each.dataset])[0]
    manifest = open_output(str(job.output)).manifest(str(each.run), job.id)
    assert manifest.fingerprint == each.fingerprint
    assert manifest.provenance["engine"]["name"] == each.engine
    made = {file.name for file in manifest.files if "/" not in file.name}
    raws = {file.name for file in each.inputs}
    if each.state != "skip":
        assert made == raws | set(each.products or ())
    chosen = {
        (exposure["file"], use["keyword"], use["name"])
        for exposure in manifest.provenance["references"]
        for use in exposure["references"]
    }
    foretold = {(r.exposure, r.keyword, r.name or r.state) for r in each.references}
    assert foretold == {(f, k, "no match" if n == "NOT FOUND" else n) for f, k, n in chosen}


def test_nothing_is_written_anywhere(asked: Request, own: Observatory, tmp_path: Path) -> None:
    """Output, work folder, ledger, inputs and cache are byte for byte and minute as before."""
    process(asked, own.datasets[0])
    process(asked, own.datasets[1], dataclasses.replace(ONCE, calibrate=failing(EngineError("x"))))
    before = tree(tmp_path)

    forecast(asked, own.datasets)

    assert tree(tmp_path) == before


def test_nothing_is_made_where_nothing_was(asked: Request, own: Observatory) -> None:
    """Without ledger, work folder and output there are none afterwards."""
    forecast(asked, own.datasets[:1])

    there = {path.name for path in Path(asked.work).parent.iterdir()}
    assert there == {"raw", "crds"}


def test_names_in_capitals_are_the_same_files(asked: Request, own: Observatory) -> None:
    """A raw in capitals, as old tapes have it, gives the fingerprint that processing gives it."""
    name = own.datasets[0]
    raw = own.raws / f"{name}_raw.fits"
    before = look(asked, name)[name]
    raw.rename(own.raws / raw.name.upper())

    found = look(asked, name)[name]

    assert found.fingerprint == before.fingerprint
    assert found.inputs[0].place.endswith(raw.name.upper())
    process(asked, name)
    assert look(asked, name)[name].state == "skip"


def test_output_none_is_known(asked: Request, own: Observatory) -> None:
    """Products left in the work folder are found again; a lost preview is where work resumes."""
    request = dataclasses.replace(asked, output="none")
    name = own.datasets[0]
    assert look(request, name)[name].state == "run"
    process(request, name)

    again = look(request, name)[name]
    shutil.rmtree(plan_jobs(request, [name])[0].folder / "preview")
    without = look(request, name)[name]

    assert again.state == "skip"
    assert (without.state, without.start) == ("resume", "preview")
    assert process(request, name).state == "processed"


def test_named_run_that_is_taken_is_an_error(asked: Request, own: Observatory) -> None:
    """A run that a person names and that holds another result ends as publication would."""
    request = dataclasses.replace(asked, run="mine")
    name = own.datasets[0]
    process(request, name)
    change(own.raws / f"{name}_raw.fits", TARGNAME="ANOTHER")

    found = look(request, name)[name]
    outcome = process(request, name)

    assert found.trouble is not None
    assert (found.trouble.error_class, found.code) == ("ArchiveError", 25)
    assert (outcome.error_class, outcome.code, outcome.stage) == (
        found.trouble.error_class,
        25,
        found.trouble.stage,
    )


def test_unnamed_run_gives_way(asked: Request, own: Observatory) -> None:
    """A changed input goes to RUN-2, as the forecast says."""
    name = own.datasets[0]
    run = process(asked, name).run
    change(own.raws / f"{name}_raw.fits", TARGNAME="ANOTHER")

    found = look(asked, name)[name]

    assert found.run == f"{run}-2" == process(asked, name).run


def test_run_with_other_settings_is_refused(asked: Request, own: Observatory) -> None:
    """The ledger's run is write-once: other settings under the same name are error 2."""
    first, second = own.datasets[:2]
    process(dataclasses.replace(asked, run="mine"), first)
    request = dataclasses.replace(asked, run="mine", options=Options(engine="native"))

    found = look(request, second)[second]
    outcome = process(request, second)

    assert found.trouble is not None
    assert found.trouble.message == outcome.reason
    assert (found.trouble.error_class, found.code) == (outcome.error_class, outcome.code)


def test_run_on_another_context_is_refused(asked: Request, own: Observatory) -> None:
    """A run belongs to one context: nothing is even begun, with the same words."""
    first, second = own.datasets[:2]
    process(dataclasses.replace(asked, run="mine", context=own.contexts[0]), first)
    request = dataclasses.replace(asked, run="mine")

    found = look(request, second)[second]

    assert found.trouble is not None
    assert found.trouble.stage == "plan"
    with pytest.raises(ConfigError) as refused:
        process(request, second)
    assert str(refused.value) == found.trouble.message


def test_dataset_at_work_elsewhere_is_said(asked: Request, own: Observatory) -> None:
    """What another live process is processing is refused as processing it would be."""
    name = own.datasets[0]
    seen: list[DatasetForecast] = []

    def fetch(*_given: Any) -> Any:
        seen.append(look(asked, name)[name])
        with pytest.raises(Unavailable) as refused:
            process(asked, name)
        assert seen[0].trouble is not None
        assert str(refused.value) == seen[0].trouble.message
        raise EngineError("seen enough")

    process(asked, name, dataclasses.replace(ONCE, fetch=fetch))

    assert [(each.state, each.code) for each in seen] == [("error", 1)]
    assert look(asked, name)[name].state == "run"


def test_missing_member_shows_those_that_are_there(asked: Request, own: Observatory) -> None:
    """The table's rows are listed with what was found of them."""
    name, members = next(iter(own.associations.items()))
    (own.raws / f"{members[0]}_raw.fits").unlink()

    found = look(asked, name)[name]

    exposures = {member.name: member.found for member in found.members if not member.is_product}
    assert exposures == {member: member != members[0] for member in members}
    assert f"{members[1]}_raw.fits" in {file.name for file in found.inputs}
    assert (found.state, found.code) == ("error", 21)


def test_custom_reference_and_settings_are_shown(
    asked: Request, own: Observatory, tmp_path: Path
) -> None:
    """A file of the user stands for that of the rules; an unknown parameter is found early."""
    name = own.datasets[0]
    dark = next(r for r in look(asked, name)[name].references if r.keyword == "DARKFILE")
    mine = Path(shutil.copyfile(str(dark.path), tmp_path / "mine.fits"))
    settings = parse_overrides(["FLATCORR=OMIT"])
    options = Options(references={"DARKFILE": str(mine)}, overrides=settings)

    whole = forecast(dataclasses.replace(asked, options=options), [name])
    each = whole.datasets[0]
    bad = Options(overrides=parse_overrides(["noise.nothing=1"]))
    refused = look(dataclasses.replace(asked, options=bad), name)[name]

    assert whole.settings.switches == {"FLATCORR": "OMIT"}
    custom = [use for use in each.references if use.custom]
    assert [(use.name, use.state) for use in custom] == [("mine.fits", "present")]
    assert "FLATCORR" not in each.switches
    assert refused.trouble is not None
    assert (refused.trouble.error_class, refused.trouble.stage) == ("ConfigError", "calibrate")


def test_names_are_told_apart_and_in_order(asked: Request, own: Observatory) -> None:
    """A name that is none stops nothing; a repeated one is looked at once; order is kept."""
    first, second = own.datasets[:2]
    told: list[str] = []

    found = forecast(
        asked, [second, "nonsense", first, second.upper()], done=lambda d: told.append(d.dataset)
    )

    assert [each.dataset for each in found.datasets] == [second, "nonsense", first]
    assert (found.code, found.counts) == (2, {"run": 2, "error": 1})
    assert json.dumps([dataclasses.asdict(each) for each in found.datasets])
    assert told == [second, "nonsense", first, second]


def test_only_bad_names(asked: Request) -> None:
    """The context is not even asked for where no name can be used; no name at all is refused."""
    found = forecast(dataclasses.replace(asked, context="hst_7777.pmap"), ["nonsense"])

    assert [each.state for each in found.datasets] == ["error"]
    with pytest.raises(ConfigError, match="no dataset"):
        forecast(asked, [])


def test_disk_is_foretold_within_a_fifth(asked: Request, own: Observatory, tmp_path: Path) -> None:
    """Raw and products together take about what was said."""
    name = own.datasets[0]
    found = look(asked, name)[name]
    process(asked, name)

    folder = (tmp_path / "out" / "data" / "acs" / name).resolve()
    taken = sum(path.stat().st_size for path in folder.glob("*.fits"))
    assert found.output_bytes == pytest.approx(taken, rel=0.2)


def test_directory_that_cannot_be_written(asked: Request, own: Observatory, tmp_path: Path) -> None:
    """A file where the output should be is error 25 before any work."""
    (tmp_path / "taken").write_text("a file")
    request = dataclasses.replace(asked, output=f"file:{tmp_path / 'taken'}")

    found = look(request, own.datasets[0])[own.datasets[0]]

    assert (found.state, found.code) == ("error", 25)
