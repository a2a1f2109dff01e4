"""What to expose: pointings, alone or as members of an association."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from calib.association import Association
from calib.records import Member
from calib.simulate.detector import CAMERAS, HRC

# Exposures of one visit share their field.
PER_VISIT = 4

# From here on the later dark is true; its reference arrives with the second context. Two of
# the three real raws of April 2002 that rules are often tried on were taken after it.
LATER_DARK_FROM = datetime(2002, 4, 13, 18, 0)  # noqa: DTZ001 - HST headers are UT, unmarked

FIRST_START = LATER_DARK_FROM + timedelta(minutes=30)

# The fourth servicing mission: from then on WFC frames are destriped (MJD 54962).
SERVICED = datetime(2009, 5, 11)  # noqa: DTZ001 - as above

Pattern = Literal["CR", "RP", "DTH"]

# Pixels in x and y from one point of a dither line to the next.
DITHER_STEP = (13, 7)


@dataclass(frozen=True)
class Membership:
    """What an exposure is in an association.

    Attributes
    ----------
    association
        Name of the association, lower case.
    type
        ``EXP-CR1``, ``EXP-RP1``, ``EXP-DTH``, ...
    exposures
        Number of exposures that are combined with this one, itself included.
    """

    association: str
    type: str
    exposures: int


@dataclass(frozen=True)
class Pointing:
    """What to expose.

    Attributes
    ----------
    rootname
        Name of the exposure, lower case.
    filter
        One of the camera's.
    start
        Universal time at which the shutter opens.
    seconds
        Exposure time.
    field
        Which piece of sky.
    seed
        Decides the noise and cosmic rays of this exposure.
    target
        One of :data:`calib.simulate.targets.TARGETS`; None is a field of stars and galaxies.
    membership
        Role in an association, if any.
    offset
        By how many pixels in x and y the telescope was moved off the target.
    camera
        One of :data:`calib.simulate.detector.CAMERAS`.
    quadrant
        The amplifier that alone was read, with its quarter of the WFC; else nothing.
    flash
        Length of the post-flash (s).
    """

    rootname: str
    filter: str
    start: datetime
    seconds: float
    field: int
    seed: int
    target: str | None = None
    membership: Membership | None = None
    offset: tuple[int, int] = (0, 0)
    camera: str = "HRC"
    quadrant: str = ""
    flash: float = 0.0

    @property
    def dark_seconds(self) -> float:
        """Time during which dark current counts, as the raw header says it."""
        return self.seconds + CAMERAS[self.camera].overhead

    @property
    def blueness(self) -> int:
        """Number of filter steps to the blue."""
        return list(CAMERAS[self.camera].filters).index(self.filter)

    @property
    def combines(self) -> Pattern | None:
        """How the exposure is combined with others: CR, RP, DTH; None where it stands alone."""
        for pattern in ("CR", "RP", "DTH"):
            if self.membership and self.membership.type.startswith(f"EXP-{pattern}"):
                return pattern
        return None


@dataclass(frozen=True)
class Visit:
    """A visit that makes one association: `points` positions with `repeats` exposures each.

    Attributes
    ----------
    program, visit
        Three and two characters of the names, as in ``jsia01aaq``: "sia", "01".
    pattern
        ``CR`` and ``RP`` combine the exposures of each position, ``DTH`` combines positions.
    filter, seconds, target, field
        As in :class:`Pointing`.
    start
        When the first exposure starts; others follow without a pause but the readout.
    points, repeats
        ``CR`` with two points is a dithered CR-split.
    camera
        As in :class:`Pointing`.
    """

    program: str
    visit: str
    pattern: Pattern
    filter: str
    seconds: float
    start: datetime
    field: int
    target: str | None = None
    points: int = 1
    repeats: int = 2
    camera: str = "HRC"

    @property
    def association(self) -> Association:
        """The association table: exposures, then products, which are not there yet."""
        rows = [self._member(pointing) for pointing in self.pointings(seed=0)]
        return Association(self._name("0"), (*rows, *self._products()))

    def pointings(self, seed: int) -> list[Pointing]:
        """Return the exposures of the visit; the seed decides their noise and cosmic rays."""
        pause = timedelta(minutes=3)  # to read out
        stride = timedelta(seconds=self.seconds) + pause
        return [
            Pointing(
                rootname=f"j{self.program}{self.visit}a{letter_of(number)}q",
                filter=self.filter,
                start=self.start + number * stride,
                seconds=self.seconds,
                field=self.field,
                seed=seed * 100003 + int(self.visit, 36) * 1000 + number + 500,
                target=self.target,
                membership=self._membership(point),
                offset=(DITHER_STEP[0] * point, DITHER_STEP[1] * point),
                camera=self.camera,
            )
            for number, point in enumerate(self._points())
        ]

    def _points(self) -> list[int]:
        repeats = 1 if self.pattern == "DTH" else self.repeats
        return [point for point in range(self.points) for _ in range(repeats)]

    def _membership(self, point: int) -> Membership:
        if self.pattern == "DTH":
            return Membership(self._name("0"), "EXP-DTH", 1)
        return Membership(self._name("0"), f"EXP-{self.pattern}{point + 1}", self.repeats)

    def _member(self, pointing: Pointing) -> Member:
        kind = pointing.membership.type if pointing.membership else ""
        return Member(pointing.rootname, kind, present=True)

    def _products(self) -> list[Member]:
        products = []
        if self.pattern != "DTH":
            for point in range(1, self.points + 1):
                name = self._name(str(point))
                products.append(Member(name, f"PROD-{self.pattern}{point}", present=False))
        if self.points > 1:
            products.append(Member(self._name("0"), "PROD-DTH", present=False))
        return products

    def _name(self, product: str) -> str:
        """Return ``jsia01010`` for the association, ``jsia01011`` for its first sub-product."""
        return f"j{self.program}{self.visit}01{product}"


def plan_pointings(count: int, seed: int) -> list[Pointing]:
    """Return exposures, four to a visit, of which every fourth was taken the day before.

    So a dark delivered for use after 18:00 of 13 April 2002 changes three out of four.
    """
    names = list(HRC.filters)
    pointings = []
    for number in range(count):
        early = timedelta(days=1) if number % PER_VISIT == PER_VISIT - 1 else timedelta()
        pointings.append(
            Pointing(
                rootname=_rootname(number),
                filter=names[number % PER_VISIT % len(names)],
                start=FIRST_START + number * timedelta(minutes=25) - early,
                seconds=360.0,
                field=seed + number // PER_VISIT,
                seed=seed * 100003 + number,
            )
        )
    return pointings


def plan_visits(seed: int) -> list[Visit]:
    """Return one visit for each way of associating: CR-split, repeat, dither, dithered CR."""
    day = FIRST_START + timedelta(days=2)
    plans: tuple[tuple[Pattern, int], ...] = (("CR", 1), ("RP", 1), ("DTH", 2), ("CR", 2))
    return [
        Visit(
            program="sia",
            visit=f"{number:02d}",
            pattern=pattern,
            filter="F606W",
            seconds=300.0,
            start=day + number * timedelta(hours=2),
            field=seed + 1000 + number,
            points=points,
        )
        for number, (pattern, points) in enumerate(plans, 1)
    ]


def letter_of(number: int) -> str:
    """Return the letter of an exposure in its visit: a, b, c, ..."""
    return "abcdefghijklmnopqrstuvwxyz"[number]


def _rootname(number: int) -> str:
    """Return ``jsim01aaq``, ``jsim01abq``, ...: programme "sim", four exposures to a visit."""
    visit, place = divmod(number, PER_VISIT)
    tens, units = divmod(visit + 1, 36)
    digits = "0123456789abcdefghijklmnopqrstuvwxyz"
    return f"jsim{digits[tens % 36]}{digits[units]}{letter_of(tens // 36)}{letter_of(place)}q"
