"""What to ingest, and what would be: files grouped by run and dataset, before any is read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from calib.archive.layout import check_run_name
from calib.errors import ConfigError
from calib.ledger.publications import Transfer
from calib.repository.examination import Candidate
from calib.repository.sources import open_source
from calib.repository.templates import open_layout, place


@dataclass(frozen=True)
class IngestRequest:
    """What to ingest, and how.

    Attributes
    ----------
    uri
        ``file:FOLDER`` or ``s3://BUCKET/PREFIX``.
    run
        Name of the run that takes it; None where the template has ``{run}``.
    output
        The archive, for ``copy`` and ``link``.
    template
        A layout of :data:`calib.repository.templates.LAYOUTS`, or a template.
    transfer
        ``copy``, ``link`` (hard links: one file system, the source becomes read-only) or
        ``in-place``.
    is_current
        Make the run current also where another one is.
    headers
        Read headers; otherwise names alone say what a file shows.
    checksums
        Compute sha256; can be left out in place.
    trust_size
        Take a known file of the same size as the same, without reading it.
    threads
        Datasets that are read at once.
    scratch
        Folder for what has to be unpacked or downloaded; the system's where None.
    """

    uri: str
    run: str | None = None
    output: str | None = None
    template: str = "auto"
    transfer: Transfer = "copy"
    is_current: bool = False
    headers: bool = True
    checksums: bool = True
    trust_size: bool = False
    threads: int = 4
    scratch: Path | None = None


@dataclass(frozen=True)
class Group:
    """The files of a dataset that go into one run."""

    run: str
    dataset: str
    files: tuple[Candidate, ...]


@dataclass(frozen=True)
class Survey:
    """What an ingest would look at.

    Attributes
    ----------
    groups
        By run and dataset, in order.
    unmatched
        Files that are not taken, and why.
    """

    groups: tuple[Group, ...]
    unmatched: tuple[tuple[str, str], ...]


def check_request(request: IngestRequest) -> IngestRequest:
    """Return a request unchanged where it can work.

    Raises
    ------
    ConfigError
        It contradicts itself, or names a template or run that cannot be.
    """
    layout = open_layout(request.template)
    if request.run is not None:
        check_run_name(request.run)
    elif not all("{run}" in template.text for template in layout):
        raise ConfigError("no run was named", expected="a name, or {run} in the template")
    if request.transfer == "in-place":
        if request.output is not None:
            message = "files that stay in place go to no output"
            raise ConfigError(message, expected="no output", found=request.output)
        return request
    if request.output is None:
        message = f"files to {request.transfer} need an output"
        raise ConfigError(message, expected="file:PATH or s3://BUCKET/PREFIX")
    if not request.checksums:
        message = "only files that stay in place can do without checksums"
        raise ConfigError(message, found=f"transfer {request.transfer}")
    if request.transfer == "link" and "s3:" in {request.uri[:3], request.output[:3]}:
        message = "links are made between folders of one file system: copy"
        raise ConfigError(message, found=f"{request.uri} and {request.output}")
    return request


def survey(request: IngestRequest) -> Survey:
    """List the source, and group what the template takes; nothing is read or written.

    Raises
    ------
    ConfigError
        The request cannot work.
    NotFound
        There is no such folder.
    """
    layout = open_layout(check_request(request).template)
    groups: dict[tuple[str, str], list[Candidate]] = {}
    unmatched = []
    for found in open_source(request.uri).list_files():
        placed = None if found.trouble else place(layout, found.key)
        if placed is None:
            unmatched.append((found.key, found.trouble or "the template does not match"))
        else:
            run = request.run or placed.fields["run"]
            groups.setdefault((run, placed.dataset), []).append(Candidate(placed, found))
    return Survey(
        tuple(Group(run, name, tuple(files)) for (run, name), files in sorted(groups.items())),
        tuple(unmatched),
    )
