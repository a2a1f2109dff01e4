"""The dashboard as a web application: which page answers which address."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from anyio.to_thread import current_default_thread_limiter
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from calib.errors import ConfigError, HstflowError, InOtherHands, NotFound, Unavailable
from calib.ledger.readers import AWAY as LEDGER_AWAY
from calib.ledger.reports import Rows
from deployments.dashboard import pages
from deployments.dashboard.access import Doorkeeper, check_access
from deployments.dashboard.comparisons import Comparisons
from deployments.dashboard.forms import Form, Tokens, person_of, read_form
from deployments.dashboard.htmx import has_htmx
from deployments.dashboard.links import PATHS, Links, LiveLinks
from deployments.dashboard.page import Frame, Page, refresh_of, render
from deployments.dashboard.reader import Kept, Later, NoLedger, Reader, UnfitLedger
from deployments.dashboard.security import Boundary, Gate, SecurityHeaders, log_failure
from deployments.dashboard.settings import DashboardSettings
from deployments.dashboard.sums import with_kept_sums

T = TypeVar("T")

# Pages that are made at once. One process runs Python in one thread at a time: more of them only
# wait for each other, and each holds memory and a connection with its cache.
THREADS = 6

STATIC = Path(__file__).parent / "static"

READ_ONLY = (
    "this dashboard only shows: nothing was changed. Start it as `hstflow dashboard --change`, "
    "or set HSTFLOW_DASHBOARD_CHANGE=1, to rescue and approve here"
)

# HTTP's words for what a question of ours may end in.
_CODES: Mapping[type[HstflowError], int] = {
    NotFound: 404,
    InOtherHands: 409,
    Unavailable: 503,
    UnfitLedger: 503,
    ConfigError: 400,
}

NOT_FOUND, FAILED, AWAY = 404, 500, 503


START = "There is no ledger yet: hstflow demo, hstflow process or hstflow campaign submit make it."

# Seconds for which what takes long is good.
LATER_PERIOD = 10.0

_SAID = {404: "there is no such page", 405: "this page does not take that"}


@dataclass(frozen=True)
class Desk:
    """What the pages are answered with.

    Attributes
    ----------
    settings
        Those of the operator.
    reader, kept
        The ledger, and answers that are still good.
    frame
        What surrounds the pages.
    later
        Answers that take too long for a request.
    tokens
        Of the forms of this process.
    comparisons
        Of versions of products, made beside.
    """

    settings: DashboardSettings
    reader: Reader
    kept: Kept
    frame: Frame
    later: Later
    tokens: Tokens = field(default_factory=Tokens)
    comparisons: Comparisons = field(default_factory=Comparisons)

    @property
    def links(self) -> Links:
        """Where pages are."""
        return self.frame.links

    def look(self, question: Callable[[Rows], T]) -> T:
        """Return the answer to a question of who only looks: sums may be a moment old."""
        return self.reader.ask(lambda rows: question(with_kept_sums(rows, self.kept)))

    def show(self, request: Request, page: Callable[[Rows, Links], Page]) -> Response:
        """Answer with a page of the ledger; many who ask for the same share one answer."""
        key = (request.url.path, request.url.query)
        frame = replace(self.frame, refresh=refresh_of(request.query_params.multi_items()))
        make = partial(self.look, lambda rows: render(page(rows, self.links), frame))
        return HTMLResponse(self.kept.get(key, make))

    def show_now(self, page: Callable[[Rows, Links], Page], code: int = 200) -> Response:
        """Answer with a page that is not kept: a form with its token, or what one led to."""
        made = self.look(lambda rows: render(page(rows, self.links), self.frame))
        return HTMLResponse(made, status_code=code)

    def go_to(self, page: str, /, *names: str, **filters: object) -> Response:
        """Answer a form: the browser shows that page, and sends nothing again."""
        return RedirectResponse(self.links.to(page, *names, **filters) or "/", status_code=303)

    def token(self, request: Request) -> str:
        """Return the token for the field `token` of a form, for whoever asks for its page."""
        return self.tokens.give(person_of(request))


def build_app(settings: DashboardSettings) -> Starlette:
    """Return the dashboard as an ASGI application.

    Raises
    ------
    ConfigError
        The settings cannot be used, or let in more people than the operator may think.
    """
    check_access(settings)
    desk = build_desk(settings)
    app = Starlette(
        routes=[*_routes(desk), Mount("/static", StaticFiles(directory=STATIC), name="static")],
        middleware=[
            Middleware(SecurityHeaders),
            Middleware(Gate, hosts=settings.hosts, root=settings.root),
            Middleware(Boundary, show=partial(_show_failure, desk)),
            Middleware(Doorkeeper, settings=settings),
        ],
        exception_handlers={
            HstflowError: partial(_show_error, desk),
            HTTPException: partial(_show_refusal, desk),
        },
        lifespan=partial(_lifespan, desk),
    )
    app.state.desk = desk
    return app


def build_desk(settings: DashboardSettings) -> Desk:
    """Return what the pages are answered with."""
    frame = Frame(
        LiveLinks(settings.root),
        prefect=settings.prefect,
        dask=settings.dask,
        may_change=settings.may_change,
        has_script=has_htmx(),
    )
    kept, later = Kept(settings.period), Later(LATER_PERIOD)
    comparisons = Comparisons(Path(settings.differences) if settings.differences else None)
    return Desk(settings, Reader(settings.ledger), kept, frame, later, comparisons=comparisons)


@asynccontextmanager
async def _lifespan(desk: Desk, _app: Starlette) -> AsyncIterator[None]:
    current_default_thread_limiter().total_tokens = THREADS
    yield
    desk.reader.close()


def _routes(desk: Desk) -> list[BaseRoute]:
    made: list[BaseRoute] = [
        Route(PATHS["health"], _health),
        Route(PATHS["ready"], _endpoint(desk, _ready)),
    ]
    made += [Route(_path(name), _endpoint(desk, each)) for name, each in pages.ANSWERS.items()]
    for name, act in pages.ACTIONS.items():
        made.append(Route(_path(name), _action(desk, act), methods=["POST"]))
    return made


def _path(name: str) -> str:
    path = PATHS[name]
    for word in pages.NAMES.get(name, ()):
        path = path.replace("{}", "{" + word + "}", 1)
    return path


def _endpoint(desk: Desk, answer: pages.Answer) -> Callable[[Request], object]:
    async def endpoint(request: Request) -> Response:
        return await run_in_threadpool(answer, desk, request)

    return endpoint


def _action(desk: Desk, act: pages.Action) -> Callable[[Request], object]:
    async def endpoint(request: Request) -> Response:
        if not desk.settings.may_change:
            raise HTTPException(403, READ_ONLY)
        form: Form = await read_form(request, desk.tokens, desk.settings.hosts)
        return await run_in_threadpool(act, desk, request, form)

    return endpoint


async def _health(_request: Request) -> Response:
    return PlainTextResponse("ok\n")


def _ready(desk: Desk, _request: Request) -> Response:
    try:
        desk.reader.ask(lambda rows: rows("SELECT 1 AS one", {}))
    except NoLedger:
        return PlainTextResponse("ready: there is no ledger yet\n")
    except HstflowError:
        return PlainTextResponse("the ledger cannot be read\n", AWAY)
    return PlainTextResponse("ready\n")


def _show_error(desk: Desk, request: Request, error: Exception) -> Response:
    """Say on a page what is wrong; never a path of ours or a traceback."""
    if not isinstance(error, HstflowError):  # Starlette asks for Exception
        raise error
    if isinstance(error, NoLedger):
        is_home = request.url.path == PATHS["campaigns"]
        return _page(desk, 200 if is_home else NOT_FOUND, "Nothing was processed yet", START)
    code = next((code for kind, code in _CODES.items() if isinstance(error, kind)), FAILED)
    if code == FAILED:
        return _show_failure(desk, log_failure(request.scope, error))
    title = "Not found" if code == NOT_FOUND else "This page cannot be shown"
    return _page(desk, code, title, error_text(error))


def error_text(error: HstflowError) -> str:
    """Return what an error says, without the file or address that it happened at."""
    if isinstance(error, Unavailable) and error.message.startswith(LEDGER_AWAY):
        return f"{LEDGER_AWAY}; this page looks again by itself. The log says why."
    named = {"dataset": error.dataset, "expected": error.expected, "found": error.found}
    details = "; ".join(f"{name} {said}" for name, said in named.items() if said is not None)
    return f"{error.message} ({details})" if details else error.message


def _show_refusal(desk: Desk, _request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    code = error.status_code
    title = "Not found" if code == NOT_FOUND else "Refused"
    return _page(desk, code, title, _SAID.get(code, error.detail), error.headers)


def _show_failure(desk: Desk, number: str) -> Response:
    said = f"Something went wrong here. The log of the dashboard has it as failure {number}."
    return _page(desk, FAILED, "This page cannot be shown", said)


def _page(
    desk: Desk, code: int, title: str, said: str, headers: Mapping[str, str] | None = None
) -> Response:
    """Return an error as a page; one that may pass by itself looks again."""
    is_live = code in {200, AWAY}
    page = Page("error.html", title, {"said": said}, is_live=is_live)
    more = {"retry-after": "5"} if code == AWAY else {}
    return HTMLResponse(render(page, desk.frame), code, {**(headers or {}), **more})
