"""One dataset calibrated by two engines, from the same inputs and references, and compared.

Everything happens in a folder of the caller: nothing is published, and the ledger is not written.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from calib.caldp import product_suffix
from calib.engines.lookup import load_engine
from calib.errors import ConfigError
from calib.fitsfile import writing
from calib.fitsfile.image_data import ImageSet, read_image_sets, write_image_sets
from calib.records import Products, RawInputs
from calib.reprocessing.pictures import Pictures
from calib.reprocessing.product_differences import Compared, Pair, compare_products
from calib.reprocessing.product_records import ProductDifference
from calib.stages.bestrefs import bestrefs
from calib.stages.calibrate import calibrate
from calib.stages.engine import engine_of
from calib.stages.fetch import fetch
from calib.stages.job import Job

# States of a product in which every pixel and value is the same: the headers of two engines
# always differ, in CAL_VER at least.
SAME_DATA = frozenset({"identical", "dates", "header"})

DIFFERENCES = "difference"

# Planes beside SCI that are subtracted, or compared bit by bit.
_PLANES = ("ERR", "DQ")


@dataclass(frozen=True)
class EngineResult:
    """What one engine made of the dataset.

    Attributes
    ----------
    engine, version
        Its name and numbers-version.
    products
        Names of its FITS products.
    ending
        Why there are none, where that is no failure; empty otherwise.
    folder
        Where they are; None where they are not kept.
    """

    engine: str
    version: str
    products: tuple[str, ...]
    ending: str
    folder: str | None


@dataclass(frozen=True)
class EngineComparison:
    """How two engines differ on a dataset.

    Attributes
    ----------
    dataset, context
        What was calibrated, and whose references were used.
    engines
        The two, in the order asked.
    products
        How each product differs; one that only the first engine makes has ``vanished``, one
        that only the second makes is ``new``.
    pictures
        Names of the difference images; none where nothing is kept.
    """

    dataset: str
    context: str
    engines: tuple[EngineResult, EngineResult]
    products: tuple[ProductDifference, ...]
    pictures: tuple[str, ...] = ()

    @property
    def is_equal(self) -> bool:
        """Whether both made the same products, with the same pixels and values."""
        same = all(each.state in SAME_DATA for each in self.products)
        return same and self.engines[0].ending == self.engines[1].ending


def compare_engines(job: Job, engines: tuple[str, str], *, keeps: bool = True) -> EngineComparison:
    """Calibrate a dataset with two engines and compare their products.

    Parameters
    ----------
    job
        The dataset, with a work folder of its own; its engine does not matter.
    engines
        Their names: not ``auto``, which stands for others.
    keeps
        Whether the work folder outlives the call. Otherwise no folder is named and no difference
        image is drawn.

    Returns
    -------
    EngineComparison
        Products are in ``WORK/ENGINE/DATASET/calibrate``. For each image set that differs
        there is ``WORK/difference/NAME_difference.fits`` (second minus first; DQ: the bits
        that differ), and a picture of it.

    Raises
    ------
    ConfigError
        There is no such engine, or twice the same.
    UnsupportedMode
        An engine does not cover the dataset, or its program is absent.
    HstflowError
        As fetching, choosing references and calibrating say.
    """
    _check(engines)
    first, second = (_job_for(job, name) for name in engines)
    inputs = fetch(first).record
    for each in (first, second):  # whether they can, before either one computes
        engine_of(each, inputs)
    made = [_calibrate(each, inputs) for each in (first, second)]
    pairs, alone = _pairs(made, job.id.instrument)
    compared = [compare_products(pair) for pair in pairs]
    folder = Path(job.work) / DIFFERENCES
    shown = zip(pairs, compared, strict=True) if keeps else ()
    drawn = [name for pair, each in shown for name in _draw(pair, each, folder)]
    both = [*(each.difference for each in compared), *alone]
    return EngineComparison(
        dataset=job.dataset,
        context=job.context,
        engines=(_result(first, made[0], keeps=keeps), _result(second, made[1], keeps=keeps)),
        products=tuple(sorted(both, key=lambda each: each.name)),
        pictures=tuple(drawn),
    )


def _check(engines: Sequence[str]) -> None:
    if engines[0] == engines[1]:
        raise ConfigError("an engine is not compared with itself", found=engines[0])
    for name in engines:
        load_engine(name)


def _job_for(job: Job, engine: str) -> Job:
    """Return the job of one engine: its folder bears its name."""
    options = dataclasses.replace(job.options, engine=engine)
    return dataclasses.replace(job, run=engine, run_is_named=True, options=options, output=None)


def _calibrate(job: Job, inputs: RawInputs) -> Products:
    references = bestrefs(job, inputs).record
    return calibrate(job, inputs, references).record


def _result(job: Job, made: Products, *, keeps: bool) -> EngineResult:
    names = tuple(file.name for file in made.files if file.name.endswith(".fits"))
    ending = ": ".join(filter(None, (made.ending, made.reason)))
    folder = str(job.folder / "calibrate") if keeps else None
    return EngineResult(made.engine, made.engine_version, names, ending, folder)


def _pairs(
    made: Sequence[Products], instrument: str
) -> tuple[list[Pair], tuple[ProductDifference, ...]]:
    """Return the products that both made, and what is told of those that one alone made."""
    old, new = (
        {file.name: Path(file.path) for file in each.files if file.name.endswith(".fits")}
        for each in made
    )
    pairs = [
        Pair(path, new[name], name, product_suffix(name), instrument)
        for name, path in sorted(old.items())
        if name in new
    ]
    gone = [ProductDifference(n, product_suffix(n), "vanished") for n in old if n not in new]
    more = [ProductDifference(n, product_suffix(n), "new") for n in new if n not in old]
    return pairs, (*gone, *more)


def _draw(pair: Pair, compared: Compared, folder: Path) -> list[str]:
    """Write the difference images of a product; return their names."""
    versions = [each.version for each in compared.difference.sets if not each.form]
    if not versions:
        return []
    with writing(folder):
        folder.mkdir(exist_ok=True)
    name = f"{pair.name.removesuffix('.fits')}_difference.fits"
    both = [list(read_image_sets(p, _PLANES, versions, wcs=False)) for p in (pair.old, pair.new)]
    sets = [_minus(before, after) for (_, before), (_, after) in zip(*both, strict=True)]
    write_image_sets(folder / name, both[0][0][0], sets)
    return [name, *_pictures(pair, compared.pictures, folder)]


def _minus(before: ImageSet, after: ImageSet) -> ImageSet:
    """Return second minus first; NaN where one is not finite, and the bits that differ of DQ."""
    planes: dict[str, npt.NDArray[Any]] = {}
    for name, old in before.planes.items():
        new = after.planes.get(name)
        if new is None or new.shape != old.shape:
            continue
        if name == "DQ":
            planes[name] = np.bitwise_xor(old, new).astype(np.int16)
        else:
            with np.errstate(invalid="ignore", over="ignore"):
                planes[name] = np.subtract(new, old, dtype=np.float32)
    return dataclasses.replace(before, planes=planes)


def _pictures(pair: Pair, pictures: Mapping[int, Pictures], folder: Path) -> Iterator[str]:
    """Write the pictures of the difference, blue below and red above zero; yield their names."""
    for version, each in pictures.items():
        name = f"{pair.name.removesuffix('.fits')}_sci{version}_difference.png"
        with writing(folder / name):
            (folder / name).write_bytes(each.difference)
        yield name
