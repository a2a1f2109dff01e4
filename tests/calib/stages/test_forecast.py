"""A forecast says what processing then does, of every dataset, and leaves nothing behind."""

from __future__ import annotations

import dataclasses
import json
import shutil
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from astropy.io import fits

from calib.archive.outputs import open_output
from calib.errors import ConfigError, EngineError, Unavailable
from calib.fetch.options import FetchOptions, Patience
from calib.records import Outcome
from calib.simulate.crds_server import CrdsServer
from calib.simulate.mast_server import MastServer
from calib.simulate.observatory import Observatory, build_observatory
from calib.stages import sequence
from calib.stages.forecast import forecast
from calib.stages.job import Options
from calib.stages.outlook import DatasetForecast, Forecast
from calib.stages.planning import Request, plan_jobs
from calib.stages.sequence import Stages, process_dataset
from calib.stores.s3_store import S3Store
from calib.switches import parse_overrides

# The stages once each: what blocks would be tried again for seconds otherwise.
ONCE = Stages(
    sequence.run_fetch,
    sequence.run_bestrefs,
    sequence.run_calibrate,
    sequence.run_preview,
    sequence.run_archive,
    sequence.run_state_message,
)
ENDS = {"run": "processed", "resume": "processed", "skip": "skipped"}


@pytest.fixture(scope="module")
def sky(tmp_path_factory: pytest.TempPathFactory) -> Observatory:
    """Return an observatory of four exposures, of which one is old, and four associations."""
    folder = tmp_path_factory.mktemp("sky")
    return build_observatory(folder, exposures=4, small=True, associations=True)


@pytest.fixture
def own(sky: Observatory, tmp_path: Path) -> Observatory:
    """Return a private copy of it, to be damaged."""
    raws = Path(shutil.copytree(sky.raws, tmp_path / "raw"))
    crds = Path(shutil.copytree(sky.crds_path, tmp_path / "crds"))
    return dataclasses.replace(sky, raws=raws, crds_path=crds)


@pytest.fixture
def asked(own: Observatory, tmp_path: Path) -> Request:
    """Return a request on the newer context, with everything under a temporary folder."""
    return Request(
        source=f"file:{own.raws}",
        output=f"file:{tmp_path / 'out'}",
        profile=own.profile,
        work=str(tmp_path / "work"),
        ledger=f"sqlite:///{tmp_path / 'ledger.db'}",
        context=own.contexts[1],
    )


def look(request: Request, *names: str, **options: Any) -> dict[str, DatasetForecast]:
    """Return the forecast by dataset."""
    return {each.dataset: each for each in forecast(request, names, **options).datasets}


def process(request: Request, name: str, stages: Stages = ONCE) -> Outcome:
    """Process one dataset, every stage tried once."""
    return process_dataset(plan_jobs(request, [name])[0], stages)


def tree(folder: Path) -> dict[str, tuple[int, int]]:
    """Return size and time of change of every file and folder."""
    found = {}
    for path in folder.rglob("*"):
        status = path.lstat()
        found[str(path)] = (status.st_size, status.st_mtime_ns)
    return found


def cut(path: Path) -> None:
    """Take the last block off a raw exposure."""
    path.write_bytes(path.read_bytes()[:-2880])


def change(path: Path, **cards: Any) -> None:
    """Change cards of a primary header."""
    with fits.open(path, mode="update", checksum=True) as hdus:
        hdus[0].header.update(cards)


def pack(folder: Path, dataset: str) -> None:
    """Put the files of an exposure into a tar file, in place of them."""
    raw = folder / f"{dataset}_raw.fits"
    with tarfile.open(folder / f"{dataset}.tar.gz", "w:gz") as tar:
        tar.add(raw, raw.name)
    raw.unlink()


def darks_of(found: Forecast) -> dict[str, set[str]]:
    """Return which datasets need each dark."""
    users: dict[str, set[str]] = {}
    for each in found.datasets:
        for use in each.references:
            if use.keyword == "DARKFILE":
                users.setdefault(use.name, set()).add(each.dataset)
    return users


def test_forecast_is_what_processing_then_does(asked: Request, own: Observatory) -> None:
    """State, error, code, stage, run, engine, products and references agree, dataset by dataset.

    Among them: plain exposures, a tar file, associations, one published before, one half
    finished, a damaged raw, a missing member, a missing reference, no match, an unknown name.
    """
    first, second, third, old = own.datasets[:4]
    split, repeated, dithered, positions = own.associations
    users = darks_of(forecast(asked, own.datasets))
    alone = next(dark for dark, its in users.items() if its == {old})
    process(asked, first)
    failing = dataclasses.replace(ONCE, calibrate=_raise(EngineError("stopped")))
    process(asked, repeated, failing)
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


def _raise(error: Exception) -> Callable[..., Any]:
    def fail(*_given: Any) -> Any:
        raise error

    return fail


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
    process(asked, own.datasets[1], dataclasses.replace(ONCE, calibrate=_raise(EngineError("x"))))
    before = tree(tmp_path)

    forecast(asked, own.datasets)

    assert tree(tmp_path) == before


def test_nothing_is_made_where_nothing_was(asked: Request, own: Observatory) -> None:
    """Without ledger, work folder and output there are none afterwards."""
    forecast(asked, own.datasets[:1])

    there = {path.name for path in Path(asked.work).parent.iterdir()}
    assert there == {"raw", "crds"}


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


@pytest.fixture
def server(own: Observatory) -> Iterator[CrdsServer]:
    """Return a running loopback CRDS server."""
    with CrdsServer(own.crds_path, context=own.contexts[1]) as running:
        yield running


def test_references_to_download(
    asked: Request, own: Observatory, server: CrdsServer, tmp_path: Path
) -> None:
    """With an empty cache every file is foretold with its size, and nothing enters the cache."""
    cache = tmp_path / "empty"
    request = dataclasses.replace(asked, profile=server.profile(cache), context=None)
    name = own.datasets[0]

    whole = forecast(request, [name])
    each = whole.datasets[0]
    asked_for = [path for path in (str(r) for r in server.requests) if "z_" in path]

    assert each.state == "run"
    assert whole.downloads
    sizes = {path.name: path.stat().st_size for path in own.crds_path.rglob("references/**/*.fits")}
    assert whole.downloads == {file: sizes[file] for file in whole.downloads}
    assert not cache.exists()
    assert not [path for path in asked_for if ".fits" in path]
    assert process(request, name).run == each.run
    after = look(request, name)[name]
    assert (after.state, after.fingerprint) == ("skip", each.fingerprint)


def test_published_before_is_known_without_the_references(
    asked: Request, own: Observatory, server: CrdsServer, tmp_path: Path
) -> None:
    """The catalogue's checksums stand for files that left the cache: still nothing to do."""
    cache = tmp_path / "cache"
    request = dataclasses.replace(asked, profile=server.profile(cache))
    name = own.datasets[0]
    process(request, name)
    shutil.rmtree(cache / "references")

    found = look(request, name)[name]

    assert found.state == "skip"
    assert {use.state for use in found.references if use.required} == {"download"}


def test_bad_reference_of_the_server(asked: Request, own: Observatory, tmp_path: Path) -> None:
    """A file that CRDS lists as bad is no download: it is error 27."""
    name = own.datasets[0]
    dark = next(r.name for r in look(asked, name)[name].references if r.keyword == "DARKFILE")
    with CrdsServer(own.crds_path, context=own.contexts[1], bad=[dark]) as running:
        request = dataclasses.replace(asked, profile=running.profile(tmp_path / "cache"))

        found = look(request, name)[name]

    assert (found.state, found.code) == ("error", 27)
    assert [use.state for use in found.references if use.name == dark] == ["bad"]


@pytest.fixture
def mast(own: Observatory, tmp_path: Path) -> Iterator[tuple[MastServer, FetchOptions]]:
    """Return a running loopback MAST and how to ask it."""
    with MastServer(own.raws) as running:
        patience = Patience(connect=2, read=5, deadline=10, tries=2, backoff=0.01)
        yield running, FetchOptions(running.url, cache=tmp_path / "down", patience=patience)


def files_sent(server: MastServer) -> list[str]:
    """Return the requests for files."""
    return [text for text in map(str, server.requests) if "retrieve_product" in text]


def test_mast_is_listed_and_nothing_downloaded(
    asked: Request,
    own: Observatory,
    mast: tuple[MastServer, FetchOptions],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Sizes come from the list; after one attempt the cache and the ledger tell the rest."""
    server, options = mast
    monkeypatch.setenv("HSTFLOW_MAST_URL", server.url)
    monkeypatch.setenv("HSTFLOW_DOWNLOADS", str(options.downloads))
    request = dataclasses.replace(asked, source="astroquery:")
    name, association = own.datasets[0], next(iter(own.associations))
    before = tree(tmp_path)

    found = look(request, name, association, "j8zz01zzq", options=options)

    assert tree(tmp_path) == before
    assert files_sent(server) == []
    first = found[name]
    raw = own.raws / f"{name}_raw.fits"
    assert [(f.name, f.size, f.where) for f in first.inputs] == [
        (raw.name, raw.stat().st_size, "MAST")
    ]
    assert (first.state, first.inputs_known, first.references_from) == ("run", False, "after fetch")
    assert found["j8zz01zzq"].code == 22

    process(request, name, dataclasses.replace(ONCE, calibrate=_raise(EngineError("stopped"))))
    shutil.rmtree(request.work)
    downloaded = look(request, name, options=options)[name]
    shutil.rmtree(options.downloads)
    remembered = look(request, name, options=options)[name]

    assert [f.where for f in downloaded.inputs] == ["download cache"]
    assert (downloaded.engine, downloaded.references_from) == ("native", "headers")
    assert remembered.references_from == "ledger"
    assert {(r.keyword, r.name, r.required) for r in remembered.references} == {
        (r.keyword, r.name, r.required) for r in downloaded.references
    }


def test_fetch_on_request_tells_everything(
    asked: Request,
    own: Observatory,
    mast: tuple[MastServer, FetchOptions],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Fetched into a temporary folder, an association is known; nothing stays of it."""
    server, options = mast
    monkeypatch.setenv("HSTFLOW_MAST_URL", server.url)
    request = dataclasses.replace(asked, source="astroquery:")
    name = next(iter(own.associations))
    before = tree(tmp_path)

    found = look(request, name, options=options, fetch=True)[name]

    assert tree(tmp_path) == before
    local = look(asked, name)[name]
    assert found.inputs_known
    assert (found.engine, found.products) == (local.engine, local.products)
    assert found.fingerprint == local.fingerprint
    assert all(member.found for member in found.members if not member.is_product)


def test_bucket_is_listed(asked: Request, own: Observatory, bucket: str, tmp_path: Path) -> None:
    """Objects and archives are listed with sizes; --fetch looks into both."""
    store = S3Store(bucket, "raws", purpose="output")
    first, second = own.datasets[:2]
    local = look(asked, first, second)
    store.put(own.raws / f"{first}_raw.fits", f"{first}/{first}_raw.fits")
    pack(own.raws, second)
    store.put(own.raws / f"{second}.tar.gz", f"{second}.tar.gz")
    request = dataclasses.replace(asked, source=f"s3://{bucket}/raws", output=f"s3://{bucket}/out")
    before = tree(tmp_path)

    listed = look(request, first, second, own.datasets[2])
    fetched = look(request, first, second, fetch=True)

    assert tree(tmp_path) == before
    assert [f.where for name in (first, second) for f in listed[name].inputs] == ["bucket"] * 2
    assert listed[second].inputs[0].suffix == "tar.gz"
    assert all(f.size for name in (first, second) for f in listed[name].inputs)
    assert listed[own.datasets[2]].code == 26
    for name in (first, second):
        assert fetched[name].fingerprint == local[name].fingerprint
    process(request, first)
    assert look(request, first, fetch=True)[first].state == "skip"
    assert look(request, first)[first].current_run == fetched[first].run
