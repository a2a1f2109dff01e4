"""What processing would do, found out before anything runs (``--dry-run``, ``archive plan``).

A forecast asks the same functions that processing calls, and stops where they would begin to
write: no ledger row, no work folder, no product, no download is left behind.
"""

from __future__ import annotations

import dataclasses
import os
import tempfile
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from calib.errors import ConfigError, HstflowError
from calib.fetch.options import FetchOptions, options_from
from calib.ids import parse_dataset
from calib.stages.foresight import Desk, foresee, sum_up
from calib.stages.job import Job
from calib.stages.outlook import DatasetForecast, Forecast, Settings, trouble_of
from calib.stages.planning import Request, plan_jobs
from calib.stages.reference_outlook import looking_profile

# Datasets looked at side by side: more hides the round trips to MAST and buckets; FITS headers
# are read by one thread at a time.
THREADS = 8


def forecast(
    request: Request,
    datasets: Sequence[str],
    *,
    fetch: bool = False,
    threads: int = THREADS,
    options: FetchOptions | None = None,
    done: Callable[[DatasetForecast], None] | None = None,
) -> Forecast:
    """Find out what processing would do; every dataset is looked at, nothing is written.

    Parameters
    ----------
    request, datasets
        As for :func:`calib.stages.planning.plan_jobs`. A name that is none is an error of that
        dataset alone.
    fetch
        Bring inputs from MAST and buckets into a temporary folder, which is removed, to know
        everything; otherwise what fetching would show is said to be not known.
    threads
        Datasets to look at side by side.
    options
        How to ask MAST; from the environment where not given.
    done
        Told of every dataset, in their order.

    Returns
    -------
    Forecast
        What is wrong with a dataset is in its record: it never stops the others.

    Raises
    ------
    ConfigError
        No name was given, or a URI, run name or setting cannot be used.
    ContextError, Unavailable
        The CRDS context does not exist, or nobody can tell.
    """
    names = list(dict.fromkeys(datasets))
    bad = {text: refused for text in names if (refused := _refuse_name(text))}
    if not names:
        raise ConfigError("no dataset was named", expected="one or more names, or @FILE")
    with tempfile.TemporaryDirectory(prefix="hstflow-forecast-") as folder:
        profile = looking_profile(request.profile, Path(folder))
        asked = dataclasses.replace(request, profile=profile)
        good = [text for text in names if text not in bad]
        planned = plan_jobs(asked, good) if good else []
        jobs = {job.dataset: dataclasses.replace(job, profile=request.profile) for job in planned}
        desk = Desk(
            scratch=Path(folder),
            profile=profile,
            options=options or options_from(os.environ),
            fetch=fetch,
            lock=threading.Lock(),
        )

        def one(text: str) -> DatasetForecast:
            return bad.get(text) or foresee(jobs[parse_dataset(text).name], desk)

        with ThreadPoolExecutor(max(1, threads)) as pool:
            found: dict[str, DatasetForecast] = {}
            for each in pool.map(one, names):
                found.setdefault(each.dataset, each)
                if done:
                    done(each)
    settings = _settings(request, next(iter(jobs.values()), None), fetched=fetch)
    return sum_up(Forecast(settings, tuple(found.values())))


def _refuse_name(text: str) -> DatasetForecast | None:
    try:
        parse_dataset(text)
    except HstflowError as error:
        return DatasetForecast(
            text, "error", str(error), trouble=trouble_of(error, "plan"), inputs_known=False
        )
    return None


def _settings(request: Request, job: Job | None, *, fetched: bool) -> Settings:
    options = request.options
    return Settings(
        context=job.context if job else request.context,
        source=job.source if job else request.source,
        output=job.output if job else request.output,
        run=job.run if job else request.run,
        run_is_named=request.run is not None,
        engine=options.engine,
        switches=dict(options.overrides.switches),
        parameters=dict(options.overrides.parameters),
        references=dict(options.references),
        fetched=fetched,
    )
