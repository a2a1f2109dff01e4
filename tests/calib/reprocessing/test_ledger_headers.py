"""Headers of the ledger as comparisons take them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from calib.reprocessing.ledger_headers import headers_of_ledger


def ledger(query: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Answer as a ledger with one exposure and one reference of its current product."""
    if "reference_used" in query:
        used = {"keyword": "DARKFILE", "name": "a_drk.fits"}
        return [{"dataset": "j8bt05020", "exposure": "j8bt05njq_raw.fits", **used}]
    if parameters["dataset"]:
        return []
    header = '{"CCDGAIN": "2.0"}'
    names = {"dataset": "j8bt05020", "exposure": "j8bt05njq_raw.fits"}
    return [{**names, "context": "hst_9001.pmap", "header": header}]


def test_it_is_what_one_context_matched_with() -> None:
    """The context says that other keywords are not known; references only where asked for."""
    (found,) = headers_of_ledger(ledger)
    assert (found.dataset, found.exposure) == ("j8bt05020", "j8bt05njq")
    assert (found.header, found.context) == ({"CCDGAIN": "2.0"}, "hst_9001.pmap")
    (found,) = headers_of_ledger(ledger, references=True)
    assert found.header == {"CCDGAIN": "2.0", "DARKFILE": "a_drk.fits"}
