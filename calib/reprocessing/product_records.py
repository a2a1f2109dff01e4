"""What is told of two versions of a product, in numbers and words: what a report keeps as JSON.

Neither NumPy nor FITS is needed to read it: the dashboard does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

# Per cent at which the distribution of the differences is told.
PERCENTILES = (1, 5, 25, 75, 95, 99)

# Multiples of the error beyond which pixels are counted.
SIGMAS = (1, 3, 5)

# What is said of a product by the state of its difference.
STATES = {
    "identical": "the same bytes",
    "dates": "the same but for dates",
    "header": "other header, the same data",
    "data": "other data",
    "form": "other extensions or shape",
    "new": "new: not made before",
    "vanished": "vanished: not made any more",
    "unreadable": "cannot be compared",
}


@dataclass(frozen=True)
class Spread:
    """A distribution of numbers; all in the unit of the pixels.

    Attributes
    ----------
    count
        How many there are.
    minimum, maximum, mean, median, std
        As their names say; `std` is that of the whole population.
    mad
        Median of the distances from the median; 1.4826 times it is the standard deviation of a
        normal distribution.
    percentiles
        Values by per cent.
    """

    count: int
    minimum: float
    maximum: float
    mean: float
    median: float
    std: float
    mad: float
    percentiles: Mapping[str, float] = field(default_factory=dict)

    @property
    def largest(self) -> float:
        """The number that is farthest from zero, without its sign."""
        return max(abs(self.minimum), abs(self.maximum))


@dataclass(frozen=True)
class Histogram:
    """How often differences occur.

    Attributes
    ----------
    low, high
        Ends of the first and the last bin.
    counts
        Pixels in each of the bins, which are of one width.
    below, above
        Pixels beyond the ends.
    """

    low: float
    high: float
    counts: tuple[int, ...]
    below: int = 0
    above: int = 0


@dataclass(frozen=True)
class Significance:
    """Differences in units of the error that the pixel had before.

    Attributes
    ----------
    pixels
        Pixels that have an error above zero, and are finite before and after.
    median
        Median of the absolute value.
    largest
        The largest absolute value.
    beyond
        How many pixels are more than 1, 3 and 5 errors away.
    """

    pixels: int
    median: float
    largest: float
    beyond: Mapping[str, int] = field(default_factory=dict)

    def share(self, sigmas: int) -> float:
        """Return the share of pixels more than so many errors away."""
        return self.beyond[str(sigmas)] / self.pixels if self.pixels else 0.0


@dataclass(frozen=True)
class PlaneDifference:
    """How one array of numbers differs.

    Attributes
    ----------
    name
        ``SCI,1``.
    total, changed
        Pixels, and those whose value is another; two NaN are the same value.
    became_nan, was_nan
        Pixels that are NaN now and were not, and the other way round.
    unmeasured
        Pixels that changed, but have no difference: NaN or infinite before or after.
    everywhere, where_changed
        New minus old, over all pixels that are finite before and after, and over those of them
        that changed; None where there are none.
    significance
        None without an ERR array; of SCI alone.
    histogram
        Of `where_changed`.
    """

    name: str
    total: int
    changed: int
    became_nan: int = 0
    was_nan: int = 0
    unmeasured: int = 0
    everywhere: Spread | None = None
    where_changed: Spread | None = None
    significance: Significance | None = None
    histogram: Histogram | None = None

    @property
    def share(self) -> float:
        """The share of pixels that changed."""
        return self.changed / self.total if self.total else 0.0


@dataclass(frozen=True)
class BitChange:
    """Pixels that gained or lost one bit of their flags; `name` is its number in words."""

    bit: int
    name: str
    gained: int
    lost: int


@dataclass(frozen=True)
class FlagDifference:
    """How one array of flags differs; `bits` has those alone that any pixel gained or lost."""

    name: str
    total: int
    changed: int
    bits: tuple[BitChange, ...] = ()

    @property
    def gained(self) -> int:
        """How many bits were gained, over all pixels."""
        return sum(each.gained for each in self.bits)

    @property
    def lost(self) -> int:
        """How many bits were lost, over all pixels."""
        return sum(each.lost for each in self.bits)


@dataclass(frozen=True)
class HeaderChange:
    """A card that differs; `old` and `new` are its text, None where it is absent."""

    extension: str
    keyword: str
    old: str | None
    new: str | None
    is_reference: bool


@dataclass(frozen=True)
class ImageSetDifference:
    """How the arrays of one EXTVER differ; `form` says why they cannot be compared."""

    version: int
    unit: str
    planes: tuple[PlaneDifference, ...] = ()
    flags: FlagDifference | None = None
    form: str = ""

    @property
    def science(self) -> PlaneDifference | None:
        """The difference of SCI."""
        return next((plane for plane in self.planes if plane.name.startswith("SCI")), None)


@dataclass(frozen=True)
class TableDifference:
    """How the values of an extension that is no image set differ."""

    extension: str
    values: int
    total: int
    largest: float | None


@dataclass(frozen=True)
class ProductDifference:
    """How one product differs.

    Attributes
    ----------
    name, type
        The file, and its dataset type (``flt``).
    state
        ``identical``: every byte. ``dates``: but for dates and checksums. ``header``: the same
        data. ``data``: other pixels or values. ``form``: other extensions or shapes. ``new``:
        not made before. ``vanished``: not made any more. ``unreadable``: one of the two cannot
        be read, and `problem` says why.
    headers, more_headers
        Cards that differ for another reason than the time, and how many more there are.
    sets, tables
        What differs in the data; of equal image sets nothing is told.
    forms
        Extensions that cannot be compared, and why.
    problem
        Why there is no comparison.
    """

    name: str
    type: str
    state: str
    headers: tuple[HeaderChange, ...] = ()
    more_headers: int = 0
    sets: tuple[ImageSetDifference, ...] = ()
    tables: tuple[TableDifference, ...] = ()
    forms: tuple[str, ...] = ()
    problem: str = ""
