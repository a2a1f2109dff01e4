"""All settings of hstflow, from HSTFLOW_* variables; calib takes explicit arguments."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import Literal

from platformdirs import user_cache_path
from pydantic import (
    AliasChoices,
    ByteSize,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

from calib.engines.astrometry import AstrometryMode
from calib.engines.stage2 import Stage2Policy
from calib.errors import ConfigError
from calib.ledger.alerts import AlertLimits
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
    runner: str = Field(
        default="local",
        min_length=1,
        description="where campaigns run: local, threads, tcp:// or tls://HOST:PORT, cluster file",
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

    dashboard_url: str | None = Field(
        default=None,
        pattern=r"^https?://[^\s\"'<>()|]+$",
        description="address of the dashboard, for links to it from the pages of Prefect",
    )
    alert_last: int = Field(
        default=40, ge=10, le=1000, description="datasets that the rate of failures is taken of"
    )
    alert_failing: float = Field(
        default=0.25, gt=0, le=1, description="share of failures from which a campaign is failing"
    )
    alert_recovered: float = Field(
        default=0.10,
        ge=0,
        lt=1,
        validate_default=True,
        description="share of failures at which it is no longer",
    )
    alert_stalled: float | None = Field(
        default=None,
        gt=0,
        description="minutes in which nothing ends: stalled; unset: from what its datasets take",
    )
    alert_silent: float = Field(
        default=5.0, ge=1, description="minutes without a sign of a campaign's process: lost"
    )

    @field_validator("alert_recovered")
    @classmethod
    def _is_below_failing(cls, share: float, info: ValidationInfo) -> float:
        """Refuse shares between which a campaign would be failing and not, for each dataset."""
        if share >= info.data.get("alert_failing", 1.0):
            message = "it has to be smaller than HSTFLOW_ALERT_FAILING"
            raise ValueError(message)
        return share

    @property
    def alerts(self) -> AlertLimits:
        """When an operator is told of a campaign."""
        stalled = self.alert_stalled
        return AlertLimits(
            last=self.alert_last,
            failing=self.alert_failing,
            recovered=self.alert_recovered,
            stalled=None if stalled is None else timedelta(minutes=stalled),
            silent=timedelta(minutes=self.alert_silent),
        )

    @field_validator("ledger")
    @classmethod
    def _as_url(cls, text: str) -> str:
        """Make a path a URL; an empty variable is none."""
        return ledger_url({VARIABLE: text})


class DashboardVariables(BaseSettings):
    """What an operator sets once of the dashboard; options of the command line go before.

    Every field is read from the variable ``HSTFLOW_DASHBOARD_`` + its name in capitals.
    """

    model_config = SettingsConfigDict(env_prefix="HSTFLOW_DASHBOARD_", extra="ignore")

    host: str = Field(default="127.0.0.1", description="address to listen at")
    port: int = Field(default=8080, ge=0, le=65_535, description="port to listen at; 0: any")
    hosts: str = Field(default="", description="names of it, joined by commas")
    root: str = Field(default="", description="path below which a proxy serves it")
    change: bool = Field(default=False, description="whether forms may change something")
    password: SecretStr | None = Field(default=None, description="USER:PASSWORD to ask for")
    proxy_header: str | None = Field(
        default=None, description="header in which a proxy in front names the person"
    )
    proxies: str = Field(default="", description="addresses of that proxy, joined by commas")
    metrics_token: SecretStr | None = Field(
        default=None, description="what a collector of metrics sends as its bearer token"
    )
    prefect: str | None = Field(default=None, description="address of Prefect's pages")
    dask: str | None = Field(default=None, description="address of Dask's pages")


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
        raise _refused(error, "HSTFLOW_") from error


def load_dashboard() -> DashboardVariables:
    """Read the settings of the dashboard from the environment.

    Raises
    ------
    ConfigError
        A variable has a value that cannot be used; the message names it.
    """
    try:
        return DashboardVariables()
    except ValidationError as error:
        raise _refused(error, "HSTFLOW_DASHBOARD_") from error


def _refused(error: ValidationError, prefix: str) -> ConfigError:
    first = error.errors()[0]
    name = str(first["loc"][0]).upper().removeprefix(prefix)
    return ConfigError(
        f"setting {name}: {first['msg']}",
        expected=f"a usable value of {prefix}{name}",
        found=repr(first["input"]),
    )


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
