"""Several processes and threads at one dataset: one winner, never a mixture."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from calib.archive import layout
from calib.archive.manifest import read_manifest
from calib.archive.outputs import FileOutput
from calib.archive.publish import Publication, make_current, publish
from calib.ids import parse_dataset

Make = Callable[..., Publication]
DATASET = parse_dataset("j8bt05njq")
ROOT = Path(__file__).parents[3]

RACER = """
import json, sys, time
from pathlib import Path
from calib.archive.publish import File, Publication, publish
from calib.errors import ArchiveError
from calib.ids import parse_dataset

output, source, fingerprint, start = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], sys.argv[4]
files = tuple(File("product", path) for path in sorted(source.iterdir()))
publication = Publication(parse_dataset("j8bt05njq"), "run", fingerprint, files)
(output.parent / f"ready-{source.name}").touch()
while not Path(start).exists():
    time.sleep(0.001)
try:
    print(json.dumps(publish(publication, output).already_there))
except ArchiveError as error:
    print(json.dumps(error.message))
"""


def race(tmp_path: Path, fingerprints: list[str]) -> list[object]:
    """Publish a dataset by as many processes as there are fingerprints; return their answers."""
    output, start = tmp_path / "out", tmp_path / "start"
    racers = []
    for number, fingerprint in enumerate(fingerprints):
        source = tmp_path / f"racer{number}"
        source.mkdir()
        for name in range(20):
            (source / f"{name}.fits").write_bytes(str(number).encode() * 50_000)
        arguments = [str(output), str(source), fingerprint, str(start)]
        command = [sys.executable, "-c", RACER, *arguments]
        racers.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT))
    while len([*tmp_path.glob("ready-*")]) < len(fingerprints):
        assert all(racer.poll() is None for racer in racers)
    start.touch()
    return [json.loads(racer.communicate(timeout=60)[0]) for racer in racers]


def owners(tmp_path: Path) -> set[bytes]:
    """Return the first byte of every published product: the number of the racer."""
    folder = tmp_path / "out" / "runs" / "run" / "acs" / "j8bt05njq"
    return {path.read_bytes()[:1] for path in folder.glob("*.fits")}


def test_twins_have_one_winner(tmp_path: Path, leftovers: Callable[[Path], list[str]]) -> None:
    """Of processes with the same result one publishes; the others find it already there."""
    answers = race(tmp_path, ["same"] * 4)

    assert sorted(answers, key=str) == [False, True, True, True]
    assert owners(tmp_path) == {str(answers.index(False)).encode()}
    assert FileOutput(tmp_path / "out").verify(DATASET) == []
    assert leftovers(tmp_path / "out") == []


def test_rivals_have_one_winner(tmp_path: Path, leftovers: Callable[[Path], list[str]]) -> None:
    """Of processes with different results one publishes; the others are refused."""
    answers = race(tmp_path, ["a", "b", "c"])

    assert sorted(str(answer)[:21] for answer in answers) == [
        "False",
        "a run is written once",
        "a run is written once",
    ]
    winner = answers.index(False)
    assert owners(tmp_path) == {str(winner).encode()}
    manifest = read_manifest(tmp_path / "out" / "runs" / "run" / "acs" / "j8bt05njq")
    assert manifest.fingerprint == "abc"[winner]
    assert leftovers(tmp_path / "out") == []


def test_loser_of_the_rename_joins_its_twin(
    make: Make, output: Path, monkeypatch: pytest.MonkeyPatch, leftovers: Callable[..., list[str]]
) -> None:
    """Where another process renames first, at the last moment, its result is accepted."""
    rename = Path.rename

    def late(folder: Path, target: Path) -> Path:
        monkeypatch.setattr(Path, "rename", rename)
        publish(make(), output)
        return rename(folder, target)

    monkeypatch.setattr(Path, "rename", late)

    assert publish(make(), output).already_there
    assert FileOutput(output).verify(DATASET) == []
    assert leftovers(output) == []


def test_threads_of_one_process(make: Make, output: Path) -> None:
    """Threads that publish different runs at once do not sweep each other's staging."""
    publications = [make(run=f"run{number}", content=b"%d" % number) for number in range(8)]
    errors: list[BaseException] = []

    def work(publication: Publication) -> None:
        try:
            publish(publication, output)
            publish(make(run="shared", content=b"same"), output)
        except BaseException as error:  # noqa: BLE001 - told to the main thread
            errors.append(error)

    threads = [threading.Thread(target=work, args=(each,)) for each in publications]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert errors == []
    assert layout.list_runs(output) == [*(f"run{number}" for number in range(8)), "shared"]
    assert all(
        FileOutput(output).verify(DATASET, run=run) == [] for run in layout.list_runs(output)
    )


def test_reader_never_finds_nothing(make: Make, output: Path) -> None:
    """While the pointer moves to and fro, it can be opened at every moment."""
    publish(make(), output)
    publish(make(run="second", content=b"better"), output)
    file = output / "data" / "acs" / "j8bt05njq" / "j8bt05njq_flt.fits"
    done = threading.Event()
    seen: set[bytes] = set()

    def read() -> None:
        while not done.is_set():
            seen.add(file.read_bytes()[:6])

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(50):
        make_current(output, DATASET, ("first", "second")[number % 2])
    done.set()
    reader.join()

    assert seen == {b"pixels", b"better"}
