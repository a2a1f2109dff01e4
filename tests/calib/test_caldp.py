"""CALDP's conventions: tables that hang together, and names."""

from __future__ import annotations

import pytest

from calib import caldp
from calib.ids import INSTRUMENT_BY_LETTER

INSTRUMENTS = sorted(INSTRUMENT_BY_LETTER.values())


@pytest.mark.parametrize("instrument", INSTRUMENTS)
def test_tables_cover_every_instrument_consistently(instrument: str) -> None:
    """Exposures are among the inputs, associations too; no suffix is both image and spectrum."""
    inputs = caldp.INPUT_SUFFIXES[instrument]
    assert caldp.EXPOSURE_SUFFIXES[instrument] < inputs
    assert {"asn", "raw"} <= inputs
    assert not caldp.IMAGE_SUFFIXES[instrument] & caldp.SPECTRUM_SUFFIXES[instrument]
    assert caldp.DELETED_SUFFIXES.get(instrument, frozenset()) <= inputs


@pytest.mark.parametrize(
    ("instrument", "suffixes"),
    [
        ("acs", "asn raw"),
        ("wfc3", "asn raw"),
        (
            "cos",
            (
                "asn raw epc spt rawaccum rawaccum_a rawaccum_b rawacq rawtag rawtag_a rawtag_b"
                " pha_a pha_b"
            ),
        ),
        ("stis", "asn raw epc tag wav"),
    ],
)
def test_inputs_hold_what_caldp_requests(instrument: str, suffixes: str) -> None:
    """Nothing that CALDP fetches is left out; support and environment files are added."""
    added = {"spt", caldp.ENVIRONMENT}
    assert caldp.INPUT_SUFFIXES[instrument] - added == set(suffixes.split()) - added


@pytest.mark.parametrize(
    ("state", "name"),
    [
        ("submit", "submit-j8bt05njq"),
        ("processing", "processing-j8bt05njq"),
        ("processed", "processed-j8bt05njq.trigger"),
        ("error", "error-j8bt05njq"),
        ("terminated", "terminated-j8bt05njq"),
    ],
)
def test_message_names(state: caldp.MessageState, name: str) -> None:
    """The names that CALCLOUD's scripts list; only processed bears .trigger."""
    assert caldp.message_name(state, "j8bt05njq") == name
    assert state in caldp.MESSAGE_STATES


@pytest.mark.parametrize(
    ("name", "fetched_by", "previewed_by"),
    [
        ("j8bt05njq_raw.fits", "raw", "raw"),
        ("J8BT05NJQ_RAW.FITS", "raw", "raw"),
        ("ldxt01i5q_rawtag_a.fits", "rawtag_a", "a"),
        ("jt0001aaq_blv_tmp.fits", "blv_tmp", "tmp"),
        ("hst_8ph_01_acs_wfc_total_j8ph01_drc.fits", "8ph_01_acs_wfc_total_j8ph01_drc", "drc"),
        ("j8bt05njq.tra", "", "j8bt05njq"),
        ("j8bt05njq_raw.fits.gz", "", "raw.fits"),
        ("j8bt05njq_cal_env.txt", "cal_env", "env"),
        ("acs_8ph_01_cal_env.txt", "", "env"),
        ("j8bt05njq_raw", "", ""),
        ("", "", ""),
    ],
)
def test_suffixes_of_names(name: str, fetched_by: str, previewed_by: str) -> None:
    """Fetch takes all after the first underscore, previews what follows the last one."""
    assert caldp.suffix_of(name) == fetched_by
    assert caldp.product_suffix(name) == previewed_by


@pytest.mark.parametrize(
    ("row", "images", "spectra"),
    [
        ("acs", "crj drc drz raw flc flt", ""),
        ("wfc3", "drc drz flc flt ima raw crj", ""),
        ("stis", "flt crj sx2 x2d raw", "x1d sx1"),
        ("cos", "", "x1d x1dsum x1dsum1 x1dsum2 x1dsum3 x1dsum4"),
        ("svm", "drc drz", ""),
        ("mvm", "drc drz", ""),
    ],
)
def test_previews_hold_what_caldp_shows(row: str, images: str, spectra: str) -> None:
    """CALDP's tables, crj of WFC3, and the images of STIS."""
    assert caldp.IMAGE_SUFFIXES[row] >= set(images.split())
    assert caldp.SPECTRUM_SUFFIXES[row] == set(spectra.split())


def test_rows_of_the_preview_tables() -> None:
    """A visit is filed under its instrument, but its previews are those of visits."""
    assert caldp.preview_row("ipst", "wfc3") == "wfc3"
    assert caldp.preview_row("svm", "wfc3") == "svm"
    assert caldp.preview_row("mvm", "mvm") == "mvm"


def test_tarball_name() -> None:
    """Exactly the dataset's name: no wildcard over its neighbours."""
    assert caldp.tarball_name("j8bt05njq") == "j8bt05njq.tar.gz"
