"""Which products a command is about: the options that several commands share."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from cyclopts import Parameter

from calib.errors import ConfigError
from calib.ledger.products import ProductQuery
from deployments.cli.console import Flag, Several, expand_names

_TIME = re.compile(
    r"[0-9]{4}(-[0-9]{2}(-[0-9]{2}([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]+)?)?)?)?)?"
)

# Options that may be repeated -> fields of the question.
_SEVERAL = {"type": "types", "run": "runs", "in_": "collections"}


@dataclass(frozen=True)
class Selection:
    """What to look for. Text may hold * and ?; options hold together.

    Attributes
    ----------
    type
        Dataset type: raw, flt, flc, crj, drz, x1d, preview, log...; may be repeated.
    instrument
        acs, wfc3, cos or stis.
    detector
        HRC, WFC, UVIS...
    filter
        Filter or grating; one of several in the beam is enough.
    program
        Three characters of the program.
    visit
        Two characters of the visit.
    proposal
        Number of the proposal.
    target
        Name of the target.
    association
        Products of this association and of its members, wherever published.
    run
        Only of this run; may be repeated.
    in_
        Run, chain or tag to look in: a dataset comes from the first run that holds it. May be
        repeated, and is searched in order.
    begins
        Exposures that began at this time (UTC) or later: 2002, 2002-04, 2002-04-12T18:30...
    ends
        Exposures that began before this time.
    current
        Only the current version of each dataset.
    sha256
        Checksum.
    """

    type: Several = None
    instrument: str | None = None
    detector: str | None = None
    filter: str | None = None
    program: str | None = None
    visit: str | None = None
    proposal: int | None = None
    target: str | None = None
    association: str | None = None
    run: Several = None
    in_: Annotated[Several, Parameter(name="--in")] = None
    begins: str | None = None
    ends: str | None = None
    current: Flag = False
    sha256: str | None = None

    @property
    def is_empty(self) -> bool:
        """Whether no option was given."""
        return self == Selection()

    def query(self, names: Sequence[str], *, limit: int | None = None) -> ProductQuery:
        """Return the question.

        Parameters
        ----------
        names
            Datasets, exposures, files; ``@FILE`` for a list.
        limit
            Most products to return.

        Raises
        ------
        ConfigError
            A list cannot be read, or a time is none.
        """
        values: dict[str, Any] = dataclasses.asdict(self)
        for option, field in _SEVERAL.items():
            values[field] = tuple(expand_names(values.pop(option) or ()))
        for option in ("begins", "ends"):
            values[option] = _time(option, values[option])
        return ProductQuery(words=tuple(expand_names(names)), limit=limit, **values)


def _time(option: str, text: str | None) -> str | None:
    if text is None:
        return None
    if not _TIME.fullmatch(text.removesuffix("Z")):
        message = f"--{option} is not a time"
        raise ConfigError(message, expected="2002, 2002-04-12 or 2002-04-12T18:30:00", found=text)
    return text.removesuffix("Z").replace(" ", "T")
