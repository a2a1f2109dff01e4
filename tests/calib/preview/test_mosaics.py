"""Names of mosaics."""

from __future__ import annotations

import pytest

from calib.preview.mosaics import parse_mosaic

CELL = "skycell-p1889x07y19"


@pytest.mark.parametrize(
    ("name", "level", "colour"),
    [
        (
            "hst_10265_01_acs_wfc_total_j92c01_drc.fits",
            "total",
            "hst_10265_01_acs_wfc_total_j92c01_drc_color",
        ),
        (
            "hst_10265_01_acs_wfc_f606w-pol0v_j92c01_drc.fits",
            "filter",
            "hst_10265_01_acs_wfc_total_j92c01_drc_color",
        ),
        (
            "HST_11570_0A_WFC3_IR_F110W_IB1F0AU1_DRZ.FITS",
            "exposure",
            "hst_11570_0a_wfc3_ir_total_ib1f0a_drz_color",
        ),
        (
            f"hst_{CELL}_acs_wfc_f606w_all_drc.fits",
            "filter",
            f"hst_{CELL}_acs_wfc_total_all_drc_color",
        ),
        (
            f"hst_{CELL}_wfc3_ir_f160w_coarse-all_drz.fits",
            "filter",
            f"hst_{CELL}_wfc3_ir_total_coarse-all_drz_color",
        ),
        (
            f"hst_{CELL}_wfc3_ir_f160w_coarse-all-ib1f0au1_drz.fits",
            "exposure",
            f"hst_{CELL}_wfc3_ir_total_coarse-all_drz_color",
        ),
        (
            f"hst_{CELL}_acs_wfc_f606w_all-j92c01b4_drc.fits",
            "exposure",
            f"hst_{CELL}_acs_wfc_total_all_drc_color",
        ),
    ],
)
def test_level_and_name_of_the_colour_picture(name: str, level: str, colour: str) -> None:
    """As drizzlepac makes the names, and CALDP those of the composites."""
    mosaic = parse_mosaic(name)
    assert mosaic is not None
    assert (mosaic.level, mosaic.colour_stem) == (level, colour)


@pytest.mark.parametrize(
    "name",
    [
        "j92c01030_drc.fits",
        "hst_10265_01_acs_wfc_total_j92c01_ref_drz.fits",
        "hst_10265_01_acs_wfc_f606w_j92c01b4_flc.fits",
        "hst_10265_01_acs_wfc_f606w_j92c01_drc.fits.gz",
        "xhst_10265_01_acs_wfc_f606w_j92c01_drc.fits",
        "hst_10265_01_wfpc2_pc_f606w_u92c01_drz.fits",
        "hst_10265_01_acs_wfc_f606w_j92c0_drc.fits",
        f"hst_{CELL}x_acs_wfc_f606w_all_drc.fits",
        "",
    ],
)
def test_other_names(name: str) -> None:
    """References, exposures and what merely looks like a mosaic."""
    assert parse_mosaic(name) is None
