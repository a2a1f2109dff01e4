"""Cluster files: what a cluster is made of, and what is refused before anything starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from calib.errors import ConfigError
from flows.cluster_files import ClusterFile, read_cluster_file
from flows.runners import make_runner

TOML = 'class = "distributed.LocalCluster"\nworkers = 3\n[kwargs]\nprocesses = false\n'
YAML = "class: distributed.LocalCluster\nadapt: {minimum: 0, maximum: 4}\n"


def test_toml_names_class_workers_and_arguments(tmp_path: Path) -> None:
    """The number of workers is one of the arguments of every Dask cluster."""
    path = tmp_path / "cluster.toml"
    path.write_text(TOML)

    found = read_cluster_file(path)

    assert found == ClusterFile("distributed.LocalCluster", {"processes": False, "n_workers": 3})


def test_a_runner_is_made_of_a_file(tmp_path: Path) -> None:
    """A path that ends like one is a cluster file, also where workers come and go."""
    path = tmp_path / "cluster.yaml"
    path.write_text(YAML)

    runner = make_runner(str(path), 2, tmp_path)

    assert runner.adapt_kwargs == {"minimum": 0, "maximum": 4}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "class = 3",
        'class = "distributed.NoCluster"',
        'class = "no_such_package.Cluster"',
        'class = "nothing"',
        'class = "distributed.LocalCluster"\nworkers = "2"',
        'class = "distributed.LocalCluster"\nworkers = 2\n[adapt]\nmaximum = 2',
        'class = "distributed.LocalCluster"\nother = 2',
        'class = "distributed.LocalCluster"\n[adapt]\nminimum = 0',
        'class = "distributed.LocalCluster"\npatience = "long"',
        "class = ",
    ],
)
def test_bad_files_are_refused(tmp_path: Path, text: str) -> None:
    """Each is a ConfigError that names the file."""
    path = tmp_path / "cluster.toml"
    path.write_text(text)

    with pytest.raises(ConfigError, match="cluster") as error:
        read_cluster_file(path)

    assert error.value.path == str(path)
