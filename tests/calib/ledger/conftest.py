"""Ledgers on each kind of database, attempts in them, and a user without rights."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from databases import ledger, template, url

from calib.ids import DatasetId, parse_dataset
from calib.ledger.ledger import Attempt, Ledger, current_owner

__all__ = ["ledger", "template", "url"]

RunAsUser = Callable[..., "subprocess.CompletedProcess[str]"]
Begin = Callable[..., Attempt]


@pytest.fixture
def dataset() -> DatasetId:
    """Return an ACS exposure."""
    return parse_dataset("j8bt05njq")


@pytest.fixture
def begin(ledger: Ledger, dataset: DatasetId) -> Begin:
    """Return a function that submits a job and begins an attempt, ours by default."""

    def submit_and_begin(name: DatasetId = dataset, **changes: Any) -> Attempt:
        job = ledger.submit("adhoc", name, "r1", context="hst_1.pmap")
        return ledger.begin_attempt(job, replace(current_owner(), **changes))

    return submit_and_begin


@pytest.fixture
def python_as_user() -> RunAsUser:
    """Return a function that runs Python code as somebody whom file permissions bind.

    The superuser writes everywhere: as superuser the code gives its rights up after importing
    the ledger, since another user may not be able to read the interpreter.
    """
    prelude = (
        "import os, sys, alembic.config, sqlalchemy.dialects.sqlite, deployments.cli.status\n"
        "from calib.errors import ConfigError\n"
        "from calib.ledger.ledger import open_ledger\n"
        "if os.geteuid() == 0: os.setuid(65534)\n"
    )

    def run(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", prelude + code, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True)

    return run
