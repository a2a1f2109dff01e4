"""Headers drawn from rules: the same for the same seed, and rules answer most of them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from calib.references.comparison import compare_source
from calib.references.profile import CrdsProfile
from calib.simulate.rule_headers import draw_headers

CONTEXT = "hst_0729.pmap"


def test_equal_seeds_give_equal_headers(crds_pack: Path) -> None:
    """Instruments in turn, dates in the form of headers, names of their own."""
    pack = CrdsProfile("pack", "serverless", crds_pack / "crds_cache", readonly=True)
    one, same, other = (list(draw_headers(pack, CONTEXT, 40, seed=seed)) for seed in (1, 1, 2))
    assert one == same != other
    assert Counter(h.header["INSTRUME"] for h in one) == dict.fromkeys(
        ("ACS", "WFC3", "STIS", "COS"), 10
    )
    assert len({each.exposure for each in one}) == 40
    assert all(len(each.header["DATE-OBS"]) == 10 for each in one)


def test_rules_find_files_for_them(crds_pack: Path) -> None:
    """A comparison of such headers compares files, not failures."""
    pack = CrdsProfile("pack", "serverless", crds_pack / "crds_cache", readonly=True)
    found = list(compare_source(pack, CONTEXT, draw_headers(pack, CONTEXT, 40)))
    files = [c.new for each in found for c in each.changes if c.new not in {None, "N/A"}]
    assert len(files) > 200
