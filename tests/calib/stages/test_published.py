"""Publications, found by the names and places that people and programs have."""

from __future__ import annotations

import dataclasses
import shutil
import sqlite3
from pathlib import Path

import pytest
from archived import EXPOSURE, PAIR, Home

from calib.errors import ConfigError, NotFound, UnsupportedMode
from calib.ledger.reading import open_reader
from calib.stages.job import Options
from calib.stages.planning import plan_jobs
from calib.stages.published import find_publication, is_publication
from calib.stages.sequence import process_dataset
from calib.switches import Overrides


def test_found_by_ledger_name_path_and_uri(published: Home) -> None:
    """Dataset, product, link, path and URI all lead to the same publication."""
    flt = published.root / "archive" / "data" / "acs" / EXPOSURE / f"{EXPOSURE}_flt.fits"
    member = "jsky05aaq_flt.fits"
    with open_reader(published.request.ledger) as rows:
        by_name = find_publication(EXPOSURE.upper(), rows=rows)
        by_product = find_publication(f"{EXPOSURE}_flt.fits", rows=rows)
        by_member = find_publication(member, rows=rows)
        with pytest.raises(NotFound, match="knows no publication"):
            find_publication("j8bt05njq", rows=rows)
        with pytest.raises(NotFound, match="expected run other"):
            find_publication(EXPOSURE, run="other", rows=rows)
        with pytest.raises(ConfigError, match="not the name of a dataset"):
            find_publication("nonsense", rows=rows)
    by_path = find_publication(str(flt))
    by_uri = find_publication(f"file:{flt.parent}/")

    assert {by_name.uri, by_product.uri, by_path.uri, by_uri.uri} == {by_name.uri}
    assert by_member.manifest.dataset == PAIR
    with pytest.raises(ConfigError, match="no ledger to look in"):
        find_publication(EXPOSURE)
    with pytest.raises(NotFound, match="by the name of the association"):
        find_publication(member, output=published.request.output)


def test_several_runs_need_a_choice(home: Home) -> None:
    """Where none is current the run has to be named; pruned ones do not count."""
    options = Options(overrides=Overrides({"PHOTCORR": "OMIT"}))
    request = dataclasses.replace(home.request, run="second", options=options)
    process_dataset(plan_jobs(request, [EXPOSURE])[0])
    with sqlite3.connect(home.root / "ledger.db") as database:
        database.execute("delete from current_run")
    database.close()
    with open_reader(home.request.ledger) as rows, pytest.raises(ConfigError, match="or --run"):
        find_publication(EXPOSURE, rows=rows)
    with sqlite3.connect(home.root / "ledger.db") as database:
        database.execute("update publication set removed_at = '2026-01-01' where id > 3")
    database.close()

    with open_reader(home.request.ledger) as rows:
        assert find_publication(EXPOSURE, rows=rows).manifest.run != "second"
        with pytest.raises(NotFound, match="pruned at 2026-01-01"):
            find_publication(EXPOSURE, run="second", rows=rows)


def test_ingested_publications_are_refused(home: Home) -> None:
    """A row without a manifest is of something made elsewhere."""
    with sqlite3.connect(home.root / "ledger.db") as database:
        database.execute("update publication set manifest_sha256 = null")
    database.close()

    with (
        open_reader(home.request.ledger) as rows,
        pytest.raises(UnsupportedMode, match="not made by hstflow"),
    ):
        find_publication(EXPOSURE, rows=rows)


def test_folders_with_odd_letters(published: Home, tmp_path: Path) -> None:
    """The ledger has encoded URIs; the folder is found by name, by URI and by path."""
    root = Path(shutil.copytree(published.root, tmp_path / "My Data ü 100%", symlinks=True))
    with sqlite3.connect(root / "ledger.db") as database:
        places = (published.root.as_uri(), root.as_uri())
        database.execute("update publication set uri = replace(uri, ?, ?)", places)
    database.close()
    folder = root / "archive" / "data" / "acs" / EXPOSURE

    with open_reader(str(root / "ledger.db")) as rows:
        by_name = find_publication(EXPOSURE, rows=rows)
    others = [find_publication(name) for name in (folder.as_uri(), f"file:{folder}", str(folder))]

    assert {found.uri for found in others} == {by_name.uri}
    assert by_name.store.read("manifest.json") is not None
    assert is_publication(folder.as_uri())
