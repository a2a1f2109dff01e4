"""The pages of reference files."""

from __future__ import annotations

from pathlib import Path

import pytest
from dashboard_archive import BIAS, DATASET, stock

from calib.ledger.ledger import Ledger
from calib.ledger.reference_counts import count_references, page_of_uses
from tests.deployments.dashboard.conftest import Client


@pytest.fixture(autouse=True)
def _stocked(ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stock(ledger, tmp_path)
    monkeypatch.setattr("deployments.dashboard.pages.references.PATIENCE", 10.0)


def test_counts(ledger: Ledger) -> None:
    """Two versions used it, one is current; what is N/A does not count."""
    (found,) = ledger.ask(count_references)
    assert (found.name, found.exposures, found.versions, found.current) == (BIAS, 2, 2, 1)
    assert (found.keywords, found.sha1s, found.instruments) == (
        ("BIASFILE",),
        ("b" * 40,),
        ("acs",),
    )


_SAME = "INSERT INTO reference_used ({}) SELECT {} FROM reference_used WHERE name = '{}' LIMIT 1"


@pytest.mark.parametrize(
    ("changed", "exposures"),
    [({"keyword": "'FLATFILE'"}, 2), ({"exposure": "'other'", "sha1": "NULL"}, 3)],
)
def test_one_version_counts_once(ledger: Ledger, changed: dict[str, str], exposures: int) -> None:
    """Also where it used the file under two keywords, or took a checksum of it once."""
    columns = ["attempt_id", "exposure", "keyword", "name", "required", "present", "sha1"]
    values = ", ".join(changed.get(each, each) for each in columns)
    ledger.write(lambda c: c.exec_driver_sql(_SAME.format(", ".join(columns), values, BIAS)))
    (found,) = ledger.ask(count_references)
    assert (found.exposures, found.versions, found.current) == (exposures, 2, 1)
    assert found.sha1s == ("b" * 40,)
    assert ("FLATFILE" in found.keywords) == ("keyword" in changed)


@pytest.mark.parametrize(
    ("query", "is_there"),
    [
        ("", True),
        ("?q=Z1_B", True),
        (f"?q={'b' * 40}", True),
        ("?q=jref$z1_bia.fits", True),
        ("?q=drk", False),
        ("?keyword=BIASFILE&instrument=acs", True),
        ("?keyword=DARKFILE", False),
        ("?instrument=cos", False),
        ("?first=99999", True),
        ("?first=x", True),
    ],
)
def test_search(client: Client, query: str, is_there: bool) -> None:
    """A reference is found by name, checksum, keyword and instrument."""
    answer = client().get(f"/references{query}")
    assert answer.status_code == 200
    assert (f'href="/references/{BIAS}"' in answer.text) == is_there


def test_what_was_made_with_one(client: Client) -> None:
    """Both versions, the latest first; the current one alone when asked; commands to go on."""
    text = client().get(f"/references/{BIAS}").text
    assert text.index(">r2<") < text.index(">r1<")
    assert f'href="/datasets/{DATASET}"' in text
    assert f"--with-reference {BIAS}" in text
    assert ">r1<" not in client().get(f"/references/{BIAS}?current=yes").text
    assert client().get("/references/<script>").status_code == 404


def test_pages_of_uses(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each use is on one page; a portion without one of those wanted leads to the next."""
    first = ledger.ask(lambda rows: page_of_uses(rows, BIAS, number=1))
    assert [each.run for each in first.uses] == ["r2"]
    rest = ledger.ask(lambda rows: page_of_uses(rows, BIAS, number=1, before=first.before))
    assert [each.run for each in rest.uses] == ["r1"]
    assert rest.before is None
    monkeypatch.setattr("calib.ledger.reference_counts.LOOKED_AT", 1)
    portion = ledger.ask(lambda rows: page_of_uses(rows, BIAS, before=first.before, current=True))
    assert not portion.uses
    assert portion.before is not None
