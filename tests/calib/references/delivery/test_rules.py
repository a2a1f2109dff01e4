"""Rules and contexts outside the cache: made, compared, listed, and named by whom."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from calib.errors import ConfigError, ContextError
from calib.references import library
from calib.references.delivery.checksums import checksum
from calib.references.delivery.differences import compare_references, rule_differences
from calib.references.delivery.listing import find_cases, find_naming, list_context
from calib.references.delivery.names import free_number, unique_names
from calib.references.delivery.newcontext import new_context
from calib.references.delivery.refactoring import refactor_rules
from calib.references.profile import CrdsProfile
from tests.calib.references.delivery.conftest import OLD, NewDark, snapshot

RULES = "hst_acs_darkfile_9002.rmap"


def test_insert_then_delete(cache: CrdsProfile, new_dark: NewDark, tmp_path: Path) -> None:
    """What is put in and taken out again leaves the cases as they were."""
    dark, old = new_dark("zz000099j_drk.fits"), cache.mappings / RULES
    new, back = (tmp_path / "r" / f"hst_acs_darkfile_900{n}.rmap" for n in (5, 6))
    made = refactor_rules(cache, old, new, insert=[dark])
    assert [(d.action, d.new) for d in made.differences] == [("added", dark.name)]
    assert checksum(cache, new, "verify").state == "right"
    assert "'name' : 'hst_acs_darkfile_9005.rmap'" in new.read_text()
    undone = refactor_rules(cache, new, back, delete=[dark.name])
    assert [(d.action, d.old) for d in undone.differences] == [("deleted", dark.name)]
    assert rule_differences(cache, old, back) == []


def test_rules_that_are_refused(cache: CrdsProfile, new_dark: NewDark, tmp_path: Path) -> None:
    """Wrong names, what is there already, unknown and doubled references: nothing is written."""
    a, b, old = new_dark("a.fits"), new_dark("b.fits"), cache.mappings / RULES
    new, there = tmp_path / "hst_acs_darkfile_9005.rmap", tmp_path / "hst_acs_darkfile_9006.rmap"
    there.write_text("mine")
    before = snapshot(tmp_path)
    bias = tmp_path / "hst_acs_biasfile_9005.rmap"
    with pytest.raises(ConfigError, match="of the type of the old"):
        refactor_rules(cache, old, bias, insert=[a])
    with pytest.raises(ConfigError, match="not the name of rules"):
        refactor_rules(cache, old, tmp_path / "dark.rmap", insert=[a])
    with pytest.raises(ConfigError, match="nothing is overwritten"):
        refactor_rules(cache, old, there, insert=[a])
    with pytest.raises(ContextError, match="could not be found"):
        refactor_rules(cache, old, new, delete=["nope.fits"])
    with pytest.raises(ContextError, match="identically match case"):
        refactor_rules(cache, old, new, insert=[a, b])
    refactor_rules(cache, old, new, insert=[a], dry_run=True)
    assert snapshot(tmp_path) == before


def test_new_context(cache: CrdsProfile, new_dark: NewDark, tmp_path: Path) -> None:
    """Pmap and imap are written beside the rules, not in the cache nor the current folder."""
    rules = tmp_path / "r" / "hst_acs_darkfile_9005.rmap"
    refactor_rules(cache, cache.mappings / RULES, rules, insert=[new_dark()])
    before = snapshot(cache.cache)
    made = new_context(cache, OLD, [rules], tmp_path / "out")
    names = ["hst_9003.pmap", "hst_acs_9003.imap"]
    assert (made.name, [path.name for path in made.files]) == (names[0], names)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == names
    assert "'hst_acs_darkfile_9005.rmap'" in made.files[1].read_text()
    assert snapshot(cache.cache) == before
    with pytest.raises(ConfigError, match="nothing is overwritten"):
        new_context(cache, OLD, [rules], tmp_path / "out")
    with pytest.raises(ConfigError, match="such rules already"):
        new_context(cache, OLD, [rules], tmp_path / "b", name=OLD)
    with pytest.raises(ConfigError, match="two rules of one type"):
        new_context(cache, OLD, [rules, cache.mappings / RULES], tmp_path / "b")


def test_who_names_it(cache: CrdsProfile) -> None:
    """Searching the text of rules answers as `crds uses` does, which loads them all."""
    names = ("z0000002j_drk.fits", "z0000012j_drk.fits", RULES, "hst_acs_9001.imap", "no.fits")
    found = {
        each.name: {*each.rmaps, *each.imaps, *each.contexts} for each in find_naming(cache, names)
    }
    with library.session(cache):
        from crds import uses

        assert found == {name: set(uses.uses([name])) for name in names}
    assert found["z0000012j_drk.fits"] == {RULES, "hst_acs_9002.imap", OLD}
    assert found["no.fits"] == set()


def test_cases_and_lists(cache: CrdsProfile) -> None:
    """A context lists its references, and the cases of each."""
    (cache.references / "z0000012j_drk.fits").unlink()
    listed = list_context(cache, OLD, instruments=["ACS"], keywords=["darkfile"])
    assert [(each.name, each.keyword, each.present) for each in listed] == [
        ("z0000002j_drk.fits", "DARKFILE", True),
        ("z0000012j_drk.fits", "DARKFILE", False),
    ]
    assert len(list_context(cache, OLD)) == 12
    (case,) = find_cases(cache, OLD, ["z0000012j_drk.fits", "no.fits"])
    assert case.match == {"DETECTOR": "HRC", "CCDAMP": "C", "CCDGAIN": "2.0"}
    assert case.since == "2002-04-13 18:00:00"


def test_differences_of_contexts_and_files(cache: CrdsProfile, new_dark: NewDark) -> None:
    """Cases of rules by name or path; reports of FITS files; two kinds are refused."""
    (found,) = rule_differences(cache, "hst_9001.pmap", cache.mappings / OLD)
    assert str(found) == (
        "acs  darkfile  DETECTOR=HRC CCDAMP=C CCDGAIN=2.0  from 2002-04-13 18:00:00  "
        "+ z0000012j_drk.fits"
    )
    dark, old = new_dark(), cache.references / "z0000012j_drk.fits"
    assert "USEAFTER" in compare_references(cache, old, dark)
    assert compare_references(cache, old, old) == ""
    with pytest.raises(ConfigError, match="two kinds"):
        rule_differences(cache, OLD, RULES)
    with pytest.raises(ContextError, match="cannot be compared"):
        rule_differences(cache, OLD, "hst_0042.pmap")


def test_unique_names(cache: CrdsProfile, new_dark: NewDark) -> None:
    """Names follow crds' clock of two seconds, past those that are taken, without waiting."""
    files = [new_dark("a.fits"), new_dark("b.fits")]
    now = datetime(2026, 11, 23, 13, 59, 58, tzinfo=UTC)
    names = unique_names(cache, files, taken={"abn1359tj_drk.fits"}, now=now)
    assert list(names.values()) == ["abn14000j_drk.fits", "abn14001j_drk.fits"]


def test_numbers() -> None:
    """Ours go on after the last of ours; the numbers of the server do not count."""
    assert free_number({"hst_0729.pmap"}, {"hst"}) == 9000
    taken = {"hst_9002.pmap", "hst_acs_9005.imap", "hst_wfc3_9007.imap", "hst.pmap"}
    assert free_number(taken, {"hst", "hst_acs"}) == 9006


def test_checksums_of_rules(cache: CrdsProfile, tmp_path: Path) -> None:
    """Rules that were edited are wrong until their checksum is written again."""
    path = tmp_path / RULES
    path.write_text((cache.mappings / RULES).read_text().replace("'scratch'", "'edited'"))
    text = path.read_text()
    path.write_text(text.replace("z0000012j", "z0000013j"))
    assert checksum(cache, path, "verify").state == "wrong"
    assert checksum(cache, path).state == "written"
    assert checksum(cache, path, "verify").state == "right"
    with pytest.raises(ConfigError, match="cannot be removed"):
        checksum(cache, path, "remove")
    path.write_text("header = {")
    with pytest.raises(ContextError):
        checksum(cache, path, "verify")
