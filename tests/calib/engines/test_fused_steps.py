"""Steps in one pass over the pixels are the steps one by one, whatever is switched on."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from workbench import ASN, OLD, SBC, SUB, TINY, Bench, MakeBench

from calib.engines.runner import Plan, run_recipe
from calib.engines.trailer import Trailer
from calib.instruments import row_blocks
from calib.instruments.acs_recipes import WFC
from calib.instruments.acs_sbc import RECIPE as SBC_RECIPE
from calib.instruments.reference_set import reference_set
from calib.instruments.state import ExposureState, load_state
from calib.switches import Overrides

CCD = ("DQICORR", "BIASCORR", "SINKCORR", "DARKCORR", "FLSHCORR", "FLATCORR", "PHOTCORR")
MAMA = ("DQICORR", "GLINCORR", "LFLGCORR", "DARKCORR", "FLATCORR", "PHOTCORR")
RECIPES = {
    TINY: (WFC, CCD),
    OLD: (WFC, CCD),
    SUB: (WFC, CCD),
    SBC: (SBC_RECIPE, MAMA),
}


class Way(NamedTuple):
    """How the same thing is done."""

    fused: bool
    in_place: bool = False
    threads: int = 1
    rows: int | None = None


ONE_BY_ONE = Way(fused=False)
WAYS = st.builds(
    Way, st.just(value=True), st.booleans(), st.sampled_from((1, 2)), st.integers(1, 200)
)


def run(bench: Bench, case: str, switches: dict[str, str], way: Way) -> ExposureState:
    """Carry out a recipe; `rows` of the widest raw make a block."""
    recipe, _ = RECIPES[case]
    references = reference_set(bench.request().references.exposures[0])
    state = load_state(bench.raws[0], bench.dataset, references).with_primary(switches)
    plan = Plan(
        recipe,
        recipe.resolve_parameters(Overrides()),
        fused=way.fused,
        in_place=way.in_place,
        threads=way.threads,
    )
    with pytest.MonkeyPatch.context() as patch:
        if way.rows is not None:
            widest = max(image.shape[1] for image in state.images)
            patch.setattr(row_blocks, "BLOCK_PIXELS", way.rows * widest)
        return run_recipe(state, plan, Trailer(bench.dataset))


def differences(one: ExposureState, other: ExposureState) -> list[str]:
    """Return in what two calibrated exposures differ: pixels, cards, HISTORY, warnings."""
    found = []
    for a, b in zip(one.imsets, other.imsets, strict=True):
        for plane in ("sci", "err", "dq"):
            left, right = getattr(a.image, plane), getattr(b.image, plane)
            if not np.array_equal(left, right, equal_nan=plane != "dq"):
                found.append(f"{plane} {a.version}")
        headers: list[tuple[str, Any, Any]] = [
            (name, getattr(a, name), getattr(b, name)) for name in ("sci", "err", "dq")
        ]
        found += [f"header {n} {a.version}" for n, x, y in headers if x.changes != y.changes]
        if a.image.unit != b.image.unit:
            found.append(f"unit {a.version}")
    if one.primary.changes != other.primary.changes:
        found.append("primary header")
    if one.primary.history != other.primary.history:
        found.append("HISTORY")
    if one.warnings != other.warnings:
        found.append("warnings")
    return found


@pytest.mark.parametrize("case", RECIPES)
@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_together_as_one_by_one(make_bench: MakeBench, case: str, data: st.DataObject) -> None:
    """Any switches, blocks of any number of rows, in place or not, one thread or two."""
    names = RECIPES[case][1]
    choices = st.fixed_dictionaries(
        {name: st.sampled_from(("PERFORM", "PERFORM", "OMIT")) for name in names}
    )
    switches, way = data.draw(choices, "switches"), data.draw(WAYS, "way")
    bench = make_bench(case)
    wanted = run(bench, case, switches, ONE_BY_ONE)
    assert differences(run(bench, case, switches, way), wanted) == []
    assert all((wanted.primary[name] == "OMIT") == (switches[name] == "OMIT") for name in names)


@pytest.mark.parametrize("case", RECIPES)
def test_every_step_changes_something(make_bench: MakeBench, case: str) -> None:
    """The comparison would see each of them: leaving one out is not the same."""
    names = RECIPES[case][1]
    bench = make_bench(case)
    way = Way(fused=True)
    full = run(bench, case, dict.fromkeys(names, "PERFORM"), way)
    for name in names:
        switches = {**dict.fromkeys(names, "PERFORM"), name: "OMIT"}
        assert {"primary header", "HISTORY"} <= set(
            differences(run(bench, case, switches, way), full)
        )


def test_products_do_not_depend_on_threads(make_bench: MakeBench) -> None:
    """All products of a combination, and the table, are the same bytes."""
    products = [make_bench(ASN).calibrate(threads=threads).files for threads in (1, 2)]
    for one, other in zip(*products, strict=True):
        assert Path(one.path).read_bytes() == Path(other.path).read_bytes()
