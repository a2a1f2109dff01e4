"""`hstflow reference ...` and `hstflow context deliver`: answers, exit codes, what is written."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from astropy.io import fits

from calib.errors import BESTREFS, COMMAND, DONE, GENERIC
from calib.simulate.observatory import Observatory
from deployments.cli.main import run
from tests.deployments.conftest import Process

OLD = "hst_9002.pmap"

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(
    crds: Observatory,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Call:
    """Return a function that runs hstflow in a folder with a cache and a new dark of its own."""
    shutil.copytree(crds.crds_path, tmp_path / "crds")
    monkeypatch.setenv("CRDS_PATH", str(tmp_path / "crds"))
    monkeypatch.chdir(tmp_path)
    shutil.copyfile(crds.profile.references / "z0000012j_drk.fits", "my dark.fits")

    def work(*words: object) -> tuple[int, str, str]:
        code = run([str(word) for word in words])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return work


def answer(result: tuple[int, str, str]) -> Any:
    """Return the JSON of a call that did what was asked."""
    code, text, said = result
    assert code == DONE, said
    return json.loads(text)


def test_certify(call: Call) -> None:
    """Exit code 0 or 27; the table and the JSON have the file and the message."""
    assert call("reference", "certify", "my dark.fits", "--context", OLD)[0] == DONE
    fits.setval("my dark.fits", "CCDAMP", value="E")
    code, text, _ = call("reference", "certify", "my dark.fits", OLD, "--context", OLD)
    assert code == BESTREFS
    assert "CCDAMP" in text
    assert f"2 files against {OLD}: 1 error" in text
    code, text, _ = call("reference", "certify", "my dark.fits", "--json")
    found = json.loads(text)
    assert (code, found["errors"], len(found["files"][0]["errors"])) == (BESTREFS, 1, 1)


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("reference", "certify", "gone.fits"), BESTREFS, "no such file"),
        (("reference", "certify", "my dark.fits", "my dark.fits"), COMMAND, "named twice"),
        (("reference", "checksum", OLD), COMMAND, "are not changed"),
        (("reference", "checksum", "a", "--verify", "--remove"), COMMAND, "one thing"),
        (("reference", "list", "--type", "foo"), COMMAND, "names no reference"),
        (("reference", "newcontext", OLD, "hst_acs_9001.imap"), COMMAND, "not the name of rules"),
        (("context", "deliver"), COMMAND, "no file was named"),
        (("context", "deliver", "my dark.fits", "--submit"), COMMAND, "does not submit"),
        (("context", "deliver", "x.fits", "--confirm", "d"), COMMAND, "one thing at a time"),
        (("context", "deliver", "--confirm", "d", "--cancel", "d"), COMMAND, "one thing"),
        (("context", "deliver", "--confirm", "d"), COMMAND, "no delivery"),
        (("context", "deliver", "--operational", "my dark.fits"), COMMAND, "goes with --archive"),
        (("context", "deliver", "my dark.fits", "--from", "hst_0042.pmap"), BESTREFS, "no such"),
        (
            ("context", "deliver", "my dark.fits", "--serial", "9100", "--name", OLD),
            COMMAND,
            "one number",
        ),
    ],
)
def test_bad_commands(call: Call, words: tuple[str, ...], code: int, message: str) -> None:
    """What cannot be done is refused with a message, and nothing is written."""
    before = sorted(Path().rglob("*"))
    found, text, said = call(*words)
    assert (found, text) == (code, "")
    assert message in said
    assert sorted(Path().rglob("*")) == before


def test_the_tools(call: Call) -> None:
    """Names, checksums, rules, differences and a context, one after the other."""
    (row,) = answer(call("reference", "uniqname", "my dark.fits", "--json"))["files"]
    name = row["path"]
    assert fits.getheader(name)["FILENAME"] == name
    assert answer(call("reference", "checksum", name, "--json"))[0]["state"] == "written"
    assert call("reference", "checksum", "--verify", name, OLD)[0] == DONE
    new = "hst_acs_darkfile_9005.rmap"
    rules = ("reference", "refactor", "hst_acs_darkfile_9002.rmap", new, name)
    assert answer(call(*rules, "-n", "--json"))["written"] is False
    assert not Path(new).exists()
    code, text, _ = call(*rules)
    assert code == DONE
    assert f"wrote {new}" in text
    code, text, _ = call("reference", "diff", "hst_acs_darkfile_9002.rmap", new)
    assert code == GENERIC
    assert name in text
    assert call("reference", "diff", new, new)[0] == DONE
    assert call("reference", "diff", "my dark.fits", name)[0] == GENERIC
    made = answer(call("reference", "newcontext", OLD, new, "--output", "sub", "--json"))
    assert made["files"] == ["sub/hst_9003.pmap", "sub/hst_acs_9003.imap"]
    with Path(name).open("r+b") as stream:
        stream.seek(60_000)
        stream.write(b"xx")
    assert call("reference", "checksum", "--verify", name)[0] == BESTREFS


def test_who_names_what(call: Call) -> None:
    """Lists, cases and names; exit code 27 where nothing names a reference."""
    listed = answer(call("reference", "list", OLD, "--type", "darkfile", "--json"))
    assert [each["name"] for each in listed["references"]] == [
        "z0000002j_drk.fits",
        "z0000012j_drk.fits",
    ]
    code, text, _ = call("reference", "list", OLD)
    assert "12 references, 0 not in the cache" in text
    code, text, said = call("reference", "matches", "z0000012j_drk.fits,x.fits", "--context", OLD)
    assert code == BESTREFS
    assert "2002-04-13 18:00:00" in text
    assert f"{OLD} does not name x.fits" in said
    code, text, said = call("reference", "uses", "z0000012j_drk.fits", "x.fits")
    assert code == BESTREFS
    assert OLD in text
    assert "x.fits" in said


def test_deliver(call: Call, crds: Observatory) -> None:
    """Dry run, delivery, confirmation, archiving; then bestrefs uses the new reference."""
    raw = crds.raws / "jsim01aaq_raw.fits"
    words = ("context", "deliver", "my dark.fits", "--from", OLD, "--output", "d 1")
    code, text, _ = call(*words, "-n")
    assert code == DONE
    assert "nothing was written" in text
    assert "there is no ledger" in text
    assert not Path("d 1").exists()
    code, text, _ = call(*words, "--headers", raw)
    assert code == DONE
    assert "1 dataset would change, of 1 exposure looked at: jsim01aaq" in text
    assert "--confirm '" in text
    assert call("bestrefs", raw, "--context", "hst_9003.pmap")[0] == BESTREFS
    assert call("context", "deliver", "--archive", "d 1")[0] == COMMAND
    assert "is confirmed" in call("context", "deliver", "--confirm", "d 1")[1]
    done = answer(call("context", "deliver", "--archive", "d 1", "--operational", "--json"))
    assert [step["state"] for step in done["steps"]] == [
        "ready",
        "confirmed",
        "archiving",
        "archived",
    ]
    (name,) = (each["name"] for each in done["files"] if each["kind"] == "reference")
    chosen = answer(call("bestrefs", raw, "--json"))
    assert chosen["context"] == "hst_9003.pmap"
    assert chosen["files"][raw.name]["DARKFILE"]["reference"] == name
    assert "is archived" in call("context", "deliver", "--show", "d 1")[1]


def test_deliver_what_crds_refuses(call: Call) -> None:
    """The answer is that of certify, exit code 27, and there is no delivery."""
    fits.delval("my dark.fits", "USEAFTER")
    words = ("context", "deliver", "my dark.fits", "--from", OLD, "--output", "d")
    code, text, _ = call(*words)
    assert code == BESTREFS
    assert "USEAFTER" in text
    code, text, _ = call(*words, "--json")
    assert code == BESTREFS
    assert json.loads(text)["delivery"] is None
    assert not Path("d").exists()


@pytest.mark.slow
def test_datasets_of_the_ledger(call: Call, process: Process, crds: Observatory) -> None:
    """Without --headers the exposures that were processed are looked at."""
    for dataset in crds.datasets:
        assert process(dataset, source=crds.raws)[0] == DONE
    words = ("context", "deliver", "my dark.fits", "--from", OLD, "-n", "--json")
    affected = answer(call(*words))["delivery"]["affected"]
    assert affected["looked_at"] == len(crds.datasets)
    assert affected["datasets"] == {dataset: ["DARKFILE"] for dataset in crds.datasets}
