"""`hstflow bestrefs`: the table, JSON, --check, --update, exit codes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from astropy.io import fits
from cyclopts import App

from calib.errors import BESTREFS, DONE, GENERIC, ConfigError, NotFound

if TYPE_CHECKING:
    from calib.simulate.observatory import Observatory

# The answers of CRDS for the three real exposures on hst_0729.pmap, other than N/A.
COMMON = {
    *("m8r09169j_bpx", "o1515069j_ccd", "p7d1548qj_idc", "2391649pj_imp", "ub215378j_mdz"),
    "14s1737dj_osc",
}
ANSWERS = {
    "j8bt05njq": COMMON
    | {"m4r1753rj_bia", "n3o1059hj_drk", "o8u2214mj_dxy", "v9718263j_npl", "o3u1448rj_pfl"},
    "j8bt06o6q": COMMON
    | {"m4r1753rj_bia", "n3o1059hj_drk", "o8u2214nj_dxy", "v9718264j_npl", "o3u1449dj_pfl"},
    "j8bt09jcq": COMMON
    | {
        *("m4m0925ij_bia", "n3o1059gj_drk", "o8u2214gj_dxy", "v9718260j_npl", "n4t1530bj_pfl"),
        "n4e12510j_crr",
    },
}


def run(*tokens: object) -> int:
    """Run the command as the console script does: found by name, parsed from tokens."""
    app = App(result_action="return_value")
    app.command("deployments.cli.bestrefs:bestrefs", name="bestrefs")
    code: int = app(["bestrefs", *map(str, tokens)], exit_on_error=False)
    return code


@pytest.fixture
def raws(observatory: Observatory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Return copies of the simulated raws, with the environment of their observatory."""
    for name, value in observatory.environ.items():
        monkeypatch.setenv(name, value)
    return [Path(shutil.copy(path, tmp_path)) for path in sorted(observatory.raws.iterdir())]


def asked(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """Return the JSON that was printed."""
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    return answer


def test_the_three_real_raws(
    crds_pack: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The answers for the three real raws on hst_0729.pmap are exactly those of CRDS."""
    monkeypatch.setenv("CRDS_PATH", str(crds_pack / "crds_cache"))
    monkeypatch.setenv("CRDS_SERVER_URL", "https://hst-serverless.stsci.edu")
    raws = sorted((crds_pack / "raw").glob("*_raw.fits"))
    assert run(*raws, "--context", "hst_0729.pmap", "--json") == DONE
    files = asked(capsys)["files"]
    found = {
        name.partition("_")[0]: {
            row["reference"].removesuffix(".fits")
            for row in rows.values()
            if row["reference"] != "N/A"
        }
        for name, rows in files.items()
    }
    assert found == ANSWERS
    assert {name: len(rows) for name, rows in files.items()} == dict.fromkeys(files, 22)
    changed = {key for key, row in files["j8bt09jcq_raw.fits"].items() if row["differs"]}
    assert changed == {"ATODTAB", "IMPHTTAB", "NPOLFILE", "OSCNTAB", "SHADFILE"}


def test_table(raws: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    """The table names file, type, reference, what the header had, and the context."""
    assert run(raws[0]) == DONE
    text = capsys.readouterr().out
    line = next(line for line in text.splitlines() if "DARKFILE" in line)
    assert "z0000002j_drk.fits" in line
    assert "yes" in line
    assert "jsim01aaq_raw.fits" in text
    assert "hst_9001.pmap" in text


def test_check_then_update_then_check(raws: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    """--check exits 1 and shows what differs; --update mends it; --check is then content."""
    assert run(*raws, "--check") == GENERIC
    text = capsys.readouterr().out
    assert "DARKFILE" in text
    assert "IDCTAB" not in text
    before = fits.getheader(raws[0])
    assert run(*raws, "--update") == DONE
    capsys.readouterr()
    assert before["DARKFILE"] == "N/A"
    assert fits.getheader(raws[0])["DARKFILE"] == "jref$z0000002j_drk.fits"
    assert run(*raws, "--check") == DONE
    assert "jsim01aaq_raw.fits agrees with hst_9001.pmap" in capsys.readouterr().out
    assert run(*raws, "--check", "--context", "hst_9002.pmap", "--json") == GENERIC
    assert asked(capsys)["files"]["jsim01aaq_raw.fits"] == {
        "DARKFILE": {
            "reference": "z0000012j_drk.fits",
            "header": "z0000002j_drk.fits",
            "differs": True,
            "present": True,
            "certified": False,
        }
    }


def test_without_update_files_are_not_touched(raws: list[Path]) -> None:
    """Asking changes nothing."""
    before = [path.read_bytes() for path in raws]
    run(*raws)
    run(*raws, "--check", "--json")
    assert [path.read_bytes() for path in raws] == before


def test_no_match(raws: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    """A filter without a flat is shown as NOT FOUND and exits with CALDP's code 27."""
    fits.setval(raws[0], "FILTER1", value="F550M")
    assert run(raws[0]) == BESTREFS
    assert "NOT FOUND" in capsys.readouterr().out


def test_mistakes_are_our_errors(raws: list[Path], tmp_path: Path) -> None:
    """An absent file, an unknown context or profile raise errors that carry their exit code."""
    with pytest.raises(NotFound):
        run(tmp_path / "no_raw.fits")
    with pytest.raises(ConfigError) as caught:
        run(raws[0], "--context", "hst_0001.pmap")
    assert caught.value.code == BESTREFS
    with pytest.raises(ConfigError, match="no such CRDS profile"):
        run(raws[0], "--profile", "onsight")
