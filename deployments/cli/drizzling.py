"""Options of the commands that drizzle what they calibrate.

Annotations are evaluated here, not kept as text: the commands' modules, in which cyclopts would
look their names up, do not have them.
"""

from dataclasses import dataclass

from calib.engines.astrometry import AstrometryMode
from calib.engines.stage2 import Stage2Policy


@dataclass(frozen=True)
class DrizzleFlags:
    """Options of stage 2.

    Attributes
    ----------
    stage2
        Drizzle ACS and WFC3 (drz, drc): auto, where DRIZCORR=PERFORM and drizzlepac is installed;
        always, and without drizzlepac that is error 24; never. Else HSTFLOW_STAGE2, else auto.
    astrometry
        How drizzled images are put on the sky: apriori, with the solutions of the archive;
        aposteriori, by stars of Gaia; full: both; off; auto: full where the archive's service
        answers, else off, and a warning says so. Visits and skycells have the solutions of the
        archive alone: their programs align to Gaia whatever is said. Else HSTFLOW_ASTROMETRY,
        else auto.
    """

    stage2: Stage2Policy | None = None
    astrometry: AstrometryMode | None = None
