"""`hstflow engines compare`: one dataset by two engines, and how their products differ."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from rich.markup import escape

from calib.errors import ConfigError
from calib.ids import DatasetId, parse_dataset
from deployments.cli.console import (
    Flag,
    Several,
    count_text,
    err,
    out,
    print_json,
    show_logs,
    showing_steps,
)
from deployments.cli.drizzling import DrizzleFlags
from deployments.cli.tables import print_rows
from deployments.cli.threads import Threads, threads_or_all

if TYPE_CHECKING:
    from calib.reprocessing.engine_comparison import EngineComparison
    from calib.reprocessing.product_records import ProductDifference
    from calib.stages.job import Job
    from tasks.settings import Settings

EXPECTED = "DATASET [INPUT_URI]"

# Cards of a product that are shown; --json has all.
_CARDS = 6

_BOTH = 2
_WORDS = {
    "identical": "identical",
    "dates": "identical but dates",
    "header": "the same data",
    "data": "other data",
    "form": "other extensions or shapes",
    "unreadable": "unreadable",
}


@dataclass(frozen=True)
class CompareFlags(DrizzleFlags):
    """Options of `hstflow engines compare`.

    Attributes
    ----------
    engines
        The two, the one to compare with first.
    context
        CRDS context, such as hst_0729.pmap; by default the operational one.
    profile
        onsite, offsite, cloud, or a TOML file; by default HSTFLOW_PROFILE, else what CRDS_PATH
        and CRDS_SERVER_URL say, else offsite.
    output
        Folder to keep the products of both and the difference images in; it must be empty or
        absent. Without it nothing is kept, and no difference image is drawn.
    set
        KEYWORD=VALUE (PCTECORR=OMIT), for both; may be repeated.
    stage2
        Drizzle what both made of ACS and WFC3, with the same program: auto, always, never. Else
        HSTFLOW_STAGE2, else never.
    astrometry
        How drizzled images are put on the sky, as in `hstflow process`. Else HSTFLOW_ASTROMETRY,
        else off.
    threads
        Threads; without it one per CPU that this process may use.
    json
        Write JSON to stdout.
    verbose
        Show every step on stderr.
    """

    engines: str = "native,hstcal"
    context: str | None = None
    profile: str | None = None
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None
    set: Several = None
    threads: Threads = None
    json: Flag = False
    verbose: Annotated[bool, Parameter(name=["--verbose", "-v"], negative=())] = False


def compare(
    *arguments: str, flags: Annotated[CompareFlags | None, Parameter(name="*")] = None
) -> int:
    """Calibrate a dataset with two engines and compare their products, pixel by pixel.

    Both get the same inputs and the references of one context, in private folders; nothing
    is published. For each product: how many pixels differ and by how much, which flags,
    which cards. Exit code 0 where both make the same products with the same pixels (headers
    always differ, in CAL_VER at least), 1 where they do not, 23 where an engine is absent.

    Parameters
    ----------
    arguments
        DATASET: exposure or association. INPUT_URI: where its raw files are; by default
        astroquery:, the archive.
    """
    flags = flags or CompareFlags()
    dataset, source = _read_arguments(arguments)
    engines = _read_engines(flags.engines)
    show_logs(verbose=flags.verbose, quiet=False)
    with _work(dataset, flags) as folder, err.status("", spinner="dots") as status:
        with showing_steps(status) as show:
            show(f"{dataset}  {' and '.join(engines)}")
            found = _compare(dataset, source, engines, folder, flags)
        if flags.json:
            print_json(dataclasses.asdict(found) | {"is_equal": found.is_equal})
        else:
            _print(found, flags)
    return 0 if found.is_equal else 1


def _read_arguments(arguments: Sequence[str]) -> tuple[DatasetId, str]:
    if not arguments or len(arguments) > _BOTH or ":" in arguments[0]:
        message = "too many arguments" if len(arguments) > _BOTH else "no dataset was named"
        raise ConfigError(message, expected=EXPECTED, found=" ".join(arguments) or "nothing")
    source = arguments[1] if len(arguments) == _BOTH else "astroquery:"
    return parse_dataset(arguments[0]), source


def _read_engines(text: str) -> tuple[str, str]:
    names = [name.strip() for name in text.split(",")]
    if len(names) != _BOTH or not all(names) or "auto" in names:
        raise ConfigError("not two engines", expected="--engines native,hstcal", found=text)
    return names[0], names[1]


@contextmanager
def _work(dataset: DatasetId, flags: CompareFlags) -> Iterator[Path]:
    """Give a folder of its own, on the disk of the work folder."""
    from tasks.settings import load_settings

    if flags.output is not None:
        if flags.output.exists() and not (flags.output.is_dir() and _is_empty(flags.output)):
            message = "the folder has something in it"
            raise ConfigError(message, path=flags.output, expected="an empty or absent one")
        yield flags.output.absolute()
        return
    work = load_settings().work
    try:
        work.mkdir(parents=True, exist_ok=True)
        folder = tempfile.TemporaryDirectory(prefix=f"compare-{dataset}-", dir=work)
    except OSError as error:
        message = f"the work folder cannot be written: {error.strerror}"
        raise ConfigError(message, path=work) from error
    with folder as path:
        yield Path(path)


def _is_empty(folder: Path) -> bool:
    return next(folder.iterdir(), None) is None


def _compare(
    dataset: DatasetId, source: str, engines: tuple[str, str], folder: Path, flags: CompareFlags
) -> EngineComparison:
    from calib.reprocessing.engine_comparison import compare_engines
    from tasks.settings import limit_reference_memory, load_settings

    settings = load_settings()
    limit_reference_memory(settings)
    job = _job(dataset, source, folder, flags, settings)
    return compare_engines(job, engines, keeps=flags.output is not None)


def _job(
    dataset: DatasetId, source: str, folder: Path, flags: CompareFlags, settings: Settings
) -> Job:
    import os

    from calib.references.profile import load_profile
    from calib.stages.job import Options
    from calib.stages.planning import Request, plan_jobs
    from calib.switches import parse_overrides

    request = Request(
        source=source,
        output="none",
        profile=load_profile(flags.profile or settings.profile, os.environ),
        work=str(folder),
        ledger=settings.ledger,
        context=flags.context,
        campaign="compare",
        options=Options(
            overrides=parse_overrides(flags.set or []),
            threads=threads_or_all(flags.threads),
            **_drizzling(flags, settings),
        ),
    )
    return plan_jobs(request, [dataset.name])[0]


def _drizzling(flags: CompareFlags, settings: Settings) -> dict[str, Any]:
    """Return how both are drizzled; unless somebody wants it, engines of stage 1 are compared."""
    usual = {"stage2": "never", "astrometry": "off"}
    told = settings.model_dump(include=set(usual), exclude_unset=True)
    asked = {name: getattr(flags, name) for name in usual}
    return usual | told | {name: value for name, value in asked.items() if value is not None}


def _print(found: EngineComparison, flags: CompareFlags) -> None:
    word = "[green]equal[/green]" if found.is_equal else "[red]different[/red]"
    names = " and ".join(f"{each.engine} {each.version}" for each in found.engines)
    out.print(f"{found.dataset}  {word}  {escape(names)}  ({found.context})", soft_wrap=True)
    for engine in found.engines:
        if engine.ending:
            out.print(f"  {escape(engine.engine)}: {escape(engine.ending)}", soft_wrap=True)
    for product in found.products:
        out.print(f"  {escape(_line(product, found))}", soft_wrap=True)
        _print_numbers(product)
    if flags.output is not None:
        kept = f"  kept in {flags.output}: {count_text(len(found.pictures), 'file')} of differences"
        out.print(escape(kept), soft_wrap=True)


def _line(product: ProductDifference, found: EngineComparison) -> str:
    first, second = (each.engine for each in found.engines)
    only = {"vanished": f"only {first} makes it", "new": f"only {second} makes it"}
    cards = len(product.headers) + product.more_headers
    told = f", {count_text(cards, 'card')} differ{'s' if cards == 1 else ''}" if cards else ""
    reason = "; ".join(filter(None, (*product.forms, product.problem)))
    text = only.get(product.state) or f"{_WORDS[product.state]}{told}"
    return f"{product.name}: {text}{': ' if reason else ''}{reason}"


def _print_numbers(product: ProductDifference) -> None:
    """Show how the arrays of a product differ, and the first cards."""
    rows = [_row(plane) for one in product.sets for plane in one.planes if plane.changed]
    if rows:
        columns = ("  plane", "differ", "of", "median", "largest", "NaN +", "NaN -")
        print_rows(out, columns, rows, right=columns[1:])
    for one in product.sets:
        for bit in one.flags.bits if one.flags else ():
            name = one.flags.name if one.flags else ""
            out.print(f"    {name} {escape(bit.name)}: +{bit.gained} -{bit.lost}", soft_wrap=True)
    for table in product.tables:
        text = f"    {table.extension}: {table.values} of {table.total} values differ"
        out.print(escape(text), soft_wrap=True)
    for card in product.headers[:_CARDS]:
        texts = (f"[{card.old or ''}]", f"[{card.new or ''}]")
        out.print(escape(f"    {card.extension} {' -> '.join(texts)}"), soft_wrap=True, style="dim")


def _row(plane: Any) -> tuple[str, ...]:
    spread = plane.where_changed
    sizes = ("", "") if spread is None else (f"{spread.median:.4g}", f"{spread.largest:.4g}")
    numbers = (f"{plane.changed:,}", f"{plane.total:,}")
    return (f"    {plane.name}", *numbers, *sizes, str(plane.became_nan), str(plane.was_nan))
