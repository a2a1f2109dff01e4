"""Simulated associations: tables, members, sky, and the rules that serve them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from calib.fetch.local import fetch_inputs, read_association
from calib.fitsfile import opened, primary_header
from calib.ids import parse_dataset
from calib.references.bestrefs import best_references
from calib.simulate.observatory import Observatory, build_observatory
from calib.simulate.pointing import DITHER_STEP, plan_visits
from calib.simulate.sky import render_pointing

TABLES = {
    "jsia01010": ["EXP-CR1", "EXP-CR1", "PROD-CR1"],
    "jsia02010": ["EXP-RP1", "EXP-RP1", "PROD-RP1"],
    "jsia03010": ["EXP-DTH", "EXP-DTH", "PROD-DTH"],
    "jsia04010": [*["EXP-CR1"] * 2, *["EXP-CR2"] * 2, "PROD-CR1", "PROD-CR2", "PROD-DTH"],
}


@pytest.fixture(scope="module")
def associated(tmp_path_factory: pytest.TempPathFactory) -> Observatory:
    """Return a small observatory with one single exposure and all associations."""
    folder = tmp_path_factory.mktemp("associated")
    return build_observatory(folder, small=True, associations=True)


def test_datasets_are_single_exposures_and_associations(associated: Observatory) -> None:
    """Members are no datasets of their own, but their raws are there."""
    assert associated.datasets == ("jsim01aaq", *TABLES)
    members = [name for names in associated.associations.values() for name in names]
    assert len(members) == len(set(members)) == 10
    raws = {path.name for path in associated.raws.glob("*_raw.fits")}
    assert raws == {f"{name}_raw.fits" for name in (*members, "jsim01aaq")}


@pytest.mark.parametrize("name", TABLES)
def test_table(associated: Observatory, name: str) -> None:
    """Products are named as HST does, and are not present before calibration."""
    table = read_association(associated.raws / f"{name}_asn.fits")
    assert [member.type for member in table.members] == TABLES[name]
    assert table.required == associated.associations[name]
    assert not any(product.present for product in table.products)
    ends = {"CR1": "1", "RP1": "1", "CR2": "2", "DTH": "0"}
    assert [p.name for p in table.products] == [
        f"{name[:8]}{ends[p.type.removeprefix('PROD-')]}" for p in table.products
    ]
    assert primary_header(associated.raws / f"{name}_asn.fits")["ASN_PROD"] is False


@pytest.mark.parametrize("name", TABLES)
def test_inputs_are_whole(associated: Observatory, name: str, tmp_path: Path) -> None:
    """Fetch finds table and members, and verifies them."""
    inputs = fetch_inputs(parse_dataset(name), f"file:{associated.raws}", tmp_path)
    assert len(inputs.exposures) == len(associated.associations[name])
    assert len(inputs.files) == len(inputs.exposures) + 1


@pytest.mark.parametrize(
    ("member", "cards"),
    [
        ("jsia01aaq", {"CRCORR": "PERFORM", "RPTCORR": "OMIT", "CRSPLIT": 2, "NRPTEXP": 1}),
        ("jsia02abq", {"CRCORR": "OMIT", "RPTCORR": "PERFORM", "CRSPLIT": 1, "NRPTEXP": 2}),
        ("jsia03abq", {"CRCORR": "OMIT", "RPTCORR": "OMIT", "CRSPLIT": 1, "NRPTEXP": 1}),
    ],
)
def test_members_ask_for_what_their_table_says(
    associated: Observatory, member: str, cards: dict[str, object]
) -> None:
    """Switches and counts follow the member type; every member has its flt made as well."""
    header = primary_header(associated.raws / f"{member}_raw.fits")
    assert {key: header[key] for key in cards} == cards
    assert header["EXPSCORR"] == "PERFORM"
    assert header["ASN_ID"] == f"{member[:6].upper()}010"
    assert header["ASN_TAB"] == f"{member[:6]}010_asn.fits"


@pytest.mark.parametrize(
    ("visit", "named"), [("jsia01", True), ("jsia02", True), ("jsia03", False)]
)
def test_rejection_table_is_served_where_exposures_are_combined(
    associated: Observatory, visit: str, *, named: bool
) -> None:
    """CRREJTAB is relevant to CR-splits and repeats, not to dithers: as in the real rules."""
    raw = associated.raws / f"{visit}aaq_raw.fits"
    chosen = best_references(
        [raw],
        context=associated.contexts[0],
        profile=associated.profile,
        required=lambda _: ("CRREJTAB",) if named else (),
    )
    assert (chosen.exposures[0].path("CRREJTAB") is not None) == named


def test_a_pair_differs_by_noise_and_cosmic_rays_only() -> None:
    """Both exposures of a CR-split see the same sky and have seeds of their own."""
    first, second = plan_visits(1)[0].pointings(1)
    shape = (64, 64)
    assert np.array_equal(render_pointing(first, shape), render_pointing(second, shape))
    assert first.seed != second.seed


def test_dithered_exposures_see_the_sky_moved() -> None:
    """A dither of (13, 7) pixels moves the sky by as much; nothing wraps around."""
    first, second = plan_visits(1)[2].pointings(1)
    dx, dy = DITHER_STEP
    a, b = (render_pointing(pointing, (64, 64)) for pointing in (first, second))
    assert np.array_equal(a[dy:, dx:], b[:-dy, :-dx])


def test_coordinates_follow_the_dither(associated: Observatory) -> None:
    """The reference pixel stays on the target, so it moves against the offset."""
    headers = []
    for member in associated.associations["jsia03010"]:
        with opened(associated.raws / f"{member}_raw.fits") as hdus:
            headers.append(hdus["SCI"].header.copy())
    moved = [headers[0][f"CRPIX{axis}"] - headers[1][f"CRPIX{axis}"] for axis in (1, 2)]
    assert moved == list(DITHER_STEP)
    assert headers[0]["CRVAL1"] == headers[1]["CRVAL1"]


@pytest.mark.slow
def test_other_arguments_are_another_observatory(associated: Observatory) -> None:
    """With associations the single exposures are the same, byte for byte."""
    alone = build_observatory(associated.raws.parent.parent / "alone", small=True)
    name = "jsim01aaq_raw.fits"
    assert (alone.raws / name).read_bytes() == (associated.raws / name).read_bytes()
