"""Several processes at one place of a bucket: one winner, never a mixture; and a killed one."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from calib.archive.store_output import StoreOutput
from calib.ids import parse_dataset
from calib.stores import S3Store

DATASET = parse_dataset("j8bt05njq")
ROOT = Path(__file__).parents[3]

PUBLISH = """
import json, os, sys, time
from pathlib import Path
from calib.archive.outputs import open_output
from calib.archive.publish import File, Publication
from calib.errors import ArchiveError
from calib.ids import parse_dataset
from calib.stores import S3Store

uri, source, fingerprint, start, die_at = sys.argv[1:]
files = tuple(File("product", path) for path in sorted(Path(source).iterdir()))
publication = Publication(parse_dataset("j8bt05njq"), "run", fingerprint, files)
put, count = S3Store.put, 0

def dying(*args, **kwargs):
    global count
    count += 1
    if count == int(die_at):
        os._exit(9)
    return put(*args, **kwargs)

if int(die_at):
    S3Store.put = dying
Path(source).with_suffix(".ready").touch()
while not Path(start).exists():
    time.sleep(0.001)
try:
    print(json.dumps(open_output(uri).publish(publication).already_there))
except ArchiveError as error:
    print(json.dumps(error.message))
"""


def keys(output: StoreOutput, prefix: str = "") -> list[str]:
    """Return the keys of all objects."""
    return [stored.key for stored in output.store.list_keys(prefix)]


@pytest.fixture
def writers(bucket: str, tmp_path: Path) -> Iterator[Callable[..., list[object]]]:
    """Return a function that publishes by several processes at once."""

    def run(fingerprints: list[str], die_at: int = 0) -> list[object]:
        start = tmp_path / "start"
        started = []
        for number, fingerprint in enumerate(fingerprints):
            source = tmp_path / f"writer{number}"
            source.mkdir(exist_ok=True)
            for name in range(10):
                (source / f"{name}.fits").write_bytes(str(number).encode() * 50_000)
            words = [f"s3://{bucket}/p", str(source), fingerprint, str(start), str(die_at)]
            command = [sys.executable, "-c", PUBLISH, *words]
            started.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT))
        while len([*tmp_path.glob("*.ready")]) < len(fingerprints):
            assert all(writer.poll() is None for writer in started)
        start.touch()
        texts = [writer.communicate(timeout=100)[0] for writer in started]
        return [json.loads(text) if text else None for text in texts]

    return run


def owners(output: StoreOutput) -> set[bytes]:
    """Return the first byte of every published product: the number of its writer."""
    found = (output.store.read(key) for key in keys(output, "runs/run/acs/"))
    return {content.data[:1] for content in found if content is not None} - {b"{"}


@pytest.mark.parametrize(
    ("fingerprints", "others"),
    [
        (["same"] * 3, True),
        (["a", "b"], "a run is written once, and this one holds another result: use another run"),
    ],
    ids=["twins", "rivals"],
)
def test_of_several_writers_one_wins(
    bucket: str, writers: Callable[..., list[object]], fingerprints: list[str], others: object
) -> None:
    """Processes at one place: one publishes all its files, the others none of theirs."""
    answers = writers(fingerprints)
    output = StoreOutput(S3Store(bucket, "p"))

    winner = answers.index(False)
    assert [a for n, a in enumerate(answers) if n != winner] == [others] * (len(answers) - 1)
    assert owners(output) == {str(winner).encode()}
    assert output.verify(DATASET) == []
    assert not [key for key in keys(output) if ".claims" in key]


def test_what_a_killed_writer_left_is_removed(
    bucket: str, writers: Callable[..., list[object]]
) -> None:
    """Files without a manifest are nothing; the next publication clears them away at once."""
    assert writers(["a"], die_at=10) == [None]
    output = StoreOutput(S3Store(bucket, "p"))
    assert 0 < len(keys(output, "runs/run/acs/")) < 10
    assert output.current_manifest(DATASET) is None
    assert output.find_published(DATASET, "a") is None
    output.store.replace("runs/run/acs/j8bt05njq/other_leftover.fits", b"")

    assert writers(["b"]) == [False]
    assert output.verify(DATASET) == []
    assert not [key for key in keys(output) if ".claims" in key]
