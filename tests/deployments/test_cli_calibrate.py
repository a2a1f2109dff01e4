"""`hstflow calibrate`: stage 3 alone on files whose headers name their references."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from associations import MEMBERS, PAIR, associate, make_pair_references
from astropy.io import fits
from standin_programs import hide_programs

from calib.engines.native import NativeEngine
from calib.engines.protocol import CalibrationRequest, available_cpus
from calib.instruments.reference_memory import MEMORY
from calib.records import Products
from calib.simulate.observatory import Observatory
from deployments.cli.main import run

# `hstflow`, but the combination is announced and waits.
WAITING = """
import time
import calib.engines.native as native
def wait(*given):
    print("COMBINING", flush=True)
    time.sleep(60)
native.combine = wait
from deployments.cli.main import main
main()
"""


@pytest.fixture
def raw(observatory: Observatory, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """Return a raw file whose header names its references (written by `hstflow bestrefs`)."""
    name = f"{observatory.datasets[0]}_raw.fits"
    copy = Path(shutil.copy(observatory.raws / name, tmp_path / name))
    with pytest.MonkeyPatch.context() as patch:
        for key, value in observatory.environ.items():
            patch.setenv(key, value)
        assert run(["bestrefs", str(copy), "--context", observatory.contexts[0], "--update"]) == 0
    capsys.readouterr()
    return copy


def test_references_folder_is_enough(
    raw: Path, observatory: Observatory, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With --references and nothing else set, a file is calibrated into the output folder."""
    references = next(observatory.crds_path.rglob("*_bia.fits")).parent
    command = ["calibrate", str(raw), "--output", str(tmp_path / "out"), "--json"]

    assert run([*command, "--references", str(references)]) == 0

    products = json.loads(capsys.readouterr().out)[0]
    flt = tmp_path / "out" / raw.name.replace("_raw", "_flt")
    assert str(flt) in [file["path"] for file in products["files"]]
    assert fits.getval(flt, "DARKCORR") == "COMPLETE"


def test_jref_variable_is_followed(
    raw: Path, observatory: Observatory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The variable jref names the folder, as for calacs."""
    folder = next(observatory.crds_path.rglob("*_bia.fits")).parent
    monkeypatch.setenv("jref", f"{folder}/")

    assert run(["calibrate", str(raw), "--output", str(tmp_path / "out")]) == 0


def test_missing_references_are_all_named(
    raw: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without any place to look, the error lists every missing reference; nothing is made."""
    assert run(["calibrate", str(raw), "--output", str(tmp_path / "out")]) == 27

    err = capsys.readouterr().err
    assert all(keyword in err for keyword in ("BIASFILE", "DARKFILE", "PFLTFILE"))
    assert not list(tmp_path.glob("out/*.fits"))


def test_product_is_never_overwritten(
    raw: Path, observatory: Observatory, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A second run into the same folder is an error and changes nothing."""
    references = next(observatory.crds_path.rglob("*_bia.fits")).parent
    command = ["calibrate", str(raw), "--output", str(tmp_path / "out")]
    command += ["--references", str(references)]
    assert run(command) == 0
    flt = next((tmp_path / "out").glob("*_flt.fits"))
    before = flt.stat().st_mtime_ns

    assert run(command) != 0

    assert flt.stat().st_mtime_ns == before
    assert flt.name in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "code"), [("nothing_raw.fits", 21), ("picture.fits", 2)], ids=["absent", "not raw"]
)
def test_what_is_not_a_raw_exposure(tmp_path: Path, name: str, code: int) -> None:
    """A missing file is error 21, a file that is no raw exposure a bad command."""
    if name == "picture.fits":
        (tmp_path / name).write_bytes(b"x")

    assert run(["calibrate", str(tmp_path / name)]) == code


@pytest.fixture
def split(tmp_path: Path) -> list[str]:
    """Return the options that calibrate a tiny CR split, whose files lie in `tmp_path`."""
    references = make_pair_references(tmp_path)
    associate(tmp_path, references, PAIR)
    pairs = [f"--reference={keyword}={path}" for keyword, path in references.items()]
    return ["--output", str(tmp_path / "out"), *pairs]


def products_in(folder: Path) -> list[str]:
    """Return the names of all files, hidden ones too."""
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_association_beside_a_single_exposure(
    split: list[str],
    raw: Path,
    observatory: Observatory,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A table gives crj, flts, table and trailers; a raw in the same call is done alone."""
    table = tmp_path / "j8zz01010_asn.fits"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("jref", str(next(observatory.crds_path.rglob("*_bia.fits")).parent))
        assert run(["calibrate", str(table), *split]) == 0
        assert run(["calibrate", str(raw), *split[:2]]) == 0

    alone = raw.name.removesuffix("_raw.fits")
    members = [f"{name}{end}" for name in MEMBERS for end in (".tra", "_flt.fits")]
    made = ["j8zz01010.tra", "j8zz01010_asn.fits", "j8zz01011.tra", "j8zz01011_crj.fits"]
    assert products_in(tmp_path / "out") == sorted(
        [*made, *members, f"{alone}.tra", f"{alone}_flt.fits"]
    )
    assert fits.getdata(tmp_path / "out" / table.name)["MEMPRSNT"].all()
    assert "j8zz01011_crj.fits" in capsys.readouterr().out


def test_member_named_alone_too_is_refused(
    split: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Both would make one flt, with and without cosmic rays flagged: nothing is started."""
    files = [str(tmp_path / name) for name in ("j8zz01010_asn.fits", f"{MEMBERS[0]}_raw.fits")]

    assert run(["calibrate", *files, *split]) == 2

    err = capsys.readouterr().err
    assert f"{MEMBERS[0]} ({files[0]} and {files[1]})" in err
    assert MEMBERS[1] not in err
    assert not products_in(tmp_path / "out")


def test_missing_members_stop_before_anything_starts(
    split: list[str], raw: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An exposure that is not beside its table is error 21; the other files wait."""
    (tmp_path / f"{MEMBERS[1]}_raw.fits").unlink()

    assert run(["calibrate", str(raw), str(tmp_path / "j8zz01010_asn.fits"), *split]) == 21

    assert f"1 of 2 exposures of the association are missing: {MEMBERS[1]}" in (
        capsys.readouterr().err
    )
    assert not products_in(tmp_path / "out")


def test_failure_is_one_line(
    split: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the trailer says of an error is not repeated on the terminal; warnings are shown."""
    path = tmp_path / f"{MEMBERS[1]}_raw.fits"
    path.write_bytes(path.read_bytes()[:-2880])

    assert run(["calibrate", str(tmp_path / "j8zz01010_asn.fits"), *split]) == 21

    err = capsys.readouterr().err
    assert err.startswith("hstflow: CorruptFile:")
    assert err.count("\n") == 1
    assert not list((tmp_path / "out").glob("*.fits"))


def test_interrupted_association_leaves_no_product(split: list[str], tmp_path: Path) -> None:
    """Ctrl-C between the exposures and their combination: 130, no product, what is left named."""
    table = tmp_path / "j8zz01010_asn.fits"
    with subprocess.Popen(
        [sys.executable, "-c", WAITING, "calibrate", str(table), *split],
        env=dict(os.environ),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    ) as child:
        assert child.stdout is not None
        assert "COMBINING" in child.stdout.readline()
        child.send_signal(signal.SIGINT)
        err = child.communicate(timeout=30)[1]

    assert child.returncode == 130
    assert "0 of 1 files are calibrated" in err
    assert table.name in err
    assert {Path(name).suffix for name in products_in(tmp_path / "out")} == {".tra"}


@pytest.mark.parametrize(
    ("options", "threads"), [([], available_cpus()), (["--threads", "3"], 3)], ids=["all", "3"]
)
def test_threads_and_reference_memory_reach_the_engine(
    split: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    threads: int,
) -> None:
    """One thread per CPU of this process, or as many as asked; the setting bounds the memory."""
    seen = []

    def calibrate(_self: NativeEngine, request: CalibrationRequest) -> Products:
        seen.append((request.threads, MEMORY.limit))
        return Products((), "native", "1")

    monkeypatch.setattr(NativeEngine, "calibrate", calibrate)
    monkeypatch.setattr(MEMORY, "limit", MEMORY.limit)  # put back afterwards
    monkeypatch.setenv("HSTFLOW_REFERENCE_MEMORY", "10 MiB")

    assert run(["calibrate", str(tmp_path / "j8zz01010_asn.fits"), *split, *options]) == 0

    assert seen == [(threads, 10 * 2**20)]


def test_engine_setting_is_followed(
    split: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HSTFLOW_ENGINE decides where --engine does not."""
    monkeypatch.setenv("HSTFLOW_ENGINE", "none-such")
    command = ["calibrate", str(tmp_path / "j8zz01010_asn.fits"), *split]

    assert run(command) == 2
    assert run([*command, "--engine", "native"]) == 0


@pytest.mark.parametrize("threads", ["0", "-1", "two"])
def test_threads_are_at_least_one(tmp_path: Path, threads: str) -> None:
    """Another number is a bad command."""
    assert run(["calibrate", str(tmp_path / "x_raw.fits"), "--threads", threads]) == 2


@pytest.mark.parametrize("name", ["ocmv0lw6q", "oc7w11viq"], ids=["image", "peak-up"])
def test_acquisition_says_that_nothing_is_to_be_done(
    name: str,
    shared: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Real ones of STIS ask for no step: no program is needed, and nothing is made."""
    hide_programs(monkeypatch)
    file = shared / "data" / "real" / f"{name}_raw.fits"
    assert run(["calibrate", str(file), "--output", str(tmp_path / "out")]) == 0
    said = capsys.readouterr()
    assert f"nothing to do: {name}_raw.fits: no switch is PERFORM" in said.err
    assert said.out == ""
    assert list((tmp_path / "out").iterdir()) == []
