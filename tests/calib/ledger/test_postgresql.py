"""The ledger on PostgreSQL: the place that says whether it was tested there."""

from __future__ import annotations

import os

import pytest

from calib.ids import DatasetId
from calib.ledger.ledger import Ledger


@pytest.mark.skipif(
    "HSTFLOW_TEST_POSTGRES" not in os.environ,
    reason="HSTFLOW_TEST_POSTGRES is not set (postgresql://USER@HOST/DATABASE): "
    "ledger tested on SQLite only",
)
def test_ledger_is_tested_on_postgresql(
    request: pytest.FixtureRequest, ledger: Ledger, dataset: DatasetId
) -> None:
    """With HSTFLOW_TEST_POSTGRES set, the tests of this folder run on PostgreSQL as well."""
    ledger.submit("adhoc", dataset, "r1", context="hst_1.pmap")
    assert ledger.count_states() == {"submitted": 1}
    assert ledger.url.partition(":")[0] in request.node.name
