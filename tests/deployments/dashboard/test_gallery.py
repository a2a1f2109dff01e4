"""The gallery of a campaign."""

from __future__ import annotations

import html
import re
from pathlib import Path

import pytest
from campaign_ledger import CONTEXT, EVERY, GONE
from dashboard_archive import DATASET, PICTURE, THUMB, number_of, stock
from starlette.testclient import TestClient

from calib.ids import parse_dataset
from calib.ledger.ledger import Ledger
from tests.deployments.dashboard.conftest import Client


def test_thumbnail_with_the_picture_behind_it(
    client: Client, ledger: Ledger, tmp_path: Path
) -> None:
    """The small picture is shown with words, lazily; the large one is behind it."""
    stock(ledger, tmp_path)
    text = client().get("/campaigns/shown/gallery").text
    small, large = (number_of(ledger, name) for name in (THUMB, PICTURE))
    assert f'<a href="/products/{large}"><img src="/products/{small}"' in text
    assert f'alt="preview of {DATASET}_flt"' in text
    assert 'loading="lazy"' in text


def test_states(client: Client) -> None:
    """Finished datasets by default, others when asked for; those without a picture say so."""
    assert GONE not in client().get("/campaigns/spring/gallery").text
    assert GONE in client().get("/campaigns/spring/gallery?state=error").text
    every = client().get("/campaigns/spring/gallery?state=any").text
    assert all(name in every for name in EVERY)
    assert "no preview" in every
    assert GONE not in client().get("/campaigns/spring/gallery?state=any&instrument=acs").text


def test_pages_have_each_dataset_once(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Forwards and backwards the pages hold every dataset once, in order."""
    monkeypatch.setattr("deployments.dashboard.pages.gallery._CARDS", 2)
    ordered = sorted(EVERY)
    for query, names in (
        ("", ordered[:2]),
        (f"&after={ordered[1]}", ordered[2:4]),
        (f"&after={ordered[3]}", ordered[4:]),
        (f"&before={ordered[2]}", ordered[:2]),
        (f"&before={ordered[4]}", ordered[2:4]),
    ):
        text = client().get(f"/campaigns/spring/gallery?state=any{query}").text
        assert [n for n in ordered if f'href="/datasets/{n}"' in text] == names
        assert ("Earlier datasets" in text) == (names[0] != ordered[0])
        assert ("Later datasets" in text) == (names[-1] != ordered[-1])


def test_a_dataset_in_two_runs_is_shown_twice(
    client: Client, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the end of a page comes between the two; every job is on one page, both ways."""
    monkeypatch.setattr("deployments.dashboard.pages.gallery._CARDS", 1)
    ordered = sorted(EVERY)
    twice = ordered[1]
    ledger.submit("spring", parse_dataset(twice), "another", context=CONTEXT)
    expected = [ordered[0], twice, twice, *ordered[2:]]
    reader, path = client(), "/campaigns/spring/gallery?state=any"
    assert _walk(reader, path, "next") == (expected, 1 + len(ordered))
    last = f"{path}&after={ordered[-2]}"
    assert _walk(reader, last, "prev") == (expected[::-1], 1 + len(ordered))


def _walk(reader: TestClient, path: str | None, way: str) -> tuple[list[str], int]:
    """Follow a link from page to page; return the datasets of all, and how many pages."""
    names, number = [], 0
    while path:
        text = reader.get(path).text
        names += re.findall(r'href="/datasets/([^"/]+)"', text)
        number += 1
        found = re.search(rf'rel="{way}" href="([^"]+)"', text)
        path = html.unescape(found.group(1)) if found else None
    return names, number


def test_a_place_that_is_none(client: Client) -> None:
    """A number that is none is refused; a name alone is behind all of its jobs."""
    reader = client()
    assert reader.get("/campaigns/spring/gallery?after=x~y").status_code == 400
    text = reader.get(f"/campaigns/spring/gallery?state=any&after={sorted(EVERY)[-2]}").text
    assert f'value="{sorted(EVERY)[-2]}"' in text


def test_unknown_campaign(client: Client) -> None:
    """There is no gallery of what is not there."""
    assert client().get("/campaigns/autumn/gallery").status_code == 404
