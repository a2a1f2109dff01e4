"""The runner: start, stop, hooks, fused and composed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from factories import make_raw, make_references, make_request

from calib.engines.runner import Plan, run_recipe
from calib.engines.trailer import Trailer
from calib.errors import ConfigError, DataError
from calib.instruments.acs_recipes import HRC
from calib.instruments.reference_set import reference_set
from calib.instruments.state import ExposureState, load_state, save_state
from calib.switches import Overrides

PARAMETERS = HRC.resolve_parameters(Overrides())
NAMES = [step.name for step in HRC.steps]


@pytest.fixture
def raw_state(tmp_path: Path) -> ExposureState:
    """Return a tiny raw with its references; every optional step is in play."""
    files = make_references(tmp_path)
    raw = make_raw(tmp_path, FLSHCORR="PERFORM", FLASHDUR=2.0)
    request = make_request(raw, files, tmp_path)
    references = reference_set(request.references.exposures[0])
    return load_state(raw, "j8zz01aaq", references)


def run(state: ExposureState, **options: Any) -> ExposureState:
    """Run the HRC recipe."""
    return run_recipe(state, Plan(HRC, PARAMETERS, **options), Trailer(state.dataset))


def same(one: ExposureState, two: ExposureState) -> bool:
    """Whether pixels, keywords and HISTORY are equal."""
    pixels = all(
        np.array_equal(getattr(mine, name), getattr(other, name))
        for mine, other in zip(one.images, two.images, strict=True)
        for name in ("sci", "err", "dq")
    )
    headers = [
        (state.primary, *(h for imset in state.imsets for h in (imset.sci, imset.err, imset.dq)))
        for state in (one, two)
    ]
    values = all(
        all(a.get(key) == b.get(key) for key in (*a, *b) if key not in {"HISTORY", ""})
        for a, b in zip(*headers, strict=True)
    )
    return pixels and values and history(one) == history(two)


def history(state: ExposureState) -> list[str]:
    """Return all HISTORY lines."""
    return [*map(str, state.primary.cards.get("HISTORY", ())), *state.primary.history]


@pytest.mark.parametrize("flash", [True, False])
@pytest.mark.parametrize("delta", [True, False])
@pytest.mark.parametrize("saturation", [True, False])
def test_fused_equals_composed(
    raw_state: ExposureState, flash: bool, delta: bool, saturation: bool
) -> None:
    """One pass or one step after the other: the same bits, keywords and HISTORY."""
    uses = dict(raw_state.references.uses)
    if not delta:
        del uses["DFLTFILE"]
    if not saturation:
        del uses["SATUFILE"]
    state = raw_state.with_primary({"FLSHCORR": "PERFORM" if flash else "OMIT"})
    state = ExposureState(
        state.dataset, state.path, state.primary, state.imsets, type(state.references)(uses)
    )
    assert same(run(state), run(state, fused=False))


@pytest.mark.parametrize("stop", NAMES[:-1])
def test_state_round_trips_through_fits(
    raw_state: ExposureState, tmp_path: Path, stop: str
) -> None:
    """Stop after any step, save, load, go on: as if nothing had happened."""
    whole = run(raw_state, fused=False)
    path = tmp_path / "state.fits"
    save_state(run(raw_state, stop=stop), path)
    again = load_state(path, raw_state.dataset, raw_state.references)
    following = NAMES[NAMES.index(stop) + 1]
    resumed = run(again, start=following)
    for name in ("sci", "err", "dq"):
        assert np.array_equal(getattr(resumed.images[0], name), getattr(whole.images[0], name))
    for header in ("sci", "err"):
        old, new = getattr(whole.imsets[0], header), getattr(resumed.imsets[0], header)
        for key in (*old.changes, *new.changes):
            assert old[key] == new[key], key
    for key in whole.primary.changes:
        assert whole.primary[key] == resumed.primary[key], key


def test_stop_does_no_more(raw_state: ExposureState) -> None:
    """After subtract_bias the image is in DN and the later switches are open."""
    state = run(raw_state, stop="subtract_bias")
    assert state.images[0].unit == "COUNTS"
    assert state.switch("BIASCORR") == "COMPLETE"
    assert state.switch("BLEVCORR") == "PERFORM"


def test_hooks_see_and_change_the_state(raw_state: ExposureState) -> None:
    """A hook inside a fused pass splits it; what it returns is what goes on."""
    seen = []

    def hook(state: ExposureState) -> ExposureState:
        seen.append(state.images[0].unit)
        return state.with_history("hooked")

    state = run(raw_state, hooks={"subtract_bias": hook, "subtract_bias_level": hook})
    assert seen == ["COUNTS", "ELECTRONS"]
    assert history(state).count("hooked") == 2
    plain = run(raw_state)
    assert np.array_equal(state.images[0].sci, plain.images[0].sci)


@pytest.mark.parametrize(
    "options",
    [
        {"start": "nonsense"},
        {"stop": "nonsense"},
        {"start": "divide_flat", "stop": "subtract_bias"},
        {"hooks": {"nonsense": lambda state: state}},
    ],
)
def test_names_of_steps_are_checked(raw_state: ExposureState, options: dict[str, Any]) -> None:
    """Unknown steps, and a stop before the start, are settings that cannot work."""
    with pytest.raises(ConfigError):
        run(raw_state, **options)


def test_arrays_of_the_caller_are_not_written(raw_state: ExposureState) -> None:
    """Read-only input goes through the whole recipe."""
    for array in (raw_state.images[0].sci, raw_state.images[0].err, raw_state.images[0].dq):
        array.flags.writeable = False
    before = raw_state.images[0].sci.copy()
    run(raw_state)
    run(raw_state, fused=False)
    assert np.array_equal(raw_state.images[0].sci, before)


def test_errors_name_dataset_and_file(raw_state: ExposureState) -> None:
    """Whatever a step raises says which exposure it is about."""
    broken = raw_state.with_primary({"EXPTIME": 0.0})
    with pytest.raises(DataError, match=r"dataset j8zz01aaq.*file .*_raw.fits"):
        run(broken)
