"""Old versions removed, after making sure that a newer one covers what they hold.

A version goes only where another one stays that is current or newer, has every product of it
(or declares it gone), and was read and compared with its checksums just before. *Current or
newer* is more than neatness: two prunings at the same time can then never take each other's
reason to remove. Bytes go first, then the row is marked; rows stay, so lineage does not break.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain, groupby

from calib.archive.at_once import spread
from calib.archive.layout import check_run_name
from calib.archive.outputs import Output, open_output
from calib.errors import ArchiveError, ConfigError, HstflowError
from calib.ids import parse_dataset
from calib.ledger.ledger import Ledger
from calib.ledger.reports import Rows
from calib.ledger.versions import (
    Holds,
    Version,
    datasets_with_several,
    find_holds,
    mark_removed,
    uncovered,
    versions_in,
    versions_of,
)
from calib.repository.tars import output_of


@dataclass(frozen=True)
class Selection:
    """Which versions are asked to go.

    Attributes
    ----------
    runs
        All versions in these runs; with `datasets` those of these datasets.
    datasets
        All versions of these datasets that are not current.
    replaced
        All versions that are not current (of `datasets`, where given).
    before
        Only versions published before; None for any time.
    obsolete
        Also the last copies of products that the version that stays declares to be gone.
    """

    runs: tuple[str, ...] = ()
    datasets: tuple[str, ...] = ()
    replaced: bool = False
    before: datetime | None = None
    obsolete: bool = False


@dataclass(frozen=True)
class Going:
    """A version that may go.

    Attributes
    ----------
    version
        Which.
    keeper
        The version that stays in its stead; None for files that are not the archive's, which
        stay where they are: only their rows go.
    """

    version: Version
    keeper: Version | None


@dataclass(frozen=True)
class Staying:
    """A version that was asked to go and stays, and why."""

    version: Version
    why: str


@dataclass(frozen=True)
class PrunePlan:
    """What would go, and what stays; `obsolete` as it was selected."""

    going: tuple[Going, ...]
    staying: tuple[Staying, ...]
    obsolete: bool = False

    @property
    def freed(self) -> int:
        """Bytes that are freed; files that are not the archive's free nothing."""
        return sum(each.version.size for each in self.going if each.version.is_ours)


@dataclass(frozen=True)
class Pruned:
    """What became of a version: gone, or kept and why."""

    version: Version
    is_gone: bool
    why: str = ""


def plan_prune(rows: Rows, selection: Selection) -> PrunePlan:
    """Say what would go, and of the rest why it stays. Reads the ledger alone.

    Raises
    ------
    ConfigError
        Nothing is selected, a name is not allowed, or the ledger does not know it.
    """
    holds = find_holds(rows)
    going: list[Going] = []
    staying: list[Staying] = []
    for dataset in _datasets(rows, selection):
        plan = _plan_dataset(rows, dataset, selection, holds)
        going += plan.going
        staying += plan.staying
    return PrunePlan(tuple(going), tuple(staying), selection.obsolete)


def prune(
    plan: PrunePlan,
    ledger: Ledger,
    *,
    at_once: int = 4,
) -> Iterator[Pruned]:
    """Remove what a plan lets go, each after another look at everything that forbids it.

    Before a version goes the ledger is asked again, the version that stays is read whole and
    compared with its checksums, and the folder that goes is searched for files that the
    archive did not put there. Reading may take minutes: the ledger has the last word, just
    before the bytes go. A failure is told, and the rest goes on.

    Parameters
    ----------
    plan
        From :func:`plan_prune`.
    ledger
        Where removals are marked. After a crash between bytes and mark,
        :func:`~calib.repository.verification.verify_repository` says missing, and the next
        pruning of the same marks it.
    at_once
        Datasets at the same time.

    Yields
    ------
    Pruned
        One for each version that the plan lets go.
    """
    groups = [[*those] for _, those in groupby(plan.going, lambda each: each.version.dataset)]

    def work(those: Sequence[Going]) -> list[Pruned]:
        return _prune_dataset(those, ledger, obsolete=plan.obsolete)

    for done in spread(work, groups, at_once):
        yield from done


def _datasets(rows: Rows, selection: Selection) -> list[str]:
    """Return the names of the datasets concerned, after refusing what cannot be meant."""
    names = [*dict.fromkeys(parse_dataset(name).name for name in selection.datasets)]
    runs = [check_run_name(run) for run in selection.runs]
    if not (names or runs or selection.replaced):
        message = "nothing was selected to be pruned"
        raise ConfigError(message, expected="names of runs, --dataset or --replaced")
    found = {run: [each.dataset for each in versions_in(rows, run)] for run in runs}
    unknown = [run for run, those in found.items() if not those]
    unknown += [name for name in names if not versions_of(rows, name)]
    if unknown:
        message = "nothing was ever published under this name"
        raise ConfigError(message, found=", ".join(unknown))
    if names:
        return names
    return sorted({*chain.from_iterable(found.values())}) if runs else datasets_with_several(rows)


def _plan_dataset(rows: Rows, dataset: str, selection: Selection, holds: Holds) -> PrunePlan:
    versions = [each for each in versions_of(rows, dataset) if each.removed_at is None]
    wanted = {each.id for each in versions if _is_wanted(each, selection)}
    return _judge(rows, versions, wanted, holds, obsolete=selection.obsolete)


def _judge(
    rows: Rows,
    versions: Sequence[Version],
    wanted: set[int],
    holds: Holds,
    *,
    obsolete: bool,
) -> PrunePlan:
    """Go through the versions of a dataset, current and new ones first: those stay."""
    stay: list[Version] = []
    going: list[Going] = []
    staying: list[Staying] = []
    for version in sorted(versions, key=_rank, reverse=True):
        if version.id not in wanted:
            stay.append(version)
        elif why := _why_held(version, holds):
            stay.append(version)
            staying.append(Staying(version, why))
        elif not version.is_ours:
            going.append(Going(version, None))
        elif keeper := _keeper(rows, version, stay, obsolete=obsolete):
            going.append(Going(version, keeper))
        else:
            staying.append(Staying(version, _why_alone(rows, version, stay, obsolete=obsolete)))
            stay.append(version)
    return PrunePlan(tuple(reversed(going)), tuple(reversed(staying)), obsolete)


def _rank(version: Version) -> tuple[bool, datetime, int]:
    return version.is_current, _time(version.published_at), version.id


def _time(text: str) -> datetime:
    time = datetime.fromisoformat(text)
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _is_wanted(version: Version, selection: Selection) -> bool:
    if selection.before is not None and _time(version.published_at) >= selection.before:
        return False
    if selection.runs:
        return version.run in selection.runs
    return not version.is_current


def _why_held(version: Version, holds: Holds) -> str:
    if version.is_current:
        return "the current version"
    if chains := holds.chains.get(version.run):
        return f"its run is in chain {', '.join(chains)}"
    if tags := holds.tags.get(version.id):
        return f"its products are in tag {', '.join(tags)}"
    if work := holds.work.get(version.dataset):
        return f"a job is at work on the dataset: {', '.join(work)}"
    return ""


def _keeper(
    rows: Rows, version: Version, stay: Sequence[Version], *, obsolete: bool
) -> Version | None:
    """Return a version that stays, is the archive's own, and covers all of this one."""
    ours = (other for other in stay if other.is_ours)
    return next(
        (other for other in ours if not uncovered(rows, version, other, obsolete=obsolete)), None
    )


def _why_alone(rows: Rows, version: Version, stay: Sequence[Version], *, obsolete: bool) -> str:
    ours = [other for other in stay if other.is_ours]
    if not ours:
        return "the only copy"
    only = uncovered(rows, version, ours[0], obsolete=obsolete)
    more = f" and {len(only) - 1} more" if len(only) > 1 else ""
    return f"the only copy of {only[0]}{more}: {ours[0].run} does not have it"


def _prune_dataset(those: Sequence[Going], ledger: Ledger, *, obsolete: bool) -> list[Pruned]:
    """Prune the versions of one dataset, after judging them anew."""
    dataset, wanted = those[0].version.dataset, {each.version.id for each in those}

    def judge(rows: Rows) -> PrunePlan:
        versions = [each for each in versions_of(rows, dataset) if each.removed_at is None]
        return _judge(rows, versions, wanted, find_holds(rows, dataset), obsolete=obsolete)

    plan = ledger.ask(judge)
    done = [Pruned(each.version, is_gone=False, why=each.why) for each in plan.staying]
    soundness: dict[int, str] = {}
    for each in plan.going:
        if each.keeper is not None and each.keeper.id not in soundness:
            soundness[each.keeper.id] = _damage(each.keeper)
        why = soundness[each.keeper.id] if each.keeper is not None else ""
        done.append(_remove(each, why, ledger))
    return done


def _damage(keeper: Version) -> str:
    """Read the version that stays; say what is wrong with it."""
    try:
        problems = _output_of(keeper).verify(
            parse_dataset(keeper.dataset), run=keeper.run, manifest_sha256=keeper.manifest_sha256
        )
    except HstflowError as error:
        return f"the copy in {keeper.run} cannot be verified: {error}"
    bad = [str(problem) for problem in problems if problem.kind != "orphaned"]
    return f"the copy in {keeper.run} is damaged: {bad[0]}" if bad else ""


def _output_of(version: Version) -> Output:
    """Open the output that holds a version: its run may be said to lie in another one.

    Raises
    ------
    ArchiveError
        It does not lie as the archive puts things.
    """
    place = output_of(version.uri, version.run, parse_dataset(version.dataset))
    if place is None:
        raise ArchiveError(
            "does not lie where the archive puts a version",
            dataset=version.dataset,
            path=version.uri,
        )
    return open_output(place)


def _remove(each: Going, why: str, ledger: Ledger) -> Pruned:
    version = each.version
    try:
        output = _output_of(version) if version.is_ours and not why else None
        if output is not None:
            why = _strangers(version, output)
        why = why or ledger.ask(lambda rows: _why_held_now(rows, each))
        if output is not None and not why:
            why = _remove_bytes(version, output)
        if not why:
            ledger.write(lambda c: mark_removed(c, [version]))
    except HstflowError as error:
        why = str(error)
    return Pruned(version, is_gone=not why, why=why)


def _why_held_now(rows: Rows, each: Going) -> str:
    """Say what forbids a removal by now: a tag, a chain, a job, a keeper that is gone."""
    found = {one.id: one for one in versions_of(rows, each.version.dataset)}
    if each.keeper is not None and found[each.keeper.id].removed_at is not None:
        return f"the copy in {each.keeper.run} was removed meanwhile"
    return _why_held(found[each.version.id], find_holds(rows, each.version.dataset))


def _strangers(version: Version, output: Output) -> str:
    """Say which file of a version is not the archive's; empty where all are."""
    dataset = parse_dataset(version.dataset)
    if not output.holds(version.run, dataset):
        return ""
    found = output.verify(dataset, run=version.run, deep=False)
    orphans = [problem.path for problem in found if problem.kind == "orphaned"]
    return f"holds a file that the archive did not put there: {orphans[0]}" if orphans else ""


def _remove_bytes(version: Version, output: Output) -> str:
    """Remove a version; say why it cannot be called gone.

    That nothing is there may be a removal that was cut short, or an archive that is not
    mounted: then nothing else is there either.
    """
    if output.remove(version.run, parse_dataset(version.dataset)):
        return ""
    if next(iter(output.publications()), None) is None:
        return f"nothing is there, nor anything else of {output.uri}: is it mounted?"
    return ""
