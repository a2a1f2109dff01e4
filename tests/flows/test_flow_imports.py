"""What a flow run imports before it knows whether there is anything to do."""

from __future__ import annotations

import subprocess
import sys

HEAVY = ("numpy", "astropy", "dask", "distributed", "numba", "PIL", "requests", "boto3", "crds")
CODE = f"""
import sys
import flows.context_watch, flows.reprocessing
print([name for name in {HEAVY} if name in sys.modules])
"""


def test_flows_that_look_import_nothing_heavy() -> None:
    """Each flow run is a process of its own, and most find nothing to do."""
    done = subprocess.run([sys.executable, "-c", CODE], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"
