"""Views: what they show, and that every upgrade leaves all of them."""

from __future__ import annotations

import campaign_story
import pytest
from small_registry import ASSOCIATION, fill
from sqlalchemy import update

from calib.ledger.collections import define_chain, ensure_collection, tag_products
from calib.ledger.ledger import Ledger
from calib.ledger.publications import Published, PublishedFile, record_publications
from calib.ledger.schema import publication
from calib.ledger.views import VIEWS


def test_every_view_can_be_read(ledger: Ledger) -> None:
    """An empty ledger has every view, and none of them fails."""
    for name in VIEWS:
        assert ledger.ask(lambda rows, name=name: rows(f"SELECT * FROM {name}", {})) == []  # noqa: S608 - our own names


def test_products_view_gives_the_whole_uri(ledger: Ledger) -> None:
    """A file lies in its publication's folder unless it says otherwise."""
    place = {"context": "c", "engine": "e", "engine_version": "1", "output": "file:/o"}
    ledger.ensure_run("r1", parameters={}, **place)
    files = (
        PublishedFile("a_raw.fits", "raw", "a", None, 1, uri="s3://b/a_raw.fits"),
        PublishedFile("a_flt.fits", "flt", "a", "0" * 64, 2),
    )
    found = Published("r1", "j8bt05njq", "file:///o/r1", files, "2026-01-01T00:00:00")
    ledger.write(lambda c: record_publications(c, [found]))
    rows = ledger.ask(lambda rows: rows("SELECT uri, is_current FROM products ORDER BY id", {}))
    assert [row["uri"] for row in rows] == ["s3://b/a_raw.fits", "file:///o/r1/a_flt.fits"]
    assert {row["is_current"] for row in rows} == {0}
    (run,) = ledger.ask(lambda rows: rows("SELECT datasets, products, bytes FROM runs", {}))
    assert tuple(run.values()) == (1, 2, 3)


# The examples of docs/archive.md, and what they answer about the small registry.
EXAMPLES = {
    "How much there is of each type, by run.": (
        """
        SELECT run, type, COUNT(*) AS files, SUM(size) AS bytes
        FROM products GROUP BY run, type ORDER BY run, type
        """,
        [("r1", "crj", 1, 1000), ("r1", "flt", 2, 2000), ("r1", "raw", 3, 3000)],
    ),
    "Datasets whose current version was made with a reference.": (
        """
        SELECT DISTINCT publications.dataset, publications.run
        FROM references_used
          JOIN publications ON publications.run = references_used.run
            AND publications.dataset = references_used.dataset
        WHERE references_used.reference = 'x_bia.fits' AND publications.is_current = 1
          AND publications.removed_at IS NULL
        ORDER BY publications.dataset
        """,
        [("jbxx01abq", "r1")],
    ),
    "Current products that show the exposures of an association, by time.": (
        """
        SELECT products.observed_at, products.name, products.uri
        FROM members JOIN products ON products.rootname = members.rootname
        WHERE members.association = 'j8bt05010' AND members.type LIKE 'EXP-%'
          AND products.type = 'flt' AND products.is_current = 1
        ORDER BY products.observed_at
        """,
        [
            (
                "2002-04-12T18:30:00",
                "j8bt05njq_flt.fits",
                "file:///o/runs/r2/acs/j8bt05010/j8bt05njq_flt.fits",
            )
        ],
    ),
}


@pytest.mark.parametrize("title", EXAMPLES)
def test_examples_of_the_documentation(ledger: Ledger, title: str) -> None:
    """The queries that the documentation shows run on both databases, and answer."""
    fill(ledger)
    query, first = EXAMPLES[title]
    rows = ledger.ask(lambda rows: rows(query, {}))
    assert [tuple(row.values()) for row in rows][: len(first)] == first


def test_every_view_shows_what_is_there(ledger: Ledger) -> None:
    """Each view has the rows of a small registry, and no name twice."""
    fill(ledger)
    ledger.write(lambda c: define_chain(c, "best", ["r1"]))
    ledger.write(lambda c: tag_products(c, "paper", [1]))
    ledger.write(lambda c: ensure_collection(c, "mine", "calibration"))
    expected = {
        "runs": 2,
        "products": 9,
        "publications": 3,
        "members": 3,
        "inputs": 3,
        "references_used": 6,
        "jobs": 2,
        "campaigns": 1,
        "sessions": 0,
        "attempts": 2,
        "costs": 0,
        "features": 0,
        "predictions": 0,
        "collections": 3,
        "chains": 1,
        "tags": 1,
        "calibrations": 0,
        "tombstones": 1,
    }
    found = {
        name: ledger.ask(lambda rows, name=name: len(rows(f"SELECT * FROM {name}", {})))  # noqa: S608 - our own names
        for name in VIEWS
    }
    assert found == expected


def test_pruned_publications(ledger: Ledger) -> None:
    """What was pruned is no product any more, but its publication and lineage stay."""
    fill(ledger)
    pruned = update(publication).where(publication.c.dataset == ASSOCIATION)
    ledger.write(lambda c: c.execute(pruned.values(removed_at="2026")))

    def number(view: str) -> int:
        return ledger.ask(
            lambda rows: len(rows(f"SELECT * FROM {view} WHERE dataset = '{ASSOCIATION}'", {}))  # noqa: S608 - our own names
        )

    assert [number(view) for view in ("products", "publications", "inputs")] == [0, 2, 2]
    runs = ledger.ask(lambda rows: rows("SELECT run, datasets, products FROM runs", {}))
    assert sorted(tuple(row.values()) for row in runs) == [("r1", 1, 1), ("r2", 0, 0)]


def test_views_of_a_campaign(ledger: Ledger) -> None:
    """Counts by outcome, every session and attempt, and the features of each attempt."""
    campaign_story.tell(ledger)

    def values(query: str) -> list[tuple[object, ...]]:
        return [tuple(row.values()) for row in ledger.ask(lambda rows: rows(query, {}))]

    assert values("SELECT campaign, jobs, finished, failed FROM campaigns") == [("night", 5, 2, 1)]
    assert values("SELECT campaign, outcome, message FROM sessions") == [
        ("night", "failed", "2 of 5 failed")
    ]
    query = "SELECT attempt, outcome, code, memory FROM attempts WHERE dataset = 'j8bt05nkq'"
    assert values(f"{query} ORDER BY attempt") == [
        (1, "error", 31, 2_000_000_000),
        (2, "processed", 0, 8_000_000_000),
    ]
    assert values("SELECT COUNT(*), MIN(total_mb), MAX(n_files) FROM features") == [(4, 20.5, 2)]
    assert values("SELECT COUNT(*) FROM predictions") == [(0,)]
