"""Which exposures a new context changes: headers per CPU second, beside the crds command line.

Run it with ``python benchmarks/affected.py`` (some minutes) or ``--quick``. It needs the real rules
(HSTFLOW_SHARED/data/crds_pack.tar.gz). Headers are drawn from the rules of the newest context,
instruments in turn.

The figures are slopes: each program runs on few and on many headers, and the difference of the
CPU seconds (user and system, children included) is divided by the difference of the headers. So
neither the start of the interpreter nor the reading of rules counts. Both programs get the same
JSON files in the same minute (the slope of ours is from ten times as many: 2,000 take less than
a second); on a busy machine compare ratios, not figures. The answers are compared, too: a faster
wrong answer is no result.

Goals, exit code 1 where one is missed: 5 times the headers per CPU second of the command line
for adjacent contexts; 100,000 headers within 150 MB more than a few headers take.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
SHARED = Path(os.environ.get("HSTFLOW_SHARED", ROOT.parent / "shared"))

ADJACENT = [("hst_0632.pmap", "hst_0633.pmap"), ("hst_0728.pmap", "hst_0729.pmap")]
FAR = [("hst_0704.pmap", "hst_0729.pmap"), ("hst_0607.pmap", "hst_0729.pmap")]
GOAL = 5.0
MANY = 100_000
SPARE_MB = 150  # of 100,000 headers, which take 300 MB as dictionaries

OURS = """
import sys
from pathlib import Path
from calib.references.comparison import compare_contexts
from calib.references.header_sources import headers_of_json
from calib.references.profile import CrdsProfile
cache, path, old, new, processes = sys.argv[1:]
profile = CrdsProfile("pack", "https://hst-serverless.stsci.edu", Path(cache), readonly=True)
headers = headers_of_json(Path(path))
for each in compare_contexts(profile, old, new, headers, processes=int(processes)):
    if each.changes:
        types = sorted(c.keyword.lower() for c in each.changes)
        print(f"{each.dataset}:{each.exposure} {each.instrument} {' '.join(types)}".lower())
"""


@dataclass(frozen=True)
class Spent:
    """What a process took, and what it printed.

    Attributes
    ----------
    cpu
        Seconds.
    peak
        Largest resident size in MB, of the process itself.
    lines
        One for each affected exposure.
    code
        How it ended; crds ends with the number of its errors.
    """

    cpu: float
    peak: float
    lines: frozenset[str]
    code: int = 0


def main() -> int:
    """Print the tables; return 1 where a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer headers, one repetition")
    quick = parser.parse_args().quick
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), few=40, many=400 if quick else 2000, times=1 if quick else 3)
        fine = [bench.compare(*pair, goal=GOAL) for pair in ADJACENT]
        fine += [bench.compare(*pair, goal=None) for pair in FAR]
        fine += [bench.bounded(20_000 if quick else MANY)]
    return 0 if all(fine) else 1


class Bench:
    """Headers in files, and both programs on them."""

    def __init__(self, folder: Path, *, few: int, many: int, times: int) -> None:
        self.folder, self.times = folder, times
        self.sizes = few, many
        self.more = 10 * many
        with tarfile.open(SHARED / "data" / "crds_pack.tar.gz") as tar:
            tar.extractall(folder, filter="data")
        self.cache = folder / "pack" / "crds_cache"
        for size in (*self.sizes, self.more):
            self.write(size)
        print(f"{'contexts':<24}{'program':<16}{'headers/CPU s':>14}{'times crds':>12}  affected")

    def path(self, size: int) -> Path:
        """Return the path of a file of headers."""
        return self.folder / f"headers_{size}.json"

    def write(self, size: int) -> None:
        """Draw headers and write them, in a process of its own: ours stays small."""
        code = (
            "import json, sys\n"
            "from pathlib import Path\n"
            "from calib.references.profile import CrdsProfile\n"
            "from calib.simulate.rule_headers import draw_headers\n"
            "url = 'https://hst-serverless.stsci.edu'\n"
            "profile = CrdsProfile('pack', url, Path(sys.argv[1]), readonly=True)\n"
            "for each in draw_headers(profile, 'hst_0729.pmap', int(sys.argv[2])):\n"
            "    print(json.dumps({f'{each.dataset}:{each.exposure}': each.header}))\n"
        )
        with self.path(size).open("w") as stream:
            command = [sys.executable, "-c", code, str(self.cache), str(size)]
            subprocess.run(command, stdout=stream, env=self.environ(), check=True)

    def environ(self) -> dict[str, str]:
        """Return the environment of both programs."""
        return {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "CRDS_PATH": str(self.cache),
            "CRDS_SERVER_URL": "https://hst-serverless.stsci.edu",
            "CRDS_OBSERVATORY": "hst",
            "CRDS_READONLY_CACHE": "1",
        }

    def ours(self, size: int, old: str, new: str, processes: int = 1) -> Spent:
        """Run our comparison.

        Raises
        ------
        RuntimeError
            It failed: its answer is none.
        """
        words = (str(self.cache), str(self.path(size)), old, new, str(processes))
        spent = self.run(["-c", OURS, *words])
        if spent.code:
            raise RuntimeError(f"our comparison ended with {spent.code}")
        return spent

    def crds(self, size: int, old: str, new: str) -> Spent:
        """Run the crds command line."""
        words = ("--load-pickles", str(self.path(size)), "--old-context", old)
        options = (*words, "--new-context", new, "--print-affected-details")
        return self.run(["-m", "crds.bestrefs", *options])

    def run(self, arguments: Sequence[str]) -> Spent:
        """Run Python and measure it."""
        with (self.folder / "out").open("w+") as stream:
            process = subprocess.Popen(
                [sys.executable, *arguments],
                env=self.environ(),
                stdout=stream,
                stderr=subprocess.DEVNULL,
            )
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            stream.seek(0)
            lines = frozenset(line.strip() for line in stream)
        cpu = usage.ru_utime + usage.ru_stime
        return Spent(cpu, usage.ru_maxrss / 1024, lines, process.returncode)

    def compare(self, old: str, new: str, *, goal: float | None) -> bool:
        """Print both figures of a pair of contexts; return whether the goal is met."""
        few, many = self.sizes
        theirs, ours = [], []
        for _ in range(self.times):
            theirs.append(self.rate(self.crds, (few, many), old, new))
            ours.append(self.rate(self.ours, (many, self.more), old, new))
        rates = [statistics.median(rate for rate, _, _ in runs) for runs in (theirs, ours)]
        answers = theirs[-1][2], ours[-1][1]
        same = answers[0] == answers[1]
        ratio = rates[1] / rates[0]
        pair = f"{old[4:8]} -> {new[4:8]}"
        missed = goal is not None and ratio < goal
        print(f"{pair:<24}{'crds bestrefs':<16}{rates[0]:>14,.0f}{'':>12}  {len(answers[0]):,}")
        print(
            f"{'':<24}{'hstflow':<16}{rates[1]:>14,.0f}{ratio:>12.1f}  {len(answers[1]):,}"
            f"{'' if same else '  OTHER ANSWERS'}{'  goal missed' if missed else ''}",
            flush=True,
        )
        return same and not missed

    def rate(
        self, program: Callable[[int, str, str], Spent], sizes: tuple[int, int], old: str, new: str
    ) -> tuple[float, frozenset[str], frozenset[str]]:
        """Return headers per CPU second from the slope, and both answers."""
        small, large = (program(size, old, new) for size in sizes)
        rate = (sizes[1] - sizes[0]) / max(large.cpu - small.cpu, 0.01)
        return rate, small.lines, large.lines

    def bounded(self, number: int) -> bool:
        """Print the memory that many headers take; return whether it is bounded."""
        self.write(number)
        print(f"\n{'headers':>10}{'processes':>11}{'CPU s':>9}{'peak MB':>9}  affected")
        base = self.ours(self.sizes[0], *ADJACENT[0])
        fine = True
        for processes in (1, 2):
            spent = self.ours(number, *ADJACENT[0], processes)
            missed = spent.peak - base.peak > SPARE_MB
            fine = fine and not missed
            print(
                f"{number:>10,}{processes:>11}{spent.cpu:>9.1f}{spent.peak:>9.0f}"
                f"  {len(spent.lines):,}{'  too much memory' if missed else ''}"
            )
        print(f"{self.sizes[0]:>10,}{1:>11}{base.cpu:>9.1f}{base.peak:>9.0f}")
        return fine


if __name__ == "__main__":
    if sys.platform != "linux":
        sys.exit("the sizes of processes are read as Linux gives them")
    sys.exit(main())
