"""The engine of HSTCAL's programs: what they are given, and what becomes of what they make."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from associations import ASN, MEMBERS, PRODUCT, REPEATS, associate, describe, make_pair_references
from astropy.io import fits
from factories import PRIMARY, ROOT, SWITCHES, make_raw, make_references, make_request
from standin_programs import calls_of, hide_programs, make_hstcal, make_program, put_first_on_path

from calib.engines.hstcal import HstcalEngine
from calib.engines.lookup import choose_engine
from calib.engines.protocol import CalibrationRequest
from calib.errors import ConfigError, EngineError, MissingMember, NotFound, UnsupportedMode
from calib.records import ExposureReferences, RawInputs
from calib.switches import parse_overrides

WFC = {**PRIMARY, "DETECTOR": "WFC", "CCDAMP": "ABCD", "PCTECORR": "PERFORM"}
UVIS = {"INSTRUME": "WFC3", "DETECTOR": "UVIS", "ROOTNAME": "iz0001aaq"}
IR = {**UVIS, "DETECTOR": "IR", "ROOTNAME": "iz0002aaq"}
STIS = {
    "INSTRUME": "STIS",
    "DETECTOR": "CCD",
    "ROOTNAME": "oz0001010",
    "NEXTEND": 3,
    "OBSTYPE": "SPECTROSCOPIC",
    "OPT_ELEM": "G430L",
    "WAVECAL": "oz0001010_wav.fits",
    "WAVECORR": "PERFORM",
    "X1DCORR": "PERFORM",
    "X2DCORR": "PERFORM",
    "PHOTCORR": "OMIT",
}
IDLE = dict.fromkeys(SWITCHES, "OMIT")


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put programs on PATH that behave like calacs.e, calwf3.e and cs0.e."""
    folder = make_hstcal(tmp_path / "programs")
    put_first_on_path(folder, monkeypatch)
    return folder


def request_of(folder: Path, *settings: str, **header: Any) -> CalibrationRequest:
    """Return what is asked for one exposure."""
    raw = make_raw(folder, **header)
    return make_request(raw, make_references(folder), folder / "out", settings)


def with_wavecal(request: CalibrationRequest, folder: Path) -> CalibrationRequest:
    """Add the wavelength calibration of an exposure of STIS."""
    raw = Path(request.inputs.files[0].path)
    wav = raw.with_name(raw.name.replace("_raw", "_wav"))
    wav.write_bytes(raw.read_bytes())
    files = (*request.inputs.files, describe(wav, "wav"))
    uses = request.references.exposures[0].references
    exposures = (*request.references.exposures, ExposureReferences(wav.name, uses))
    return dataclasses.replace(
        request,
        inputs=dataclasses.replace(request.inputs, files=files),
        references=dataclasses.replace(request.references, exposures=exposures),
    )


def names_in(folder: Path) -> set[str]:
    """Return the names of all files, hidden ones too."""
    return {path.name for path in folder.iterdir()}


def test_exposure_alone(tmp_path: Path, programs: Path) -> None:
    """One input and nothing else; the product, the trailer and the log are all that is left."""
    request = request_of(tmp_path)
    products = HstcalEngine().calibrate(request)

    assert calls_of(programs, "calacs") == [f"{ROOT}_raw.fits"]
    assert [file.name for file in products.files] == [f"{ROOT}_flt.fits"]
    assert names_in(request.output) == {
        f"{ROOT}_flt.fits", f"{ROOT}.tra", f"{ROOT}_hstcal.log",
    }  # fmt: skip
    assert [Path(str(path)).name for path in (*products.logs, products.log)] == [
        f"{ROOT}.tra", f"{ROOT}_hstcal.log",
    ]  # fmt: skip
    assert (products.engine, products.engine_version) == ("hstcal", "calacs.e 1.2 (01-Jan-2026)")
    assert products.switches["DARKCORR"] == "COMPLETE"
    assert products.switches["FLSHCORR"] == "OMIT"
    header = fits.getheader(products.files[0].path)
    assert header["CAL_VER"] == "standin 1.2"  # as the program wrote it
    assert header["CRDS_CTX"] == "hst_9001.pmap"
    assert "CUSTOM" not in header


def test_program_reads_the_references_that_were_chosen(tmp_path: Path, programs: Path) -> None:
    """The raw's own names do not count; the raw itself is not touched."""
    request = request_of(tmp_path, BIASFILE="jref$other.fits", DARKFILE="jref$other.fits")
    before = Path(request.inputs.files[0].path).read_bytes()

    product = HstcalEngine().calibrate(request).files[0]

    assert fits.getheader(product.path)["BIASFILE"] == "jref$biasfile.fits"
    assert Path(request.inputs.files[0].path).read_bytes() == before


def test_switches_of_the_user(tmp_path: Path, programs: Path) -> None:
    """The program sees them, and the product says that they were set by hand."""
    products = HstcalEngine().calibrate(request_of(tmp_path, "DARKCORR=OMIT"))

    assert products.switches["DARKCORR"] == "OMIT"
    assert fits.getheader(products.files[0].path)["CUSTOM"] is True


@pytest.mark.parametrize(
    ("setting", "message"), [("DRKCORR=OMIT", "switch"), ("noise.x=4", "steps")]
)
def test_settings_that_would_do_nothing(
    tmp_path: Path, programs: Path, setting: str, message: str
) -> None:
    """A slip is refused before anything is started."""
    with pytest.raises(ConfigError, match=message):
        HstcalEngine().calibrate(request_of(tmp_path, setting))
    assert calls_of(programs, "calacs") == []


@pytest.mark.parametrize(("threads", "options"), [(1, "-1 "), (4, "")])
@pytest.mark.parametrize(
    ("header", "suffixes"),
    [
        ({**UVIS, "PCTECORR": "PERFORM"}, ["flc", "flt"]),
        (UVIS, ["flt"]),
        (IR, ["flt", "ima"]),
    ],
    ids=["trailed", "uvis", "ir"],
)
def test_wfc3(
    tmp_path: Path,
    programs: Path,
    header: dict[str, Any],
    suffixes: list[str],
    threads: int,
    options: str,
) -> None:
    """calwf3.e takes all processors where it is not told; the log says what it was granted."""
    request = dataclasses.replace(request_of(tmp_path, **header), threads=threads)
    products = HstcalEngine().calibrate(request)

    root = header["ROOTNAME"]
    assert calls_of(programs, "calwf3") == [f"{options}{root}_raw.fits"]
    assert [file.name for file in products.files] == [f"{root}_{s}.fits" for s in suffixes]
    assert f"threads {threads}\n" in Path(str(products.log)).read_text()


def test_pair_is_one_call(tmp_path: Path, programs: Path) -> None:
    """The association's table goes in, and out with its product marked as present."""
    request = associate(tmp_path, make_pair_references(tmp_path))
    before = Path(request.inputs.of("asn")[0].path).read_bytes()
    products = HstcalEngine().calibrate(request)

    assert calls_of(programs, "calacs") == [f"{ASN}_asn.fits"]
    made = {file.name for file in products.files}
    assert made == {f"{PRODUCT}_crj.fits", *(f"{m}_flt.fits" for m in MEMBERS), f"{ASN}_asn.fits"}
    assert fits.getdata(request.output / f"{ASN}_asn.fits")["MEMPRSNT"].tolist() == [True] * 3
    assert Path(request.inputs.of("asn")[0].path).read_bytes() == before
    trailers = {Path(path).name for path in products.logs}
    assert trailers == {f"{name}.tra" for name in (ASN, PRODUCT, *MEMBERS)}


@pytest.mark.parametrize(
    ("rows", "header", "expected"),
    [
        (None, {"EXPSCORR": "OMIT"}, [f"{PRODUCT}_crj.fits"]),
        (REPEATS, {"CRCORR": "OMIT", "RPTCORR": "PERFORM", "EXPSCORR": "OMIT"}, ["_sfl"]),
        (None, {**WFC, "EXPSCORR": "OMIT"}, ["_crj", "_crc"]),
        ([(m, "EXP-DTH") for m in MEMBERS] + [(PRODUCT, "PROD-DTH")], {"CRCORR": "OMIT"}, []),
        ([(MEMBERS[0], "EXP-CRJ"), (PRODUCT, "PROD-CRJ")], {}, [f"{MEMBERS[0]}_flt.fits"]),
    ],
    ids=["no each", "repeats", "trailed", "dither", "one"],
)
def test_products_of_associations(
    tmp_path: Path, programs: Path, rows: Any, header: dict[str, Any], expected: list[str]
) -> None:
    """They are known before: those of a position by its kind, of a pattern one for each."""
    values = {"CRCORR": "PERFORM", **header}
    values = {key: value for key, value in values.items() if key != "ROOTNAME"}
    given = {"rows": rows} if rows else {}
    request = associate(tmp_path, make_pair_references(tmp_path), **given, **values)

    found = HstcalEngine().product_names(request)

    names = [name if name.endswith(".fits") else f"{PRODUCT}{name}.fits" for name in expected]
    names = names or [f"{member}_flt.fits" for member in MEMBERS]
    assert found == (*names, f"{ASN}_asn.fits")
    assert calls_of(programs, "calacs") == []


def test_exposure_outside_the_table_is_calibrated_too(tmp_path: Path, programs: Path) -> None:
    """It has a call of its own, and a folder of its own."""
    request = associate(tmp_path, make_pair_references(tmp_path))
    other = make_raw(tmp_path, ROOTNAME="j8zz01zzq")
    uses = request.references.exposures[0].references
    request = dataclasses.replace(
        request,
        inputs=dataclasses.replace(
            request.inputs, files=(*request.inputs.files, describe(other, "raw"))
        ),
        references=dataclasses.replace(
            request.references,
            exposures=(
                *request.references.exposures,
                ExposureReferences(other.name, uses),
            ),
        ),
    )
    products = HstcalEngine().calibrate(request)

    assert calls_of(programs, "calacs") == [f"{ASN}_asn.fits", "j8zz01zzq_raw.fits"]
    assert "j8zz01zzq_flt.fits" in {file.name for file in products.files}


def test_stis_raw_and_its_wavecal(tmp_path: Path, programs: Path) -> None:
    """One call for the raw; the wavecal lies beside it and is no input of its own."""
    request = with_wavecal(request_of(tmp_path, **STIS), tmp_path)
    products = HstcalEngine().calibrate(request)

    assert calls_of(programs, "cs0") == ["-tv oz0001010_raw.fits"]
    assert [file.name for file in products.files] == [
        f"oz0001010_{suffix}.fits" for suffix in ("flt", "x1d", "x2d")
    ]
    assert products.logs == ()
    assert products.log == str(request.output / f"{request.dataset}_hstcal.log")


@pytest.mark.parametrize("keyword", ["CRCORR", "RPTCORR"])
def test_stis_split_exposures(tmp_path: Path, programs: Path, keyword: str) -> None:
    """The exposures are image sets of one file; RPTCORR of the CCD rejects cosmic rays too."""
    header = {**STIS, "WAVECORR": "OMIT", "NEXTEND": 6, "EXPSCORR": "OMIT", keyword: "PERFORM"}
    names = HstcalEngine().product_names(request_of(tmp_path, **header))
    assert names == tuple(f"oz0001010_{suffix}.fits" for suffix in ("crj", "sx2", "sx1"))
    each = HstcalEngine().product_names(request_of(tmp_path, **{**header, "EXPSCORR": "PERFORM"}))
    assert "oz0001010_flt.fits" in each


def test_stis_wavecal_that_is_missing(tmp_path: Path, programs: Path) -> None:
    """It is said before the program is started, with the way round it."""
    request = request_of(tmp_path, **STIS)
    with pytest.raises(MissingMember, match=r"oz0001010_wav\.fits.*WAVECORR=OMIT"):
        HstcalEngine().calibrate(request)
    assert calls_of(programs, "cs0") == []
    without = request_of(tmp_path, "WAVECORR=OMIT", **STIS)
    assert len(HstcalEngine().calibrate(without).files) == 3


def test_stis_wavecal_alone(tmp_path: Path, programs: Path) -> None:
    """It is calibrated where there is no raw; cs0.e keeps its suffix in the names."""
    header = {**STIS, "WAVECORR": "OMIT", "X1DCORR": "OMIT", "X2DCORR": "OMIT"}
    request = with_wavecal(request_of(tmp_path, **header), tmp_path)
    request = dataclasses.replace(
        request, inputs=dataclasses.replace(request.inputs, files=request.inputs.of("wav"))
    )
    products = HstcalEngine().calibrate(request)

    assert calls_of(programs, "cs0") == ["-tv oz0001010_wav.fits"]
    assert [file.name for file in products.files] == ["oz0001010_wav_flt.fits"]


def test_stis_events_alone(tmp_path: Path, programs: Path) -> None:
    """cs0.e takes no events: the reason says what does."""
    request = request_of(tmp_path, **{**STIS, "DETECTOR": "NUV-MAMA"})
    file = dataclasses.replace(request.inputs.files[0], suffix="tag", name="oz0001010_tag.fits")
    request = dataclasses.replace(request, inputs=RawInputs("oz0001010", "file", (file,)))
    with pytest.raises(UnsupportedMode, match="inttag"):
        HstcalEngine().calibrate(request)
    header = {**STIS, "FILENAME": "oz0001010_tag.fits"}
    assert "inttag" in str(HstcalEngine().covers(header))


def test_nothing_to_do_needs_no_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An acquisition image ends so on every machine, with the program or without."""
    hide_programs(monkeypatch)
    products = HstcalEngine().calibrate(request_of(tmp_path, **{**IDLE, "EXPSCORR": "PERFORM"}))

    assert products.ending == "nothing to do"
    assert products.reason == f"{ROOT}_raw.fits: no switch is PERFORM"
    assert products.files == ()


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ({**IDLE, "ATODCORR": "PERFORM"}, "CALACS did NOT process"),
        ({**STIS, **IDLE, "WAVECORR": "OMIT"}, "No output from current processing step"),
    ],
)
def test_program_that_finds_nothing_to_do(
    tmp_path: Path, programs: Path, header: dict[str, Any], said: str
) -> None:
    """It ends with 0 and makes nothing: that is no success."""
    products = HstcalEngine().calibrate(request_of(tmp_path, **header))
    assert (products.ending, products.files) == ("nothing to do", ())
    assert said in products.reason


def test_product_that_a_program_leaves_out_with_a_reason(tmp_path: Path, programs: Path) -> None:
    """Calstis makes no spectra where the wavelength calibration is empty, and says so."""
    said = "echo 'Warning          so WAVECORR, X1DCORR, X2DCORR will be set to OMIT.'"
    copy = "cp oz0001010_raw.fits oz0001010_flt.fits"
    make_program(programs, "cs0.e", f"{said}\n{copy}")
    request = with_wavecal(request_of(tmp_path, **STIS), tmp_path)
    assert [f.name for f in HstcalEngine().calibrate(request).files] == ["oz0001010_flt.fits"]
    make_program(programs, "cs0.e", copy)
    with pytest.raises(EngineError, match=r"x2d\.fits is not there"):
        HstcalEngine().calibrate(dataclasses.replace(request, output=tmp_path / "other"))


def test_extra_products_are_published_and_temporaries_are_not(
    tmp_path: Path, programs: Path
) -> None:
    """What has the suffix of a product is one."""
    body = f"for each in flt flc blv_tmp other; do cp {ROOT}_raw.fits {ROOT}_$each.fits; done"
    make_program(programs, "calacs.e", body)
    request = request_of(tmp_path)
    made = HstcalEngine().calibrate(request)
    assert [file.name for file in made.files] == [f"{ROOT}_flc.fits", f"{ROOT}_flt.fits"]
    assert "blv_tmp" not in "".join(names_in(request.output))


def test_product_that_exists_already(tmp_path: Path, programs: Path) -> None:
    """It is refused before hours of work, and stays as it is."""
    request = request_of(tmp_path)
    request.output.mkdir()
    (request.output / f"{ROOT}_flt.fits").write_text("mine")
    with pytest.raises(EngineError, match="exists already"):
        HstcalEngine().calibrate(request)
    assert calls_of(programs, "calacs") == []
    assert (request.output / f"{ROOT}_flt.fits").read_text() == "mine"


def test_no_exposure(tmp_path: Path, programs: Path) -> None:
    """There is nothing to look at."""
    request = request_of(tmp_path)
    empty = dataclasses.replace(request, inputs=RawInputs(ROOT, "file", ()))
    with pytest.raises(NotFound):
        HstcalEngine().calibrate(empty)


def test_engine_of_one_program(programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its version is the program's, and another program's version changes nothing."""
    engine = HstcalEngine().narrowed(PRIMARY)
    assert engine.numbers_version == "calacs.e 1.2 (01-Jan-2026)"
    make_program(programs, "calwf3.e", "exit 0", version="3.7.3")
    assert HstcalEngine().narrowed(PRIMARY).numbers_version == engine.numbers_version
    assert HstcalEngine().narrowed(UVIS).numbers_version == "calwf3.e 3.7.3"


def test_installations(programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All three programs are told, with the way to get those that are not here."""
    (programs / "cs0.e").unlink()
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    calacs, _, cs0 = HstcalEngine().installations()
    assert (calacs.found, calacs.version) == (str(programs / "calacs.e"), "1.2 (01-Jan-2026)")
    assert (cs0.found, cs0.version) == (None, "")
    assert "conda" in cs0.advice


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ({"INSTRUME": "COS", "DETECTOR": "FUV"}, "it calibrates ACS, WFC3 and STIS, not COS"),
        ({}, "it calibrates"),
        ({**PRIMARY, "DETECTOR": "XRC"}, "DETECTOR is XRC"),
        ({**PRIMARY, "DETECTOR": ""}, "DETECTOR is absent"),
        (PRIMARY, "calacs.e is not on PATH"),
        (UVIS, "calwf3.e is not on PATH"),
        (STIS, "cs0.e is not on PATH"),
    ],
)
def test_what_is_not_covered(
    header: dict[str, Any], reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each for its own reason."""
    hide_programs(monkeypatch)
    assert reason in str(HstcalEngine().covers(header))


def test_auto_takes_the_program_for_what_native_lacks(programs: Path) -> None:
    """Trailed charge is not corrected natively: auto goes to calacs.e where it is."""
    engine = choose_engine("auto", [WFC])
    assert (engine.name, engine.numbers_version) == ("hstcal", "calacs.e 1.2 (01-Jan-2026)")
    assert choose_engine("auto", [WFC], parse_overrides(["PCTECORR=OMIT"])).name == "native"


def test_auto_ends_acquisition_images(monkeypatch: pytest.MonkeyPatch) -> None:
    """Native refuses them; that nothing is to be done needs no program."""
    hide_programs(monkeypatch)
    assert choose_engine("auto", [{**PRIMARY, **IDLE, "OBSMODE": "ACQ"}]).name == "hstcal"


def test_two_datasets_share_a_folder(tmp_path: Path, programs: Path) -> None:
    """What one call leaves or removes is its own."""
    body = f"ls -a {tmp_path}/out; cp *_raw.fits $(basename *_raw.fits _raw.fits)_flt.fits"
    make_program(programs, "calacs.e", body)
    first, second = request_of(tmp_path), request_of(tmp_path, ROOTNAME="j8zz01abq")
    stays = first.output / f".hstcal-{first.dataset}" / "of another process"
    stays.parent.mkdir(parents=True)
    stays.touch()
    HstcalEngine().calibrate(second)
    assert stays.exists()
    HstcalEngine().calibrate(first)
    assert {f"{ROOT}_flt.fits", "j8zz01abq_flt.fits"} < names_in(first.output)
