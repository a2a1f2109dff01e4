"""The registry as a Python user meets it, and what manifests add to it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from small_registry import ALONE, ASSOCIATION, BIAS, EXPOSURES, fill
from sqlalchemy import text

from calib.errors import ArchiveError, ConfigError
from calib.ledger.ledger import open_ledger
from calib.repository.origins import read_making
from calib.repository.repository import Repository, open_repository

PROVENANCE: dict[str, Any] = {
    "source": "file:/in",
    "engine": {"name": "native", "version": "2"},
    "switches": {"BIASCORR": "COMPLETE"},
    "inputs": [{"name": "x_raw.fits", "rootname": "x", "sha256": "a" * 64, "size": 1}],
    "references": [
        {
            "file": "x_raw.fits",
            "references": [
                {
                    "keyword": "BIASFILE",
                    "name": BIAS,
                    "sha1": "b" * 40,
                    "required": True,
                    "present": True,
                }
            ],
        }
    ],
}


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """Return a repository with an association in two runs."""
    with open_ledger(str(tmp_path / "ledger.db")) as ledger:
        fill(ledger)
    return open_repository(str(tmp_path / "ledger.db"))


def test_products_collections_and_lineage(repository: Repository) -> None:
    """Products are found and gathered; lineage goes both ways."""
    flts = repository.products(types=("flt",), runs=("r1",))
    assert [each.rootname for each in flts] == list(EXPOSURES)
    assert repository.tag("paper", flts) == 2
    assert repository.untag("paper", flts[:1]) == 1
    repository.define_chain("best", "r1", note="n")
    repository.extend_chain("best", "r2")
    assert (repository.chain("best"), repository.chain_members("best")) == (["r2", "r1"],) * 2
    assert {each.run for each in repository.products(collections=("best",))} == {"r1", "r2"}
    assert repository.count(collections=("paper",))["flt"].products == 1
    assert [each.name for each in repository.collections()] == ["best", "paper"]
    repository.remove("best")
    assert [each.run for each in repository.runs("r*", kind="processed")] == ["r1", "r2"]
    assert {use.dataset for use in repository.used_by(BIAS)} == {ASSOCIATION, ALONE}
    assert len(repository.lineage("r1", ASSOCIATION).inputs) == 2
    assert repository.describe(ALONE).data_id is not None


def test_without_a_ledger(tmp_path: Path) -> None:
    """A ledger that is not there is said, not made."""
    with pytest.raises(ConfigError, match="no ledger yet"):
        open_repository(str(tmp_path / "typo.db")).products()
    assert not (tmp_path / "typo.db").exists()


def test_unknown_field(repository: Repository) -> None:
    """A misspelt field is an error, not everything."""
    with pytest.raises(TypeError, match="dettector"):
        repository.products(dettector="HRC")


def test_lineage_of_a_rebuilt_ledger(repository: Repository, tmp_path: Path) -> None:
    """What no attempt recorded is read from the manifest, which may have changed since."""
    folder = tmp_path / "with blank"
    folder.mkdir()
    (folder / "manifest.json").write_text(json.dumps({"provenance": PROVENANCE}))
    with open_ledger(repository.url) as ledger:
        change = text(
            "UPDATE publication SET uri = :uri, manifest_sha256 = :sum WHERE attempt_id IS NULL"
        )
        values = {"uri": folder.as_uri(), "sum": "0" * 64}
        ledger.write(lambda c: c.execute(change, values))
    found = repository.lineage("r2", ASSOCIATION)
    assert [(each.name, each.type) for each in found.inputs] == [("x_raw.fits", "raw")]
    assert [each.reference for each in found.references] == [BIAS]
    making = read_making(found)
    assert (making.engine["version"], making.as_registered) == ("2", False)
    assert read_making(replace(found, manifest_sha256=None)).as_registered is None


def test_types_of_inputs_are_those_of_the_ledger(repository: Repository, tmp_path: Path) -> None:
    """All that follows the name of an exposure counts; what a newer manifest adds does not."""
    one = {"name": "la8q99030_rawtag_a.fits", "sha256": "0", "size": 1, "rootname": "la8q99030"}
    told = {"inputs": [{**one, "colour": "red"}], "weather": 7}
    (tmp_path / "manifest.json").write_text(json.dumps({"provenance": told}))
    found = replace(repository.lineage("r1", ALONE), uri=tmp_path.as_uri())
    assert [each.type for each in read_making(found).inputs] == ["rawtag_a"]


@pytest.mark.parametrize("content", [None, "", "[]", "{}", '{"provenance": {"inputs": [1]}}'])
def test_manifest_that_cannot_be_read(
    repository: Repository, tmp_path: Path, content: str | None
) -> None:
    """A manifest that is missing or broken is said with its place."""
    if content is not None:
        (tmp_path / "manifest.json").write_text(content)
    found = replace(repository.lineage("r1", ALONE), uri=tmp_path.as_uri())
    with pytest.raises(ArchiveError, match="manifest"):
        read_making(found)
