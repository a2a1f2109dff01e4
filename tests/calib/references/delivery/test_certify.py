"""What crds says of files, as records."""

from __future__ import annotations

from pathlib import Path

import pytest
from astropy.io import fits

from calib.errors import ConfigError, ContextError
from calib.references import library
from calib.references.delivery.certify import certify_files
from calib.references.profile import CrdsProfile
from tests.calib.references.delivery.conftest import OLD, NewDark


def test_a_good_dark_and_rules(cache: CrdsProfile, new_dark: NewDark) -> None:
    """A file that CRDS would take, whose path has a blank, and a context have no errors."""
    dark = new_dark()
    found = certify_files(cache, [dark, cache.mappings / OLD], OLD)
    assert found.errors == 0
    assert [(each.instrument, each.kind) for each in found.files] == [("acs", "darkfile"), ("", "")]
    assert [each.errors + each.warnings for each in found.files] == [(), ()]
    assert found.together == ()


@pytest.mark.parametrize(
    ("cards", "message"),
    [
        ({"USEAFTER": None}, "USEAFTER"),
        ({"PEDIGREE": None}, "PEDIGREE"),
        ({"CCDAMP": "E"}, "CCDAMP"),
        ({"USEAFTER": "yesterday"}, "USEAFTER"),
    ],
)
def test_bad_headers(
    cache: CrdsProfile, new_dark: NewDark, cards: dict[str, str | None], message: str
) -> None:
    """A keyword that is missing or has a value that is not allowed is an error that names it."""
    dark = new_dark(**cards)
    (found,) = certify_files(cache, [dark], OLD).files
    assert found.errors
    assert any(message in text for text in found.errors)
    assert str(dark) not in " ".join(found.errors)


def test_missing_columns(cache: CrdsProfile, tmp_path: Path) -> None:
    """A table without its columns has an error for each."""
    path = tmp_path / "new_ccd.fits"
    with fits.open(cache.references / "z0000007j_ccd.fits") as hdus:
        columns = hdus[1].columns
        table = fits.BinTableHDU.from_columns(columns[:2])
        fits.HDUList([hdus[0], table]).writeto(path)
    (found,) = certify_files(cache, [path], OLD).files
    assert found.kind == "ccdtab"
    assert sum("Missing required table column" in text for text in found.errors) >= 4


def test_one_case_twice(cache: CrdsProfile, new_dark: NewDark) -> None:
    """Two references for the same exposures are told, although each is well."""
    found = certify_files(cache, [new_dark("a.fits"), new_dark("b.fits")], OLD)
    assert [each.errors for each in found.files] == [(), ()]
    (finding,) = found.together
    assert finding.level == "error"
    assert "'a.fits'" in finding.text
    assert "'b.fits'" in finding.text
    assert found.errors == 1


def test_no_rules_for_the_type(cache: CrdsProfile, new_dark: NewDark) -> None:
    """A type that the context has no rules for is an error, not a crash."""
    (found,) = certify_files(cache, [new_dark(FILETYPE="DISTORTION CORRECTION")], OLD).files
    (text,) = found.errors
    assert "hst_9002.pmap has no rules for ACS DGEOFILE" in text


@pytest.mark.parametrize("size", [6000, 100_000, 112_321])
def test_cut_short_or_too_long(cache: CrdsProfile, new_dark: NewDark, size: int) -> None:
    """A file that does not end with its last extension is refused; crds only warns."""
    dark = new_dark()
    whole = dark.read_bytes()
    dark.write_bytes(whole[:size] + b"x" * (size - len(whole)))
    (found,) = certify_files(cache, [dark], OLD).files
    assert len(found.errors) == 1
    assert "cut short" in found.errors[0] or "not a readable FITS file" in found.errors[0]


def test_a_wrong_checksum(cache: CrdsProfile, new_dark: NewDark) -> None:
    """Pixels that are not those of the checksum are an error; crds only warns."""
    from calib.fitsfile.checksums import add_checksums

    dark = new_dark()
    add_checksums(dark)
    with dark.open("r+b") as stream:
        stream.seek(60_000)
        stream.write(b"xx")
    (found,) = certify_files(cache, [dark], OLD).files
    assert found.errors == ("the checksum of SCI,1 [1] is wrong",)


def test_what_is_not_there(cache: CrdsProfile, new_dark: NewDark, tmp_path: Path) -> None:
    """A file or a context that is not there is refused before any work."""
    with pytest.raises(ConfigError, match="no such file"):
        certify_files(cache, [tmp_path / "gone.fits"], OLD)
    with pytest.raises(ContextError, match="no such context"):
        certify_files(cache, [new_dark()], "hst_0042.pmap")


def test_crds_is_as_before(cache: CrdsProfile, new_dark: NewDark) -> None:
    """Verbosity and error counts of crds, which belong to the process, are left as they were."""
    with library.session(cache):
        from crds.core import log

        before = log.get_verbose()
    certify_files(cache, [new_dark(USEAFTER=None)], OLD)
    assert (log.get_verbose(), log.errors()) == (before, 0)
