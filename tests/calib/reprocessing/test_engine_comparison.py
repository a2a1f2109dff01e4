"""Two engines on one dataset: what is compared, what is subtracted, what is left behind."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from standin_programs import hide_programs, make_program, put_first_on_path

from calib.errors import ConfigError, UnsupportedMode
from calib.fitsfile.image_data import ImageSet
from calib.reprocessing import engine_comparison
from calib.reprocessing.engine_comparison import (
    EngineComparison,
    EngineResult,
    compare_engines,
)
from calib.reprocessing.product_records import ProductDifference
from calib.simulate.observatory import Observatory
from calib.stages.job import Job, Options
from calib.stages.planning import Request, plan_jobs

FLT = "jsim01aaq_flt.fits"
ENGINES = ("native", "hstcal")


@pytest.fixture
def job(observatory: Observatory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Job:
    """Return the job of the first exposure; no program is on PATH."""
    hide_programs(monkeypatch)
    put_first_on_path(tmp_path / "programs", monkeypatch)
    request = Request(
        source=f"file:{observatory.raws}",
        output="none",
        profile=observatory.profile,
        work=str(tmp_path / "work"),
        ledger=f"sqlite:///{tmp_path / 'ledger.db'}",
        context=observatory.contexts[0],
        options=Options(stage2="never"),
    )
    return plan_jobs(request, observatory.datasets[:1])[0]


@pytest.fixture
def model(job: Job, tmp_path: Path) -> Path:
    """Return what the native engine makes; calacs.e gives a copy of it."""
    own = dataclasses.replace(job, work=str(tmp_path / "before"))
    first = engine_comparison._job_for(own, "native")
    made = engine_comparison._calibrate(first, engine_comparison.fetch(first).record)
    path = next(Path(file.path) for file in made.files if file.name == FLT)
    make_program(tmp_path / "programs", "calacs.e", f"cp {path} {FLT}")
    return path


def test_equal_products(job: Job, model: Path, tmp_path: Path) -> None:
    """The same pixels of both are no difference; nothing is published or recorded."""
    found = compare_engines(job, ENGINES)

    assert found.is_equal
    assert [each.engine for each in found.engines] == list(ENGINES)
    assert [(each.name, each.state) for each in found.products] == [(FLT, "identical")]
    assert found.pictures == ()
    for each in found.engines:
        assert (Path(each.folder or "") / FLT).is_file()
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"before", "programs", "work"}


def test_difference_images(job: Job, model: Path, tmp_path: Path) -> None:
    """Second minus first, and the bits of DQ that differ; NaN where one is none."""
    with fits.open(model, mode="update") as hdus:
        hdus["SCI"].data[3, 4] -= 2.5
        hdus["SCI"].data[5, 6] = np.inf
        hdus["DQ"].data[7, 8] ^= 1024

    found = compare_engines(job, ENGINES)

    assert not found.is_equal
    assert found.pictures == (
        "jsim01aaq_flt_difference.fits",
        "jsim01aaq_flt_sci1_difference.png",
    )
    with fits.open(tmp_path / "work" / "difference" / found.pictures[0]) as hdus:
        assert hdus["SCI"].data[3, 4] == pytest.approx(-2.5, abs=1e-3)
        assert not np.isfinite(hdus["SCI"].data[5, 6])
        assert np.count_nonzero(hdus["SCI"].data) == 2
        assert np.argwhere(hdus["DQ"].data).tolist() == [[7, 8]]
        assert hdus["DQ"].data[7, 8] == 1024


def test_nothing_is_named_that_is_not_kept(job: Job, model: Path, tmp_path: Path) -> None:
    """No folder, and no image that would be thrown away; the numbers are told."""
    with fits.open(model, mode="update") as hdus:
        hdus["SCI"].data[3, 4] += 1

    found = compare_engines(job, ENGINES, keeps=False)

    assert [each.folder for each in found.engines] == [None, None]
    assert found.pictures == ()
    assert not (tmp_path / "work" / "difference").exists()
    assert [each.state for each in found.products] == ["data"]


@pytest.mark.parametrize(
    ("engines", "state"), [(ENGINES, "new"), (("hstcal", "native"), "vanished")]
)
def test_products_of_one_alone(
    job: Job, model: Path, tmp_path: Path, engines: tuple[str, str], state: str
) -> None:
    """They are told, and no comparison of them is tried."""
    body = f"cp {model} {FLT}; cp {model} jsim01aaq_crj.fits"
    make_program(tmp_path / "programs", "calacs.e", body)

    found = compare_engines(job, engines)

    told = {each.name: each.state for each in found.products}
    assert told == {"jsim01aaq_crj.fits": state, FLT: "identical"}
    assert not found.is_equal


def test_refused_before_anything_is_computed(job: Job, tmp_path: Path) -> None:
    """One engine twice, one that is not there, one whose program is absent."""
    with pytest.raises(ConfigError, match="not compared with itself"):
        compare_engines(job, ("native", "native"))
    with pytest.raises(ConfigError, match="no such engine"):
        compare_engines(job, ("native", "nobody"))
    with pytest.raises(UnsupportedMode, match=r"calacs\.e is not on PATH"):
        compare_engines(job, ENGINES)
    assert not list((tmp_path / "work").rglob("*_flt.fits"))


@pytest.mark.parametrize(
    ("states", "endings", "is_equal"),
    [
        (("identical", "dates", "header"), ("", ""), True),
        (("identical", "data"), ("", ""), False),
        (("form",), ("", ""), False),
        (("unreadable",), ("", ""), False),
        (("new",), ("", ""), False),
        ((), ("nothing to do", "nothing to do"), True),
        ((), ("nothing to do", ""), False),
    ],
)
def test_what_counts_as_equal(
    states: tuple[str, ...], endings: tuple[str, str], is_equal: bool
) -> None:
    """Pixels and values count, headers and dates do not; endings do."""
    first, second = (EngineResult("e", "1", (), ending, None) for ending in endings)
    products = tuple(ProductDifference(f"{state}.fits", "flt", state) for state in states)
    assert EngineComparison("x", "c", (first, second), products).is_equal == is_equal


def test_planes_of_other_shapes_are_left_out() -> None:
    """What cannot be subtracted is not; infinity minus infinity is no number."""
    before = ImageSet(
        {
            "SCI": np.array([[np.inf, 1.0]], np.float32),
            "ERR": np.ones((1, 2), np.float32),
            "DQ": np.array([[1, 4]], np.int16),
        },
        fits.Header(),
    )
    after = ImageSet(
        {
            "SCI": np.array([[np.inf, 3.0]], np.float32),
            "ERR": np.ones((2, 2), np.float32),
            "DQ": np.array([[1, 6]], np.int16),
        },
        fits.Header(),
    )

    planes = engine_comparison._minus(before, after).planes

    assert set(planes) == {"SCI", "DQ"}
    assert np.isnan(planes["SCI"][0, 0])
    assert (planes["SCI"][0, 1], planes["DQ"].tolist()) == (2, [[0, 2]])
