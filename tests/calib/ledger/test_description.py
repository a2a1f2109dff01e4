"""What is told of a dataset, an exposure, a file, a checksum and a reference."""

from __future__ import annotations

import pytest
from small_registry import ALONE, ASSOCIATION, BIAS, EXPOSURES, checksum, fill

from calib.errors import ConfigError
from calib.ids import parse_dataset
from calib.ledger.collections import define_chain, tag_products
from calib.ledger.description import Description, describe
from calib.ledger.ledger import Ledger
from calib.ledger.products import ProductQuery, find_products


@pytest.fixture
def filled(ledger: Ledger) -> Ledger:
    """Return a ledger with an association in two runs, chains and a tag."""
    fill(ledger)
    ledger.write(lambda c: define_chain(c, "old", ["r1", "r2"]))
    ledger.write(lambda c: define_chain(c, "new", ["r2", "r1"]))
    query = ProductQuery(types=("crj",), runs=("r1",))
    (crj,) = ledger.ask(lambda rows: find_products(rows, query))
    ledger.write(lambda c: tag_products(c, "paper", [crj.id]))
    return ledger


def told(ledger: Ledger, name: str, run: str | None = None) -> Description:
    """Return what is told of a name."""
    return ledger.ask(lambda rows: describe(rows, name, run=run))


def test_dataset(filled: Ledger) -> None:
    """All versions with their chains and tags; files and lineage of the current one."""
    found = told(filled, ASSOCIATION.upper())
    assert [(each.run, each.chains, each.tags) for each in found.versions] == [
        ("r1", ("old",), ("paper",)),
        ("r2", ("new",), ()),
    ]
    assert found.shown is not None
    assert (found.shown.run, len(found.products)) == ("r2", 3)
    assert found.data_id is not None
    assert found.data_id["target"] == "M31"
    assert [job.state for job in found.jobs] == ["processed"]
    assert found.used_by == ()


def test_version_of_a_run(filled: Ledger) -> None:
    """The version that was asked for is shown; one that is not there is refused."""
    found = told(filled, ASSOCIATION, "r1")
    assert found.shown is not None
    assert (found.shown.run, len(found.products)) == ("r1", 5)
    with pytest.raises(ConfigError, match=r"run r9 does not hold"):
        told(filled, ASSOCIATION, "r9")


@pytest.mark.parametrize(
    ("name", "versions", "products", "root", "users"),
    [
        (EXPOSURES[0], 2, 1, EXPOSURES[0], 2),
        (f"{EXPOSURES[0]}_flt.fits", 2, 1, EXPOSURES[0], 0),
        (f"{EXPOSURES[0]}_raw.fits", 1, 1, EXPOSURES[0], 1),
        (checksum(f"r1{EXPOSURES[0]}_flt.fits"), 1, 1, EXPOSURES[0], 0),
        (BIAS, 0, 0, None, 2),
        (ALONE, 1, 1, ALONE, 0),
    ],
)
def test_other_names(
    filled: Ledger, name: str, versions: int, products: int, root: str | None, users: int
) -> None:
    """An exposure, a file or a checksum shows where it is; a reference what it was used for."""
    found = told(filled, name)
    assert (len(found.versions), len(found.products), len(found.used_by)) == (
        versions,
        products,
        users,
    )
    assert (None if found.data_id is None else found.data_id["rootname"]) == root
    assert found.is_known


def test_unknown_name(filled: Ledger) -> None:
    """A name that means nothing is known as such."""
    assert not told(filled, "nobody").is_known


def test_dataset_that_failed(filled: Ledger) -> None:
    """A dataset with a job and no product is told by its job."""
    filled.submit("adhoc", parse_dataset("j8bt05nlq"), "r1", context="hst_1.pmap")
    found = told(filled, "j8bt05nlq")
    assert (found.versions, found.shown, len(found.jobs), found.is_known) == ((), None, 1, True)
