"""Thumbnails in the page of a run."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks import preview


@pytest.mark.parametrize(("suffix", "kind"), [(".jpg", "jpeg"), (".png", "png")])
def test_thumbnail_is_shown_as_what_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, kind: str
) -> None:
    """Images are JPEG, spectra PNG: the data URL says so, the key has no other letters."""
    shown: list[dict[str, str]] = []
    monkeypatch.setattr(preview, "create_image_artifact", lambda **values: shown.append(values))
    thumb = tmp_path / f"o8bt05njq_x1d_thumb{suffix}"
    thumb.write_bytes(b"abc")
    preview._show(thumb)
    assert shown[0]["image_url"] == f"data:image/{kind};base64,YWJj"
    assert shown[0]["key"] == "preview-o8bt05njq-x1d-thumb"
