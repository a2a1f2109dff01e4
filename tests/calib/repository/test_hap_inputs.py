"""Which calibrated exposures of the registry a visit or skycell is made of again."""

from __future__ import annotations

from pathlib import Path

import pytest

from calib.errors import MissingMember
from calib.fetch import fetch_inputs
from calib.ids import parse_dataset
from calib.ledger.ledger import Ledger, current_owner
from calib.ledger.publications import Published, PublishedFile, record_publications
from calib.ledger.registry import set_current
from calib.records import InputFile, Outcome, RawInputs
from calib.repository.hap_inputs import registered_images
from calib.repository.inputs import look_up

RUN = {"context": "c", "engine": "e", "engine_version": "1", "output": "file:/o"}
VISIT, SKYCELL = "acs_8ph_01", "skycell-p2381x06y09"
ONE, TWO, ASN = "j8ph01abq", "j8ph01acq", "j8ph01010"
FIRST, SECOND = (f"hst_9453_01_acs_wfc_f606w_{each[:8]}_flc.fits" for each in (ONE, TWO))


def publication(run: str, dataset: str, day: int, *names: str) -> Published:
    """Return a publication of files of these names."""
    roots = {name: name[:9] if name.startswith("j8") else dataset for name in names}
    files = tuple(
        PublishedFile(name, name[-8:-5], roots[name], f"{run}-{name}"[:64], day) for name in names
    )
    uri = f"file:///o/{run}/{dataset}"
    return Published(run, dataset, uri, files, f"2026-01-{day:02d}T00:00:00")


def publish(ledger: Ledger, run: str, dataset: str, day: int, *names: str) -> None:
    """Enter a publication."""
    found = publication(run, dataset, day, *names)
    ledger.ensure_run(run, parameters={}, **RUN)
    ledger.write(lambda c: record_publications(c, [found]))


def make_skycell(ledger: Ledger, run: str, day: int, *names: str) -> None:
    """Tell the ledger of a skycell that was made of files of visits."""
    make_mosaic(ledger, SKYCELL, run, day, *names)


def make_mosaic(ledger: Ledger, name: str, run: str, day: int, *names: str) -> None:
    """Tell the ledger of a visit or skycell that was made of these files."""
    dataset = parse_dataset(name)
    ledger.ensure_run(run, parameters={}, **RUN)
    job = ledger.submit("adhoc", dataset, run, context="c")
    attempt = ledger.begin_attempt(job, current_owner())
    files = [InputFile(n, f"/in/{n}", n.ljust(64)[:64], 1, n[-8:-5], n[-17:-9]) for n in names]
    files.append(InputFile(f"{name}_input.out", "/in/x", "0" * 64, 1, "poller", name))
    ledger.record_inputs(attempt, RawInputs(name, "file:/in", tuple(files)))
    made = (f"hst_{name}_acs_wfc_f606w_drc.fits", f"env/{name}_cal_env.txt")
    found = publication(run, name, day, *made)
    ledger.record_publication(attempt, found)
    ledger.finish_attempt(attempt, Outcome(name, "processed", "published", uri=found.uri))


def runs_of(ledger: Ledger, dataset: str, source: str = "archive:") -> dict[str, str]:
    """Return the run of each input file."""
    name = parse_dataset(dataset)
    found = ledger.ask(lambda rows: registered_images(rows, name, source))
    return {file: each.run for file, each in found.items()}


def test_visit_of_our_own_products(ledger: Ledger) -> None:
    """What the association flagged comes before the exposure alone; other products do not come."""
    publish(ledger, "a", ASN, 1, f"{ONE}_flc.fits", f"{ONE}_flt.fits", f"{ASN}_drc.fits")
    publish(ledger, "b", ONE, 2, f"{ONE}_flc.fits", f"{ONE}_drz.fits")
    publish(ledger, "c", TWO, 3, f"{TWO}_raw.fits", f"{TWO}_flt.fits")
    publish(ledger, "d", "j8ph02abq", 4, "j8ph02abq_flt.fits")

    assert runs_of(ledger, VISIT) == {
        f"{ONE}_flc.fits": "a",
        f"{ONE}_flt.fits": "a",
        f"{TWO}_flt.fits": "c",
        f"{TWO}_raw.fits": "c",
    }
    assert runs_of(ledger, VISIT, "archive:b") == {f"{ONE}_flc.fits": "b"}


def test_current_version_is_first(ledger: Ledger) -> None:
    """The older one that readers see, not the newest."""
    publish(ledger, "old", ONE, 1, f"{ONE}_flc.fits")
    publish(ledger, "new", ONE, 2, f"{ONE}_flc.fits")
    assert runs_of(ledger, VISIT) == {f"{ONE}_flc.fits": "new"}
    ledger.write(lambda c: set_current(c, parse_dataset(ONE), "old"))
    assert runs_of(ledger, VISIT) == {f"{ONE}_flc.fits": "old"}


def test_exposure_that_is_not_calibrated_is_seen(ledger: Ledger, url: str, tmp_path: Path) -> None:
    """A raw file of the visit without a product stops the mosaic."""
    publish(ledger, "a", ONE, 1, f"{ONE}_flc.fits")
    publish(ledger, "a", TWO, 1, f"{TWO}_raw.fits")
    known = look_up(parse_dataset(VISIT), "archive:", url)
    with pytest.raises(MissingMember, match=f"not calibrated: {TWO}"):
        fetch_inputs(parse_dataset(VISIT), "archive:", tmp_path / "out", registered=known)


def test_skycell_is_made_of_the_same_exposures_again(ledger: Ledger) -> None:
    """As its visits have them now; what another skycell was made of stays away."""
    third = FIRST.replace("ab_flc", "ad_flc")
    publish(ledger, "a", VISIT, 1, FIRST, SECOND, third, "hst_9453_01_acs_wfc_total_drc.fits")
    make_skycell(ledger, "a", 2, FIRST, SECOND)
    publish(ledger, "b", VISIT, 3, FIRST, SECOND, third)

    own = f"{SKYCELL}_cal_env.txt"
    assert runs_of(ledger, SKYCELL) == {FIRST: "b", SECOND: "b", own: "a"}
    assert runs_of(ledger, SKYCELL, "archive:a") == {FIRST: "a", SECOND: "a", own: "a"}
    assert runs_of(ledger, SKYCELL, "archive:b") == {FIRST: "b", SECOND: "b"}


def test_skycell_that_was_never_made(ledger: Ledger) -> None:
    """Nobody knows its exposures."""
    publish(ledger, "a", VISIT, 1, FIRST)
    assert runs_of(ledger, SKYCELL) == {}


def test_skycell_whose_visits_lack_exposures(ledger: Ledger) -> None:
    """All that are missing are named: a smaller skycell would look complete."""
    publish(ledger, "a", VISIT, 1, FIRST)
    make_skycell(ledger, "a", 2, FIRST, SECOND)
    with pytest.raises(MissingMember, match=r"1 of 2 exposures that the skycell .* j8ph01ac"):
        runs_of(ledger, SKYCELL)


def test_visit_that_would_lose_exposures(ledger: Ledger) -> None:
    """It was made of two of MAST's, one is published here: a smaller one would look complete."""
    make_mosaic(ledger, VISIT, "a", 1, f"{ONE}_flc.fits", f"{TWO}_flc.fits")
    publish(ledger, "b", ONE, 2, f"{ONE}_flc.fits", f"{ONE}_raw.fits")
    message = r"1 of 2 exposures that the visit .* j8ph01ac \(.*expected .*astroquery:"
    with pytest.raises(MissingMember, match=message):
        runs_of(ledger, VISIT)
    publish(ledger, "b", TWO, 2, f"{TWO}_flt.fits")
    assert {ONE, TWO} == {name[:9] for name in runs_of(ledger, VISIT) if "_fl" in name}


def test_visit_is_made_of_the_same_exposures_again(ledger: Ledger) -> None:
    """What its poller left out stays out, calibrated anew or not; what came since is taken."""
    three, four, five = "j8ph01adq", "j8ph01aeq", "j8ph01afq"
    flt, flc, raw = "{}_flt.fits", "{}_flc.fits", "{}_raw.fits"
    for each in (ONE, TWO, three):
        publish(ledger, "a", each, 1, flt.format(each), flc.format(each), raw.format(each))
    publish(ledger, "a", four, 1, raw.format(four))
    make_mosaic(ledger, VISIT, "a", 2, flt.format(ONE), flc.format(TWO))
    for each in (ONE, TWO, three, five):
        publish(ledger, "b", each, 3, flt.format(each), flc.format(each))

    own = f"{VISIT}_cal_env.txt"
    assert runs_of(ledger, VISIT) == {
        **{flt.format(each): "b" for each in (ONE, TWO, five)},
        **{flc.format(each): "b" for each in (TWO, five)},
        own: "a",
    }
