"""A request becomes jobs in which nothing is left open."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from calib.errors import ConfigError, ContextError
from calib.simulate.observatory import Observatory
from calib.stages.job import Options, key_of
from calib.stages.planning import Request, plan_jobs
from calib.stages.workplaces import TAKEN
from calib.switches import parse_overrides


def test_same_request_gives_the_same_run(request_of: Request, observatory: Observatory) -> None:
    """An unnamed run has the context's name and a hash, so that a second call finds the first."""
    first, again = (plan_jobs(request_of, observatory.datasets)[0] for _ in range(2))

    assert first.run == again.run
    assert first.run.startswith("hst_9001-")


@pytest.mark.parametrize("change", ["context", "output", "switch", "engine"])
def test_what_changes_the_numbers_or_place_changes_the_run(
    request_of: Request, observatory: Observatory, tmp_path: Path, change: str
) -> None:
    """Another context, output, switch or engine is another run."""
    other = {
        "context": dataclasses.replace(request_of, context=observatory.contexts[1]),
        "output": dataclasses.replace(request_of, output=f"file:{tmp_path / 'elsewhere'}"),
        "switch": dataclasses.replace(
            request_of, options=Options(overrides=parse_overrides(["DARKCORR=OMIT"]))
        ),
        "engine": dataclasses.replace(request_of, options=Options(engine="native")),
    }[change]

    runs = {plan_jobs(each, observatory.datasets)[0].run for each in (request_of, other)}

    assert len(runs) == 2


def test_threads_change_no_run(request_of: Request, observatory: Observatory) -> None:
    """They change how fast a product is made, so another number finds the same run."""
    more = dataclasses.replace(request_of, options=Options(threads=8))

    jobs = [plan_jobs(each, observatory.datasets)[0] for each in (request_of, more)]

    assert jobs[0].run == jobs[1].run
    assert [job.options.threads for job in jobs] == [1, 8]


def test_relative_places_become_absolute(
    request_of: Request,
    observatory: Observatory,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A job means the same in any process, whatever its folder."""
    monkeypatch.chdir(tmp_path)
    request = dataclasses.replace(request_of, source="file:.", output="file:out/../here")

    job = plan_jobs(request, observatory.datasets)[0]

    assert job.source == f"file:{tmp_path}"
    assert job.output == f"file:{tmp_path / 'here'}"


def test_each_dataset_once(request_of: Request) -> None:
    """A name given twice, also in capitals, is one job."""
    jobs = plan_jobs(request_of, ["j8bt05njq", "J8BT05NJQ", "j8bt06o6q"])

    assert [job.dataset for job in jobs] == ["j8bt05njq", "j8bt06o6q"]


@pytest.mark.parametrize(
    ("field", "value", "kind"),
    [
        *(("run", name, ConfigError) for name in sorted(TAKEN)),
        ("context", "hst_8888.pmap", ContextError),
        ("output", "astroquery:", ConfigError),
        ("output", "ftp://host/x", ConfigError),
        ("run", "../escape", ConfigError),
        ("run", "Run 1", ConfigError),
    ],
)
def test_unusable_requests_are_refused(
    request_of: Request, field: str, value: str, kind: type[ConfigError]
) -> None:
    """What cannot work is found out before anything starts."""
    request = dataclasses.replace(request_of, **{field: value})

    with pytest.raises(kind):
        plan_jobs(request, ["j8bt05njq"])


def test_no_dataset_is_an_error(request_of: Request) -> None:
    """An empty list of names is a mistake, not a success."""
    with pytest.raises(ConfigError, match="no dataset"):
        plan_jobs(request_of, [])


def test_the_name_of_the_run_is_made_once(
    request_of: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It hashes a whole collection, which is the same for each of many datasets."""
    seen = []

    def count(*parts: object) -> str:
        if request_of.output in parts:
            seen.append(parts)
        return key_of(*parts)

    monkeypatch.setattr("calib.stages.planning.key_of", count)

    jobs = plan_jobs(request_of, ["j8bt05njq", "j8bt06o6q", "j8bt09jcq"])

    assert (len(jobs), len({job.run for job in jobs}), len(seen)) == (3, 1, 1)
