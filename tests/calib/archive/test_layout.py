"""Places below the output folder, and the names that may go into them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calib.archive import layout
from calib.errors import ArchiveError, ConfigError
from calib.ids import DatasetId, parse_dataset

DATASET = parse_dataset("j8bt05njq")
RUNS = st.from_regex(r"\A[a-z0-9][a-z0-9._-]{0,99}\Z")


@pytest.mark.parametrize("name", ["a", "hst_0729-1a2b3c4d", "2026.01.01", "0", "a" * 100, "a..b"])
def test_run_names(name: str) -> None:
    """Lower case letters, digits, dots, underscores and hyphens make a run's name."""
    assert layout.check_run_name(name) == name


@given(name=st.text(max_size=20))
def test_any_accepted_run_stays_below_the_runs(name: str) -> None:
    """Whatever text is accepted as a run, its folder is a direct child of runs/."""
    try:
        folder = layout.run_folder(Path("/out"), name)
    except ConfigError:
        return
    assert Path(os.path.normpath(folder)).parent == Path("/out/runs")


@given(name=st.text(min_size=1, max_size=20), role=st.sampled_from([*layout.FOLDER_BY_ROLE]))
def test_any_accepted_file_stays_in_its_folder(name: str, role: layout.Role) -> None:
    """Whatever text is accepted as a file, it is a direct child of the folder of its role."""
    try:
        relative = layout.relative_name(role, name)
    except ArchiveError:
        return
    expected = Path("/x") / layout.FOLDER_BY_ROLE[role]
    assert Path(os.path.normpath(f"/x/{relative}")).parent == expected


@pytest.mark.parametrize(
    ("role", "relative"),
    [
        ("product", "x_flt.fits"),
        ("preview", "previews/x_flt.fits"),
        ("log", "logs/x_flt.fits"),
        ("env", "env/x_flt.fits"),
    ],
)
def test_folder_by_role(role: layout.Role, relative: str) -> None:
    """Only products lie at the top, as CALDP's readers expect."""
    assert layout.relative_name(role, "x_flt.fits") == relative


@given(run=RUNS)
def test_pointer_round_trip(run: str) -> None:
    """The run is read back from the text of a pointer."""
    assert layout.pointed_run(layout.pointer_text(run, DATASET), DATASET) == run


@pytest.mark.parametrize(
    "text",
    [
        "",
        "..",
        "../../runs/r/acs",
        "../../runs/r/acs/j8bt05njq/",
        "../../runs/../acs/j8bt05njq",
        "../../runs/R/acs/j8bt05njq",
        "../../runs/r/acs/j8bt05nkq",
        "../../../runs/r/acs/j8bt05njq",
        "/out/runs/r/acs/j8bt05njq",
    ],
)
def test_foreign_pointers(text: str) -> None:
    """A link to anything but a run's folder of this dataset is not one of ours."""
    assert layout.pointed_run(text, DATASET) is None


@pytest.mark.parametrize(
    "dataset", [DatasetId("j8bt05njq", "ipst", "wfc3"), DatasetId("J8BT05NJQ", "ipst", "acs")]
)
def test_inconsistent_dataset(dataset: DatasetId) -> None:
    """A dataset record that does not come from parsing has no place."""
    with pytest.raises(ConfigError, match="not a parsed dataset name"):
        layout.publication_folder(Path("/out"), "run", dataset)


def test_runs_are_listed(tmp_path: Path) -> None:
    """Folders that bear the name of a run are runs; files and other folders are not."""
    assert layout.list_runs(tmp_path) == []
    for name in ("b", "a", "Upper", ".hidden"):
        (tmp_path / "runs" / name).mkdir(parents=True)
    (tmp_path / "runs" / "file").touch()

    assert layout.list_runs(tmp_path) == ["a", "b"]
