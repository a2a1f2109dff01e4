"""`process --tar`: the tar comes with the products, mends itself, and is an input again."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from calib.errors import ConfigError
from calib.simulate.observatory import Observatory
from calib.stages.job import Job, Options
from calib.stages.planning import Request, plan_jobs
from calib.stages.sequence import process_dataset


@pytest.fixture
def with_tar(request_of: Request, observatory: Observatory) -> Job:
    """Return a job that asks for the tar."""
    request = dataclasses.replace(request_of, options=Options(tar=True, previews="none"))
    return plan_jobs(request, observatory.datasets[:1])[0]


def folder_of(job: Job) -> Path:
    """Return the folder of the tar."""
    return Path(str(job.output).removeprefix("file:")) / "outputs" / job.dataset


def test_a_tar_is_an_input_again(with_tar: Job, tmp_path: Path) -> None:
    """What was packed is found, unpacked and calibrated like CALDP's own tars."""
    first = process_dataset(with_tar)
    again = dataclasses.replace(
        with_tar,
        source=f"file:{folder_of(with_tar)}",
        output=f"file:{tmp_path / 'again'}",
        work=str(tmp_path / "work-again"),
        ledger=f"sqlite:///{tmp_path / 'again.db'}",
    )

    assert first.state == "processed"
    assert process_dataset(again).state == "processed"
    assert {path.name for path in folder_of(again).iterdir()} == {
        "process.txt",
        f"{again.dataset}.tar.gz",
        f"{again.dataset}.tar.gz.json",
    }


def test_a_crash_before_the_tar_is_mended_by_the_next_run(
    with_tar: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The dataset is published already; the next run of the same job makes the tar alone."""

    def crash(*_given: Any) -> None:
        raise SystemExit(143)

    with monkeypatch.context() as patch:
        patch.setattr("calib.stages.archive.publish_tar", crash)
        with pytest.raises(SystemExit):
            process_dataset(with_tar)
    assert not folder_of(with_tar).exists()

    outcome = process_dataset(with_tar)

    assert outcome.state == "skipped"
    assert (folder_of(with_tar) / f"{with_tar.dataset}.tar.gz").is_file()


def test_a_tar_that_cannot_be_written_is_an_error_of_the_archive(with_tar: Job) -> None:
    """Code 25; the products are published all the same, and the next run tries again."""
    folder = folder_of(with_tar)
    folder.parent.mkdir(parents=True)
    folder.write_text("in the way")

    failed = process_dataset(with_tar)
    folder.unlink()
    again = process_dataset(with_tar)

    assert (failed.state, failed.code, failed.stage) == ("error", 25, "archive")
    assert again.state == "skipped"
    assert (folder / f"{with_tar.dataset}.tar.gz").is_file()


def test_without_an_output_there_is_no_tar(request_of: Request, observatory: Observatory) -> None:
    """Products that stay in the work folder cannot be packed; nothing was started."""
    request = dataclasses.replace(request_of, output="none", options=Options(tar=True))

    with pytest.raises(ConfigError, match="a tar goes to the output"):
        plan_jobs(request, observatory.datasets[:1])


def test_products_that_are_not_made_any_more_are_told(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The outcome warns of them, and the ledger has them."""
    from calib.archive.publish import File
    from calib.ledger.reports import Rows
    from calib.stages import archive
    from calib.stages.recording import ledger_of

    job = dataclasses.replace(job, options=Options(previews="none"))
    files_of = archive.files_of
    more = Path(job.work) / f"{job.dataset}_crj.fits"
    more.parent.mkdir(parents=True)
    more.write_text("a product")
    with monkeypatch.context() as patch:
        patch.setattr(archive, "files_of", lambda *all_: (*files_of(*all_), File("product", more)))
        assert process_dataset(job).warnings == ()

    newer = dataclasses.replace(job.options.overrides, switches={"DARKCORR": "OMIT"})
    changed = dataclasses.replace(job.options, overrides=newer)
    outcome = process_dataset(dataclasses.replace(job, run="second", options=changed))

    assert outcome.warnings == (f"no longer made: {more.name} (last in {job.run})",)

    def buried(rows: Rows) -> list[dict[str, Any]]:
        return rows("SELECT run, dataset, name, last_run FROM tombstones", {})

    assert ledger_of(job.ledger).ask(buried) == [
        {"run": "second", "dataset": job.dataset, "name": more.name, "last_run": job.run}
    ]
