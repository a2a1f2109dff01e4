"""Which engine is chosen."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from importlib.metadata import EntryPoint
from types import SimpleNamespace
from typing import Any

import pytest
from factories import PRIMARY
from program_headers import STIS
from standin_programs import hide_programs

from calib.engines import lookup
from calib.engines.hstcal import HstcalEngine
from calib.engines.lookup import choose_engine, engine_names, load_engine, required_by
from calib.engines.native import NativeEngine, installed_recipes
from calib.errors import ConfigError, UnsupportedMode
from calib.records import InputFile, RawInputs
from calib.switches import parse_overrides

WFC3 = {"INSTRUME": "WFC3", "DETECTOR": "UVIS"}


class Elsewhere:
    """An engine of another package, for WFC3."""

    name = "elsewhere"
    numbers_version = "7"

    def covers(self, header: Mapping[str, Any]) -> str | None:
        """Take WFC3."""
        return None if header["INSTRUME"] == "WFC3" else "not WFC3"


def forget_engines() -> None:
    """Look for installed engines anew."""
    engine_names.cache_clear()
    load_engine.cache_clear()


@pytest.fixture
def other_engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Install engines of other packages: one works, one cannot be loaded."""
    entries = [
        SimpleNamespace(name="elsewhere", load=lambda: Elsewhere),
        SimpleNamespace(name="broken", load=lambda: importlib.import_module("no.such.module")),
    ]
    monkeypatch.setattr(
        lookup,
        "entry_points",
        lambda *, group, name=None: [entry for entry in entries if name in {None, entry.name}],
    )
    forget_engines()
    yield
    forget_engines()


def test_auto_takes_native_where_it_covers() -> None:
    """An ordinary HRC exposure is native's."""
    assert isinstance(choose_engine("auto", [PRIMARY]), NativeEngine)
    assert choose_engine("native", [PRIMARY, PRIMARY]).name == "native"


@pytest.mark.parametrize(
    ("header", "program"),
    [
        (WFC3, "calwf3.e"),
        ({**PRIMARY, "DETECTOR": "WFC", "PCTECORR": "PERFORM"}, "calacs.e"),
        ({"INSTRUME": "STIS", "DETECTOR": "CCD"}, "cs0.e"),
        ({"INSTRUME": "COS", "DETECTOR": "FUV"}, "calcos"),
    ],
)
def test_auto_names_native_and_the_program(
    header: dict[str, Any], program: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nothing covers, both are named, and nobody whose business it is not."""
    hide_programs(monkeypatch)
    with pytest.raises(UnsupportedMode, match=rf"native.*{program}") as caught:
        choose_engine("auto", [header])
    assert str(caught.value).count(";") == 1


def test_auto_says_briefly_what_a_user_of_cos_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    """What native is for, and how to get the program: no list of recipes, no other program."""
    hide_programs(monkeypatch)
    with pytest.raises(UnsupportedMode) as caught:
        choose_engine("auto", [{"INSTRUME": "COS", "DETECTOR": "FUV"}])
    native, calcos = str(caught.value).split("; ")
    assert native.startswith("no engine covers this: native calibrates ACS HRC, SBC, WFC")
    assert native.endswith(", not COS FUV")
    assert calcos == "calcos is not on PATH (pip install 'hstflow[cos]')"


def test_native_never_falls_back() -> None:
    """It says why, and names no other."""
    with pytest.raises(UnsupportedMode) as caught:
        choose_engine("native", [WFC3])
    assert "calwf3.e" not in str(caught.value)


def test_one_uncovered_exposure_is_enough() -> None:
    """All exposures of a dataset must be covered."""
    with pytest.raises(UnsupportedMode, match="PCTECORR"):
        choose_engine("native", [PRIMARY, {**PRIMARY, "PCTECORR": "PERFORM"}])


def test_unknown_engine_lists_the_known() -> None:
    """A typing mistake is a bad command."""
    with pytest.raises(ConfigError, match=r"auto, native.*nativ"):
        choose_engine("nativ", [PRIMARY])


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"CCDAMP": "ABCD"}, "amplifier"),
        ({"CCDAMP": ""}, "amplifier"),
        ({"OBSMODE": "ACQ"}, "acquisition"),
        ({"GLINCORR": "PERFORM"}, "GLINCORR"),
        ({"BINAXIS1": 2}, "binned"),
    ],
)
def test_modes_that_are_not_covered(changes: dict[str, Any], reason: str) -> None:
    """Each for its own reason."""
    found = NativeEngine().covers({**PRIMARY, **changes})
    assert found
    assert reason in found


@pytest.mark.parametrize(
    "changes",
    [
        {"CRCORR": "PERFORM"},
        {"RPTCORR": "PERFORM"},
        {"ATODCORR": "PERFORM"},
        {"SHADCORR": "PERFORM"},
        {"SUBARRAY": True},
        {"OBSTYPE": "CORONAGRAPHIC"},
    ],
)
def test_modes_that_are_covered(changes: dict[str, Any]) -> None:
    """An exposure of a CR split is calibrated alone; ATODCORR does nothing."""
    assert NativeEngine().covers({**PRIMARY, **changes}) is None


def test_overrides_decide_with_the_header() -> None:
    """What is switched off need not be covered."""
    header = {**PRIMARY, "PCTECORR": "PERFORM"}
    overrides = parse_overrides(["PCTECORR=OMIT"])
    assert choose_engine("native", [header], overrides).name == "native"


def test_required_references_follow_the_switches() -> None:
    """Files of PERFORM switches, and optional ones that the header names."""
    inputs, engine = inputs_of("j8zz01aaq_raw"), NativeEngine()
    required = required_by(engine, inputs, [PRIMARY])
    found = required({**PRIMARY, "BPIXTAB": "jref$x.fits", "SATUFILE": "N/A"})
    assert found == (
        "CCDTAB", "BPIXTAB", "BIASFILE", "OSCNTAB", "DARKFILE", "PFLTFILE", "IMPHTTAB",
    )  # fmt: skip
    less = required_by(engine, inputs, [PRIMARY], parse_overrides(["DARKCORR=OMIT"]))
    assert "DARKFILE" not in less(PRIMARY)


@pytest.mark.parametrize(
    ("changes", "settings", "is_opened"),
    [
        ({}, [], True),
        ({"WAVECAL": "oref$OZ0001010_wav.fits "}, [], True),
        ({}, ["WAVECORR=OMIT"], False),
        ({"WAVECORR": "OMIT"}, [], False),
        ({"WAVECORR": "OMIT"}, ["WAVECORR=PERFORM"], True),
        ({"WAVECAL": "N/A"}, [], False),
        ({"WAVECAL": "oz0002010_wav.fits"}, [], False),
    ],
)
def test_references_of_a_wavecal(
    changes: dict[str, Any], settings: list[str], *, is_opened: bool
) -> None:
    """It needs them where an exposure uses it; events that an image was made of never do."""
    raw = {**STIS, **changes, "FILENAME": "oz0001010_raw.fits"}
    inputs = inputs_of("oz0001010_raw", "oz0001010_tag", "oz0001010_wav")
    required = required_by(HstcalEngine(), inputs, [raw], parse_overrides(settings))
    assert "XTRACTAB" in required(raw)
    found = required({**STIS, "FILENAME": "oz0001010_wav.fits"})
    assert ("LAMPTAB" in found) is is_opened
    assert is_opened or not found
    assert required({**raw, "FILENAME": "oz0001010_tag.fits"}) == ()


def test_references_of_a_wavecal_alone() -> None:
    """It is an exposure like others where there is no image."""
    wav = {**STIS, "FILENAME": "oz0001010_wav.fits"}
    assert "LAMPTAB" in required_by(HstcalEngine(), inputs_of("oz0001010_wav"), [wav])(wav)


def inputs_of(*names: str) -> RawInputs:
    """Return inputs that are nowhere; only their names count."""
    files = [(f"{name}.fits", *name.split("_")) for name in names]
    described = (InputFile(name, name, "", 0, suffix, root) for name, root, suffix in files)
    return RawInputs(files[0][1], "file:", tuple(described))


@pytest.mark.usefixtures("other_engine")
def test_engines_of_other_packages() -> None:
    """Found by entry point, named or by auto; one that cannot be loaded is said when named."""
    assert engine_names() == ("native", "broken", "elsewhere")
    assert choose_engine("elsewhere", [WFC3]).numbers_version == "7"
    with pytest.raises(ConfigError, match="cannot be loaded"):
        choose_engine("broken", [PRIMARY])
    assert choose_engine("auto", [PRIMARY]).name == "native"
    assert choose_engine("auto", [WFC3]).name == "elsewhere"


def test_broken_recipe_is_left_out(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The others still work, and the log names it."""
    entries = [EntryPoint("broken", "no.such.module:RECIPE", "hstflow.recipes")]
    monkeypatch.setattr("calib.engines.native.entry_points", lambda *, group: entries)
    assert installed_recipes() == ()
    assert "recipe broken cannot be loaded" in caplog.text


def test_kinds_are_told_in_words() -> None:
    """Who asks the native engine for a visit reads what it is for."""
    with pytest.raises(UnsupportedMode, match="it calibrates exposures, not visits"):
        choose_engine("native", [], kind="svm")
