"""What only looks is refused in the same words as what submits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from calib.errors import ConfigError, HstflowError, Unavailable
from calib.ids import DatasetId
from calib.ledger.admission import check_admission, check_run
from calib.ledger.ledger import Attempt, Ledger
from calib.ledger.reading import open_reader
from calib.ledger.reports import references_of_last_attempt
from calib.records import ExposureReferences, References, ReferenceUse

Begin = Callable[..., Attempt]

CONTENT: dict[str, Any] = {
    "context": "hst_1.pmap",
    "engine": "auto",
    "engine_version": "1",
    "parameters": {"overrides": {}},
    "output": "file:/out",
}


def refusal(call: Callable[[], Any]) -> tuple[type, str, int] | None:
    """Return the error of a call."""
    try:
        call()
    except HstflowError as error:
        return type(error), str(error), error.code
    return None


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"context": "hst_2.pmap"},
        {"engine": "native"},
        {"parameters": {}},
        {"output": "s3://b/o"},
    ],
    ids=["same", "context", "engine", "parameters", "output"],
)
def test_run_is_compared_as_it_is_entered(url: str, ledger: Ledger, change: dict[str, Any]) -> None:
    """Equal content passes; other content is refused as `ensure_run` refuses it."""
    ledger.ensure_run("r1", **CONTENT)
    asked = {**CONTENT, **change}

    with open_reader(url) as rows:
        assert rows is not None
        found = refusal(lambda: check_run(rows, "r1", asked))
        check_run(rows, "another", asked)

    assert found == refusal(lambda: ledger.ensure_run("r1", **asked))
    assert (found is None) == (not change)


def test_context_of_run_and_campaign(url: str, ledger: Ledger, dataset: DatasetId) -> None:
    """Both freeze the context; the words are those of `submit`."""
    ledger.ensure_run("r1", **CONTENT)
    ledger.ensure_campaign("frozen", context="hst_1.pmap")
    cases = [("adhoc", "r1", "hst_2.pmap"), ("frozen", "r2", "hst_2.pmap")]

    for campaign, run, context in cases:
        with open_reader(url) as rows:
            assert rows is not None
            question = (rows, campaign, dataset.name, run, context)
            found = refusal(lambda q=question: check_admission(*q))  # type: ignore[misc]
        with pytest.raises(ConfigError) as refused:
            ledger.submit(campaign, dataset, run, context=context)
        assert found == (ConfigError, str(refused.value), 2)


def test_live_owner_and_dead_one(
    url: str, ledger: Ledger, dataset: DatasetId, begin: Begin
) -> None:
    """A dataset at work is refused while its owner lives; one that died leaves it free."""
    begin()

    with open_reader(url) as rows:
        assert rows is not None
        found = refusal(lambda: check_admission(rows, "adhoc", dataset.name, "r1", "hst_1.pmap"))
        check_admission(rows, "adhoc", dataset.name, "r2", "hst_1.pmap")
    with pytest.raises(Unavailable) as refused:
        ledger.submit("adhoc", dataset, "r1", context="hst_1.pmap")
    assert found == (Unavailable, str(refused.value), refused.value.code)


def test_dead_owner_refuses_nobody(
    url: str, ledger: Ledger, dataset: DatasetId, begin: Begin
) -> None:
    """The process of the attempt has gone."""
    begin(pid=2**22 + 1)

    with open_reader(url) as rows:
        assert rows is not None
        check_admission(rows, "adhoc", dataset.name, "r1", "hst_1.pmap")
    assert ledger.submit("adhoc", dataset, "r1", context="hst_1.pmap")


def test_references_of_the_last_attempt(
    url: str, ledger: Ledger, dataset: DatasetId, begin: Begin
) -> None:
    """Those of the last attempt on this context that chose any; of another context none."""
    uses = (ReferenceUse("DARKFILE", "a.fits", required=True), ReferenceUse("BIASFILE", "N/A"))
    chosen = (ExposureReferences("x_raw.fits", uses),)
    attempt = begin()
    ledger.record_references(attempt, References("hst_1.pmap", "14", chosen))

    with open_reader(url) as rows:
        assert rows is not None
        found = references_of_last_attempt(rows, dataset.name, "hst_1.pmap")
        none = references_of_last_attempt(rows, dataset.name, "hst_2.pmap")

    assert [(row["keyword"], row["name"], bool(row["required"])) for row in found] == [
        ("BIASFILE", "N/A", False),
        ("DARKFILE", "a.fits", True),
    ]
    assert none == []
