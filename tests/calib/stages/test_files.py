"""Files calibrated by themselves give what the engine gives."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from associations import MEMBERS, PAIR, associate, make_association, make_pair_references
from astropy.io import fits

from calib.engines.native import NativeEngine
from calib.errors import ConfigError, MissingReference
from calib.stages.files import FileOptions, calibrate_file, check_files


def test_association_in_place_has_the_pixels_of_the_engine(tmp_path: Path) -> None:
    """The same files through stage and engine give the same products, bit for bit."""
    references = make_pair_references(tmp_path)
    request = associate(tmp_path, references, PAIR)
    wanted = NativeEngine().calibrate(request)
    custom = {key: Path(path) for key, path in references.items() if path is not None}

    made = calibrate_file(
        tmp_path / "j8zz01010_asn.fits", tmp_path / "mine", FileOptions(custom=custom), {}
    )

    assert [file.name for file in made.files] == [file.name for file in wanted.files]
    for one, other in zip(made.files[:-1], wanted.files[:-1], strict=True):
        for extension in ("SCI", "ERR", "DQ"):
            pixels = [fits.getdata(file.path, extension) for file in (one, other)]
            np.testing.assert_array_equal(*pixels)


def test_combination_opens_its_own_reference(tmp_path: Path) -> None:
    """CRREJTAB is missed for a split, and not for one of its exposures alone."""
    references = make_pair_references(tmp_path)
    associate(tmp_path, references, PAIR)
    custom = {k: Path(p) for k, p in references.items() if p is not None and k != "CRREJTAB"}
    options = FileOptions(custom=custom)

    with pytest.raises(MissingReference, match="CRREJTAB"):
        calibrate_file(tmp_path / "j8zz01010_asn.fits", tmp_path / "out", options, {})
    assert not (tmp_path / "out").exists()

    alone = calibrate_file(tmp_path / f"{MEMBERS[0]}_raw.fits", tmp_path / "out", options, {})
    assert [file.name for file in alone.files] == [f"{MEMBERS[0]}_flt.fits"]


def test_nothing_named_is_an_error() -> None:
    """A call without files is a mistake, not a success."""
    with pytest.raises(ConfigError, match="no file was named"):
        check_files([])


def test_exposure_of_two_tables_is_refused(tmp_path: Path) -> None:
    """One exposure in two associations would be calibrated twice under one name."""
    table = make_association(tmp_path, PAIR)
    other = table.rename(tmp_path / "mine_asn.fits")
    make_association(tmp_path, PAIR)
    for name in MEMBERS:
        (tmp_path / f"{name}_raw.fits").touch()

    with pytest.raises(ConfigError, match="more than once") as caught:
        check_files([table, other])

    assert all(name in str(caught.value) for name in MEMBERS)
    check_files([table])
