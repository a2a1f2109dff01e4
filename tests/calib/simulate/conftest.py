"""Small observatories: exposures on both sides of the later dark, and of the other cameras."""

from __future__ import annotations

import pytest

from calib.simulate.context import CONTEXTS
from calib.simulate.detector import SMALL_FRAME
from calib.simulate.observatory import Observatory, Plan, build, build_observatory
from calib.simulate.programme import plan_sbc, plan_wfc


@pytest.fixture(scope="session")
def four(tmp_path_factory: pytest.TempPathFactory) -> Observatory:
    """Return a small observatory with four exposures, the last of them a day earlier."""
    return build_observatory(tmp_path_factory.mktemp("four"), exposures=4, small=True)


@pytest.fixture(scope="session")
def others(tmp_path_factory: pytest.TempPathFactory) -> Observatory:
    """Return a small observatory with the programme's single exposures of WFC and SBC."""
    folder = tmp_path_factory.mktemp("others") / "observatory"
    plan = Plan(SMALL_FRAME, 1, [*plan_wfc(1), *plan_sbc(1)])
    build(folder, plan, {})
    return Observatory(folder / "raw", folder / "crds", plan.datasets, CONTEXTS)
