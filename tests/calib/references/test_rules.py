"""The files of a context, read without the crds library, as the library reads them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from calib.errors import ContextError, Unavailable
from calib.references import library
from calib.references.changes import ExposureHeader
from calib.references.exposure import read_headers
from calib.references.profile import CrdsProfile
from calib.references.readiness import readiness, references_needed, require_rules
from calib.references.rules import has_own_checksum, instrument_of, rules_of
from calib.simulate.crds_server import CrdsServer
from calib.simulate.observatory import Observatory

CONTEXT = "hst_9002.pmap"


def test_the_rules_are_those_that_the_library_names(real: CrdsProfile) -> None:
    """The oldest and the newest real context: the same files, complete, each with its sha1."""
    for path in (real.mappings / "hst_0607.pmap", real.mappings / "hst_0729.pmap"):
        with library.session(real):
            from crds.core import rmap

            expected = sorted(rmap.get_cached_mapping(path.name).mapping_names())
        found = rules_of(real, path.name)
        assert sorted(found.present) == expected
        assert found.complete
        assert all(has_own_checksum(real.mappings / name) for name in found.present)


def test_missing_and_damaged_rules_are_named(own_cache: CrdsProfile) -> None:
    """A missing context is all that is known; a missing type leaves the others; text is none."""
    assert rules_of(own_cache, "hst_0001.pmap").missing == ("hst_0001.pmap",)
    whole = rules_of(own_cache, CONTEXT)
    (own_cache.mappings / "hst_acs_darkfile_9002.rmap").unlink()
    assert rules_of(own_cache, CONTEXT).missing == ("hst_acs_darkfile_9002.rmap",)
    assert len(rules_of(own_cache, CONTEXT).present) == len(whole.present) - 1
    (own_cache.mappings / "hst_acs_9002.imap").write_text("selector = [")
    assert rules_of(own_cache, CONTEXT).unreadable == ("hst_acs_9002.imap",)
    assert not rules_of(own_cache, CONTEXT).complete


def test_checksum_in_the_header(own_cache: CrdsProfile) -> None:
    """Any change but of its own line is seen; rules without one cannot say."""
    path = own_cache.mappings / CONTEXT
    assert has_own_checksum(path) is True
    path.write_text(path.read_text().replace("ACS", "COS"))
    assert has_own_checksum(path) is False
    path.write_text("selector = {}\n")
    assert has_own_checksum(path) is None


@pytest.mark.parametrize(
    ("name", "instrument"),
    [
        ("v9718263j_npl.fits", "acs"),
        ("u7n18502i_pfl.fits", "wfc3"),
        ("14816429o_pct.fits", "stis"),
        ("z2d19237l_1dx.fits", "cos"),
        ("2018_super_bia.fits", None),
    ],
)
def test_instrument_by_name(name: str, instrument: str | None) -> None:
    """The last letter before the underscore, as the archive names its files."""
    assert instrument_of(name) == instrument


def test_readiness_of_a_cache(own_cache: CrdsProfile, observatory: Observatory) -> None:
    """Rules and references that are missing; damaged ones only where asked."""
    path, other = sorted(own_cache.references.glob("*.fits"))[:2]
    assert readiness(own_cache, CONTEXT, [path.name, other.name], checked=True).ready
    path.write_bytes(b"x" + path.read_bytes()[1:])
    other.unlink()
    found = readiness(own_cache, CONTEXT, [path.name, other.name])
    assert (found.missing_references, found.damaged) == ((other.name,), ())
    found = readiness(own_cache, CONTEXT, [path.name, other.name], checked=True)
    assert found.damaged == (path.name,)
    assert not found.ready
    assert other.name in str(found)
    (own_cache.mappings / "hst_acs_9002.imap").unlink()
    assert readiness(own_cache, CONTEXT).missing_rules == ("hst_acs_9002.imap",)


def test_references_that_exposures_need(own_cache: CrdsProfile, raws: list[Path]) -> None:
    """What the rules choose, types that need none left out; the later context has its dark."""
    headers = [ExposureHeader(p.name, p.name, read_headers(p).text) for p in raws]
    before = references_needed(own_cache, "hst_9001.pmap", headers)
    after = references_needed(own_cache, CONTEXT, headers)
    assert before <= {path.name for path in own_cache.references.glob("*.fits")}
    assert len(before) > 5
    assert len(after - before) == 1
    some = references_needed(own_cache, CONTEXT, headers, keywords=lambda _: ["DARKFILE", "X"])
    assert some == {name for name in after if name.endswith("_drk.fits")}
    assert references_needed(own_cache, CONTEXT, headers, keywords=lambda _: []) == set()
    broken = ExposureHeader("x", "x", {"INSTRUME": "NICMOS"})
    assert references_needed(own_cache, CONTEXT, [broken, headers[0]]) <= after


def test_rules_must_be_there_before_a_campaign(
    own_cache: CrdsProfile, observatory: Observatory
) -> None:
    """Whole ones pass; an offline cache is refused by name; a server brings what is missing."""
    require_rules(own_cache, CONTEXT)
    name = "hst_acs_biasfile_9001.rmap"
    (own_cache.mappings / name).unlink()
    for place in (own_cache, dataclasses.replace(own_cache, readonly=True)):
        with pytest.raises(ContextError, match="not all in the cache") as caught:
            require_rules(place, CONTEXT)
        assert name in str(caught.value)
    with pytest.raises(ContextError, match="no such context"):
        require_rules(own_cache, "hst_0001.pmap")

    library.forget()
    with CrdsServer(observatory.crds_path) as server:
        online = server.profile(own_cache.cache)
        require_rules(online, CONTEXT)
        assert rules_of(own_cache, CONTEXT).complete
        (own_cache.mappings / name).unlink()
    library.forget()
    with pytest.raises(Unavailable):
        require_rules(online, CONTEXT)
    library.forget()


@pytest.mark.parametrize(
    ("text", "state"),
    [
        ("selector = {'ACS': 'hst_9001.pmap'}", "present"),
        ("selector = ['hst_acs_9001.imap']", "unreadable"),
        ("selector = {'ACS': '../../evil.imap'}", "unreadable"),
    ],
)
def test_damaged_rules_are_told(tmp_path: Path, text: str, state: str) -> None:
    """Rules that name themselves, something else, or a place outside are no traceback."""
    profile = CrdsProfile("p", "serverless", tmp_path)
    profile.mappings.mkdir(parents=True)
    (profile.mappings / "hst_9001.pmap").write_text(text)
    found = rules_of(profile, "hst_9001.pmap")
    assert getattr(found, state) == ("hst_9001.pmap",)
    assert found.missing == ()
