"""A run of the deployment `reprocess` publishes where its products stay."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from calib.errors import ConfigError
from flows import reprocessing_plan

OF_A_DEPLOYMENT = SimpleNamespace(deployment=SimpleNamespace(id="some"))
OF_NONE = SimpleNamespace(deployment=SimpleNamespace(id=None))


@pytest.mark.parametrize("place", ["file:.", "file:out", "out", "."])
def test_folder_of_the_run_is_refused(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is removed with the run; a person's own folder is another thing."""
    monkeypatch.setattr(reprocessing_plan, "runtime", OF_A_DEPLOYMENT)
    with pytest.raises(ConfigError, match="a place for its products that lasts"):
        reprocessing_plan._refuse_lost_output(place)

    monkeypatch.setattr(reprocessing_plan, "runtime", OF_NONE)
    reprocessing_plan._refuse_lost_output(place)


@pytest.mark.parametrize("place", ["file:/data/out", "file:///data/out", "s3://bucket/hst", "/o"])
def test_place_that_lasts_is_taken(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Absolute folders and buckets are there afterwards."""
    monkeypatch.setattr(reprocessing_plan, "runtime", OF_A_DEPLOYMENT)
    reprocessing_plan._refuse_lost_output(place)
