"""Arguments in CALDP's order, and lists of names."""

from __future__ import annotations

from pathlib import Path

import pytest

from calib.errors import ConfigError
from deployments.cli.console import expand_names, split_arguments


@pytest.mark.parametrize(
    ("tokens", "datasets", "places"),
    [
        (["j8bt05njq"], ["j8bt05njq"], []),
        (["j8bt05njq", "file:in"], ["j8bt05njq"], ["file:in"]),
        (["a", "b", "file:in", "none", "onsite"], ["a", "b"], ["file:in", "none", "onsite"]),
        (["@list", "astroquery:", "s3://b/p"], ["@list"], ["astroquery:", "s3://b/p"]),
    ],
)
def test_arguments_are_split_at_the_first_uri(
    tokens: list[str], datasets: list[str], places: list[str]
) -> None:
    """DATASET... [INPUT_URI] [OUTPUT_URI] [PROFILE]: names end where the first URI begins."""
    assert split_arguments(tokens) == (datasets, places)


def test_names_from_commas_and_files(tmp_path: Path) -> None:
    """Commas separate; a list file has a name a line, blanks and comments passed over."""
    path = tmp_path / "list"
    path.write_text("j8bt05njq\n\n  # all of these\nj8bt06o6q # good\n")

    assert expand_names(["a,b", f"@{path}"]) == ["a", "b", "j8bt05njq", "j8bt06o6q"]


def test_missing_list_file(tmp_path: Path) -> None:
    """A list that cannot be read is a bad command."""
    with pytest.raises(ConfigError, match="list cannot be read"):
        expand_names([f"@{tmp_path / 'nothing'}"])
