"""Rows of text files beside each other."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calib.fitsfile.comparison import EXACT, Tolerance
from calib.stages.text_comparison import compare_texts

CLOSE = Tolerance(rtol=0.01)


@pytest.mark.parametrize(
    ("before", "after", "tolerance", "expected"),
    [
        ("# then\n1 2\n", "# now\n1 2\n", EXACT, (0, 0, 1)),
        ("1 2\n", "1  2\n", EXACT, (0, 0, 1)),
        ("1,2\n", "1, 2\n", EXACT, (0, 0, 1)),
        ("1 2\n", "1 2.0\n", EXACT, (1, 0, 1)),
        ("1 2\n", "1 2.02\n", EXACT, (1, 1, 1)),
        ("1 2\n", "1 2.01\n", CLOSE, (1, 0, 1)),
        ("1 2\n", "1 2.03\n", CLOSE, (1, 1, 1)),
        ("1 nan\n", "1 NaN\n", EXACT, (1, 0, 1)),
        ("1 nan\n", "1 2\n", CLOSE, (1, 1, 1)),
        ("1 star\n", "1 galaxy\n", CLOSE, (1, 1, 1)),
        ("1 2\n", "1 2 3\n", CLOSE, (1, 1, 1)),
        ("1\n2\n", "1\n", CLOSE, (2, 2, 2)),
        ("", "1\n", CLOSE, (1, 1, 0)),
    ],
)
def test_rows(
    tmp_path: Path, before: str, after: str, tolerance: Tolerance, expected: tuple[int, int, int]
) -> None:
    """Comments and blanks do not count; words are exact, numbers as close as they have to be."""
    (tmp_path / "a").write_text(before)
    (tmp_path / "b").write_text(after)
    assert compare_texts(tmp_path / "a", tmp_path / "b", tolerance) == expected


@given(content=st.binary(max_size=200))
def test_a_file_is_equal_to_itself(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    """Whatever bytes it has."""
    path = tmp_path_factory.getbasetemp() / "same"
    path.write_bytes(content)
    assert compare_texts(path, path)[:2] == (0, 0)
