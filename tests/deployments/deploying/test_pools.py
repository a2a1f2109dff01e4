"""Work pools: templates whose variables are used, jobs that have what their workers need."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from prefect.utilities.templating import apply_values

from calib.errors import ConfigError
from deployments.deploying.pools import (
    KINDS,
    base_job_template,
    refuse_incomplete,
    with_variables,
)

IMAGES = [kind for kind in KINDS if kind != "process"]

# What the job configurations of prefect-docker 0.7.4, prefect-kubernetes 0.8.0 and prefect-aws
# 0.7.12 know: with another key a worker refuses the job, or passes over it.
KNOWN = {
    "docker": {
        *("auto_remove", "command", "container_create_kwargs", "env", "image", "labels", "name"),
        *("image_pull_policy", "mem_limit", "memswap_limit", "network_mode", "networks"),
        *("privileged", "registry_credentials", "stream_output", "volumes"),
    },
    "kubernetes": {
        *("annotations", "cluster_config", "command", "env", "job_manifest", "labels", "name"),
        *("job_watch_timeout_seconds", "namespace", "pod_watch_timeout_seconds", "stream_output"),
    },
    "ecs": {
        *("auto_deregister_task_definition", "aws_credentials", "cloudwatch_logs_options"),
        *("cloudwatch_logs_prefix", "cluster", "command", "configure_cloudwatch_logs"),
        *("container_name", "env", "execution_role_arn", "labels", "name"),
        *("match_latest_revision_in_family", "network_configuration", "stream_output"),
        *("prefect_api_auth_string_secret_arn", "prefect_api_key_secret_arn", "vpc_id"),
        *("task_definition", "task_run_request", "task_start_timeout_seconds"),
        "task_watch_poll_interval",
    },
}
NEEDED = {
    "image": "registry.example.org/hstflow:0.1.0",
    "execution_role_arn": "arn:aws:iam::123456789012:role/hstflow",
    "efs_id": "fs-0123abcd",
    "work_access_point": "fsap-0123abcd",
    "cache_access_point": "fsap-0123abce",
    "ledger_secret_arn": "arn:aws:secretsmanager:us-east-1:123456789012:secret:ledger",
}


def job_of(kind: str) -> dict[str, Any]:
    """Return the job that a run of a pool with its defaults becomes."""
    template = base_job_template(kind)
    known = template["variables"]["properties"]
    given = {name: value for name, value in NEEDED.items() if name in known}
    made = with_variables(template, given)
    refuse_incomplete(made)
    values = {
        name: about["default"]
        for name, about in made["variables"]["properties"].items()
        if about.get("default") is not None
    }
    job: dict[str, Any] = apply_values(made["job_configuration"], values)
    return job


@pytest.mark.parametrize("kind", IMAGES)
def test_variables_are_those_that_are_used(kind: str) -> None:
    """No placeholder lacks a variable, no variable is without use; each is explained."""
    template = base_job_template(kind)
    used = {*re.findall(r"{{ (\w+) }}", json.dumps(template["job_configuration"]))}
    variables = template["variables"]["properties"]

    assert used == {*variables}
    assert [name for name, about in variables.items() if not about.get("description")] == []
    assert {*template["job_configuration"]} <= KNOWN[kind]


@pytest.mark.parametrize("kind", IMAGES)
def test_job_has_image_settings_and_no_root(kind: str) -> None:
    """The run starts as a user, from the image, with the settings of a worker and its volumes."""
    job = job_of(kind)
    text = json.dumps(job)

    assert NEEDED["image"] in text
    assert job["env"]["PREFECT_SERVER_EPHEMERAL_ENABLED"] == "false"
    assert job["env"]["OMP_NUM_THREADS"] == "1"
    assert "/work" in text
    assert "/cache" in text
    assert "10001" in text
    assert '"tini", "--"' in text  # not the image's own entrypoint, which is `hstflow`
    assert "{{" not in re.sub(r"{{ (name|command|labels|network_configuration)", "", text)


def test_kubernetes_job_is_restricted() -> None:
    """The pod passes Kubernetes' "restricted" standard: no root, no rights, default seccomp."""
    pod = job_of("kubernetes")["job_manifest"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]

    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == 10001
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container["resources"]["limits"] == {"cpu": "2", "memory": "16Gi"}
    mounted = {each["name"] for each in container["volumeMounts"]}
    assert mounted == {each["name"] for each in pod["volumes"]}


@pytest.mark.parametrize(
    ("kind", "values", "said"),
    [
        ("docker", {"nothing": 1}, "no variable nothing"),
        ("docker", {"user": "0:0"}, "user"),
        ("kubernetes", {"run_as": 0}, "run_as"),
        ("ecs", {"cpu": "many"}, "cpu"),
        ("process", {"image": "x"}, "no variable image"),
    ],
)
def test_bad_variable_is_refused(kind: str, values: dict[str, Any], said: str) -> None:
    """A variable that is not there, or of another kind, or root."""
    with pytest.raises(ConfigError, match=said):
        with_variables(base_job_template(kind), values)


@pytest.mark.parametrize("kind", IMAGES)
def test_what_nobody_said_is_asked_for(kind: str) -> None:
    """A pool is not made without an image."""
    with pytest.raises(ConfigError, match="needs image"):
        refuse_incomplete(base_job_template(kind))
