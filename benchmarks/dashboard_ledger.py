"""A large ledger for the dashboard, written in bulk: a sweep that is nearly through.

``python benchmarks/dashboard_ledger.py FOLDER [-n 100000] [--ledger postgresql://...]`` makes
``FOLDER/ledger.db``, or fills an empty PostgreSQL database. One campaign (``sweep``) of N datasets
in all states; most are processed, some failed in several ways, some are at work, the rest waits.
A canary campaign of 200 of the same datasets on a newer context, and the reprocessing that it
belongs to. All is drawn from one seed: two ledgers of one size differ only in their times.
"""

from __future__ import annotations

import argparse
import json
import random
import sqlite3
import sys
import time
from bisect import bisect
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Table, create_engine, make_url, text

from calib.ids import parse_dataset
from calib.ledger.columns import metadata
from calib.ledger.ledger import open_ledger
from calib.ledger.reprocessings import NewMark, NewReprocessing, enter_reprocessing

N = 100_000
BLOCK = 2_000  # datasets written at once: a few tens of megabytes of rows
CONTEXT, NEWER = "hst_1297.pmap", "hst_1298.pmap"
CAMPAIGN, CANARY, REPROCESSING = "sweep", "hst_1298-canary", "hst_1298"
STAGES = ("fetch", "bestrefs", "calibrate", "preview", "archive", "state-message")
SECONDS = {
    "fetch": 14.0,
    "bestrefs": 1.2,
    "calibrate": 95.0,
    "preview": 6.0,
    "archive": 3.0,
    "state-message": 0.1,
}
GB = 10**9
RUNGS = (2 * GB, 8 * GB, 16 * GB)
CANARIES = 200
MARKED = 5_000
AT_WORK = 200
SPAN = timedelta(days=3)  # since the campaign began
DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
INSTRUMENTS = (("j", "acs"), ("i", "wfc3"), ("o", "stis"), ("l", "cos"))
EDGES = (40, 75, 90)  # of a hundred programs, by instrument
KEYWORDS = (
    "BPIXTAB",
    "CCDTAB",
    "OSCNTAB",
    "BIASFILE",
    "DARKFILE",
    "PFLTFILE",
    "CRREJTAB",
    "IDCTAB",
    "MDRIZTAB",
    "ATODTAB",
)
REFERENCES_OF_KEYWORD = 50  # of all instruments: 500 reference files

# How datasets end, by parts of ten thousand: what is left is processed.
ENDS = (
    ("synced", 200),
    ("archived", 100),
    ("skipped", 200),
    ("error", 400),
    ("blocked", 100),
    ("cancelled", 60),
)

# How their last attempts end, where that has another name.
OUTCOMES = {"synced": "processed", "archived": "processed", "retry": "error"}

# How they fail: class, code, stage, words, share.
FAILURES = (
    ("EngineError", 23, "calibrate", "calacs.e ended with 1: ERROR in doBias: no SCI imset", 30),
    ("OutOfMemory", 32, "calibrate", "more than 16 GB", 15),
    ("Unavailable", 22, "fetch", "MAST answered 503 four times", 20),
    ("NotFound", 22, "fetch", "MAST has no such dataset", 10),
    ("CorruptFile", 21, "fetch", "raw file is truncated: expected 10532160 bytes", 10),
    ("MissingReference", 27, "bestrefs", "DARKFILE: no match for EXPSTART 2009-05-14", 8),
    ("ArchiveError", 25, "archive", "no space left on the output", 4),
    ("EngineError", 24, "calibrate", "drizzle: no WCS in <b>SCI,2</b> of 'EXP \"3\"'", 3),
)


@dataclass
class Rows:
    """Rows by table, until they are written."""

    tables: dict[str, list[tuple[Any, ...]]] = field(default_factory=lambda: defaultdict(list))
    numbers: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def add(self, table: str, *values: Any) -> int:
        """Add a row, and return its number."""
        self.numbers[table] += 1
        self.tables[table].append((self.numbers[table], *values))
        return self.numbers[table]


# The columns that rows are made of, behind the number.
COLUMNS: dict[str, tuple[str, ...]] = {
    "campaign": ("name", "context", "priority", "control", "plan", "created_at"),
    "campaign_session": (
        *("campaign_id", "host", "pid", "process_started", "token", "flow_run"),
        *("started_at", "heartbeat_at", "ended_at", "outcome", "message"),
    ),
    "run": (
        *("name", "kind", "context", "engine", "engine_version", "parameters", "output"),
        "created_at",
    ),
    "job": (
        *("campaign_id", "dataset", "kind", "instrument", "run", "context", "state", "attempts"),
        *(
            "reason",
            "error_class",
            "code",
            "failed_stage",
            "seconds",
            "uri",
            "chunk",
            "position",
            "priority",
            "memory",
        ),
        *("disk", "time_scale", "overrides", "retries", "created_at", "updated_at"),
    ),
    "attempt": (
        *("job_id", "number", "host", "pid", "process_started", "token", "memory"),
        *("time_scale", "started_at", "heartbeat_at", "ended_at", "outcome", "error_class"),
        *("code", "message", "warnings"),
    ),
    "stage_run": (
        *("attempt_id", "stage", "state", "started_at", "ended_at", "wall", "cpu", "peak_rss"),
        *("bytes_in", "bytes_out", "disk", "error"),
    ),
    "transition": ("job_id", "attempt_id", "at", "from_state", "to_state", "reason"),
    "feature": (
        *("attempt_id", "n_files", "total_mb", "drizcorr", "pctecorr", "crsplit", "subarray"),
        *("detector", "dtype", "instr"),
    ),
    "publication": (
        *("run_id", "attempt_id", "dataset", "fingerprint", "uri", "manifest_sha256"),
        *("transfer", "published_at"),
    ),
    "product": ("publication_id", "name", "type", "rootname", "sha256", "size"),
    "data_id": (
        *("rootname", "instrument", "detector", "filter", "program", "visit", "proposal"),
        *("target", "observed_at", "exptime"),
    ),
    "member": ("association", "rootname", "type", "present"),
    "input_used": ("attempt_id", "name", "suffix", "rootname", "sha256", "size", "source"),
    "reference_used": (
        *("attempt_id", "exposure", "keyword", "name", "sha1", "required", "present"),
    ),
    "current_run": ("dataset", "run_id", "updated_at"),
}


@dataclass(frozen=True)
class Dataset:
    """A name with what is known of it."""

    name: str
    kind: str
    instrument: str


class Maker:
    """Draws a campaign, dataset by dataset.

    Parameters
    ----------
    number
        Datasets of the large campaign.
    now
        The end of the drawn time.
    """

    def __init__(self, number: int, now: datetime) -> None:
        self.number = number
        self.now = now
        self.began = now - SPAN
        self.rows = Rows()
        self.seconds = 0.0  # of the attempt that was drawn last
        self.chance = random.Random(9)  # noqa: S311 - no secret

    def blocks(self) -> Iterator[Rows]:
        """Give all rows in blocks; those of a block are gone with the next one."""
        self._campaigns()
        names = [dataset_of(n) for n in range(self.number)]
        order = names[:]
        self.chance.shuffle(order)
        for position, dataset in enumerate(order):
            self._dataset(dataset, position)
            if position % BLOCK == BLOCK - 1:
                yield self.rows
                self.rows.tables.clear()
        for position, dataset in enumerate(names[:CANARIES]):
            began = self.now - timedelta(hours=2) + timedelta(seconds=20 * position)
            state = "error" if position % 40 == 7 else "processed"  # noqa: PLR2004 - any one
            self._job(2, dataset, position, state, began)
        yield self.rows
        self.rows.tables.clear()

    def _campaigns(self) -> None:
        plan = json.dumps({"runner": "local", "rungs": [*RUNGS]})
        for number, (name, context) in enumerate(((CAMPAIGN, CONTEXT), (CANARY, NEWER)), start=1):
            began = at(self.began) if number == 1 else at(self.now - timedelta(hours=2))
            ended = None if number == 1 else at(self.now - timedelta(minutes=30))
            self.rows.add("campaign", name, context, 0, "run", plan, began)
            parameters = json.dumps({"preview": True})
            run = (
                name,
                "processed",
                context,
                "native",
                "0.9",
                parameters,
                "file:///archive",
                began,
            )
            self.rows.add("run", *run)
            flow = f"0199a1b2-{number:04d}-7000-8000-00000000000{number}"
            words = ("finished", None) if ended else (None, None)
            session = (number, "node00", 4000, 1.0, "t", flow, began, at(self.now), ended, *words)
            self.rows.add("campaign_session", *session)

    def _dataset(self, dataset: Dataset, position: int) -> None:
        done = int(0.96 * self.number)
        share = position / self.number
        if position < done:
            state = self._end()
            began = self.began + SPAN * (0.995 * share / 0.96)
        elif position < done + min(AT_WORK, self.number // 20):
            state, began = "processing", self.now - timedelta(seconds=self.chance.uniform(5, 240))
        else:
            state = "submitted" if share < 0.98 else "planned"  # noqa: PLR2004 - any share
            began = self.began
        self._job(1, dataset, position, state, began)
        self._data_id(dataset)

    def _end(self) -> str:
        drawn = self.chance.randrange(10_000)
        for state, share in ENDS:
            if drawn < share:
                return state
            drawn -= share
        return "processed"

    def _job(
        self, campaign: int, dataset: Dataset, position: int, state: str, began: datetime
    ) -> None:
        """Draw a job with all that hangs on it."""
        number = self.rows.numbers["job"] + 1
        failure = self._failure(state)
        attempts = self._attempts(state, failure)
        moment = began
        job_began = self.began if campaign == 1 else began
        self._tell(number, None, job_began, None, "planned", None)
        if state != "planned":
            self._tell(number, None, job_began, "planned", "submitted", "chunk")
        for each in range(1, attempts + 1):
            is_last = each == attempts
            fate = state if is_last else "retry"
            reached = failure or FAILURES[2]
            moment = self._attempt((number, each), dataset, fate, reached, moment, campaign)
        context, run = ((CONTEXT, CAMPAIGN), (NEWER, CANARY))[campaign - 1]
        has_products = state in {"processed", "synced", "archived"}
        self.rows.add(
            "job",
            *(campaign, dataset.name, dataset.kind, dataset.instrument, run, context, state),
            *(attempts, reason_of(state, failure), *(failure or (None,) * 3)[:3]),
            self.seconds if attempts and state != "processing" else None,
            uri_of(run, dataset) if has_products else None,
            *(position // 500, position, 0, RUNGS[max(0, attempts - 1)], 4 * GB, 1.0),
            '{"set": {"FLATCORR": "OMIT"}}' if position % 97 == 0 else None,
            '{"memory": 1}' if attempts > 1 else None,
            *(at(job_began), at(moment)),
        )

    def _failure(self, state: str) -> tuple[str, int, str, str, int] | None:
        if state == "error":
            weights = [each[4] for each in FAILURES]
            return self.chance.choices(FAILURES, weights)[0]
        if state == "blocked":
            return ("ReferenceUnavailable", 27, "bestrefs", "xyz_drk.fits is awaited", 0)
        if state == "cancelled":
            return ("Cancelled", 143, "calibrate", "cancelled by an operator", 0)
        return None

    def _attempts(self, state: str, failure: tuple[str, int, str, str, int] | None) -> int:
        if state in {"submitted", "planned"}:
            return 0
        if failure is not None and failure[0] in {"OutOfMemory", "Unavailable"}:
            return 3
        return self.chance.choices((1, 2, 3), (90, 8, 2))[0]

    def _attempt(
        self,
        which: tuple[int, int],
        dataset: Dataset,
        fate: str,
        failure: tuple[str, int, str, str, int],
        began: datetime,
        campaign: int,
    ) -> datetime:
        """Draw an attempt with its stages; return when it ended."""
        job, number = which
        table = self.rows.numbers
        attempt = table["attempt"] + 1
        fails = fate in {"retry", "error", "blocked", "cancelled"}
        self._tell(job, attempt, began, "submitted", "processing", f"attempt {number}")
        moment, references = self._stages(attempt, fate, failure if fails else None, began)
        is_open = fate == "processing"
        outcome = None if is_open else OUTCOMES.get(fate, fate)
        told = failure[3] if fails else None
        kept = '["preview: no WCS"]' if attempt % 50 == 0 else "[]"
        self.rows.add(
            "attempt",
            *(job, number, f"node{attempt % 10:02d}", 5000 + attempt % 20, 1.0, f"{attempt:032x}"),
            *(RUNGS[number - 1], 1.0, at(began), at(self.now if is_open else moment)),
            None if is_open else at(moment),
            *(outcome, *(failure[:2] if fails else (None, None)), told, kept),
        )
        self._read(attempt, dataset, with_references=references)
        if is_open:
            return began
        self.seconds = (moment - began).total_seconds()
        to = "submitted" if fate == "retry" else outcome
        self._tell(job, attempt, moment, "processing", str(to), told)
        if outcome == "processed":
            self._publish(attempt, dataset, campaign, moment)
        if fate in {"synced", "archived"}:
            self._tell(job, None, moment + timedelta(minutes=5), "processed", fate, "acknowledged")
            moment += timedelta(minutes=5)
        return moment

    def _stages(
        self,
        attempt: int,
        fate: str,
        failure: tuple[str, int, str, str, int] | None,
        began: datetime,
    ) -> tuple[datetime, bool]:
        """Draw the stages; return when they ended, and whether references are known."""
        last = failure[2] if failure else "state-message"
        if fate == "processing":
            last = self.chance.choice(STAGES[:4])
        moment, references = began, False
        for stage in STAGES:
            wall = SECONDS[stage] * self.chance.lognormvariate(0, 0.5)
            ended = moment + timedelta(seconds=wall)
            state = "reused" if attempt % 12 == 0 and stage == "fetch" else "done"
            state = "skipped" if fate == "skipped" and stage in STAGES[2:5] else state
            if stage == last and fate == "processing":
                self._stage(attempt, stage, "running", moment, None, None)
                return moment, references
            failed = failure is not None and stage == last
            self._stage(attempt, stage, "error" if failed else state, moment, ended, failure)
            moment = ended
            references = references or stage == "bestrefs"
            if failed and stage != "state-message":
                ended = moment + timedelta(seconds=0.1)
                self._stage(attempt, "state-message", "done", moment, ended, None)
                return ended, references
        return moment, references

    def _stage(
        self,
        attempt: int,
        stage: str,
        state: str,
        began: datetime,
        ended: datetime | None,
        failure: tuple[str, int, str, str, int] | None,
    ) -> None:
        wall = None if ended is None else (ended - began).total_seconds()
        costs: tuple[Any, ...] = (wall, None, None, None, None, None)
        if wall is not None and state == "done":
            costs = (wall, 0.8 * wall, int(3e8 + 1e7 * wall), 33_000_000, 88_000_000, 10**8)
        error = failure[3] if failure and state == "error" else None
        ended_at = None if ended is None else at(ended)
        self.rows.add("stage_run", attempt, stage, state, at(began), ended_at, *costs, error)

    def _tell(
        self,
        job: int,
        attempt: int | None,
        moment: datetime,
        source: str | None,
        target: str,
        reason: str | None,
    ) -> None:
        self.rows.add("transition", job, attempt, at(moment), source, target, reason)

    def _read(self, attempt: int, dataset: Dataset, *, with_references: bool) -> None:
        name = dataset.name
        raw = (f"{name}_raw.fits", "raw", name, f"{attempt:064x}", 33_000_000, "mast:")
        self.rows.add("input_used", attempt, *raw)
        self.rows.add("feature", attempt, 1, 33.0, 1, 0, 0, 0, 1, 0, 1)
        if not with_references:
            return
        for place, keyword in enumerate(KEYWORDS):
            kind = self.chance.randrange(REFERENCES_OF_KEYWORD)
            used = f"{DIGITS[place]}{kind:02d}1234{name[0]}_{keyword[:3].lower()}.fits"
            sha1 = f"{place * 100 + kind:040x}"
            self.rows.add(
                "reference_used", attempt, f"{name}_raw.fits", keyword, used, sha1, *(True, True)
            )

    def _publish(self, attempt: int, dataset: Dataset, campaign: int, moment: datetime) -> None:
        name = dataset.name
        run = (CAMPAIGN, CANARY)[campaign - 1]
        publication = self.rows.add(
            "publication",
            *(campaign, attempt, name, f"{attempt:064x}", uri_of(run, dataset)),
            *(f"{attempt:064x}", "copy", at(moment)),
        )
        for place, (suffix, kind, size) in enumerate(
            (
                (f"{name}_flt.fits", "flt", 168_000_000),
                (f"previews/{name}_flt.jpg", "preview", 240_000),
                (f"previews/{name}_flt_thumb.jpg", "preview", 9_000),
                ("logs/process.txt", "log", 30_000),
            )
        ):
            sha256 = f"{attempt * 8 + place:064x}"
            self.rows.add("product", publication, suffix, kind, name, sha256, size + attempt)
        if campaign == 1:
            self.rows.add("current_run", name, campaign, at(moment))

    def _data_id(self, dataset: Dataset) -> None:
        name = dataset.name
        detector, beam = {
            "acs": ("WFC", "F606W"),
            "wfc3": ("UVIS", "F814W"),
            "stis": ("CCD", "G750L"),
            "cos": ("FUV", "G160M"),
        }[dataset.instrument]
        self.rows.add(
            "data_id",
            *(name, dataset.instrument, detector, beam, name[1:4], name[4:6], 9000),
            *(f"NGC-{int(name[1:4], 36) % 7840}", "2009-05-14T03:12:44", 507.0),
        )
        if dataset.kind == "assoc":
            for number in range(1, 3):
                self.rows.add("member", name, f"{name[:6]}{number:02d}q", "EXP-DTH", *(True,))


def dataset_of(number: int) -> Dataset:
    """Return the dataset of a number: forty of a program, every eighth is an association."""
    program, rest = divmod(number, 40)
    draw = (program * 37) % 100  # the programs of an instrument lie among those of others
    letter, instrument = INSTRUMENTS[bisect(EDGES, draw)]
    visit, exposure = divmod(rest, 8)
    number36 = 10_000 + program
    code = DIGITS[number36 // 1296] + DIGITS[number36 // 36 % 36] + DIGITS[number36 % 36]
    tail = "010" if exposure == 0 else f"{DIGITS[10 + exposure]}{DIGITS[11 + exposure]}q"
    name = f"{letter}{code}{visit + 1:02d}{tail}"
    return Dataset(name, _kind(exposure == 0), instrument)


def _kind(is_association: bool) -> str:
    return _KINDS[is_association]


_KINDS = {flag: parse_dataset(f"j8bt05{'010' if flag else 'njq'}").kind for flag in (True, False)}


def at(moment: datetime) -> str:
    """Return a time as the ledger has it."""
    return moment.isoformat(timespec="microseconds")


def uri_of(run: str, dataset: Dataset) -> str:
    """Return where the products of a dataset are."""
    return f"file:///archive/runs/{run}/{dataset.instrument}/{dataset.name}"


def reason_of(state: str, failure: tuple[str, int, str, str, int] | None) -> str | None:
    """Return why a job stands where it stands."""
    if failure is not None:
        return f"{failure[2]}: {failure[3]}"
    return {"processed": "published", "skipped": "no viable data"}.get(state)


def make_ledger(url: str, number: int = N) -> None:
    """Fill an empty ledger: rows without their indexes first, then the indexes."""
    with open_ledger(url) as ledger:
        ledger.write(lambda c: enter_reprocessing(c, _reprocessing(), _marks(number), who="demo"))
        maker = Maker(number, datetime.now(UTC))
        tables = [metadata.tables[name] for name in COLUMNS]
        engine = create_engine(driver_url(url))
        with engine.begin() as connection:
            if connection.dialect.name == "sqlite":
                connection.exec_driver_sql("PRAGMA synchronous=OFF")
            indexes = [each for table in tables for each in table.indexes]
            for index in indexes:
                index.drop(connection, checkfirst=True)
            for rows in maker.blocks():
                write_block(connection, rows)
            for index in indexes:
                index.create(connection)
            if connection.dialect.name == "postgresql":
                set_sequences(connection, tables)
        engine.dispose()
    analyse(url)


def write_block(connection: Connection, rows: Rows) -> None:
    """Write rows with the driver's own means: twice as fast as by SQLAlchemy."""
    for name, columns in COLUMNS.items():
        found = rows.tables.get(name)
        if not found:
            continue
        names = ", ".join(("id", *columns))
        driver = connection.connection.driver_connection
        if isinstance(driver, sqlite3.Connection):
            places = ", ".join("?" * (len(columns) + 1))
            driver.executemany(f"INSERT INTO {name} ({names}) VALUES ({places})", found)  # noqa: S608 - names are ours
        else:
            copy_rows(driver, f"COPY {name} ({names}) FROM STDIN", found)


def copy_rows(driver: Any, command: str, rows: Sequence[tuple[Any, ...]]) -> None:
    """Write rows by PostgreSQL's COPY."""
    with driver.cursor() as cursor, cursor.copy(command) as copy:
        for row in rows:
            copy.write_row(row)


def set_sequences(connection: Connection, tables: Sequence[Table]) -> None:
    """Let PostgreSQL number new rows behind those that are there."""
    for table in tables:
        place = f"pg_get_serial_sequence('{table.name}', 'id')"
        query = f"SELECT setval({place}, MAX(id)) FROM {table.name}"  # noqa: S608 - names are ours
        connection.execute(text(query))


def analyse(url: str) -> None:
    """Write SQLite's log into the file, and let PostgreSQL count; SQLite gets no statistics.

    A ledger of SQLite has none in real life: nobody runs ANALYZE.
    """
    engine = create_engine(driver_url(url), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        is_sqlite = connection.dialect.name == "sqlite"
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)" if is_sqlite else "ANALYZE")
    engine.dispose()


def wake(url: str) -> None:
    """Let who is at work in a ledger of yesterday be alive."""
    engine = create_engine(driver_url(url))
    with engine.begin() as connection:
        for table in ("campaign_session", "attempt"):
            words = f"UPDATE {table} SET heartbeat_at = :now WHERE ended_at IS NULL"  # noqa: S608 - names are ours
            connection.execute(text(words), {"now": at(datetime.now(UTC))})
    engine.dispose()


def driver_url(url: str) -> str:
    """Return a URL that names the driver."""
    return url.replace("postgresql://", "postgresql+psycopg://", 1)


def _reprocessing() -> NewReprocessing:
    return NewReprocessing(
        REPROCESSING, CONTEXT, NEWER, "context", json.dumps({"runner": "local"}), once=True
    )


def _marks(number: int) -> Iterator[NewMark]:
    for place in range(min(number, MARKED)):
        changes = {"DARKFILE": (f"{place % 50:02d}old_drk.fits", f"{place % 50:02d}new_drk.fits")}
        name = parse_dataset(dataset_of(place).name)
        yield NewMark(name, 1, changes, is_canary=place < CANARIES)


def ledger_in(folder: Path, number: int = N) -> str:
    """Return the URL of the ledger of a size in a folder, made if it is not there."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"ledger-{number}.db"
    if not path.exists():
        part = path.with_suffix(".part")
        part.unlink(missing_ok=True)
        make_ledger(f"sqlite:///{part.absolute()}", number)
        part.replace(path)
    return f"sqlite:///{path.absolute()}"


def kept_database(url: str, number: int = N) -> str:
    """Return the name of the database of a size beside another one, made if it is not there."""
    name = f"hstflow_dashboard_{number}"
    engine = create_engine(driver_url(url), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        there = connection.scalar(text(f"SELECT 1 FROM pg_database WHERE datname = '{name}'"))  # noqa: S608 - ours
        if not there:
            part = f"{name}_part"
            connection.execute(text(f"DROP DATABASE IF EXISTS {part}"))
            connection.execute(text(f"CREATE DATABASE {part}"))
            make_ledger(
                make_url(url).set(database=part).render_as_string(hide_password=False), number
            )
            connection.execute(text(f"ALTER DATABASE {part} RENAME TO {name}"))
    engine.dispose()
    return name


def main() -> int:
    """Make a ledger, and say how long it took."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="where it is kept")
    parser.add_argument("-n", type=int, default=N, help="datasets (default: 100,000)")
    parser.add_argument("--ledger", help="an empty PostgreSQL database, instead of the folder")
    options = parser.parse_args()
    begin = time.perf_counter()
    if options.ledger:
        make_ledger(options.ledger, options.n)
    url = options.ledger or ledger_in(options.folder, options.n)
    print(f"{url}  {time.perf_counter() - begin:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
