"""The engine of HSTCAL's programs: what they are given, and what becomes of what they make."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from associations import ASN, MEMBERS, PRODUCT, REPEATS, associate, describe, make_pair_references
from astropy.io import fits
from factories import ROOT, make_raw
from program_headers import IDLE, IR, STIS, UVIS, WFC, request_of
from standin_programs import calls_of, hide_programs, make_program

from calib.engines import hstcal_calls
from calib.engines.hstcal import HstcalEngine
from calib.errors import ConfigError, EngineError, MissingMember, NotFound
from calib.records import ExposureReferences, RawInputs


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


@pytest.mark.parametrize(("threads", "options"), [(1, "-1 "), (3, "-1 "), (4, "")])
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
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """All processors are calwf3.e's where it is granted all; the log says what it was granted."""
    monkeypatch.setattr(hstcal_calls, "available_cpus", lambda: 4)
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


def test_member_that_is_missing(tmp_path: Path, programs: Path) -> None:
    """The program would go on without it; we do not."""
    request = associate(tmp_path, make_pair_references(tmp_path))
    files = tuple(file for file in request.inputs.files if file.rootname != MEMBERS[1])
    request = dataclasses.replace(request, inputs=dataclasses.replace(request.inputs, files=files))
    with pytest.raises(MissingMember, match=MEMBERS[1]):
        HstcalEngine().calibrate(request)
    assert calls_of(programs, "calacs") == []


@pytest.mark.parametrize("rows", [MEMBERS, (*MEMBERS, PRODUCT)])
def test_table_of_unknown_rows(tmp_path: Path, programs: Path, rows: tuple[str, ...]) -> None:
    """Something must come of every call: of exposures that nobody combines, each one."""
    kinds = [(name, "EXP-CRJ" if len(rows) < 3 else "SCIENCE") for name in MEMBERS]
    table = [*kinds, *((name, "PRODUCT") for name in rows[2:])]
    request = associate(tmp_path, make_pair_references(tmp_path), table)
    names = HstcalEngine().product_names(request)
    assert names[:2] == tuple(f"{member}_flt.fits" for member in MEMBERS)


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


def test_two_datasets_share_a_folder(tmp_path: Path, programs: Path) -> None:
    """What one call leaves or removes is its own."""
    body = f"ls -a {tmp_path}/out; cp *_raw.fits $(basename *_raw.fits _raw.fits)_flt.fits"
    make_program(programs, "calacs.e", body)
    first, second = request_of(tmp_path), request_of(tmp_path, ROOTNAME="j8zz01abq")
    stays = first.output / f".hstcal-{first.dataset}" / "of another process"
    stays.parent.mkdir(parents=True)
    stays.touch()
    HstcalEngine().calibrate(second)
    HstcalEngine().calibrate(first)
    assert stays.exists()
    assert {f"{ROOT}_flt.fits", "j8zz01abq_flt.fits"} < names_in(first.output)
