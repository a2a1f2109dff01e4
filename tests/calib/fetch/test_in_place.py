"""What belongs to a named file, where it lies."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from associations import ASN, MEMBERS, PAIR, PRODUCT, make_association

from calib.errors import ConfigError, CorruptFile, MissingMember, NotFound
from calib.fetch.in_place import RAW, find_files

RAWS = tuple(f"{name}_raw.fits" for name in MEMBERS)


def lay(folder: Path, *names: str) -> None:
    """Write files that hold their own names."""
    for name in names:
        (folder / name).write_text(name)


def test_exposure_is_taken_alone(tmp_path: Path) -> None:
    """The table and the other exposures beside it do not matter; any root will do."""
    make_association(tmp_path, PAIR)
    lay(tmp_path, *RAWS, "My_field_raw.fits")

    inputs = find_files(tmp_path / RAWS[0]).describe()
    assert (inputs.dataset, inputs.members) == (MEMBERS[0], ())
    assert [file.name for file in inputs.exposures] == [RAWS[0]]
    assert inputs.files[0].sha256 == hashlib.sha256(RAWS[0].encode()).hexdigest()

    other = find_files(tmp_path / "My_field_raw.fits").describe()
    assert [(f.rootname, f.suffix) for f in other.files] == [("my_field", "raw")]


def test_table_brings_its_exposures(tmp_path: Path) -> None:
    """Those marked present come, in any case of letters; products and strangers do not."""
    table = make_association(tmp_path, PAIR)
    lay(tmp_path, RAWS[0].upper(), RAWS[1], f"{PRODUCT}_crj.fits", "j8zz01acq_raw.fits")

    found = find_files(table)
    inputs = found.describe()

    assert found.rootnames == MEMBERS
    assert [file.name for file in inputs.exposures] == [RAWS[0].upper(), RAWS[1]]
    assert [file.name for file in inputs.of("asn")] == [table.name]
    assert (inputs.dataset, len(inputs.members)) == (ASN, 3)


def test_absent_member_is_not_asked_for(tmp_path: Path) -> None:
    """An exposure that was never taken (MEMPRSNT false) is no missing one."""
    table = make_association(tmp_path, PAIR, absent=[MEMBERS[1]])
    lay(tmp_path, RAWS[0])

    assert find_files(table).rootnames == MEMBERS[:1]


@pytest.mark.parametrize(
    "name", [RAWS[0], RAWS[0].upper().replace("_RAW.FITS", RAW), "My_field_raw.fits", "of a table"]
)
def test_variables_of_the_dataset_come_with_it(tmp_path: Path, name: str) -> None:
    """Of every kind of file its own; those of members and neighbours are for these alone."""
    table = make_association(tmp_path, PAIR)
    path = table if name == "of a table" else tmp_path / name
    lay(tmp_path, *RAWS, *([] if path == table else [name]))
    root = path.name.rpartition("_")[0]
    lay(tmp_path, f"{root}_cal_env.txt", f"{MEMBERS[1]}_cal_env.txt", "j8zz_cal_env.txt")

    inputs = find_files(path).describe()

    assert inputs.environment is not None
    assert inputs.environment.name == f"{root}_cal_env.txt"
    assert inputs.environment.rootname == inputs.dataset == root.lower()
    assert len(inputs.files) == len(inputs.exposures) + len(inputs.members[:1]) + 1


def test_members_whose_names_differ_in_case(tmp_path: Path) -> None:
    """Which of the two is meant nobody knows; a folder is no file."""
    table = make_association(tmp_path, PAIR)
    (tmp_path / RAWS[0].upper()).mkdir()
    lay(tmp_path, *RAWS)
    assert len(find_files(table).exposures) == 2

    lay(tmp_path, RAWS[1].upper())
    with pytest.raises(CorruptFile, match=f"differ in case only .*{RAWS[1].upper()}"):
        find_files(table)


def test_missing_members_are_all_listed(tmp_path: Path) -> None:
    """The message names the table, all that is missing, and what is there."""
    table = make_association(tmp_path, PAIR)

    with pytest.raises(MissingMember, match=r"2 of 2 .* j8zz01aaq j8zz01abq") as caught:
        find_files(table)

    assert (caught.value.code, caught.value.path) == (21, str(table))
    assert caught.value.found == table.name


@pytest.mark.parametrize(
    ("name", "kind"),
    [("x_asn.fits", CorruptFile), ("x_flt.fits", ConfigError), ("gone_raw.fits", NotFound)],
)
def test_what_cannot_be_calibrated(
    tmp_path: Path, name: str, kind: type[CorruptFile | ConfigError | NotFound]
) -> None:
    """A table that is none, another product, and no file at all have errors of their own."""
    if not name.startswith("gone"):
        lay(tmp_path, name)

    with pytest.raises(kind):
        find_files(tmp_path / name)
