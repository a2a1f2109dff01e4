"""Names of exposures in mosaics, and which of them a visit takes."""

from __future__ import annotations

import pytest

from calib.errors import MissingMember
from calib.hap_names import (
    check_all_calibrated,
    choose_images,
    is_hap_input,
    read_image_name,
    visit_of,
)
from calib.ids import parse_dataset

VISIT = parse_dataset("wfc3_b46_06")


@pytest.mark.parametrize(
    ("name", "exposure"),
    [
        ("ib4606c5q_flc.fits", "ib4606c5q"),
        ("j8ph01abq_flt.fits", "j8ph01abq"),
        ("hst_9453_01_acs_wfc_f606w-pol0v_j8ph01ab_flc.fits", "j8ph01ab"),
        ("ib4606010_flt.fits", None),  # an association
        ("ib4606c5q_flc.fits.gz", None),
        ("x/ib4606c5q_flc.fits", None),
        ("ib4606c5q_flc.fits\n", None),
        ("hst_9453_01_acs_uvis_f606w_j8ph01ab_flc.fits", None),
        ("hst_skycell-p2381x06y09_acs_wfc_f606w_all_j8ph01ab_flc.fits", None),  # a product
        ("hst_9453_01_acs_wfc_f606w_j8ph01ab_drc.fits", None),
        ("o4606c5qq_flt.fits", None),
    ],
)
def test_image_names(name: str, exposure: str | None) -> None:
    """Whole names only, of exposures only."""
    image = read_image_name(name)
    assert (image.exposure if image else None) == exposure


def test_flc_or_flt_of_each_exposure() -> None:
    """UVIS brings its FLC, IR its FLT: CALDP takes FLC alone and loses the IR half."""
    names = ["ib4606c5q_flt.fits", "ib4606c5q_flc.fits", "ib4606clq_flt.fits", "ib4607clq_flt.fits"]

    assert choose_images(VISIT, names) == ("ib4606c5q_flc.fits", "ib4606clq_flt.fits")


def test_a_visit_takes_its_own() -> None:
    """Neighbours, files of mosaics and the pollers of others are none of its inputs."""
    assert is_hap_input(VISIT, "wfc3_b46_06_input.out")
    assert not is_hap_input(VISIT, "wfc3_b46_07_input.out")
    assert not is_hap_input(VISIT, "hst_11665_06_wfc3_uvis_f555w_ib4606c5_flc.fits")


def test_visits_and_their_exposures() -> None:
    """The first six characters of an exposure are its visit, both ways."""
    assert VISIT.visit_root == parse_dataset("ib4606c5q").visit_root == "ib4606"
    assert visit_of("ib4606c5q") == VISIT.name


def test_raw_without_product_is_missing() -> None:
    """A mosaic of what happens to be calibrated would look complete."""
    names = ["ib4606c5q_flc.fits", "ib4606c5q_raw.fits", "ib4606c6q_raw.fits", "ib4607aaq_raw.fits"]
    with pytest.raises(MissingMember, match=r"1 exposures .* not calibrated: ib4606c6q"):
        check_all_calibrated(VISIT, names)
