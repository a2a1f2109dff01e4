"""Copies of references under names that no other file has."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from astropy.io import fits

from calib.references.delivery.names import write_renamed
from calib.references.profile import CrdsProfile


def test_names_that_no_header_can_hold(
    cache: CrdsProfile, new_dark: Callable[..., Path], tmp_path: Path
) -> None:
    """The old name goes into HISTORY, where only ASCII may stand; the original stays."""
    path = new_dark("dark é.fits")
    before = path.read_bytes()
    made = write_renamed(cache, path, tmp_path, "abn1433fj_drk.fits")
    header = fits.getheader(made)
    assert header["FILENAME"] == "abn1433fj_drk.fits"
    assert "dark _.fits" in str(header["HISTORY"])
    assert path.read_bytes() == before
