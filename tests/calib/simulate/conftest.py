"""One small observatory with exposures on both sides of the later dark."""

from __future__ import annotations

import pytest

from calib.simulate.observatory import Observatory, build_observatory


@pytest.fixture(scope="session")
def four(tmp_path_factory: pytest.TempPathFactory) -> Observatory:
    """Return a small observatory with four exposures, the last of them a day earlier."""
    return build_observatory(tmp_path_factory.mktemp("four"), exposures=4, small=True)
