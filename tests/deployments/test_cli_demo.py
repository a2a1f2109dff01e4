"""`hstflow demo`: a newcomer's first minute."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from deployments.cli.main import run


def test_demo_publishes_and_the_second_says_nothing_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The demo ends with products and a picture; run again it has nothing to do."""
    assert run(["demo", str(tmp_path / "demo")]) == 0
    text = capsys.readouterr().out
    picture = next((tmp_path / "demo" / "archive" / "runs").rglob("*_flt.jpg"))

    assert "processed" in text
    assert all(stage in text for stage in ("fetch", "bestrefs", "calibrate", "archive"))
    with Image.open(picture) as image:
        assert image.size == (1024, 1024)

    assert run(["demo", str(tmp_path / "demo"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["state"] == "skipped"
