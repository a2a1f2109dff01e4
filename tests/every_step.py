"""Every public function of `calib.steps`, and which rules it keeps.

A function that is in none of the three tables below fails a test: whoever writes a step says
here which rules hold for it.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

import calib.compiled
import calib.steps
from calib.image import Image
from calib.steps.analog_to_digital import correct_samples, flag_saturated
from calib.steps.aperture import flag_beyond
from calib.steps.bad_pixels import (
    BadRun,
    flag_bad_pixels,
    flag_no_table_row,
    flag_saturated_samples,
    place_runs,
)
from calib.steps.bias import subtract_bias
from calib.steps.bias_level import (
    BiasLevel,
    Overscan,
    fit_bias_levels,
    fit_drift,
    row_medians,
    subtract_bias_levels,
    subtract_default_level,
)
from calib.steps.bias_shift import BiasShift, measure_bias_shift, remove_bias_shift, square_mean
from calib.steps.binning import bin_image, join_flags, match_finer
from calib.steps.cosmic_rays import Rejection, combine_exposures, keep_last_columns
from calib.steps.count_noise import initialise_error_of_dn
from calib.steps.count_rates import CountRates
from calib.steps.cross_talk import remove_cross_talk
from calib.steps.dark import subtract_dark
from calib.steps.dark_scale import median_unflagged
from calib.steps.destripe import Stripes, gather_rows, subtract_stripes
from calib.steps.enlargement import enlarge, match_reference
from calib.steps.exposure_sum import sum_exposures
from calib.steps.first_guess import take_median, take_minimum
from calib.steps.flash import subtract_flash
from calib.steps.flat import divide_flat
from calib.steps.full_well import flag_full_well
from calib.steps.gain import to_electrons
from calib.steps.high_values import replace_high_values
from calib.steps.linearity import LinearityLimits, flag_local, scale_counts
from calib.steps.low_order_flat import divide_empty_flat
from calib.steps.noise import initialise_error, initialise_error_of_bias
from calib.steps.occulting_spots import multiply_flat, shift_spots
from calib.steps.photon_noise import initialise_error_of_counts, is_without_error
from calib.steps.readout import Amplifier, of_columns
from calib.steps.section import PixelMapping, Region, trim_overscan
from calib.steps.shading import correct_shading, find_open_share
from calib.steps.sink_pixels import begin_trail, flag_sink_pixels
from calib.steps.sky import choose_bins, count_values, measure_skies, survey
from calib.steps.split_rejection import CountNoise, measure_sky, reject_split, spread
from calib.steps.statistics import measure, measure_rows
from calib.steps.totals import sum_good

ROWS, COLUMNS = 4, 6
SHAPE = (ROWS, COLUMNS)
SERIOUS = 31743


@dataclass(frozen=True)
class Rules:
    """A step as a function of an image, a reference of its shape and the number of the first row.

    Attributes
    ----------
    run
        The step.
    neutral
        Value of a reference that changes nothing, its error being 0; None: there is no such.
    refers
        Whether it looks at the reference: one of another shape must be refused.
    joins
        Whether the flags become those of image and reference, and nothing else.
    grows
        Whether no error becomes smaller.
    linear
        Whether the signal comes out as a constant plus something proportional to it.
    by_rows
        Whether any block of whole rows gives the bits of the whole.
    spreads
        How far a NaN may go: ``pixel`` or ``row``.
    """

    run: Callable[[Image, Image, int], Image]
    neutral: float | None = None
    refers: bool = False
    joins: bool = False
    grows: bool = True
    linear: bool = False
    by_rows: bool = True
    spreads: str = "pixel"


ALL = Region(0, ROWS, 0, COLUMNS)
RUNS = place_runs([BadRun(1, 1, 2, 1, 4), BadRun(3, 2, 2, 2, 16)], (0.0, 0.0))
LEVEL = BiasLevel(
    Region(1, ROWS, 1, 5), slope=0.01, intercept=3.0, middle_row=2, drift=0.001, zero_column=1.0
)
GAIN, NOISE, DEFAULT = (np.linspace(low, low + 1, COLUMNS, dtype=np.float32) for low in (2, 3, 7))
SHIFT = BiasShift(("C", "D"), np.arange(8.0).reshape(ROWS, 2), np.array([1.0, 2.0]))
STRIPES = Stripes({"C": 5.0, "D": 7.0}, np.array([0.0, 3.0, -1.0, 0.5]), 3, 1).chip(
    ("C", "D"), COLUMNS
)
ONE = PixelMapping((0.0, 0.0))
LIMITS = LinearityLimits(2e5, 10.0, 1e-5, 1.0)

# Steps: an image goes in, and comes out changed. None writes to what it is given.
STEPS: dict[Callable[..., Any], Rules] = {
    flag_saturated_samples: Rules(lambda i, _r, _y: flag_saturated_samples(i, 100)),
    flag_bad_pixels: Rules(lambda i, _r, y: flag_bad_pixels(i, RUNS, y)),
    flag_no_table_row: Rules(lambda i, _r, y: flag_no_table_row(i, y)),
    subtract_bias: Rules(
        lambda i, r, _y: subtract_bias(i, r), neutral=0, refers=True, joins=True, linear=True
    ),
    to_electrons: Rules(lambda i, _r, _y: to_electrons(i, GAIN), linear=True),
    subtract_bias_levels: Rules(lambda i, _r, y: subtract_bias_levels(i, (LEVEL,), y), linear=True),
    subtract_default_level: Rules(
        lambda i, _r, _y: subtract_default_level(i, DEFAULT), linear=True
    ),
    remove_bias_shift: Rules(
        lambda i, _r, y: remove_bias_shift(i, SHIFT, y), linear=True, spreads="row"
    ),
    remove_cross_talk: Rules(lambda i, _r, _y: remove_cross_talk(i), linear=True, spreads="row"),
    subtract_stripes: Rules(lambda i, _r, y: subtract_stripes(i, STRIPES, y), linear=True),
    flag_full_well: Rules(
        lambda i, r, y: flag_full_well(i, r.sci, Region(-y, ROWS - y, 0, COLUMNS)),
        neutral=1e9,
        refers=True,
    ),
    initialise_error: Rules(lambda i, _r, _y: initialise_error(i, NOISE)),
    initialise_error_of_bias: Rules(
        lambda i, _r, _y: initialise_error_of_bias(i, NOISE), grows=False
    ),
    flag_sink_pixels: Rules(
        lambda i, r, _y: flag_sink_pixels(i, r.sci, begin_trail(COLUMNS), downward=False)[0],
        neutral=0,
        refers=True,
        by_rows=False,  # with the trail of the block before: its own tests
    ),
    trim_overscan: Rules(lambda i, _r, _y: trim_overscan(i, (0, 0), (0, 0)), linear=True),
    subtract_dark: Rules(
        lambda i, r, _y: subtract_dark(i, r, 12.5, SERIOUS).image,
        neutral=0,
        refers=True,
        joins=True,
        linear=True,
    ),
    subtract_flash: Rules(
        lambda i, r, _y: subtract_flash(i, r, 1.5, SERIOUS).image,
        neutral=0,
        refers=True,
        joins=True,
        linear=True,
    ),
    divide_flat: Rules(
        lambda i, r, _y: divide_flat(i, r), neutral=1, refers=True, grows=False, linear=True
    ),
    divide_empty_flat: Rules(lambda i, _r, _y: divide_empty_flat(i), linear=True),
    multiply_flat: Rules(
        lambda i, r, _y: multiply_flat(i, r),
        neutral=1,
        refers=True,
        joins=True,
        grows=False,
        linear=True,
    ),
    correct_shading: Rules(
        lambda i, r, _y: correct_shading(i, r, 33.0),
        neutral=0,
        refers=True,
        grows=False,
        linear=True,
    ),
    find_open_share: Rules(lambda i, _r, _y: find_open_share(i, 33.0), grows=False, linear=True),
    scale_counts: Rules(lambda i, _r, _y: scale_counts(i, 1.25), linear=True),
    flag_local: Rules(lambda i, _r, _y: flag_local(i, LIMITS, 10.0), by_rows=False),
    initialise_error_of_counts: Rules(lambda i, _r, _y: initialise_error_of_counts(i), grows=False),
    flag_saturated: Rules(lambda i, _r, _y: flag_saturated(i, 100)),
    correct_samples: Rules(
        lambda i, _r, _y: correct_samples(i, np.arange(64, dtype=np.float32) + 2)
    ),
    initialise_error_of_dn: Rules(
        lambda i, _r, _y: initialise_error_of_dn(i, 10.0, 2.0, 5.0), grows=False
    ),
    flag_beyond: Rules(
        lambda i, _r, _y: flag_beyond(i, Region(1, 3, 1, 4), ONE, sides=True),
        by_rows=False,  # the region is that of the whole image
    ),
    replace_high_values: Rules(
        lambda i, _r, _y: replace_high_values(i, Region(1, ROWS, 0, COLUMNS), 3.0),
        by_rows=False,  # the limit is that of the whole region
    ),
    sum_exposures: Rules(
        lambda i, r, _y: sum_exposures([i, r]), neutral=0, refers=True, joins=True, linear=True
    ),
}

OVERSCAN = Overscan(Region(0, ROWS, 2, COLUMNS), ((0, 1),), (2, 5), (2, 3))
AMPLIFIER = Amplifier("C", 2.0, 3.0)
REJECTION = Rejection((6.5, 5.5), 1.5, 0.75, 0.03, 0, sky="none")


def _rates(image: Image) -> CountRates:
    return CountRates(calib.compiled.planes(image), np.array([0, 10], np.float32))


# Functions that look at pixels and give numbers, or images of another kind. They do not write
# to what they are given either; what else they do is in the tests of their modules.
MEASURES: dict[Callable[..., Any], Callable[[Image, Image], Any]] = {
    fit_bias_levels: lambda i, _r: fit_bias_levels(i, [OVERSCAN], [AMPLIFIER], 0),
    row_medians: lambda i, _r: row_medians(i, OVERSCAN, 0),
    fit_drift: lambda i, _r: fit_drift(i, OVERSCAN, 0),
    measure_bias_shift: lambda i, _r: measure_bias_shift([np.resize(i.sci, (2068, 24))], [("C",)]),
    square_mean: lambda i, _r: square_mean(np.resize(i.sci, (2068, 24))),
    gather_rows: lambda i, _r: gather_rows(
        Image(*(np.tile(a, 12) for a in (i.sci, i.err, i.dq))), ("C", "D")
    ),
    combine_exposures: lambda i, r: combine_exposures([i, r], [10.0, 20.0], REJECTION),
    keep_last_columns: lambda i, r: keep_last_columns(i.dq, r.dq),
    take_minimum: lambda i, r: take_minimum([_rates(i), _rates(r)], 0),
    take_median: lambda i, r: take_median([_rates(i), _rates(r)], 0),
    enlarge: lambda i, _r: enlarge(i, 2, 2),
    match_reference: lambda i, _r: match_reference(i, ONE, ONE, SHAPE),
    bin_image: lambda i, _r: bin_image(i, 2, 2, average=True),
    join_flags: lambda i, _r: join_flags(i.dq, 2, 2),
    match_finer: lambda i, _r: match_finer(i, ONE, ONE, SHAPE, average=True),
    median_unflagged: lambda i, _r: median_unflagged(i, 2.0),
    reject_split: lambda i, r: reject_split([i, r], [10.0, 20.0], CountNoise(1, 5), REJECTION),
    measure_sky: lambda i, _r: measure_sky(_plain(i)),
    spread: lambda i, _r: spread(i.dq > 0, 1.5),
    shift_spots: lambda i, _r: shift_spots(i.sci, 0.5, -1.5),
    measure_skies: lambda i, r: measure_skies([_plain(i), _plain(r)], 0),
    survey: lambda i, _r: survey(_plain(i), 0),
    count_values: lambda i, _r: count_values(_plain(i), choose_bins(survey(_plain(i), 0))),
    measure: lambda i, _r: measure(i, SERIOUS),
    measure_rows: lambda i, _r: measure_rows(i, SERIOUS),
    sum_good: lambda i, _r: sum_good(i.sci, i.dq, 2.0, SERIOUS),
    is_without_error: lambda i, _r: is_without_error(i),
    of_columns: lambda i, _r: of_columns(i.sci[0], i),
}


def _plain(image: Image) -> Image:
    """Return the same read-only pixels without flags."""
    dq = np.zeros(image.shape, np.int16)
    dq.flags.writeable = False
    return Image(image.sci, image.err, dq)


# Functions of numbers, names, dates and small lists; records to be filled; and one that writes
# to its argument, on purpose and as its name says.
NUMBERS = {
    "aperture": {"find_lit_region"},
    "dark_scale": {"housing_factor"},
    "bad_pixels": {"place_runs"},
    "bias_level": {"mean_level", "row_shift", "whole_threshold", "reject_outliers"},
    "cosmic_rays": {"weigh", "excluding_bits", "spoil_first_error", "running_total"},
    "dark_time": {"adjust_dark_time"},
    "destripe": {
        *("join_rows", "measure_stripes", "flatten_columns", "good_rows", "find_level"),
        "row_stripes",
    },
    "enlargement": {"finer"},
    "flash": {"mean_by_rows"},
    "full_well": {"region_to_compare"},
    "line": {"fit_line"},
    "linearity": {"exceeds_global_limit", "find_true_ratio"},
    "occulting_spots": {"choose_shift", "count_seconds", "error_of_spots"},
    "photometry": {
        *("name_photmode", "parse_photmode", "same_mode", "find_row", "interpolate"),
    },
    "readout": {"find_boundary"},
    "section": {"find_offset", "nearest"},
    "sink_pixels": {"begin_trail", "walks_down"},
    "sky": {"choose_bins", "find_mode"},
    "statistics": {"new_row_statistics", "summarise"},
    "totals": {"new_totals"},
}


def public_functions(modules: Iterable[ModuleType]) -> set[str]:
    """Return ``module.function`` of all public functions that the modules define.

    Compiled loops are left out: their types say what they read and what they write, and a
    read-only argument that is written to does not compile.
    """
    return {
        f"{module.__name__.rpartition('.')[2]}.{name}"
        for module in modules
        for name, value in vars(module).items()
        if inspect.isfunction(value)
        and value.__module__ == module.__name__
        and not name.startswith("_")
    }


def step_modules() -> list[ModuleType]:
    """Return all modules of the package."""
    names = [module.name for module in pkgutil.iter_modules(calib.steps.__path__)]
    return [importlib.import_module(f"calib.steps.{name}") for name in names]


def listed_functions() -> set[str]:
    """Return ``module.function`` of all functions of the three tables."""
    tables = [*STEPS, *MEASURES]
    named = {f"{function.__module__.rpartition('.')[2]}.{function.__name__}" for function in tables}
    return named | {f"{module}.{name}" for module, names in NUMBERS.items() for name in names}
