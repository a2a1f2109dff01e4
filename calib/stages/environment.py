"""The variables of one dataset, from its own file and from the user, and what headers say."""

from __future__ import annotations

import os
from pathlib import Path

from calib.engines.version_keywords import version_keywords
from calib.environment import merged, read_environment
from calib.records import RawInputs
from calib.stages.job import Job


def dataset_environment(inputs: RawInputs) -> dict[str, str]:
    """Return the variables in the file beside the inputs; none where there is no such file.

    Raises
    ------
    CorruptFile
        A line of it cannot be used.
    """
    file = inputs.environment
    return {} if file is None else read_environment(Path(file.path))


def environment_of(job: Job, inputs: RawInputs) -> dict[str, str]:
    """Return the variables for the programs: what a user sets wins over the dataset's file.

    Raises
    ------
    CorruptFile
        As :func:`dataset_environment`.
    """
    return merged(dataset_environment(inputs), job.options.env)


def versions_of(job: Job, inputs: RawInputs) -> dict[str, str]:
    """Return the version keywords for the exposures of a dataset.

    Its own variables win over those of this process: what an image or a job definition sets is
    read here, in the process that writes the headers.

    Raises
    ------
    ConfigError
        A value does not fit into a header.
    CorruptFile
        As :func:`dataset_environment`.
    """
    return version_keywords(merged(os.environ, environment_of(job, inputs)))
