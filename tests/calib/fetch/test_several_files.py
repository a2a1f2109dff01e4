"""Exposures of COS and STIS that are several files: what is calibrated, and what goes with it."""

from __future__ import annotations

from pathlib import Path

import pytest
from astropy.io import fits

from calib.campaigns.features import features_of_files
from calib.errors import ConfigError, CorruptFile
from calib.fetch.in_place import find_files
from calib.fetch.local import fetch_inputs
from calib.ids import parse_dataset

COS, STIS = "lb0001aaq", "ob0001aaq"


def lay(folder: Path, write_raw: object, *names: str) -> Path:
    """Write exposures, and tables under the other names."""
    for name in names:
        path = folder / f"{name}.fits"
        if "_raw" in name or name.endswith(("_wav", "_tag")):
            write_raw(path)  # type: ignore[operator]
        else:
            header = fits.Header(
                {"ROOTNAME": name[:9], "INSTRUME": "COS" if name[0] == "l" else "STIS"}
            )
            fits.PrimaryHDU(header=header).writeto(path)
    return folder


@pytest.mark.parametrize(
    ("names", "exposures", "calibrated"),
    [
        (
            [f"{COS}_rawtag_a", f"{COS}_rawtag_b", f"{COS}_pha_a", f"{COS}_spt"],
            ["rawtag_a", "rawtag_b"],
            ["rawtag_a", "rawtag_b"],
        ),
        ([f"{COS}_rawacq"], ["rawacq"], ["rawacq"]),
        ([f"{STIS}_raw", f"{STIS}_wav", f"{STIS}_spt"], ["raw", "wav"], ["raw"]),
        ([f"{STIS}_raw", f"{STIS}_tag", f"{STIS}_epc"], ["raw", "tag"], ["raw"]),
        ([f"{STIS}_wav"], ["wav"], ["wav"]),
        ([f"{STIS}_tag"], ["tag"], ["tag"]),
    ],
)
def test_one_exposure(
    tmp_path: Path,
    write_raw: object,
    names: list[str],
    exposures: list[str],
    calibrated: list[str],
) -> None:
    """Fetched or found in place: the same files, of the same use, with their headers read."""
    folder = tmp_path / "in"
    folder.mkdir()
    lay(folder, write_raw, *names, f"{names[0][0]}b0001abq_raw", f"{names[0][:9]}_flt")
    dataset = parse_dataset(names[0][:9])

    fetched = fetch_inputs(dataset, f"file:{folder}", tmp_path / "out")
    named = folder / f"{dataset}_{exposures[0]}.fits"
    for inputs in (fetched, find_files(named).describe()):
        assert sorted(f.name for f in inputs.files) == sorted(f"{name}.fits" for name in names)
        assert [f.suffix for f in inputs.exposures] == exposures
        assert [f.suffix for f in inputs.calibrated] == calibrated
        assert {f.rootname for f in inputs.files} == {dataset.name}
    assert features_of_files(fetched, dataset).n_files == len(exposures)


@pytest.mark.parametrize("name", [f"{COS}_pha_a.fits", f"{STIS}_epc.fits", f"{STIS}_spt.fits"])
def test_what_carries_no_exposure_is_none(tmp_path: Path, write_raw: object, name: str) -> None:
    """A table or engineering file is not calibrated by its name."""
    lay(tmp_path, write_raw, name.removesuffix(".fits"))
    with pytest.raises(ConfigError, match="neither") as caught:
        find_files(tmp_path / name)
    assert "ROOT_rawtag_a.fits" in str(caught.value)


def test_other_roots_stay_alone(tmp_path: Path) -> None:
    """A name that is no dataset's brings nothing along, whatever it begins with."""
    for name in ("old_raw.fits", "lamp_raw.fits", "old_wav.fits"):
        (tmp_path / name).write_text(name)
    inputs = find_files(tmp_path / "old_raw.fits").describe()
    assert [(f.name, f.rootname) for f in inputs.files] == [("old_raw.fits", "old")]
    with pytest.raises(ConfigError, match="neither"):
        find_files(tmp_path / "old_wav.fits")


def test_exposures_whose_names_differ_in_case(tmp_path: Path) -> None:
    """Which of the two goes with the other segment nobody knows; a folder is no file."""
    named = tmp_path / f"{COS}_rawtag_a.fits"
    named.write_text("1")
    (tmp_path / named.name.upper()).mkdir()
    assert find_files(named).exposures == (named,)

    other = tmp_path / f"{COS.upper()}_rawtag_a.fits"
    other.write_text("2")
    for each in (named, other):
        with pytest.raises(CorruptFile, match="differ in case only"):
            find_files(each)
