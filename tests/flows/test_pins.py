"""The context of an installation: a Variable of the Prefect server."""

from __future__ import annotations

from pathlib import Path

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from calib.errors import ConfigError
from calib.references.pins import pin
from calib.references.profile import load_profile
from calib.simulate.observatory import Observatory
from flows.parameters import ProcessOptions, build_request
from flows.pins import context_variable, set_context_variable


def test_without_a_server_there_is_none() -> None:
    """No server is started to ask it, and none can keep one."""
    assert context_variable() is None
    with pytest.raises(ConfigError, match="no Prefect server"):
        set_context_variable("hst_9002.pmap")


@pytest.mark.prefect
def test_variable_counts_where_nothing_nearer_does(
    prefect_environment: dict[str, str],
    observatory: Observatory,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """The word of the caller, then a pin, then the Variable."""
    for name, value in observatory.environ.items():
        monkeypatch.setenv(name, value)
    with temporary_settings({PREFECT_API_URL: prefect_environment["PREFECT_API_URL"]}):
        set_context_variable("hst_9002.pmap")
        try:
            assert _context(tmp_path) == "hst_9002.pmap"
            assert _context(tmp_path, "hst_9000.pmap") == "hst_9000.pmap"
            pin(load_profile(None, observatory.environ), "hst_9001.pmap")
            assert _context(tmp_path) is None  # the pin is found where the context is resolved
        finally:
            set_context_variable(None)
        assert context_variable() is None


def _context(folder: Path, named: str | None = None) -> str | None:
    request = build_request("file:.", f"file:{folder}", None, named, None, ProcessOptions())
    return request.context
