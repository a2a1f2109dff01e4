"""The end of a log, as text: of a product, or of what is kept of a job without products."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from calib.ledger.dataset_files import FailedJob, StoredFile, file_of, jobs_without_products
from deployments.dashboard.bundles import plain, read_kept
from deployments.dashboard.files import find_file, say_why
from deployments.dashboard.links import Links
from deployments.dashboard.opened import CannotShow
from deployments.dashboard.page import Page, render

if TYPE_CHECKING:
    from deployments.dashboard.app import Desk

# Bytes of a log that are shown: some 2,000 lines.
MOST_SHOWN = 256 * 1024

_LONGEST_NUMBER = 18


def log_page(links: Links, file: StoredFile, data: bytes) -> Page:
    """Return the end of a log; its bytes are given from the first whole line."""
    content = {
        "text": plain(data),
        "is_cut": file.size > len(data),
        "shown": len(data),
        "size": file.size,
        "whole": links.to("product", str(file.id)),
        "about": f"run {file.run}",
    }
    trail = ((file.dataset, links.to("dataset", file.dataset)),)
    return Page("log.html", file.name, content, trail, is_live=False)


def kept_page(links: Links, job: FailedJob, name: str, text: str) -> Page:
    """Return a file of what is kept of a job without products."""
    content = {
        "text": text,
        "is_cut": False,
        "shown": len(text),
        "size": len(text),
        "whole": None,
        "about": f"kept of run {job.run}, campaign {job.campaign}",
    }
    trail = ((job.dataset, links.to("dataset", job.dataset)),)
    return Page("log.html", name, content, trail, is_live=False)


def answer_log(desk: Desk, request: Request) -> Response:
    """Answer with a log: ``?file=NUMBER`` of a product, ``?job=NUMBER&name=NAME`` of a job."""
    try:
        page = _page(desk, request)
    except CannotShow as why:
        return say_why(desk, str(why), why.code)
    return HTMLResponse(render(page, desk.frame))


def _page(desk: Desk, request: Request) -> Page:
    dataset = request.path_params["dataset"]
    asked = request.query_params
    number, job_number = _number(asked.get("file")), _number(asked.get("job"))
    if number is not None:
        file = desk.reader.ask(lambda rows: file_of(rows, number))
        if file is None or file.dataset != dataset or file.type not in {"log", "env"}:
            raise CannotShow("this dataset has no log of this number")
        return log_page(desk.links, file, _tail(file))
    jobs = desk.reader.ask(lambda rows: jobs_without_products(rows, dataset))
    for job in jobs:
        if job.id == job_number:
            name = asked.get("name", "")
            return kept_page(desk.links, job, name, read_kept(job, desk.settings.work, name))
    raise CannotShow("this dataset has no such log")


def _tail(file: StoredFile) -> bytes:
    given = find_file(file)
    try:
        start = max(0, file.size - MOST_SHOWN)
        data = given.read(start, MOST_SHOWN)
    finally:
        given.close()
    return data.partition(b"\n")[2] or data if start else data


def _number(text: str | None) -> int | None:
    """Return a row's number; None for anything else."""
    if text is None or len(text) > _LONGEST_NUMBER or not (text.isascii() and text.isdigit()):
        return None
    return int(text)
