"""Parameters of the flows, validated at the edge; the command line fills the same model."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from calib.engines.astrometry import AstrometryMode
from calib.engines.stage2 import Stage2Policy
from calib.errors import ConfigError
from calib.references.context import pinned_context
from calib.references.profile import CrdsProfile, load_profile
from calib.stages.campaign_plan import CHUNK_SIZE, RUNGS
from calib.stages.faults import parse_faults
from calib.stages.job import Options
from calib.stages.planning import Request
from calib.stages.workplaces import INGEST
from calib.switches import parse_overrides
from flows.form import in_order
from tasks.settings import Settings, load_settings

if TYPE_CHECKING:
    from calib.repository.candidates import IngestRequest


class ProcessOptions(BaseModel):
    """Options of ``process``; what is not given comes from the HSTFLOW_* settings."""

    model_config = ConfigDict(extra="forbid", json_schema_extra=in_order)

    engine: str | None = Field(None, description="auto, native, or another engine's name")
    set: list[str] = Field(
        default_factory=list,
        description="KEYWORD=VALUE or step.parameter=VALUE",
        examples=[["PCTECORR=OMIT"]],
    )
    reference: list[str] = Field(
        default_factory=list, description="KEYWORD=PATH, e.g. BIASFILE=b.fits"
    )
    calibrations: str | None = Field(
        None, description="calibration collection of the ledger: references by date; or none"
    )
    messages: Literal["none", "flat", "folders"] | None = Field(
        None, description="message files to write beside the products"
    )
    previews: Literal["normal", "required", "none"] | None = Field(
        None, description="whether a preview that fails is an error"
    )
    keep_scratch: bool = Field(default=False, description="keep the work folder afterwards")
    threads: int = Field(default=1, ge=1, le=256, description="threads per dataset")
    own_run: bool = Field(
        default=False, description="publish in this run although another one has the same result"
    )
    current: bool = Field(
        default=False, description="lead readers back from products of a later context, too"
    )
    tar: bool | None = Field(None, description="lay products out as CALDP's tar too")
    stage2: Stage2Policy | None = Field(
        None,
        description="drizzle ACS and WFC3: auto (where DRIZCORR=PERFORM and drizzlepac is "
        "installed), always (or it is error 24), never",
    )
    astrometry: AstrometryMode | None = Field(
        None,
        description="align drizzled images: auto (full where the archive's service answers, else "
        "off), off, apriori, aposteriori, full",
    )
    simulate: list[str] = Field(
        default_factory=list, description="failures on purpose: STAGE=KIND[:TIMES][@DATASET]"
    )


class CampaignOptions(BaseModel):
    """How a campaign is run; the fields of :class:`calib.stages.campaign_plan.CampaignPlan`."""

    model_config = ConfigDict(extra="forbid", json_schema_extra=in_order)

    profile: str | None = Field(None, description="onsite, offsite, cloud or a file")
    run: str | None = Field(None, description="name of the output collection")
    # No default in the form of a deployment: which one is right, the worker knows.
    runner: str = Field(
        default_factory=lambda: load_settings().runner,
        description="local, threads, tcp:// or tls://HOST:PORT or a cluster file; HSTFLOW_RUNNER "
        "of the worker where nothing is said",
    )
    workers: int = Field(default=2, ge=1, description="processes or threads")
    stages: Literal["auto", "tasks", "plain"] = Field("auto", description="stages as tasks or not")
    rungs: tuple[int, ...] = Field(default=RUNGS, description="sizes of memory, bytes")
    chunk_size: int = Field(default=CHUNK_SIZE, ge=1, description="datasets of one flow run")
    chunks: Literal["here", "deployment"] = Field("here", description="where chunks are run")
    downloads: int = Field(
        default=4, ge=1, le=64, description="downloads from MAST at the same time"
    )
    priority: int = Field(default=0, description="higher ones go first")
    delay_scale: float = Field(
        default=1.0, ge=0, description="factor on the waits before a dataset is tried again"
    )


class ReprocessOptions(BaseModel):
    """Which datasets a reprocessing takes, and how it comes to a decision.

    The flow `reprocess` takes the contexts, the name, the places and how its campaigns are run
    beside these.
    """

    model_config = ConfigDict(extra="forbid", json_schema_extra=in_order)

    source: Literal["ledger", "server", "list", "query", "reference"] = Field(
        "ledger",
        description="where datasets come from: the ledger's headers or the CRDS server (what "
        "differs between the two contexts), a list, a MAST query, or products of a reference",
    )
    datasets: list[str] = Field(
        default_factory=list, description="for source list: names such as j8bt05njq"
    )
    manifest: str | None = Field(
        None, description="for source list: path of a file with one name a line"
    )
    query: str | None = Field(
        None,
        description="for source query: proposal=NUMBER,instrument=ACS,dates=2002-04-01..2002-05-01",
    )
    reference: str | None = Field(
        None, description="for source reference: a file such as n3o1059hj_drk.fits"
    )
    approval: Literal["ask", "yes", "wait"] = Field(
        "ask",
        description="ask: the run waits for an answer; yes: goes on by itself; wait: ends at "
        "`review`, and goes on after `hstflow campaign approve`",
    )
    per_type: int = Field(
        default=2, ge=0, description="datasets of each changed type that run first; 0: none"
    )
    processes: int = Field(
        default=1,
        ge=1,
        description="processes that compare contexts; worth it above some ten thousand exposures",
    )
    options: ProcessOptions = Field(
        default_factory=ProcessOptions, title="Options", description="how each dataset is processed"
    )

    @model_validator(mode="after")
    def _has_what_its_source_needs(self) -> Self:
        """Refuse a source without its words, and words of another source."""
        given = {
            "list": bool(self.datasets or self.manifest),
            "query": bool(self.query),
            "reference": bool(self.reference),
        }
        if not given.get(self.source, True):
            message = f"source {self.source} needs {_WORDS[self.source]}"
            raise ValueError(message)
        others = [each for each, is_there in given.items() if is_there and each != self.source]
        if others:
            message = f"{_WORDS[others[0]]} belongs to source {others[0]}, not to {self.source}"
            raise ValueError(message)
        return self


# What each source of datasets needs to be told.
_WORDS = {"list": "datasets or manifest", "query": "query", "reference": "reference"}


class IngestOptions(BaseModel):
    """Options of ``archive ingest``."""

    model_config = ConfigDict(extra="forbid", json_schema_extra=in_order)

    template: str = Field("auto", description="auto, flat, caldp, mast, hstflow, or a template")
    transfer: Literal["copy", "link", "in-place"] = Field(
        "copy", description="copy, link (hard links) or in-place (only registered)"
    )
    current: bool = Field(default=False, description="make them current where others are, too")
    headers: bool = Field(default=True, description="read headers; otherwise names alone count")
    checksums: bool = Field(default=True, description="read the files; can be left out in place")
    trust_size: bool = Field(default=False, description="a known file of the same size is the same")
    threads: int = Field(default=4, ge=1, le=64, description="datasets read at the same time")


def build_ingest(
    uri: str, output_uri: str | None, run: str | None, options: IngestOptions
) -> IngestRequest:
    """Join parameters and settings of an ingest.

    Raises
    ------
    ConfigError
        A setting cannot be used.
    """
    from calib.repository.candidates import IngestRequest

    asked = options.model_dump()
    return IngestRequest(
        uri=uri,
        run=run,
        output=output_uri,
        is_current=asked.pop("current"),
        scratch=load_settings().work / INGEST,
        **asked,
    )


def build_request(
    input_uri: str,
    output_uri: str,
    profile: str | None,
    context: str | None,
    run: str | None,
    options: ProcessOptions,
) -> Request:
    """Join parameters and settings.

    Raises
    ------
    ConfigError
        A setting, profile, switch or reference cannot be used.
    """
    settings = load_settings()
    place = load_profile(profile or settings.profile, os.environ)
    return Request(
        source=input_uri,
        output=output_uri,
        profile=place,
        work=str(settings.work),
        ledger=settings.ledger,
        context=context or _agreed(place),
        run=run,
        options=_options(options, settings),
    )


def _agreed(profile: CrdsProfile) -> str | None:
    """Return the context of the Prefect Variable where nothing nearer is pinned; or None."""
    has_prefect = "prefect" in sys.modules or os.environ.get("PREFECT_API_URL")
    if not has_prefect or pinned_context(profile) is not None:
        return None  # importing Prefect takes a second, and here nobody is to be asked
    from flows.pins import context_variable

    return context_variable()


def _options(options: ProcessOptions, settings: Settings) -> Options:
    return Options(
        engine=options.engine or settings.engine,
        overrides=parse_overrides(options.set),
        references=parse_references(options.reference),
        calibrations=chosen_collection(options.calibrations or settings.calibrations),
        previews=options.previews or settings.previews,
        thumb=settings.thumb,
        messages=options.messages or settings.messages,
        keep_scratch=options.keep_scratch,
        threads=options.threads,
        own_run=options.own_run,
        goes_back=options.current,
        tar=settings.tar if options.tar is None else options.tar,
        stage2=options.stage2 or settings.stage2,
        astrometry=options.astrometry or settings.astrometry,
        faults=parse_faults(options.simulate or [settings.simulate]),
    )


def chosen_collection(name: str | None) -> str | None:
    """Return the name of a collection; ``none`` is how a call says that it wants none."""
    return None if name in {None, "", "none"} else name


def parse_references(texts: list[str]) -> dict[str, str]:
    """Read ``KEYWORD=PATH`` pairs; paths become absolute.

    Raises
    ------
    ConfigError
        A text has no ``=``, or the file does not exist.
    """
    found: dict[str, str] = {}
    for text in texts:
        keyword, equals, name = text.partition("=")
        path = Path(name).expanduser().absolute()
        if not equals or not keyword.isalnum():
            raise ConfigError("not a reference setting", expected="KEYWORD=PATH", found=text)
        if not path.is_file():
            raise ConfigError("no such reference file", path=path, expected=f"a file for {keyword}")
        found[keyword.upper()] = str(path)
    return found
