"""Preview pictures of products."""

from __future__ import annotations

from calib.preview.previews import draw_files, make_previews

__all__ = ["draw_files", "make_previews"]
