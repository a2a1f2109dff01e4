"""What the six stages need to know about one dataset in one run."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from calib.archive.messages import message_folder
from calib.engines.astrometry import AstrometryMode
from calib.engines.stage2 import Stage2Policy
from calib.grants import Grant
from calib.ids import DatasetId, parse_dataset
from calib.ledger.calibrations import Certification
from calib.references.files import sha1_of
from calib.references.profile import CrdsProfile
from calib.stages.faults import Fault
from calib.switches import Overrides

PreviewPolicy = Literal["normal", "required", "none"]
MessageStyle = Literal["none", "flat", "folders"]


@dataclass(frozen=True)
class Options:
    """How to process: the same for every dataset of a request.

    Attributes
    ----------
    engine
        ``auto``, ``native`` or another engine's name.
    overrides
        Switches and step parameters set by the user.
    references
        Reference files set by the user, path by keyword.
    calibrations
        Calibration collection whose references are used for the exposures that they are
        valid for; None: CRDS alone.
    certifications
        What is in that collection, read when the job was planned: what becomes of the
        collection later changes no job. None: not read yet.
    previews
        ``normal`` (a failure is a warning), ``required`` (it is error 28) or ``none``.
    thumb
        Longest side of thumbnails, pixels; None: 128, and 512 for skycells.
    messages
        Message files to write: ``none``, ``flat`` or ``folders``.
    keep_scratch
        Keep the work folder of a published dataset.
    threads
        Threads per dataset. The products do not depend on it, so no key has it.
    own_run
        Publish in this run although another one has the same result.
    becomes_current
        Whether readers are led to the result. Without it the result waits in its run: the next
        job that makes the same finds it there, and makes it current.
    goes_back
        Whether readers are led to the result also from one of a later CRDS context.
    tar
        Lay what is current out as CALDP's tar too: ``OUTPUT/outputs/ID/ID.tar.gz``.
    faults
        Failures on purpose. No key has them: a stage that passes has the same result.
    env
        Environment of the programs that calibrate, on top of ours.
    stage2
        Whether ACS and WFC3 are drizzled: ``auto`` (where DRIZCORR=PERFORM and the program is
        here), ``always`` or ``never``.
    astrometry
        How drizzled images are aligned: ``auto``, ``off``, ``apriori``, ``aposteriori``, ``full``.
    """

    engine: str = "auto"
    overrides: Overrides = field(default_factory=Overrides)
    references: dict[str, str] = field(default_factory=dict)
    calibrations: str | None = None
    certifications: tuple[Certification, ...] | None = None
    previews: PreviewPolicy = "normal"
    thumb: int | None = None
    messages: MessageStyle = "none"
    keep_scratch: bool = False
    threads: int = 1
    own_run: bool = False
    becomes_current: bool = True
    goes_back: bool = False
    tar: bool = False
    faults: tuple[Fault, ...] = ()
    env: dict[str, str] = field(default_factory=dict)
    stage2: Stage2Policy = "auto"
    astrometry: AstrometryMode = "auto"

    @property
    def stage2_settings(self) -> dict[str, str]:
        """What a user said of stage 2; empty where that is nothing, as before there was any."""
        said = {"stage2": self.stage2, "astrometry": self.astrometry}
        return {name: value for name, value in said.items() if value != "auto"}

    @property
    def reference_checksums(self) -> dict[str, str]:
        """The sha1 of each reference file set by the user, by keyword; empty where it is gone.

        A file of the user's own may be edited under its name; what CRDS delivers is not.
        """
        return {
            keyword: sha1_of(Path(path)) if Path(path).is_file() else ""
            for keyword, path in sorted(self.references.items())
        }


@dataclass(frozen=True)
class Job:
    """One dataset in one run, resolved: nothing in it is left to defaults or environment.

    Attributes
    ----------
    dataset, campaign
        Names; ``process`` uses the implicit campaign ``adhoc``.
    run
        Name of the write-once output collection.
    run_is_named
        Whether a person chose that name (then it is never varied).
    context, profile
        CRDS context and how to reach its files.
    source
        URI of the inputs.
    output
        URI of the output, ``file:/PATH`` or ``s3://BUCKET/PREFIX``; None to leave the
        products in the work folder.
    work
        Work folder of all jobs.
    ledger
        URL of the ledger.
    grant
        What an attempt may use.
    run_options
        The options of the run, where the manifest of a campaign says something else of this
        dataset; None: `options` are those of the run.
    work_key
        Names the work, whatever campaign it is for (:func:`calib.stages.planning.work_key`);
        None where the ledger has it already.
    attempts
        How many attempts were begun when a campaign handed it out; None: nobody did.
    """

    dataset: str
    campaign: str
    run: str
    run_is_named: bool
    context: str
    profile: CrdsProfile
    source: str
    output: str | None
    work: str
    ledger: str
    options: Options = field(default_factory=Options)
    grant: Grant = field(default_factory=Grant)
    run_options: Options | None = None
    work_key: str | None = None
    attempts: int | None = None

    @property
    def id(self) -> DatasetId:
        """The parsed name."""
        return parse_dataset(self.dataset)

    @property
    def folder(self) -> Path:
        """Work folder of this job: finished stages are kept here until publication."""
        return Path(self.work) / self.run / self.dataset

    @property
    def messages_folder(self) -> Path:
        """Where message files go: beside products in a folder, else in the work folder."""
        return message_folder(self.output, Path(self.work))


def key_of(*parts: object) -> str:
    """Return the sha256 of values in canonical JSON: the key of a finished stage."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()
