"""Ingest as a real flow run on a real Prefect server."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from ingestible import write_caldp

pytestmark = pytest.mark.prefect

SCRIPT = """
import sys
from pathlib import Path
from prefect.client.orchestration import get_client
from calib.errors import ConfigError
from flows.ingest import IngestFailed, ingest_files
from flows.parameters import IngestOptions
source, output = sys.argv[1:]
options = IngestOptions(template="caldp", threads=1)
done = ingest_files(f"file:{source}", f"file:{output}", "old", options)
print("FIRST", done["new"], done["known"])
Path(source, "outputs/j8bt05020/logs/process.txt").write_text("another")
try:
    ingest_files(f"file:{source}", f"file:{output}", "old", options)
except IngestFailed as error:
    print("SECOND", error.code, error.done.refused[0].dataset)
try:
    ingest_files(f"file:{source}", f"file:{output}", options=options)
except ConfigError:
    with get_client(sync_client=True) as client:
        print("NAMES", sorted({run.name for run in client.read_flow_runs()}))
"""


def test_files_are_ingested_by_a_flow_run(
    prefect_environment: dict[str, str], tmp_path: Path, own_home: Path
) -> None:
    """The flow gives the counts; refused datasets fail the flow run with their exit code."""
    ours = {key: value for key, value in os.environ.items() if not key.startswith("PREFECT_")}
    server = {k: v for k, v in prefect_environment.items() if k.startswith("PREFECT_")}
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, str(script), str(write_caldp(tmp_path / "caldp")), str(tmp_path / "out")],
        env={**ours, **server},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert "FIRST 2 0" in done.stdout
    assert "SECOND 25 j8bt05020" in done.stdout
    assert "'ingest-old'" in done.stdout
    assert f"'ingest-file:{tmp_path / 'caldp'}'" in done.stdout
