"""All settings of hstflow, from HSTFLOW_* variables; calib takes explicit arguments."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from platformdirs import user_cache_path
from pydantic import AliasChoices, ByteSize, Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from calib.engines.astrometry import AstrometryMode
from calib.engines.stage2 import Stage2Policy
from calib.errors import ConfigError
from calib.ledger.location import VARIABLE, ledger_url


class Settings(BaseSettings):
    """What an operator sets once.

    Every field is read from the variable ``HSTFLOW_`` + its name in capitals.
    """

    model_config = SettingsConfigDict(env_prefix="HSTFLOW_", extra="ignore")

    work: Path = Field(
        default_factory=lambda: user_cache_path("hstflow") / "work",
        validation_alias=AliasChoices("HSTFLOW_WORK", "CALDP_HOME"),
        description="work folder: unfinished jobs, and products where OUTPUT is none",
    )
    ledger: str = Field(
        default_factory=lambda: ledger_url(os.environ),
        description="database URL of the ledger, or the path of a SQLite file",
    )
    profile: str | None = Field(
        default=None, description="onsite, offsite, cloud or a file: how to reach CRDS"
    )
    engine: str = Field(default="auto", description="engine: auto, native or another's name")
    calibrations: str | None = Field(
        default=None, description="calibration collection of the ledger: references by date"
    )
    previews: Literal["normal", "required", "none"] = Field(
        default="normal", description="whether a preview that fails is an error"
    )
    thumb: int | None = Field(
        default=None,
        ge=16,
        le=2048,
        description="longest side of thumbnails, pixels; unset 128, and 512 for skycells",
    )
    messages: Literal["none", "flat", "folders"] = Field(
        default="none", description="message files to write beside the products"
    )
    stage2: Stage2Policy = Field(
        default="auto", description="drizzle ACS and WFC3: auto, always or never"
    )
    astrometry: AstrometryMode = Field(
        default="auto",
        description="align drizzled images: auto, off, apriori, aposteriori or full",
    )
    tar: bool = Field(
        default=False, description="lay products out as CALDP's OUTPUT/outputs/ID/ID.tar.gz too"
    )
    simulate: str = Field(
        default="",
        description="failures on purpose, joined by commas: STAGE=KIND[:TIMES][@DATASET]",
    )
    reference_memory: ByteSize | None = Field(
        default=None,
        description="bytes of references that a process keeps decoded, such as 2GiB; 0: none",
    )

    @field_validator("ledger")
    @classmethod
    def _as_url(cls, text: str) -> str:
        """Make a path a URL; an empty variable is none."""
        return ledger_url({VARIABLE: text})


def load_settings() -> Settings:
    """Read the settings from the environment.

    Raises
    ------
    ConfigError
        A variable has a value that cannot be used; the message names it.
    """
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]).upper()
        raise ConfigError(
            f"setting {name.removeprefix('HSTFLOW_')}: {first['msg']}",
            expected=f"a usable value of HSTFLOW_{name.removeprefix('HSTFLOW_')}",
            found=repr(first["input"]),
        ) from error


def limit_reference_memory(settings: Settings, most: int | None = None) -> int:
    """Set how many bytes of references this process keeps decoded.

    Parameters
    ----------
    settings
        Those of the operator; where they say nothing, the default of
        :mod:`calib.instruments.reference_memory` holds.
    most
        What there is room for, bytes; None: not known.

    Returns
    -------
    int
        The limit in force, bytes.
    """
    from calib.instruments.reference_memory import MEMORY, default_limit

    asked = settings.reference_memory
    limit = default_limit() if asked is None else int(asked)
    MEMORY.limit = limit if most is None else max(0, min(limit, most))
    return MEMORY.limit
