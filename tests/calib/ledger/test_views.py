"""Views: what they show, and that every upgrade leaves all of them."""

from __future__ import annotations

from calib.ledger.ledger import Ledger
from calib.ledger.publications import Published, PublishedFile, record_publications
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
