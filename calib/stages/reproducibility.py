"""What may be expected of making a product again: the same bits, or numbers close by."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from calib.archive.provenance import environment_versions
from calib.engines.hap import NAME as HAP
from calib.engines.lookup import NATIVE
from calib.engines.protocol import Engine
from calib.fitsfile.comparison import EXACT, Tolerance

# Suffixes of products that are resampled onto a fitted alignment (AstroDrizzle, DrizzlePac).
DRIZZLED = ("_drz.fits", "_drc.fits")

# float32 through a chain of some ten operations. What HSTCAL itself gives on another CPU is
# not known; this is the bound that our own comparisons of HRC frames with calacs hold.
ROUNDING = Tolerance(rtol=1e-6)


@dataclass(frozen=True)
class Facts:
    """What decides the class of a dataset.

    Attributes
    ----------
    engine, numbers_version
        Those that made it.
    now
        The engine that makes it again.
    environment, here
        Versions and machine, then and now.
    switches
        As they were when it was done.
    instrument
        ``acs``...
    seeds
        RANDSEED of its raw files; None where one has none.
    drizzled
        Program, version and astrometry that drizzled it; empty where nothing did.
    """

    engine: str
    numbers_version: str
    now: Engine
    environment: Mapping[str, str]
    here: Mapping[str, str]
    switches: Mapping[str, str]
    instrument: str
    seeds: tuple[Any, ...] = ()
    drizzled: str = ""


@dataclass(frozen=True)
class Class:
    """A reason for which a product cannot be the same bits again.

    Attributes
    ----------
    name
        One word.
    applies
        Says why it holds for a dataset, or nothing.
    tolerance
        How close the numbers have to be.
    source
        Where the tolerance comes from.
    suffixes
        Ends of the names of the products concerned; every FITS file where there are none.
    other_words
        Whether headers may say other things, too: another engine writes other HISTORY.
    """

    name: str
    applies: Callable[[Facts], str]
    tolerance: Tolerance
    source: str
    suffixes: tuple[str, ...] = ()
    other_words: bool = False


def facts_of(
    provenance: Mapping[str, Any], engine: Engine, instrument: str, seeds: tuple[Any, ...] = ()
) -> Facts:
    """Return what decides the class, from the provenance in a manifest."""
    made = provenance["engine"]
    return Facts(
        engine=str(made.get("name")),
        numbers_version=str(made.get("version")),
        now=engine,
        environment=provenance.get("environment", {}),
        here=environment_versions(),
        switches=provenance.get("switches", {}),
        instrument=instrument,
        seeds=seeds,
        drizzled=_drizzled_by(provenance),
    )


def _drizzled_by(provenance: Mapping[str, Any]) -> str:
    """Return what drizzled it: stage 2, or the program of a visit, which aligns in each run."""
    if provenance["engine"].get("name") == HAP:
        return f"drizzlepac {provenance['engine'].get('version')}, aligned by itself"
    return str(provenance.get("stage2", "")) if _parameter(provenance, "stage2") else ""


def _parameter(provenance: Mapping[str, Any], name: str) -> Any:
    return provenance.get("parameters", {}).get(name)


def classes_of(facts: Facts) -> tuple[tuple[Class, str], ...]:
    """Return the classes that a dataset is in, each with its reason; none: the same bits."""
    return tuple((each, why) for each in CLASSES if (why := each.applies(facts)))


def tolerance_for(name: str, classes: tuple[Class, ...]) -> Tolerance:
    """Return how close the numbers of a file have to be: the widest of its classes."""
    found = [each.tolerance for each in classes if name.endswith(each.suffixes or "")]
    parts = zip(*found, strict=True) if found else ()
    return Tolerance(*map(max, parts)) if found else EXACT


def changes(facts: Facts) -> tuple[tuple[str, str, str], ...]:
    """Return what is another now: name, then, now."""
    names = sorted({*facts.environment, *facts.here})
    pairs = [(name, facts.environment.get(name), facts.here.get(name)) for name in names]
    return tuple(
        (name, then or "absent or not recorded", now or "absent")
        for name, then, now in pairs
        if then != now and not (then is None and name in _RECORDED_LATER)
    )


# Manifests of before do not have these; that says nothing about the machine.
_RECORDED_LATER = ("machine", "cpu")


def _other_engine(facts: Facts) -> str:
    if facts.engine == facts.now.name:
        return ""
    return f"made with engine {facts.engine}, now {facts.now.name}"


def _other_numbers(facts: Facts) -> str:
    if facts.engine != facts.now.name or facts.numbers_version == facts.now.numbers_version:
        return ""
    return (
        f"numbers of engine {facts.engine} were of version {facts.numbers_version}, "
        f"now {facts.now.numbers_version}"
    )


def _other_machine(facts: Facts) -> str:
    then = facts.environment.get("machine", facts.environment.get("platform", ""))
    now = facts.here.get("machine", platform.machine())
    return "" if not then or now in then else f"made on {then}, now on {now}"


def _program_elsewhere(facts: Facts) -> str:
    if facts.now.name == NATIVE:
        return ""
    then, now = (where.get("cpu", "") for where in (facts.environment, facts.here))
    if then and then == now:
        return ""
    return f"program {facts.engine} on {now or 'this CPU'}, then on {then or 'one not recorded'}"


def _aligned(facts: Facts) -> str:
    done = facts.drizzled and not facts.drizzled.endswith("astrometry off")
    return "drizzled onto an alignment that is fitted anew" if done else ""


def _drizzled(facts: Facts) -> str:
    return f"drizzled by {facts.drizzled}" if facts.drizzled else ""


def _unseeded(facts: Facts) -> str:
    if facts.instrument != "cos" or all(_is_seed(seed) for seed in facts.seeds or (None,)):
        return ""
    return "calcos spreads events at random within a pixel, and RANDSEED sets no start"


def _is_seed(value: Any) -> bool:
    """Tell whether calcos starts from this number: -1, its default, means the clock."""
    return isinstance(value, int) and value >= 0


CLASSES = (
    Class(
        "engine",
        _other_engine,
        ROUNDING,
        "engines are held to each other's numbers but for the rounding of float32",
        other_words=True,
    ),
    Class(
        "numbers",
        _other_numbers,
        Tolerance(rtol=1e-5, fraction=1e-3),
        "a version of the numbers changes few pixels, or all by little; which and why is said "
        "in CHANGES under 'Numbers that change'",
        other_words=True,
    ),
    Class(
        "machine",
        _other_machine,
        ROUNDING,
        "libm and the vector units of another architecture round the last bit otherwise",
    ),
    Class(
        "program",
        _program_elsewhere,
        ROUNDING,
        "compilers of the program choose instructions by CPU; nobody promises its last bit",
    ),
    Class(
        "drizzle",
        _drizzled,
        ROUNDING,
        "drizzlepac writes times into headers, and its compiler promises no last bit",
        (*DRIZZLED, "_flt.fits", "_flc.fits", "_hlet.fits", ".ecsv"),
        other_words=True,
    ),
    Class(
        "edge",
        _drizzled,
        Tolerance(rtol=1e-6, fraction=5e-3),
        "of equal runs of drizzlepac 3.11 one differed in 15 of 28,054 pixels, at the edge",
        DRIZZLED,
    ),
    Class(
        "alignment",
        _aligned,
        Tolerance(rtol=1e-2, fraction=0.05),
        "provisional, until drizzled products are measured here: a shift of a hundredth of a "
        "pixel changes the flanks of stars by some per cent",
        (*DRIZZLED, ".ecsv"),
    ),
    Class(
        "random",
        _unseeded,
        Tolerance(rtol=0.05, fraction=0.05),
        "provisional, until spectra are measured here: counting noise of events that fall into "
        "the next pixel",
    ),
)
