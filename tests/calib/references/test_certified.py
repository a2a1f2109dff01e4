"""References of the user's own, chosen for each exposure."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from calib.errors import BESTREFS, MissingReference
from calib.records import References
from calib.references.bestrefs import best_references
from calib.references.exposure import ExposureHeaders
from calib.references.files import sha1_of
from calib.references.own import Certified, OwnReference

if TYPE_CHECKING:
    from calib.simulate.observatory import Observatory

OLD = "hst_9001.pmap"


def bias(_header: Mapping[str, Any]) -> tuple[str, ...]:
    """Require the bias alone."""
    return ("BIASFILE",)


@pytest.fixture
def own(observatory: Observatory, tmp_path: Path) -> Path:
    """Return a copy of a simulated bias under a name of its own."""
    return Path(
        shutil.copy(observatory.profile.references / "z0000001j_bia.fits", tmp_path / "my_bia.fits")
    )


def only_for(rootname: str, **found: OwnReference) -> Certified:
    """Return a choice that has something for one exposure only."""

    def choose(exposure: ExposureHeaders) -> Mapping[str, OwnReference]:
        return found if exposure.rootname == rootname else {}

    return choose


def certified(path: Path) -> OwnReference:
    """Return a file as it is certified now."""
    return OwnReference(path, sha1_of(path), "certified in lab (always)")


def chosen(references: References, keyword: str = "BIASFILE") -> list[str | None]:
    """Return the name that each exposure got."""
    names = [{use.keyword: use.name for use in e.references} for e in references.exposures]
    return [each.get(keyword) for each in names]


def test_one_exposure_gets_it_and_the_other_does_not(
    observatory: Observatory, raws: list[Path], own: Path
) -> None:
    """Exposures are asked one by one; the difference is reported; path and sha1 are recorded."""
    choice = only_for("jsim01abq", BIASFILE=certified(own))
    references = best_references(
        raws, context=OLD, profile=observatory.profile, required=bias, certified=choice
    )
    assert chosen(references) == ["z0000001j_bia.fits", "my_bia.fits"]
    assert references.differences[0] == (
        "BIASFILE: z0000001j_bia.fits (jsim01aaq_raw.fits), my_bia.fits (jsim01abq_raw.fits)"
    )
    use = next(u for u in references.exposures[1].references if u.keyword == "BIASFILE")
    assert (use.path, use.sha1, use.required) == (str(own), sha1_of(own), True)


def test_explicit_reference_wins(observatory: Observatory, raws: list[Path], own: Path) -> None:
    """What was named for this call is used, even where the certified file is gone."""
    other = Path(shutil.copy(own, own.with_name("other_bia.fits")))
    gone = OwnReference(own.with_name("gone.fits"), "0" * 40, "certified in lab (always)")
    references = best_references(
        raws,
        context=OLD,
        profile=observatory.profile,
        required=bias,
        custom={"BIASFILE": other},
        certified=only_for("jsim01abq", BIASFILE=gone),
    )
    assert chosen(references) == ["other_bia.fits", "other_bia.fits"]


def test_unknown_type_is_left_out(observatory: Observatory, raws: list[Path], own: Path) -> None:
    """A type that means nothing for an exposure is not written into its header."""
    choice = only_for("jsim01abq", TDSTAB=certified(own), IDCTAB=certified(own))
    references = best_references(
        raws, context=OLD, profile=observatory.profile, required=bias, certified=choice
    )
    assert chosen(references, "TDSTAB") == [None, None]
    assert chosen(references, "IDCTAB") == ["N/A", "my_bia.fits"]  # the rules need none, we do


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ("gone", r"my_bia\.fits, certified in lab \(always\), is not there"),
        ("changed", r"my_bia\.fits, certified in lab \(always\), was changed since: sha1 [0-9a-f]"),
    ],
)
def test_gone_or_changed(
    observatory: Observatory,
    raws: list[Path],
    own: Path,
    damage: str,
    message: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Where calibration opens it that is a final error, else a warning and no file."""
    choice = only_for("jsim01abq", BIASFILE=certified(own))
    if damage == "gone":
        own.unlink()
    else:
        own.write_bytes(own.read_bytes() + bytes(2880))
    words: Any = {"context": OLD, "profile": observatory.profile, "certified": choice}
    with pytest.raises(MissingReference, match=message) as caught:
        best_references(raws, required=bias, **words)
    assert (caught.value.code, caught.value.dataset) == (BESTREFS, "jsim01abq")

    with caplog.at_level(logging.WARNING):
        references = best_references(raws, required=lambda _: (), **words)
    assert "my_bia.fits" in caplog.text
    use = next(u for u in references.exposures[1].references if u.keyword == "BIASFILE")
    assert (use.name, use.present, use.sha1) == ("my_bia.fits", False, None)
