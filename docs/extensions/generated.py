"""The pages of `docs/reference`, made of the code before each build.

They are never written by hand and are not kept: what the code says is what they say.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from sphinx.application import Sphinx

ROOT = Path(__file__).parents[2]
NOTE = "*Made of the code by `docs/extensions/generated.py`.*"


def setup(app: Sphinx) -> dict[str, Any]:
    """Make the pages when Sphinx begins."""
    app.connect("builder-inited", lambda app: write_pages(Path(app.srcdir) / "reference"))
    return {"parallel_read_safe": True}


def write_pages(folder: Path) -> list[Path]:
    """Write every page; return which."""
    folder.mkdir(exist_ok=True)
    written = []
    for name, make in PAGES.items():
        path = folder / f"{name}.md"
        text = make()
        if not path.exists() or path.read_text(encoding="utf-8") != text:  # Sphinx reads new ones
            path.write_text(text, encoding="utf-8")
        written.append(path)
    return written


def commands() -> str:
    """Return every command with its arguments and options, as `--help` says them."""
    from deployments.cli.main import COMMANDS, GROUPS

    parts = ["# Commands", NOTE, "`hstflow COMMAND --help` says the same."]
    parts += [_command(name) for name in COMMANDS]
    for name, group in GROUPS.items():
        members = _members(name)
        parts += [f"## hstflow {name}", group.text]
        parts += [_command(name, member) for member in members]
    return _page(parts)


def _members(group: str) -> list[str]:
    """Return the names of a group's commands, in their order."""
    from deployments.cli.main import build_app

    return [name for name in build_app([group])[group] if not name.startswith("-")]


def _command(*words: str) -> str:
    """Return one command's page; the options' groups keep their order."""
    from deployments.cli.main import build_app

    app = build_app(words)
    for word in words:
        app = app[word]
    said = app.generate_docs(
        output_format="markdown", recursive=False, heading_level=1 + len(words)
    )
    # A dotted name or a path in angle brackets is text, not HTML.
    said = re.sub(r"<(?=[A-Za-z/])", r"\\<", said)
    title, _, rest = said.partition("\n")
    return f"{title.split(' ')[0]} hstflow {' '.join(words)}\n{rest}".strip()


def settings() -> str:
    """Return every HSTFLOW_* setting with its type, default and meaning."""
    from tasks.settings import Settings

    rows = [
        (
            f"`HSTFLOW_{name.upper()}`",
            _type(field.annotation),
            "" if field.default_factory or not field.default else f"`{field.default}`",
            field.description or "",
        )
        for name, field in Settings.model_fields.items()
    ]
    more = "Other variables, and what wins over what: [configuration](../configuration.md)."
    columns = ("variable", "type", "default", "meaning")
    return _page(["# Settings", NOTE, more, _table(columns, rows)])


def states() -> str:
    """Return the states of a job and what may follow each."""
    from calib.ledger import states as module

    ends = dict.fromkeys(module.FINISHED, "nothing is left to do")
    rows = [
        (
            f"`{state}`",
            ", ".join(f"`{n}`" for n in module.STATES if n in after),
            ends.get(state, ""),
        )
        for state, after in module.TRANSITIONS.items()
    ]
    diagram = f"```text\n{_block(module.__doc__ or '')}\n```"
    stages = ", ".join(f"`{state}`" for state in sorted(module.STAGE_STATES))
    return _page(
        [
            "# States",
            NOTE,
            "A *job* is one dataset in one campaign. Every change is a row of its history.",
            diagram,
            _table(("state", "may become", ""), rows),
            f"A *stage run* is one of: {stages}.",
        ]
    )


def errors() -> str:
    """Return the tree of errors with the exit codes."""
    from calib import errors as module

    classes = [each for _, each in inspect.getmembers(module, inspect.isclass)]
    rows = [
        (f"`{each.__name__}`", f"`{each.__mro__[1].__name__}`", (each.__doc__ or "").split("\n")[0])
        for each in classes
        if issubclass(each, module.HstflowError)
    ]
    tree = f"```text\n{_block(module.__doc__ or '')}\n```"
    more = "What each exit code means to a script: [exit codes](../exit-codes.md)."
    columns = ("class", "kind of", "meaning")
    return _page(["# Errors", NOTE, more, tree, _table(columns, sorted(rows))])


def error_guide() -> str:
    """Return what each error means and what a person does about it."""
    from calib.error_guide import CODES, GUIDES

    rows = [
        (
            f"`{each.name}`",
            each.means,
            each.remedy,
            each.is_retried or "nothing",
            "yes" if each.may_rescue else "after a change",
        )
        for each in GUIDES.values()
    ]
    columns = ("class", "means", "what to do", "a campaign has tried", "rescue helps")
    codes = [(str(code), said) for code, said in CODES.items()]
    return _page(
        [
            "# Guide of errors",
            NOTE,
            "The dashboard shows it beside what failed.",
            _table(columns, rows),
            "## Exit codes",
            _table(("code", "where the fault was"), codes),
        ]
    )


def pages() -> str:
    """Return the pages of the dashboard with their addresses."""
    from deployments.dashboard.links import PATHS
    from deployments.dashboard.pages import ACTIONS, ANSWERS

    rows = [
        (
            name,
            f"`{path.replace('{}', 'NAME')}`",
            _first_sentence(ANSWERS[name].__doc__ if name in ANSWERS else None),
            "yes" if name in ACTIONS else "",
        )
        for name, path in PATHS.items()
    ]
    columns = ("page", "address", "", "has a form")
    return _page(["# Pages of the dashboard", NOTE, _table(columns, rows)])


def metrics() -> str:
    """Return the names, labels and meanings of the metrics."""
    from deployments.dashboard.pages.metrics import LedgerCollector

    told = [
        (f"`{each.name}`", ", ".join(vars(each)["_labelnames"]), each.documentation)
        for each in LedgerCollector(()).collect()
    ]
    return _page(["# Metrics", NOTE, _table(("metric", "labels", "meaning"), told)])


def _first_sentence(docstring: str | None) -> str:
    return " ".join((docstring or "").split("\n\n")[0].split())


def events() -> str:
    """Return the events that are emitted, with the resource of each."""
    from flows import alarms, context_watch, nightly_verify

    campaign = f"{alarms.PREFIX}.NAME"
    words = {
        "failing": "too many of the datasets that ended last failed",
        "stalled": "nothing ends (kind: stalled), or its process is gone (kind: lost)",
        "recovered": "it is no longer failing, stalled or lost",
        "finished": "it came to its end (outcome: completed or failed)",
        "stopped": "it was paused, cancelled or interrupted",
    }
    rows = [(f"`{alarms.PREFIX}.{word}`", f"`{campaign}`", said) for word, said in words.items()]
    rows += [
        (f"`{context_watch.EVENT}`", f"`{context_watch.RESOURCE}`", "CRDS has a new context"),
        (f"`{nightly_verify.EVENT}`", f"`{nightly_verify.RESOURCE}`", "the archive is damaged"),
    ]
    return _page(["# Events", NOTE, _table(("event", "resource", "told when"), rows)])


def ledger() -> str:
    """Return the views that other programs may read, and the tables below them."""
    from calib.ledger.schema import metadata
    from calib.ledger.views import VIEWS

    views = [(f"`{name}`", text) for name, (text, _) in VIEWS.items()]
    parts = ["# Ledger", NOTE, "## Views", "Read these; tables may change with a version."]
    parts += [_table(("view", "shows"), views), "## Tables"]
    for table in metadata.sorted_tables:
        rows = [(f"`{c.name}`", str(c.type), "NULL" if c.nullable else "") for c in table.columns]
        parts += [f"### {table.name}", _table(("column", "type", ""), rows)]
    return _page(parts)


def deployments() -> str:
    """Return the deployments with their schedules, triggers and parameters."""
    parts = ["# Deployments", NOTE, "`hstflow deploy` tells Prefect's server of them."]
    content = yaml.safe_load((ROOT / "prefect.yaml").read_text(encoding="utf-8"))
    for each in content["deployments"]:
        module, _, name = each["entrypoint"].rpartition(".")
        parts += [f"## {each['name']}", each["description"]]
        parts += [*_schedules(each)]
        schema = getattr(import_module(module), name).parameters.model_dump()
        parts.append(_table(("parameter", "meaning"), _parameters(schema)))
    return _page(parts)


def _schedules(deployment: dict[str, Any]) -> Iterator[str]:
    for each in deployment.get("schedules", ()):
        yield f"Schedule: `{each['cron']}` ({each.get('timezone', 'UTC')})."
    for each in deployment.get("triggers", ()):
        yield f"Started by the event `{', '.join(each['expect'])}`."


def _parameters(schema: dict[str, Any]) -> Iterator[tuple[str, str]]:
    required = set(schema.get("required", ()))
    for name, each in schema.get("properties", {}).items():
        said = " ".join((each.get("description") or each.get("title") or "").split())
        yield f"`{name}`" + (" (needed)" if name in required else ""), said


def _block(docstring: str) -> str:
    """Return the literal block of a docstring."""
    block = re.search(r"::\n\n((?: {4}.*\n|\n)+)", docstring)
    return dedent(block.group(1)).rstrip() if block else ""


def _type(annotation: Any) -> str:
    text = annotation.__name__ if inspect.isclass(annotation) else str(annotation)
    words = re.findall(r"'([^']+)'", text)
    return ", ".join(words) if words else text.replace("pathlib.", "").replace(" | None", "")


def _table(columns: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = [*columns]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def _page(parts: Iterable[str]) -> str:
    return "\n\n".join(part for part in parts if part) + "\n"


PAGES: dict[str, Callable[[], str]] = {
    "commands": commands,
    "settings": settings,
    "states": states,
    "errors": errors,
    "error-guide": error_guide,
    "pages": pages,
    "metrics": metrics,
    "events": events,
    "ledger": ledger,
    "deployments": deployments,
}
