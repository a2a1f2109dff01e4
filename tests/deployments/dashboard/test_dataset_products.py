"""What the page of a dataset says of its versions."""

from __future__ import annotations

from pathlib import Path

from campaign_ledger import GONE
from dashboard_archive import BIAS, DATASET, FLT, WARNING, keep_bundle, number_of, stock

from calib.ledger.ledger import Ledger
from deployments.dashboard.links import LiveLinks
from deployments.dashboard.page import templates
from deployments.dashboard.pages.dataset_products import products_of
from tests.deployments.dashboard.conftest import Client


def shown(ledger: Ledger, dataset: str, work: Path | None = None) -> str:
    """Return the part of a page."""
    links = LiveLinks()
    content = ledger.ask(lambda rows: products_of(rows, links, dataset, work))
    return templates().get_template("dataset_products.html").render(links=links, **content)


def test_current_version_first(ledger: Ledger, tmp_path: Path) -> None:
    """The current version is open, the other one folded; files, sums and references are there."""
    stock(ledger, tmp_path)
    found = ledger.ask(lambda rows: products_of(rows, LiveLinks(), DATASET))
    assert [each.version.run for each in found["versions"]] == ["r2", "r1"]
    assert [each.shows for each in found["versions"][0].previews] == [f"{DATASET}_flt"]
    text = shown(ledger, DATASET)
    open_part = text.partition("Other versions")[0]
    number = number_of(ledger, FLT)
    assert f'<a href="/products/{number}">{FLT}</a>' in open_part
    assert f'href="/references/{BIAS}"' in open_part
    assert "a" * 64 in open_part
    assert "1 keywords need no reference" in open_part
    assert f'alt="preview of {DATASET}_flt, run r2"' in open_part
    assert "Run r1" not in open_part


def test_warnings_are_escaped(ledger: Ledger, tmp_path: Path) -> None:
    """What a program said is text."""
    stock(ledger, tmp_path)
    assert WARNING not in shown(ledger, DATASET)
    assert "&lt;script&gt;alert(1)" in shown(ledger, DATASET)


def test_what_is_kept_of_a_failed_job(ledger: Ledger, tmp_path: Path, client: Client) -> None:
    """The end of its log is on the page, each file behind a link; without a work folder said so."""
    keep_bundle(tmp_path, "spring", GONE)
    text = shown(ledger, GONE, tmp_path)
    assert "the &lt;i&gt;end&lt;/i&gt;" in text
    assert "not told of" in shown(ledger, GONE)
    address = next(part for part in text.split('"') if "outcome.json" in part and "log?" in part)
    answer = client(work=str(tmp_path)).get(address.replace("&amp;", "&"))
    assert answer.status_code == 200
    assert "outcome" in answer.text


def test_links_in_a_bundle_are_not_followed(ledger: Ledger, tmp_path: Path) -> None:
    """A link among the files of a bundle is none of them."""
    keep_bundle(tmp_path, "spring", GONE)
    (tmp_path / "failed" / "spring" / GONE / "passwd").symlink_to("/etc/passwd")
    assert "passwd" not in shown(ledger, GONE, tmp_path)
