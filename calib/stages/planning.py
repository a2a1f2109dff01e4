"""From what a user asked to a job in which nothing is left open."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

from calib.archive.outputs import open_output
from calib.errors import ConfigError
from calib.ids import parse_dataset
from calib.references.context import resolve_context
from calib.references.profile import CrdsProfile
from calib.stages.calibrations import collection_record, with_certifications
from calib.stages.job import Job, Options, key_of
from calib.stages.workplaces import check_work_name
from calib.stores.uri import parse_uri, source_uri


@dataclass(frozen=True)
class Request:
    """What a user asked for: the arguments of ``hstflow process``.

    Attributes
    ----------
    source, output
        INPUT_URI and OUTPUT_URI: ``file:PATH``; output also ``none``.
    profile
        How to reach CRDS.
    context, run
        Given by the user, or None.
    work, ledger
        Work folder and ledger URL.
    campaign
        ``adhoc`` for ``process``.
    """

    source: str
    output: str
    profile: CrdsProfile
    work: str
    ledger: str
    context: str | None = None
    run: str | None = None
    campaign: str = "adhoc"
    options: Options = field(default_factory=Options)


def plan_jobs(request: Request, datasets: Sequence[str]) -> list[Job]:
    """Resolve a request for several datasets: names, URIs, context, calibrations, run.

    Raises
    ------
    ConfigError
        A name is not a dataset's, a URI or run name is not usable, or there is no such
        calibration collection. Nothing was started.
    ContextError
        The context does not exist here.
    """
    names = [parse_dataset(text).name for text in dict.fromkeys(datasets)]
    if not names:
        raise ConfigError("no dataset was named", expected="one or more names, or @FILE")
    context = resolve_context(request.context, request.profile)
    _check_tar(request)
    resolved = dataclasses.replace(
        request,
        source=source_uri(request.source),
        context=context,
        options=with_certifications(request.options, request.ledger),
    )
    fixed = fixed_key(resolved.options, output_uri(request.output))
    first = _job(resolved, names[0], context, fixed)
    _check_bucket(first)
    return [
        dataclasses.replace(first, dataset=name, work_key=work_key(first, name, fixed))
        for name in dict.fromkeys(names)
    ]


def fixed_key(options: Options, output: str | None) -> str:
    """Return the hash of all that is fixed in a run besides its context.

    Another output, engine, parameter or version of ours is another run.
    """
    parts: list[object] = [
        output,
        options.engine,
        dataclasses.asdict(options.overrides),
        options.references,
        options.reference_checksums,
        collection_record(options),
        version("hstflow"),
    ]
    # What says nothing of environment or stage 2 keeps the run of before there was either.
    said = [each for each in (options.env, options.stage2_settings) if each]
    return key_of(*parts, *said)


def work_key(job: Job, dataset: str, fixed: str) -> str:
    """Return the name of the work on a dataset, whatever campaign asks for it.

    Parameters
    ----------
    job
        A job of the same request.
    dataset
        The dataset.
    fixed
        :func:`fixed_key` of the dataset's own options.
    """
    own = job.run if job.run_is_named or job.options.own_run else None
    return key_of(dataset, job.context, fixed, own)


def _check_tar(request: Request) -> None:
    if request.options.tar and output_uri(request.output) is None:
        raise ConfigError(
            "a tar goes to the output, and there is none",
            expected="file:PATH or s3://BUCKET/PREFIX as OUTPUT_URI, or --no-tar",
            found=request.output,
        )


def _check_bucket(job: Job) -> None:
    """Ask a bucket once, so that one that is missing or refuses is found before any work."""
    if job.output is not None and job.output.startswith("s3:"):
        open_output(job.output).current_manifest(job.id)


def _job(request: Request, name: str, context: str, fixed: str) -> Job:
    return Job(
        dataset=name,
        campaign=request.campaign,
        run=check_work_name(request.run or _default_run(context, fixed)),
        run_is_named=request.run is not None,
        context=context,
        profile=request.profile,
        source=request.source,
        output=output_uri(request.output),
        work=str(Path(request.work).absolute()),
        ledger=request.ledger,
        options=request.options,
    )


def _default_run(context: str, fixed: str) -> str:
    """Name the run of an unnamed request after its context and a hash of all that is fixed.

    The same request finds its unfinished stages and its published products again.
    """
    return f"{re.sub(r'[^a-z0-9_]', '-', context.removesuffix('.pmap').lower())}-{fixed[:8]}"


def output_uri(text: str) -> str | None:
    """Return an OUTPUT_URI with an absolute path, None for ``none``.

    Raises
    ------
    ConfigError
        The URI is not ``file:PATH``, ``s3://BUCKET/PREFIX`` or ``none``.
    """
    target = parse_uri(text)
    if target.scheme == "none":
        return None
    if target.scheme == "s3":
        return text.rstrip("/")
    if target.scheme != "file":
        raise ConfigError(
            "not an output that can be written",
            expected="file:PATH, s3://BUCKET/PREFIX, or the word none",
            found=text,
        )
    # The folder need not exist, and ".." must be resolved: pathlib has no call for both.
    return f"file:{os.path.abspath(target.path)}"  # noqa: PTH100
