"""The environment file of a dataset is an input like others, wherever the inputs come from."""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path

import pytest

from calib.errors import CorruptFile
from calib.fetch.local import fetch_inputs
from calib.ids import parse_dataset
from calib.records import RawInputs

ASN, MEMBER = parse_dataset("jh0001010"), parse_dataset("jh0001aaq")


def fetch(dataset: object, source: Path, target: Path) -> RawInputs:
    """Fetch from a folder."""
    return fetch_inputs(parse_dataset(str(dataset)), f"file:{source}", target)


def lay(folder: Path, dataset: object, text: str = "SVM_A=1\n") -> Path:
    """Write the file of a dataset."""
    path = folder / f"{dataset}_cal_env.txt"
    path.write_text(text)
    return path


@pytest.mark.parametrize("as_tar", [False, True])
def test_it_comes_with_its_dataset(association: Path, tmp_path: Path, *, as_tar: bool) -> None:
    """That of the association is taken; those of its members and neighbours are not."""
    for name in (ASN, MEMBER, "jh0001acq"):
        lay(association, name)
    if as_tar:
        with tarfile.open(tmp_path / "jh0001010.tar.gz", "w:gz") as tar:
            tar.add(association, "inputs")
        shutil.rmtree(association)
        association = tmp_path / "jh0001010.tar.gz"

    inputs = fetch(ASN, association, tmp_path / "fetched")

    assert inputs.environment is not None
    assert inputs.environment.name == "jh0001010_cal_env.txt"
    assert [f.name for f in inputs.files if f.suffix == "cal_env"] == [inputs.environment.name]
    assert len(inputs.exposures) == len(inputs.calibrated) == 2
    assert Path(inputs.environment.path).read_text() == "SVM_A=1\n"


def test_an_exposure_has_its_own(association: Path, tmp_path: Path) -> None:
    """Fetched for itself the member brings its file, in any case of letters."""
    lay(association, "JH0001AAQ", "SVM_B=x=y\n")
    inputs = fetch(MEMBER, association, tmp_path / "fetched")
    assert inputs.environment is not None
    assert inputs.environment.rootname == "jh0001aaq"
    assert fetch("jh0001abq", association, tmp_path / "other").environment is None


def test_a_bad_line_is_found_before_any_work(association: Path, tmp_path: Path) -> None:
    """The message names the file at its source, and the line; nothing is left."""
    lay(association, ASN, "SVM_A=1\nnonsense\n")
    with pytest.raises(CorruptFile, match="line 2") as caught:
        fetch(ASN, association, tmp_path / "fetched")
    assert caught.value.path == f"{association}/jh0001010_cal_env.txt"
    assert caught.value.code == 21
    assert not (tmp_path / "fetched").exists()
