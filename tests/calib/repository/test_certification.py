"""What a calibration collection keeps of a file comes from the file, and is checked."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Any

import pytest
from astropy.io import fits

from calib.errors import ConfigError, CorruptFile, HstflowError, NotFound
from calib.repository.certification import Wanted, certification_of
from calib.simulate.observatory import Observatory


@pytest.fixture
def bias(observatory: Observatory, tmp_path: Path) -> Path:
    """Return a copy of a simulated bias."""
    source = observatory.profile.references / "z0000001j_bia.fits"
    return Path(shutil.copy(source, tmp_path / "my_bia.fits"))


def with_cards(path: Path, **cards: Any) -> Path:
    """Change cards of the primary header; None removes one."""
    with fits.open(path, mode="update") as hdus:
        for key, value in cards.items():
            if value is None:
                del hdus[0].header[key]
            else:
                hdus[0].header[key] = value
    return path


def test_header_says_everything(bias: Path) -> None:
    """Instrument, detector and keyword come from the header, the rest from the file."""
    found = certification_of(str(bias), Wanted(begins="2002", ends="2003"))
    assert (found.instrument, found.detector, found.keyword) == ("acs", "HRC", "BIASFILE")
    assert (found.reference, found.path) == ("my_bia.fits", str(bias))
    assert found.sha1 == hashlib.sha1(bias.read_bytes()).hexdigest()  # noqa: S324 - CRDS uses sha1
    assert (found.begins_at, found.ends_at) == ("2002", "2003")


def test_relative_and_linked_paths(bias: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path means the same later; a link is kept as it is named."""
    monkeypatch.chdir(bias.parent)
    Path("link_bia.fits").symlink_to(bias)
    for name in ("link_bia.fits", "file:link_bia.fits"):
        found = certification_of(name, Wanted())
        assert found.uri == f"file:{bias.parent / 'link_bia.fits'}"


@pytest.mark.parametrize(
    ("cards", "wanted", "expected"),
    [
        ({"DETECTOR": None}, Wanted(), ("acs", "", "BIASFILE")),
        ({"DETECTOR": None}, Wanted(detector="wfc"), ("acs", "WFC", "BIASFILE")),
        ({"DETECTOR": "ANY"}, Wanted(detector="any"), ("acs", "", "BIASFILE")),
        ({"INSTRUME": None}, Wanted(instrument="ACS"), ("acs", "HRC", "BIASFILE")),
        ({"FILETYPE": None}, Wanted(keyword="biasfile"), ("acs", "HRC", "BIASFILE")),
        ({"FILETYPE": "MY BIAS"}, Wanted(keyword="BIASFILE"), ("acs", "HRC", "BIASFILE")),
        ({"FILETYPE": None, "REFTYPE": "BIAS"}, Wanted(), ("acs", "HRC", "BIASFILE")),
    ],
)
def test_what_the_header_lacks_is_asked_for(
    bias: Path, cards: dict[str, Any], wanted: Wanted, expected: tuple[str, ...]
) -> None:
    """The caller may say what the header does not."""
    found = certification_of(str(with_cards(bias, **cards)), wanted)
    assert (found.instrument, found.detector, found.keyword) == expected


@pytest.mark.parametrize(
    ("cards", "wanted", "message"),
    [
        ({}, Wanted(keyword="DARKFILE"), r"type \(FILETYPE BIAS\).*DARKFILE.*BIASFILE"),
        ({}, Wanted(detector="WFC"), "DETECTOR.*expected WFC; found HRC"),
        ({}, Wanted(detector="any"), "DETECTOR.*expected ANY; found HRC"),
        ({}, Wanted(instrument="wfc3"), "INSTRUME.*expected WFC3; found ACS"),
        ({"INSTRUME": None}, Wanted(), "INSTRUME, or --instrument.*found neither"),
        ({"INSTRUME": "NICMOS"}, Wanted(), "found NICMOS"),
        ({"FILETYPE": None}, Wanted(), "or --keyword; found no FILETYPE"),
        ({"FILETYPE": "SCI"}, Wanted(), "or --keyword; found SCI"),
        ({"FILETYPE": None}, Wanted(keyword="BIASFIL"), "not a reference keyword.*BIASFILE"),
    ],
)
def test_what_does_not_fit_is_refused(
    bias: Path, cards: dict[str, Any], wanted: Wanted, message: str
) -> None:
    """The message names the file, what was asked for and what the header says."""
    with pytest.raises(ConfigError, match=message) as caught:
        certification_of(str(with_cards(bias, **cards)), wanted)
    assert caught.value.path == str(bias)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("absent.fits", NotFound),
        ("cut.fits", CorruptFile),
        ("text.fits", CorruptFile),
        ("s3://bucket/my_bia.fits", ConfigError),
    ],
)
def test_unreadable_file_is_refused(
    bias: Path, monkeypatch: pytest.MonkeyPatch, name: str, kind: type[HstflowError]
) -> None:
    """Not there, cut short behind its first header, not FITS, not a file."""
    monkeypatch.chdir(bias.parent)
    Path("cut.fits").write_bytes(bias.read_bytes()[:-5760])
    Path("text.fits").write_text("BIAS")
    with pytest.raises(kind):
        certification_of(name, Wanted())
