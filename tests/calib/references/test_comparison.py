"""What a new context changes: the same answers as the crds command line, and what it leaves out."""

from __future__ import annotations

import dataclasses
import gc
import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from crds_bestrefs import ask_crds, only_acs, write_headers

from calib.errors import ContextError
from calib.references import judging
from calib.references.changes import AffectedExposure, ExposureHeader
from calib.references.comparison import compare_contexts, compare_source, context_changes
from calib.references.header_sources import headers_of_files, headers_of_json
from calib.references.profile import CrdsProfile
from calib.references.rule_changes import NEVER
from calib.simulate.rule_headers import draw_headers

OLD, NEW = "hst_0607.pmap", "hst_0729.pmap"


@pytest.fixture(scope="module")
def known(crds_pack: Path) -> list[ExposureHeader]:
    """Return the headers of the three real raws and of four real exposures of the archive."""
    raws = headers_of_files(sorted((crds_pack / "raw").glob("*_raw.fits")))
    return [*raws, *headers_of_json(crds_pack / "headers" / "archive_params.json")]


def types_of(found: Iterable[AffectedExposure]) -> dict[str, set[str]]:
    """Return what differs as crds prints it: types by dataset and exposure."""
    return {
        f"{each.dataset}:{each.exposure}".lower(): {c.keyword.lower() for c in each.changes}
        for each in found
        if each.changes
    }


def compare(
    profile: CrdsProfile, headers: Iterable[ExposureHeader], old: str = OLD, new: str = NEW
) -> dict[str, AffectedExposure]:
    """Return the affected exposures by name."""
    return {each.exposure.lower(): each for each in compare_contexts(profile, old, new, headers)}


@pytest.mark.parametrize(
    ("old", "new", "marked"),
    [
        ("hst_0607.pmap", "hst_0729.pmap", {"j8bt05njq", "j8bt06o6q", "j8bt09jcq"}),
        ("hst_0632.pmap", "hst_0633.pmap", {"ja9553m3q"}),
        ("hst_0728.pmap", "hst_0729.pmap", set()),
    ],
)
def test_real_exposures(
    real: CrdsProfile, known: list[ExposureHeader], old: str, new: str, marked: set[str]
) -> None:
    """The three raws change from 0607 on, the WFC exposure with its darks, none with WFC3 darks."""
    asked = known if old != OLD else known[:3]
    found = compare(real, asked, old, new)
    assert set(found) == marked
    for name in marked - {"ja9553m3q"}:
        assert [(c.keyword, c.old, c.new) for c in found[name].changes] == [
            ("IMPHTTAB", "08b1846tj_imp.fits", "2391649pj_imp.fits")
        ]


def test_datasets_are_associations(known: list[ExposureHeader]) -> None:
    """An exposure of an association stands for it; two-part names are taken apart."""
    names = {each.exposure: each.dataset for each in known}
    assert names["j8bt05njq"] == "j8bt05020"
    assert names["JA9553M3Q"] == "JA9553M3Q"


@pytest.mark.slow
def test_command_line_agrees(
    real: CrdsProfile, known: list[ExposureHeader], tmp_path: Path
) -> None:
    """Every exposure and type that `crds bestrefs` prints, and no other."""
    headers = [*known, *draw_headers(real, NEW, 120)]
    path = write_headers(tmp_path / "headers.json", headers)
    theirs = ask_crds(real, "--load-pickles", str(path), "--old-context", OLD, "--new-context", NEW)
    ours = list(compare_contexts(real, OLD, NEW, headers))
    assert types_of(ours) == theirs.types
    assert len(theirs.types) > 40
    assert products_of(ours, theirs.failed) == theirs.products


def products_of(found: Iterable[AffectedExposure], failed: set[str]) -> set[str]:
    """Return the datasets that crds lists: it is silent on those with an error in any type."""
    return {
        each.dataset.lower()
        for each in found
        if each.changes
        and not {each.exposure.lower(), f"{each.dataset}:{each.exposure}".lower()} & failed
    }


@pytest.mark.slow
@pytest.mark.parametrize("matters", [False, True], ids=["plain", "as the server"])
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("hst_0607.pmap", "hst_0729.pmap"),
        ("hst_0632.pmap", "hst_0633.pmap"),
        ("hst_0704.pmap", "hst_0728.pmap"),
        ("hst_0728.pmap", "hst_0729.pmap"),
        ("hst_0729.pmap", "hst_0704.pmap"),
    ],
)
def test_command_line_agrees_on_thousands(
    real: CrdsProfile,
    known: list[ExposureHeader],
    tmp_path: Path,
    old: str,
    new: str,
    *,
    matters: bool,
) -> None:
    """2,000 drawn headers and the real ones: exposures, types and products are those of crds."""
    headers = [*known, *draw_headers(real, "hst_0729.pmap", 2000, seed=7)]
    path = write_headers(tmp_path / "headers.json", headers)
    words = ("--load-pickles", str(path), "--old-context", old, "--new-context", new)
    theirs = ask_crds(real, *words, undefined_matters=matters)
    ours = list(compare_contexts(real, old, new, headers, undefined_matters=matters))
    assert types_of(ours) == theirs.types
    assert products_of(ours, theirs.failed) == theirs.products


@pytest.mark.slow
def test_command_line_agrees_on_sources(
    real: CrdsProfile, known: list[ExposureHeader], tmp_path: Path
) -> None:
    """What headers name against the rules, as `--compare-source-bestrefs`, names drawn too."""
    drawn = list(draw_headers(real, NEW, 500, seed=3))
    named = [
        dataclasses.replace(
            each,
            header={
                **each.header,
                **dict(zip(("DARKFILE", "BIASFILE", "IDCTAB", "BPIXTAB"), names, strict=True)),
            },
        )
        for each, names in zip(drawn, _named(), strict=False)
    ]
    headers = [*known, *named]
    path = write_headers(tmp_path / "headers.json", headers)
    theirs = ask_crds(
        real, "--load-pickles", str(path), "--new-context", NEW, "--compare-source-bestrefs"
    )
    assert types_of(compare_source(real, NEW, headers)) == theirs.types


def _named() -> Iterator[tuple[str, ...]]:
    """Yield names in every form that headers have."""
    words = ("jref$n3o1059hj_drk.fits", "N/A", "", "n/a", "m4r1753rj_bia.fits", "NONE", "*", "X")
    return itertools.cycle(itertools.product(words, repeat=4))


@pytest.mark.slow
def test_command_line_agrees_on_files(real: CrdsProfile, crds_pack: Path) -> None:
    """FITS files are read as crds reads them."""
    raws = sorted((crds_pack / "raw").glob("*_raw.fits"))
    theirs = ask_crds(real, "--files", *map(str, raws), "--old-context", OLD, "--new-context", NEW)
    ours = compare(real, headers_of_files(raws))
    assert {Path(path).name.partition("_")[0]: types for path, types in theirs.types.items()} == {
        name: {c.keyword.lower() for c in each.changes} for name, each in ours.items()
    }


@pytest.mark.slow
def test_processes_give_the_same_in_the_same_order(real: CrdsProfile) -> None:
    """Two processes answer as one does; more batches than may wait are taken in turn."""
    headers = list(draw_headers(real, NEW, 700, instruments=("stis",)))
    alone = list(compare_contexts(real, "hst_0704.pmap", NEW, headers))
    assert list(compare_contexts(real, "hst_0704.pmap", NEW, headers, processes=2)) == alone
    assert len(alone) > 10


def test_exposures_are_taken_as_they_are_needed(real: CrdsProfile) -> None:
    """Of endless exposures only so many are read as the answers that are wanted take."""
    taken = itertools.count()
    endless = (only_acs() for _ in iter(lambda: next(taken), -1))
    found = compare_contexts(real, "hst_0704.pmap", "hst_0729.pmap", endless)
    assert len(list(itertools.islice(found, 3))) == 3
    assert next(taken) < 1500


def test_a_date_too_early_is_not_asked(real: CrdsProfile) -> None:
    """Exposures before the first entry that differs cannot change, and are dropped unread."""
    judge = judging.Judge
    early = only_acs(**{"DATE-OBS": "2002-05-05"})
    changes = {c.keyword: c for c in context_changes(real, "hst_0632.pmap", "hst_0633.pmap").types}
    assert changes["DARKFILE"].since == "2006-01-25 09:14:27"
    assert changes["BIASFILE"].since is None, "its match cases differ: all dates are compared"
    assert not compare(real, [early], "hst_0728.pmap", NEW)
    from calib.references import library

    with library.session(real):
        wfc3 = judge(judging.Asked(real, "hst_0728.pmap", NEW))
    late = {"INSTRUME": "WFC3", "DATE-OBS": "2019-05-13", "TIME-OBS": "05:05:08", "OTHER": "x"}
    kept = wfc3.needed(ExposureHeader("i", "i", late))
    assert kept is not None
    assert "OTHER" not in kept.header
    assert wfc3.needed(ExposureHeader("i", "i", late | {"TIME-OBS": "05:05:07"})) is None
    assert wfc3.needed(ExposureHeader("i", "i", late | {"DATE-OBS": "13/05/19"})) is not None


@pytest.mark.parametrize(
    ("exposure", "told"),
    [
        (ExposureHeader("a", "a"), "it names no instrument"),
        (ExposureHeader("a", "a", {"INSTRUME": "FOC"}), "no rules for instrument FOC"),
        (ExposureHeader("a", "a", problem="not FITS"), "not FITS"),
        (only_acs(**{"DATE-OBS": "soon"}), "BIASFILE: it cannot be told"),
    ],
)
def test_one_bad_header_never_stops_the_others(
    real: CrdsProfile, exposure: ExposureHeader, told: str
) -> None:
    """It counts as affected, with the problem; its neighbours are answered."""
    good = only_acs()
    bad, neighbour = compare_contexts(real, "hst_0632.pmap", NEW, [exposure, good])
    assert told in str(bad.problem)
    assert bad.changes == ()
    assert neighbour.changes


def test_what_another_context_matched_with_may_not_be_enough(real: CrdsProfile) -> None:
    """A keyword that the new rules need and the record lacks: affected, and said so."""
    whole = only_acs()
    header = {key: value for key, value in whole.header.items() if key != "CCDAMP"}
    record = dataclasses.replace(whole, header=header, context="hst_0001.pmap")
    found = compare(real, [record], "hst_0704.pmap", NEW)["jzzz01aaq"]
    assert found.problem is not None
    assert "DARKFILE: CCDAMP" in found.problem
    assert "is not recorded for hst_0001.pmap" in found.problem
    sbc = dataclasses.replace(record, header={**header, "DETECTOR": "SBC"})
    told = compare(real, [sbc], "hst_0704.pmap", NEW)["jzzz01aaq"].problem or ""
    assert "DRKCFILE: CCDAMP" not in told, "the rules are for the WFC alone"


def test_references_of_stage_2_alone(real: CrdsProfile) -> None:
    """What drizzle alone opens is told apart; the IDCTAB of STIS is not of that kind."""
    types = {(c.instrument, c.keyword): c for c in context_changes(real, OLD, NEW).types}
    stage2 = {key for key, change in types.items() if change.stage2_only}
    assert stage2 == {
        *(("acs", "IDCTAB"), ("acs", "MDRIZTAB")),
        *(("wfc3", "IDCTAB"), ("wfc3", "MDRIZTAB"), ("wfc3", "NPOLFILE")),
    }


def test_an_instrument_that_is_new(real: CrdsProfile) -> None:
    """The older context has no SYNPHOT: all of its types are new."""
    types = [c for c in context_changes(real, OLD, NEW).types if c.instrument == "synphot"]
    assert len(types) == 5
    assert {(c.old, c.since) for c in types} == {(None, None)}
    assert all(c.added and not c.deleted for c in types)


def test_the_same_context_changes_nothing(real: CrdsProfile, known: list[ExposureHeader]) -> None:
    """No type differs, no exposure does."""
    assert context_changes(real, NEW, NEW).types == ()
    assert compare(real, known, NEW, NEW) == {}


def test_rules_that_were_only_renamed(own_cache: CrdsProfile) -> None:
    """Another name and checksum of the same rules: the type is listed, no exposure changes."""
    _change_dark_rules(own_cache, "hst_acs_darkfile_9009.rmap")
    (change,) = context_changes(own_cache, "hst_9001.pmap", "hst_9003.pmap").types
    assert (change.keyword, change.since, change.added) == ("DARKFILE", NEVER, ())


@pytest.mark.parametrize(("rules", "new"), [("OMIT", None), ("N/A", "N/A")])
def test_types_without_rules(
    own_cache: CrdsProfile, raws: list[Path], rules: str, new: str | None
) -> None:
    """A type that is omitted from now on is a loss; one that nobody needs any more is a change."""
    _change_dark_rules(own_cache, rules)
    (change,) = context_changes(own_cache, "hst_9001.pmap", "hst_9003.pmap").types
    assert (change.new, change.since, len(change.deleted)) == (rules, None, 1)
    for each in compare_contexts(
        own_cache, "hst_9001.pmap", "hst_9003.pmap", headers_of_files(raws)
    ):
        assert [(c.old, c.new) for c in each.changes] == [("z0000002j_drk.fits", new)]
        assert (each.problem is not None) == (rules == "OMIT")


def test_source_of_omitted_types(own_cache: CrdsProfile, raws: list[Path]) -> None:
    """What the rules omit keeps what the header says, so it is no difference."""
    _change_dark_rules(own_cache, "OMIT")
    (raw,) = headers_of_files(raws[:1])
    named = dataclasses.replace(raw, header={**raw.header, "DARKFILE": "jref$other_drk.fits"})
    (found,) = compare_source(own_cache, "hst_9003.pmap", [named])
    assert "DARKFILE" not in {c.keyword for c in found.changes}


def _change_dark_rules(profile: CrdsProfile, rules: str) -> None:
    """Make hst_9003.pmap: hst_9001.pmap with its rules of darks under another name, or without."""
    from calib.references import library

    library.forget()
    with library.session(profile):
        from crds.core import rmap

        def copy(old: str, new: str, *replaced: tuple[str, str]) -> None:
            text = (profile.mappings / old).read_text()
            for before, after in ((old, new), *replaced):
                text = text.replace(before, after)
            kind = {
                ".pmap": rmap.PipelineContext,
                ".imap": rmap.InstrumentContext,
                ".rmap": rmap.ReferenceMapping,
            }[Path(new).suffix]
            mapping = kind.from_string(text, new, ignore_checksum=True)
            mapping.write(str(profile.mappings / new))

        names = [path.name for path in profile.mappings.glob("hst_acs_darkfile_*.rmap")]
        old = next(n for n in sorted(names) if n in _imap(profile, "hst_9001.pmap")[1])
        imap = _imap(profile, "hst_9001.pmap")[0]
        if rules.endswith(".rmap"):
            copy(old, rules)
        copy(imap, "hst_acs_9009.imap", (old, rules))
        copy("hst_9001.pmap", "hst_9003.pmap", (imap, "hst_acs_9009.imap"))
    library.forget()


def _imap(profile: CrdsProfile, context: str) -> tuple[str, str]:
    """Return name and text of the rules of ACS in a context."""
    text = (profile.mappings / context).read_text()
    name = next(p.name for p in profile.mappings.glob("hst_acs_*.imap") if p.name in text)
    return name, (profile.mappings / name).read_text()


def test_simulated_contexts(own_cache: CrdsProfile, raws: list[Path]) -> None:
    """The later dark is for the exposures that were taken after it came into use."""
    (change,) = context_changes(own_cache, "hst_9001.pmap", "hst_9002.pmap").types
    assert (change.instrument, change.keyword) == ("acs", "DARKFILE")
    assert change.added == ("z0000012j_drk.fits",)
    found = compare(own_cache, headers_of_files(raws), "hst_9001.pmap", "hst_9002.pmap")
    assert found
    for each in found.values():
        assert [(c.old, c.new) for c in each.changes] == [
            ("z0000002j_drk.fits", "z0000012j_drk.fits")
        ]


@pytest.mark.parametrize(
    "name", ["jref$n3o1059hj_drk.fits", "n3o1059hj_drk.fits", "N3O1059HJ_DRK.FITS"]
)
def test_source_names_in_every_form(
    real: CrdsProfile, known: list[ExposureHeader], name: str
) -> None:
    """Logical folder and case make no difference; what a header names otherwise does."""
    raw = known[0]
    same = dataclasses.replace(raw, header={**raw.header, "DARKFILE": name})
    (found,) = compare_source(real, NEW, [same])
    assert {c.keyword for c in found.changes} == {
        *("ATODTAB", "CRREJTAB", "IMPHTTAB", "NPOLFILE", "OSCNTAB", "SHADFILE")
    }
    other = dataclasses.replace(raw, header={**raw.header, "DARKFILE": "jref$other_drk.fits"})
    (found,) = compare_source(real, NEW, [other])
    dark = next(c for c in found.changes if c.keyword == "DARKFILE")
    assert (dark.old, dark.new) == ("other_drk.fits", "n3o1059hj_drk.fits")


def test_unknown_context_is_refused_before_the_first_exposure(real: CrdsProfile) -> None:
    """The error names what there is, and no header was read."""
    with pytest.raises(ContextError, match=r"hst_0729\.pmap"):
        compare_contexts(real, OLD, "hst_0001.pmap", iter(()))


def test_nothing_is_left_behind_in_this_process(real: CrdsProfile) -> None:
    """The environment is as before, and no garbage is frozen while exposures are compared."""
    list(compare_contexts(real, OLD, NEW, [only_acs()]))
    frozen = gc.get_freeze_count()
    list(compare_contexts(real, OLD, NEW, [only_acs()] * 3))
    assert gc.get_freeze_count() == frozen
