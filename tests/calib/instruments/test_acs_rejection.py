"""CRREJTAB: which row counts, what is refused; combinations of several chips."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from associations import make_rejection_table
from factories import frozen

from calib.errors import DataError, HstflowError, MissingReference
from calib.fitsfile import read_table
from calib.image import Header, Imset
from calib.instruments.acs_rejection import RejectionParameters, combine, select_row
from calib.instruments.reference_set import ReferenceSet
from calib.instruments.state import Combination, ExposureState
from calib.records import ReferenceUse

ROWS = [
    {"CRSPLIT": count, "MEANEXP": seconds, "CRRADIUS": float(number)}
    for number, (count, seconds) in enumerate(
        [(2, 1000.0), (2, 100.0), (2, 100.0), (3, 1e6), (4, 1e6)]
    )
]


@pytest.mark.parametrize(
    ("count", "seconds", "row"),
    [
        (2, 100.0, 2),  # not below, and the last of equals
        (2, 99.0, 2),
        (2, 100.5, 0),
        (3, 5.0, 3),
        (4, 5.0, 4),
        (9, 5.0, 4),  # more than the table knows: its largest
    ],
)
def test_row_by_number_and_mean_time(tmp_path: Path, count: int, seconds: float, row: int) -> None:
    """CRSPLIT as the number, MEANEXP the nearest that is not smaller."""
    table = read_table(make_rejection_table(tmp_path, *ROWS))
    assert select_row(table, count, seconds).rejection.radius == row


def test_values_of_a_row(tmp_path: Path) -> None:
    """Percent become a fraction, the text becomes numbers; headers show the table's words."""
    row = select_row(read_table(make_rejection_table(tmp_path)), 2, 100.0)
    assert row.rejection.sigmas == (6.5, 5.5, 4.5)
    assert row.rejection.scale_noise == pytest.approx(0.03)
    assert (row.rejection.first_guess, row.rejection.sky) == ("min", "mode")
    assert row.marks_exposures is True
    assert row.keywords["SCALENSE"] == 3.0
    assert row.keywords["CRSIGMAS"] == "6.5,5.5,4.5"
    assert row.keywords["MEANEXP"] == 100.0


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"MEANEXP": 50.0}, "no row for these exposures.*MEANEXP >= 100"),
        ({"CRSPLIT": 3}, "no row for these exposures.*CRSPLIT=2"),
        ({"INITGUES": "mean"}, "INITGUES.*min or med.*mean"),
        ({"SKYSUB": "mean"}, "SKYSUB"),
        ({"CRSIGMAS": "6.5:5.5"}, "CRSIGMAS"),
        ({"CRSIGMAS": "6.5,,5.5"}, "CRSIGMAS"),
        ({"CRSIGMAS": "6.5,-1"}, "CRSIGMAS"),
        ({"CRRADIUS": float("nan")}, "CRRADIUS.*a number"),
        ({"CRRADIUS": -1.5}, "CRRADIUS.*0 or more"),
    ],
)
def test_unusable_tables(tmp_path: Path, changes: dict[str, Any], match: str) -> None:
    """Said with the file, what would do and what is there."""
    table = read_table(make_rejection_table(tmp_path, changes))
    with pytest.raises(MissingReference, match=match) as caught:
        select_row(table, 2, 100.0)
    assert str(caught.value.path).endswith("crrejtab.fits")


def test_words_and_separators_the_program_knows(tmp_path: Path) -> None:
    """First guess by its first three letters; limits with other separators than a comma."""
    changes = {"INITGUES": "median", "CRSIGMAS": "6.5; 5.5/4 3"}
    row = select_row(read_table(make_rejection_table(tmp_path, changes)), 2, 100.0)
    assert row.rejection.first_guess == "med"
    assert row.keywords["INITGUES"] == "median"
    assert row.rejection.sigmas == (6.5, 5.5, 4, 3)


SHAPE = (30, 20)
PLACES = ((3, 4), (9, 7), (12, 5))  # of cosmic rays
LEVELS = {2: 40.0, 1: 90.0}  # sky by chip
Hits = dict[int, tuple[int, int]]


@pytest.fixture
def references(tmp_path: Path) -> ReferenceSet:
    """Return a set with a CRREJTAB."""
    path = make_rejection_table(tmp_path)
    return ReferenceSet({"CRREJTAB": ReferenceUse("CRREJTAB", path.name, path=str(path))})


def make_imset(chip: int, rng: np.random.Generator, hit: tuple[int, int] | None) -> Imset:
    """Return an image set with one or no cosmic ray."""
    sci = rng.normal(LEVELS[chip], 3, SHAPE)
    if hit:
        sci[hit] += 900
    image, header = frozen(sci, 6.0), Header({})
    return Imset(image, Header({"CCDCHIP": chip}), header, header, version=3 - chip)


def make_state(
    references: ReferenceSet, number: int, hits: Hits, order: Sequence[int] = (2, 1), **header: Any
) -> ExposureState:
    """Return an exposure of two chips, each with its own noise and perhaps a cosmic ray."""
    rngs = {chip: np.random.default_rng([number, chip]) for chip in LEVELS}
    imsets = tuple(make_imset(chip, rngs[chip], hits.get(chip)) for chip in order)
    values = {"EXPTIME": 500.0, "DARKTIME": 503.0, "FLASHDUR": 0.0, "IMAGETYP": "EXT", **header}
    name = f"j8zz01a{'abcdefgh'[number]}q"
    return ExposureState(name, f"{name}.fits", Header(values), imsets, references)


def make_pair(references: ReferenceSet, **options: Any) -> list[ExposureState]:
    """Return two exposures: the first has a hit on chip 2, the second one on each chip."""
    hits: tuple[Hits, Hits] = ({2: PLACES[0]}, {2: PLACES[1], 1: PLACES[2]})
    return [
        make_state(references, 0, hits[0]),
        make_state(references, 1, hits[1], **options),
    ]


def run(states: Sequence[ExposureState]) -> Combination:
    """Combine with all traps."""
    return combine(states, RejectionParameters())


def marks(state: ExposureState) -> list[list[list[int]]]:
    """Return where each image set is marked."""
    return [np.argwhere(imset.image.dq & 8192).tolist() for imset in state.imsets]


def test_each_chip_by_itself(references: ReferenceSet) -> None:
    """Sums of each chip's levels, marks where its cosmic rays are, -1 in both first errors."""
    made = run(make_pair(references))
    for imset, level in zip(made.product.imsets, (40, 90), strict=True):
        assert np.median(imset.image.sci) == pytest.approx(2 * level, abs=3)
        assert imset.image.sci.max() < 2 * level + 60
        assert imset.image.err[0, 0] == -1
        assert imset.sci["NCOMBINE"] == 2
    first, second = map(marks, made.members)
    assert first == [[list(PLACES[0])], []]
    assert second == [[list(PLACES[1])], [list(PLACES[2])]]


def test_primary_keywords_are_those_of_the_first_chip(references: ReferenceSet) -> None:
    """A trap: two pixels of chip 2 in 1000 s and its two skies, nothing of chip 1."""
    primary = run(make_pair(references)).product.primary
    assert primary["REJ_RATE"] == pytest.approx(2 / 1000)
    assert primary["SKYSUM"] == pytest.approx(2 * 40, abs=4)
    assert (primary["EXPTIME"], primary["TEXPTIME"], primary["MEANEXP"]) == (1000, 1000, 500)
    assert (primary["DARKTIME"], primary["NEXTEND"]) == (1006, 6)


def test_threads_and_order_of_chips_change_nothing(references: ReferenceSet) -> None:
    """Two chips at once, and an exposure that has them the other way round: the same bits."""
    plain = run(make_pair(references))
    for made in (
        run([dataclasses.replace(state, threads=2) for state in make_pair(references)]),
        run(make_pair(references, order=(1, 2))),
    ):
        for one, other in zip(plain.product.imsets, made.product.imsets, strict=True):
            for name in ("sci", "err", "dq"):
                assert np.array_equal(getattr(one.image, name), getattr(other.image, name))
        assert made.product.primary["SKYSUM"] == plain.product.primary["SKYSUM"]
    assert marks(made.members[1]) == marks(plain.members[1])[::-1]


def test_exposures_stay_as_they_were(references: ReferenceSet) -> None:
    """Marked exposures are new ones."""
    states = make_pair(references)
    run(states)
    assert [marks(state) for state in states] == [[[], []], [[], []]]


def drop_a_chip(state: ExposureState) -> ExposureState:
    """Return an exposure of chip 2 alone."""
    return dataclasses.replace(state, imsets=state.imsets[:1])


def repeat_a_chip(state: ExposureState) -> ExposureState:
    """Return an exposure with chip 2 twice."""
    return dataclasses.replace(state, imsets=state.imsets[:1] * 2)


def cut_a_chip(state: ExposureState) -> ExposureState:
    """Return an exposure whose second chip is smaller."""
    first, second = state.imsets
    small = second.image.cut(slice(0, 9), slice(0, 9))
    return dataclasses.replace(state, imsets=(first, dataclasses.replace(second, image=small)))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (drop_a_chip, r"differ in their chips.*j8zz01abq.*\[2, 1\].*\[2\]"),
        (repeat_a_chip, r"differ in their chips.*j8zz01abq.*\[2, 2\]"),
        (cut_a_chip, "differ in size"),
    ],
)
def test_mixed_exposures(
    references: ReferenceSet, change: Callable[[ExposureState], ExposureState], match: str
) -> None:
    """Other chips, or chips of another size."""
    first, second = make_pair(references)
    with pytest.raises(DataError, match=match):
        run([first, change(second)])


@pytest.mark.parametrize(("seconds", "match"), [(-1.0, "EXPTIME"), (np.nan, "EXPTIME")])
def test_unusable_times(references: ReferenceSet, seconds: float, match: str) -> None:
    """Said before the table is read."""
    with pytest.raises(HstflowError, match=match):
        run(make_pair(references, EXPTIME=seconds))


def test_too_many_exposures(references: ReferenceSet) -> None:
    """121 are one more than the program takes."""
    with pytest.raises(DataError, match="too many"):
        run(make_pair(references)[:1] * 121)


def test_headers_come_from_the_first_exposure_that_counts(references: ReferenceSet) -> None:
    """That of 0 s is left out of the sum, named in a warning, and counted in the headers."""
    empty = make_state(references, 2, {}, EXPTIME=0.0, TARGNAME="NOTHING")
    product = run([empty, *make_pair(references)]).product
    assert "TARGNAME" not in product.primary
    assert product.primary["EXPTIME"] == 1000
    assert product.primary["DARKTIME"] == 1509
    assert product.imsets[0].sci["NCOMBINE"] == 3
    assert any("j8zz01acq" in line for line in product.warnings)


def test_biases_of_0_seconds(references: ReferenceSet) -> None:
    """They weigh the same; the header says 0 s, and the rate is per exposure."""
    hits: tuple[Hits, Hits] = ({2: PLACES[0]}, {})
    states = [
        make_state(references, n, hit, EXPTIME=0.0, IMAGETYP="BIAS") for n, hit in enumerate(hits)
    ]
    product = run(states).product
    assert (product.primary["EXPTIME"], product.primary["MEANEXP"]) == (0, 0)
    assert product.primary["REJ_RATE"] == pytest.approx(1 / 2)
    assert np.median(product.imsets[0].image.sci) == pytest.approx(80, abs=3)


@pytest.mark.parametrize("whole", [False, True])
def test_last_columns_of_the_marks(references: ReferenceSet, whole: bool) -> None:
    """Of 20 columns the last 4 are not marked, unless that trap is avoided."""
    states = [make_state(references, 0, {2: (3, 18)}), make_state(references, 1, {})]
    made = combine(states, RejectionParameters(whole_mask=whole))
    assert marks(made.members[0])[0] == ([[3, 18]] if whole else [])
