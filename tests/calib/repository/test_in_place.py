"""Files that lie where others put them, held against their rows."""

from __future__ import annotations

from pathlib import Path

import pytest

from calib.repository.in_place import check_file


@pytest.mark.parametrize("kind", ["encoded", "plain"])
def test_odd_names_are_not_taken_for_one_another(tmp_path: Path, kind: str) -> None:
    """An encoded blank is a blank, also where another file has the code in its name."""
    blank, code = tmp_path / "a b.fits", tmp_path / "a%20b.fits"
    blank.write_bytes(b"blank")
    code.write_bytes(b"the code")

    for path in (blank, code):
        uri = path.as_uri() if kind == "encoded" else f"file:{path}"
        row = {"uri": uri, "size": path.stat().st_size, "sha256": None}
        assert check_file(row, deep=True) is None
    blank.unlink()
    row = {"uri": blank.as_uri(), "size": 5, "sha256": None}
    found = check_file(row, deep=False)
    assert found is not None
    assert found.kind == "missing"
