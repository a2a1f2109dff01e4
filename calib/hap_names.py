"""Names of what mosaics of visits (SVM) and skycells (MVM) are made of. Nothing is opened.

Exposures bear one of two names: that of the calibration pipeline (``j8ph01abq_flc.fits``) or that
of a visit's mosaic, which aligned them (``hst_9453_01_acs_wfc_f606w_j8ph01ab_flc.fits``). The
second is what skycells are made of (drizzlepac, haputils/product.py, classes ExposureProduct and
SkyCellExposure).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from calib.caldp import ENVIRONMENT_FILE
from calib.errors import MissingMember
from calib.ids import INSTRUMENT_BY_LETTER, VISIT_LENGTH, DatasetId

POLLER_ENDING = "_input.out"
POLLER, FLC, FLT = "poller", "flc", "flt"

# Names of mosaics have eight of an exposure's nine characters (ipppssoo): the ninth is the source
# of the transmission.
SHORT_LENGTH = 8

# The ninth character of an exposure is a letter; a digit is an association's.
_PIPELINE = re.compile(r"(?P<exposure>[ij][a-z0-9]{7}[a-z])_(?P<suffix>flc|flt)\.fits", re.ASCII)
_MOSAIC = re.compile(
    r"hst_[0-9]{1,6}_[a-z0-9]{2}_(?:acs_(?:wfc|hrc|sbc)|wfc3_(?:uvis|ir))_[a-z0-9-]{1,40}"
    r"_(?P<exposure>[ij][a-z0-9]{7})_(?P<suffix>flc|flt)\.fits",
    re.ASCII,
)
_RAW = re.compile(r"(?P<exposure>[ij][a-z0-9]{7}[a-z])_raw\.fits", re.ASCII)


@dataclass(frozen=True)
class ImageName:
    """The name of a calibrated exposure, read.

    Attributes
    ----------
    exposure
        The exposure: nine characters; eight where a mosaic named it.
    suffix
        ``flc`` or ``flt``.
    of_mosaic
        Whether a visit's mosaic named it.
    """

    exposure: str
    suffix: str
    of_mosaic: bool

    @property
    def short(self) -> str:
        """The first eight characters of the exposure, which both kinds of names have."""
        return self.exposure[:SHORT_LENGTH]

    @property
    def visit(self) -> str:
        """The first six characters of the exposure."""
        return self.exposure[:VISIT_LENGTH]


def read_image_name(name: str) -> ImageName | None:
    """Read the name of a calibrated ACS or WFC3 exposure; None for any other name.

    Products of associations (``j8ph01011_crj.fits``) are no exposures.
    """
    if match := _PIPELINE.fullmatch(name):
        return ImageName(match["exposure"], match["suffix"], of_mosaic=False)
    if match := _MOSAIC.fullmatch(name):
        return ImageName(match["exposure"], match["suffix"], of_mosaic=True)
    return None


def poller_name(dataset: DatasetId) -> str:
    """Return the name of the list of exposures that the mosaic programs are called with."""
    return f"{dataset.name}{POLLER_ENDING}"


def visit_of(exposure: str) -> str:
    """Return the visit of an exposure: ``j8ph01abq`` gives ``acs_8ph_01``."""
    return f"{INSTRUMENT_BY_LETTER[exposure[0]]}_{exposure[1:4]}_{exposure[4:VISIT_LENGTH]}"


def is_image_of(dataset: DatasetId, name: str) -> bool:
    """Tell whether a calibrated exposure may be an input of a visit or skycell.

    A visit takes what the pipeline named, of its own exposures; a skycell takes any: its
    poller says which.
    """
    image = read_image_name(name)
    if image is None:
        return False
    if dataset.kind == "mvm":
        return True
    return not image.of_mosaic and image.visit == dataset.visit_root


def environment_name(dataset: DatasetId) -> str:
    """Return the name of the file of variables that the program gets for this dataset."""
    return ENVIRONMENT_FILE.format(dataset=dataset.name)


def is_hap_input(dataset: DatasetId, name: str) -> bool:
    """Tell whether a file is an exposure, the poller or the variables of a visit or skycell."""
    of_dataset = {poller_name(dataset), environment_name(dataset)}
    return name in of_dataset or is_image_of(dataset, name)


def choose_images(dataset: DatasetId, names: Iterable[str]) -> tuple[str, ...]:
    """Return for each exposure its FLC where there is one, else its FLT, in name order.

    Exposure by exposure: WFC3/IR, HRC and SBC have no FLC, beside CCD exposures that have.
    """
    chosen: dict[str, str] = {}
    for name in sorted(n for n in names if is_image_of(dataset, n)):  # flc comes before flt
        image = read_image_name(name)
        if image is not None:
            chosen.setdefault(image.short, name)
    return tuple(sorted(chosen.values()))


def check_all_calibrated(dataset: DatasetId, names: Collection[str]) -> None:
    """Refuse a visit of which an exposure is there as a raw file only.

    Raises
    ------
    MissingMember
        A mosaic would lack that exposure, without a word. All are listed.
    """
    raws = {m["exposure"] for name in names if (m := _RAW.fullmatch(name))}
    mine = {raw for raw in raws if raw.startswith(dataset.visit_root)}
    done = {i.exposure for n in names if (i := read_image_name(n)) is not None}
    if missing := sorted(mine - done):
        raise MissingMember(
            f"{len(missing)} exposures of the visit are not calibrated: " + " ".join(missing),
            dataset=dataset.name,
            expected=f"an flc or flt of each, or {poller_name(dataset)} with those to be taken",
            found="their raw files",
        )


def is_listed(dataset: DatasetId, name: str) -> bool:
    """Tell whether a name matters to a visit or skycell: also raw files, which show what lacks."""
    if is_hap_input(dataset, name):
        return True
    raw = _RAW.fullmatch(name)
    return bool(raw and dataset.kind == "svm" and raw["exposure"].startswith(dataset.visit_root))
