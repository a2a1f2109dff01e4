"""What visits and skycells cost before anything was measured, beside the numbers of CALDP."""

from __future__ import annotations

from calib.campaigns.features import typical_features
from calib.campaigns.formula import formula_of
from calib.cost_model import Features
from calib.ids import parse_dataset

GB = 1e9
MOSAIC_MB = 336.0  # of the visit acs_8ph_01, which CALDP tests with
VOLUME, LARGE_VOLUME = 150 * GB, 300 * GB  # of its workers; the larger ones are for skycells


def looks(files: int, megabytes: float) -> Features:
    """Return what exposures of this size look like."""
    return Features(files, files * megabytes, 1, 0, 1, 0, 1, 0, 0)


def test_disk_of_the_visit_that_caldp_tests() -> None:
    """Six exposures of 168 MB lie there three times, beside ten mosaics: 6.4 GB at least."""
    needed = 3 * 6 * 0.168 * GB + 10 * MOSAIC_MB * 1e6
    assert needed < formula_of("disk", looks(6, 168.0), "svm") < 1.5 * needed


def test_unseen_visits_and_skycells_fit_the_volumes_of_caldp() -> None:
    """By name alone: a visit its 150 GB, a skycell its 300 GB, more than half of 150."""
    visit, cell = parse_dataset("acs_8ph_01"), parse_dataset("skycell-p2381x06y09")
    assert formula_of("disk", typical_features(visit), "svm") < VOLUME / 2
    assert VOLUME / 2 < formula_of("disk", typical_features(cell), "mvm") < LARGE_VOLUME


def test_a_deep_skycell_needs_more_than_any_volume_of_caldp() -> None:
    """A thousand exposures are 168 GB before anything is made of them: nobody guesses less."""
    assert formula_of("disk", looks(1000, 168.0), "mvm") > LARGE_VOLUME
