"""The same with the real rules: a dark of ours in hst_0729.pmap."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from calib.references.bestrefs import best_references
from calib.references.delivery.archiving import archive, confirm
from calib.references.delivery.certify import certify_files
from calib.references.delivery.delivery import Asked, deliver
from calib.references.delivery.listing import find_cases
from calib.references.profile import CrdsProfile
from tests.calib.references.delivery.conftest import NewDark

if TYPE_CHECKING:
    from calib.simulate.observatory import Observatory

OLD = "hst_0729.pmap"


def test_a_dark_in_the_real_rules(
    crds_pack: Path, new_dark: NewDark, tmp_path: Path, observatory: Observatory
) -> None:
    """It replaces nothing, is chosen for the real raws after its date, and all rules certify."""
    import shutil

    shutil.copytree(crds_pack / "crds_cache", tmp_path / "crds")
    profile = CrdsProfile("pack", observatory.profile.server_url, tmp_path / "crds", layout="flat")
    dark = new_dark(USEAFTER="Apr 13 2002 18:00:00")
    found = certify_files(profile, [dark], OLD)
    assert found.errors == 0, found
    made = deliver(profile, found, Asked(OLD, tmp_path / "d", "me"))
    name = made.delivery.files[0].name
    assert made.delivery.context == "hst_9000.pmap"
    assert {(d.kind, d.action, d.old, d.new) for d in made.differences} == {
        ("darkfile", "added", None, name)
    }
    assert made.warnings == ()
    confirm(made.delivery.folder, "me")
    archive(profile, made.delivery.folder, "me")
    raws = sorted((crds_pack / "raw").glob("*_raw.fits"))
    chosen = best_references(
        raws, context="hst_9000.pmap", profile=profile, required=lambda _: (), download=False
    )
    darks = [
        next(use.name for use in each.references if use.keyword == "DARKFILE")
        for each in chosen.exposures
    ]
    assert darks == [name, name, "n3o1059gj_drk.fits"]
    assert find_cases(profile, "hst_9000.pmap", [name])
