"""Two versions of a dataset beside each other."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from campaign_ledger import DONE
from dashboard_archive import DATASET, FLT, number_of, stock

from calib.errors import TimedOut
from calib.ledger.ledger import Ledger
from calib.ledger.products import Product, ProductQuery, find_products
from calib.records import from_json, to_json
from deployments.dashboard import comparing
from deployments.dashboard.comparison_order import RESULT, Comparison, Order
from deployments.dashboard.comparisons import Comparisons, Failed, Waiting, key_of, run_comparison
from deployments.dashboard.links import LiveLinks
from deployments.dashboard.page import Frame, render
from deployments.dashboard.pages.difference import DifferenceWanted, difference_page
from tests.deployments.dashboard.conftest import Client

Compare = Callable[[Product, Product], Comparison | Waiting | Failed]


def versions(ledger: Ledger) -> tuple[Product, Product]:
    """Return the product before and after."""
    found = ledger.ask(lambda rows: find_products(rows, ProductQuery(names=(FLT,))))
    return found[0], found[1]


def compare_here(old: Product, new: Product, folder: Path) -> Comparison:
    """Compare in this process."""
    folder.mkdir(parents=True, exist_ok=True)
    order = folder / "order.json"
    order.write_text(to_json(Order(old, new, "acs")))
    assert comparing.main(str(order), str(folder)) == 0
    return from_json(Comparison, (folder / RESULT).read_bytes())


def shown(ledger: Ledger, compare: Compare, **wanted: str) -> str:
    """Return the page."""
    links = LiveLinks()
    page = ledger.ask(
        lambda rows: difference_page(rows, links, DATASET, DifferenceWanted(**wanted), compare)
    )
    return render(page, Frame(links))


def test_numbers_and_pictures(ledger: Ledger, tmp_path: Path) -> None:
    """Five of 256 pixels are higher by two: 1.95 %, told with pictures of the three."""
    stock(ledger, tmp_path)
    found = compare_here(*versions(ledger), tmp_path / "result")
    assert found.difference.state == "data"
    text = shown(ledger, lambda *_: found)
    assert "1.95 %" in text
    assert ".Grey" not in text
    old, new = number_of(ledger, FLT, "r1"), number_of(ledger, FLT, "r2")
    assert all(
        f'src="/differences/{old}/{new}/1/{s}"' in text for s in ("old", "new", "difference")
    )
    assert "style=" not in text


def test_the_runs_are_chosen(ledger: Ledger, tmp_path: Path) -> None:
    """The other way round, and one version with itself."""
    stock(ledger, tmp_path)
    asked: list[tuple[str, str]] = []

    def compare(old: Product, new: Product) -> Waiting:
        asked.append((old.run, new.run))
        return Waiting()

    assert "being compared" in shown(ledger, compare, new="r1", old="r2")
    shown(ledger, compare)
    assert asked == [("r2", "r1"), ("r1", "r2")]
    assert "Choose two versions" in shown(ledger, compare, new="r1", old="r1")


def test_failures_are_told(ledger: Ledger, tmp_path: Path) -> None:
    """Why there is no comparison stands on the page, as text."""
    stock(ledger, tmp_path)
    assert "no &lt;b&gt; memory" in shown(ledger, lambda *_: Failed("no <b> memory"))


def test_no_version_and_no_picture(client: Client) -> None:
    """What is not published has no page, what was not compared no picture."""
    assert client().get(f"/datasets/{DONE}/difference").status_code == 404
    assert client().get("/differences/1/2/1/old").status_code == 404
    assert client().get("/differences/1/2/1/..%2f..%2fetc").status_code == 404


def test_kept_by_checksums(ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pair is compared once, whoever asks; its pictures are there afterwards."""
    stock(ledger, tmp_path)
    old, new = versions(ledger)
    calls: list[Order] = []

    def compare(order: Order, part: Path, beside: Path) -> None:
        calls.append(order)
        compare_here(order.old, order.new, part)
        (beside / "left").write_text("x")

    monkeypatch.setattr("deployments.dashboard.comparisons.run_comparison", compare)
    kept = Comparisons(tmp_path / "kept")
    assert isinstance(kept.get(old, new), Waiting)
    kept.wait(60)
    assert isinstance(kept.get(old, new), Comparison)
    assert isinstance(Comparisons(tmp_path / "kept").get(old, new), Comparison)
    assert len(calls) == 1
    picture = kept.picture(str(old.sha256), str(new.sha256), 1, "difference")
    assert picture is not None
    assert picture.startswith(b"\x89PNG")
    assert kept.picture(str(old.sha256), str(new.sha256), 1, "../x") is None
    assert isinstance(kept.get(replace(old, sha256=None), new), Failed)


def test_a_failure_is_told_and_not_repeated(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What took too long is told for a while, and nothing of it is left."""
    stock(ledger, tmp_path)
    old, new = versions(ledger)
    calls: list[Order] = []

    def fail(order: Order, _part: Path, beside: Path) -> None:
        calls.append(order)
        raise TimedOut("more than 180 s", path=beside)

    monkeypatch.setattr("deployments.dashboard.comparisons.run_comparison", fail)
    kept = Comparisons(tmp_path / "kept")
    kept.get(old, new)
    kept.wait(60)
    found = kept.get(old, new)
    assert isinstance(found, Failed)
    assert found.why == "more than 180 s"
    assert len(calls) == 1
    assert list((tmp_path / "kept").iterdir()) == []


def test_an_unexpected_failure_ends_nothing(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told, and the next pair is compared."""
    stock(ledger, tmp_path)
    old, new = versions(ledger)

    def fail(*_given: object) -> None:
        raise RuntimeError("of nobody's making")

    told: list[threading.ExceptHookArgs] = []
    monkeypatch.setattr("threading.excepthook", told.append)
    monkeypatch.setattr("deployments.dashboard.comparisons.run_comparison", fail)
    kept = Comparisons(tmp_path / "kept")
    kept.get(old, new)
    assert kept.wait(10)
    found = kept.get(old, new)
    assert isinstance(found, Failed)
    assert "unexpectedly" in found.why
    monkeypatch.setattr(
        "deployments.dashboard.comparisons.run_comparison",
        lambda order, part, _: compare_here(order.old, order.new, part),
    )
    kept.get(new, old)
    assert kept.wait(60)
    assert isinstance(kept.get(new, old), Comparison)
    assert [each.exc_type for each in told] == [RuntimeError]


def test_a_result_that_cannot_be_read_is_replaced(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was cut short, or has another form, gives way to a new comparison."""
    stock(ledger, tmp_path)
    old, new = versions(ledger)
    broken = tmp_path / "kept" / key_of(str(old.sha256), str(new.sha256))
    broken.mkdir(parents=True)
    (broken / RESULT).write_text("{")
    monkeypatch.setattr(
        "deployments.dashboard.comparisons.run_comparison",
        lambda order, part, _: compare_here(order.old, order.new, part),
    )
    kept = Comparisons(tmp_path / "kept")
    assert isinstance(kept.get(old, new), Waiting)
    assert kept.wait(60)
    assert isinstance(kept.get(old, new), Comparison)


def test_the_folder_stays(ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another home while it compares, as tests have it, does not take the result elsewhere."""
    stock(ledger, tmp_path)
    old, new = versions(ledger)
    kept = Comparisons()

    def compare(order: Order, part: Path, _beside: Path) -> None:
        monkeypatch.setenv("HOME", str(tmp_path / "another"))
        compare_here(order.old, order.new, part)

    monkeypatch.setattr("deployments.dashboard.comparisons.run_comparison", compare)
    kept.get(old, new)
    assert kept.wait(60)
    assert isinstance(kept.get(old, new), Comparison)


@pytest.mark.slow
def test_in_a_process_of_its_own(ledger: Ledger, tmp_path: Path) -> None:
    """The program writes what this process would have found."""
    stock(ledger, tmp_path)
    old, new = versions(ledger)
    part, beside = tmp_path / "part", tmp_path / "beside"
    part.mkdir()
    beside.mkdir()
    found = run_comparison(Order(old, new, "acs"), part, beside)
    assert found == compare_here(old, new, tmp_path / "here")
