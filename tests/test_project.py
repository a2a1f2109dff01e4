"""The project's own rules, read from its source: layers, sizes, names, errors, docstrings.

Every rule is a function of one parsed module that names the offenders, and every rule has a
planted offence below, so that none of them can pass by looking at nothing.
"""

from __future__ import annotations

import ast
import functools
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import calib

ROOT = Path(__file__).parents[1]
PACKAGES = ("calib", "tasks", "flows", "deployments")
SOURCES = sorted(p for package in PACKAGES for p in (ROOT / package).rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())

MODULE_LINES = 400
BODY_LINES = 40
ARGUMENTS = 7
VAGUE = {"util", "utils", "helper", "helpers", "common", "misc"}
MAY_CATCH_ALL = {
    "calib/stages/sequence.py",  # the boundary at which any failure of a dataset is its outcome
    "calib/stages/watch.py",  # without its heartbeat every attempt here is taken for dead
    "calib/stages/watched.py",  # a stage that was stopped: why counts, not what it made of that
    "calib/stages/recording.py",  # closes the stage run in the ledger and raises again
    "deployments/dashboard/security.py",  # one page that fails stops no other; the log has why
    "flows/dataset_page.py",  # what is published has not failed because its page cannot be shown
    "flows/daemon_threads.py",  # a future raises what its call raised
    "flows/observer.py",  # who only watches a campaign may not stop watching it unheard
    "flows/campaign.py",  # keeps what stopped a session, whatever Prefect makes of it; raised again
    "flows/reprocessing_hold.py",  # without its heart a live process is taken for dead
    "flows/fanout.py",  # one dataset that is lost stops no other
}
MAY_PRINT = ("deployments/cli/",)

Function = ast.FunctionDef | ast.AsyncFunctionDef
Rule = Callable[[ast.Module], list[str]]


def name_of(path: Path) -> str:
    """Return a path as seen from the project's root."""
    return path.relative_to(ROOT).as_posix()


def functions(tree: ast.AST) -> Iterator[Function]:
    """Yield every function and method, nested ones included."""
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def body_lines(function: Function) -> int:
    """Count the lines from the first statement after the docstring to the last."""
    documented = ast.get_docstring(function, clean=False) is not None
    statements = function.body[1:] if documented else function.body
    return 0 if not statements else (function.end_lineno or 0) - statements[0].lineno + 1


def arguments(function: Function) -> list[str]:
    """Return the names of the arguments without self, cls, *args and **kwargs."""
    given = function.args.posonlyargs + function.args.args + function.args.kwonlyargs
    return [a.arg for a in given if a.arg not in {"self", "cls"}]


def long_bodies(tree: ast.Module) -> list[str]:
    """Name functions whose body is longer than the limit."""
    return [
        f"line {f.lineno}: {f.name} has {body_lines(f)} lines"
        for f in functions(tree)
        if body_lines(f) > BODY_LINES
    ]


def long_signatures(tree: ast.Module) -> list[str]:
    """Name functions with more arguments than the limit."""
    return [
        f"line {f.lineno}: {f.name} takes {len(arguments(f))}"
        for f in functions(tree)
        if len(arguments(f)) > ARGUMENTS
    ]


def vague_classes(tree: ast.Module) -> list[str]:
    """Name classes that are called managers."""
    return [
        f"line {node.lineno}: class {node.name}"
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and "manager" in node.name.lower()
    ]


def assertions(tree: ast.Module) -> list[str]:
    """Name assert statements: `python -O` removes them."""
    return [f"line {n.lineno}: assert" for n in ast.walk(tree) if isinstance(n, ast.Assert)]


def prints(tree: ast.Module) -> list[str]:
    """Name calls of print."""
    return [f"line {n.lineno}: print" for n in calls(tree) if called(n) == "print"]


def catch_alls(tree: ast.Module) -> list[str]:
    """Name handlers of everything: bare, Exception, BaseException, and suppress of those."""
    handlers = [
        n
        for n in ast.walk(tree)
        if isinstance(n, ast.ExceptHandler) and (n.type is None or is_broad(n.type))
    ]
    suppressed = [
        n for n in calls(tree) if called(n) == "suppress" and any(is_broad(a) for a in n.args)
    ]
    return [f"line {n.lineno}: {ast.unparse(n)[:50]!r}" for n in (*handlers, *suppressed)]


def calls(tree: ast.AST) -> Iterator[ast.Call]:
    """Yield every call."""
    return (n for n in ast.walk(tree) if isinstance(n, ast.Call))


def called(call: ast.Call) -> str:
    """Return the last word of the name that is called, plain names as they are."""
    if isinstance(call.func, ast.Attribute):
        return call.func.attr if call.func.attr != "print" else "method print"
    return call.func.id if isinstance(call.func, ast.Name) else ""


def is_broad(kind: ast.expr) -> bool:
    """Tell whether an exception expression names Exception or BaseException."""
    return any(
        isinstance(n, ast.Name) and n.id in {"Exception", "BaseException"} for n in ast.walk(kind)
    )


def undocumented(tree: ast.Module) -> list[str]:
    """Name the module, public classes, functions and methods without a docstring."""
    own = [] if ast.get_docstring(tree) or not tree.body else ["the module"]
    return own + [
        f"line {node.lineno}: {node.name}"
        for node in public_definitions(tree)
        if not ast.get_docstring(node)
    ]


def public_definitions(scope: ast.Module | ast.ClassDef) -> Iterator[Function | ast.ClassDef]:
    """Yield public functions, classes and their methods; not overloads, setters, nested ones."""
    for node in scope.body:
        if not isinstance(node, Function | ast.ClassDef) or node.name.startswith("_"):
            continue
        decorators = {ast.unparse(d).rpartition(".")[2] for d in node.decorator_list}
        if decorators & {"overload", "setter"}:
            continue
        yield node
        if isinstance(node, ast.ClassDef):
            yield from public_definitions(node)


def unexplained_tests(tree: ast.Module) -> list[str]:
    """Name tests whose docstring does not begin with a sentence that says the rule."""
    found = []
    for function in functions(tree):
        first = (ast.get_docstring(function) or "").split("\n\n")[0]
        sentence = " " in first and first.endswith((".", "!", "?")) and not first[0].islower()
        if function.name.startswith("test_") and not sentence:
            found.append(f"line {function.lineno}: {function.name}")
    return found


def offences(rule: Rule, paths: Iterable[Path]) -> list[str]:
    """Apply a rule to files; each offence names its file."""
    return [
        f"{name_of(path)}, {offence}" for path in paths for offence in found_in(path)[rule.__name__]
    ]


@functools.cache
def found_in(path: Path) -> dict[str, list[str]]:
    """Read a module once, and apply every rule to it."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {rule.__name__: rule(tree) for rule in RULES}


RULES: tuple[Rule, ...] = (
    long_bodies,
    long_signatures,
    vague_classes,
    assertions,
    prints,
    catch_alls,
    undocumented,
    unexplained_tests,
)


def test_there_is_source_to_look_at() -> None:
    """The lists of files that the other tests walk are not empty."""
    assert {name_of(p).split("/")[0] for p in SOURCES} == set(PACKAGES)
    assert len(SOURCES) > 400
    assert Path(__file__) in TESTS


@pytest.mark.parametrize("rule", [long_bodies, long_signatures, vague_classes, assertions])
def test_source_keeps_sizes_and_names(rule: Rule) -> None:
    """Bodies stop at 40 lines, signatures at 7 arguments; no managers, no assertions."""
    assert offences(rule, SOURCES) == []


def test_modules_are_short() -> None:
    """A module stops at 400 lines."""
    lengths = {
        name_of(path): len(path.read_text(encoding="utf-8").splitlines())
        for path in (*SOURCES, *TESTS)
    }

    assert {name: lines for name, lines in lengths.items() if lines > MODULE_LINES} == {}


def test_modules_are_clearly_named() -> None:
    """A module says what it holds."""
    vague = [
        name_of(path)
        for path in (*SOURCES, *TESTS)
        if VAGUE & {part.removesuffix(".py") for part in path.relative_to(ROOT).parts}
    ]

    assert vague == []


def test_errors_are_caught_by_name() -> None:
    """Only the boundaries named above catch everything, and they do so once."""
    found = {name_of(path): offences(catch_alls, [path]) for path in SOURCES}
    allowed = {name: 1 if name in MAY_CATCH_ALL else 0 for name in found}

    assert {name: each for name, each in found.items() if len(each) > allowed[name]} == {}


def test_only_the_command_line_prints() -> None:
    """Everything below the command line logs instead of printing."""
    others = [path for path in SOURCES if not name_of(path).startswith(MAY_PRINT)]

    assert offences(prints, others) == []


def test_public_names_are_documented() -> None:
    """Every module, public class, function and method has a docstring."""
    assert offences(undocumented, [path for path in SOURCES if "versions" not in path.parts]) == []


def test_each_test_says_its_rule() -> None:
    """Every test begins with a sentence that says the rule it keeps."""
    assert offences(unexplained_tests, TESTS) == []


BODY = "\n".join(["def f():", '    """Doc."""', *["    x = 1"] * 41])


@pytest.mark.parametrize(
    ("rule", "source"),
    [
        pytest.param(long_bodies, BODY, id="41 lines"),
        pytest.param(long_signatures, "def f(a, b, c, d, /, e, f, *, g, h): pass", id="8 names"),
        pytest.param(vague_classes, "class JobManager: pass", id="manager"),
        pytest.param(assertions, "def f(x):\n    assert x", id="assert"),
        pytest.param(prints, "def f():\n    print(1)", id="print"),
        pytest.param(catch_alls, "try: f()\nexcept: pass", id="bare"),
        pytest.param(catch_alls, "try: f()\nexcept (OSError, Exception): pass", id="in a tuple"),
        pytest.param(catch_alls, "with contextlib.suppress(BaseException): f()", id="suppress"),
        pytest.param(undocumented, '"""Doc."""\nclass A:\n    """Doc."""\n    def f(self): 1'),
        pytest.param(undocumented, "x = 1", id="module"),
        pytest.param(unexplained_tests, "def test_a(): pass", id="no docstring"),
        pytest.param(unexplained_tests, 'def test_a():\n    """It works"""', id="no sentence"),
    ],
)
def test_a_planted_offence_is_found(rule: Rule, source: str) -> None:
    """Each rule finds an offence of its kind, once."""
    assert len(rule(ast.parse(source))) == 1


@pytest.mark.parametrize(
    ("rule", "source"),
    [
        pytest.param(long_bodies, BODY.removesuffix("\n    x = 1"), id="40 lines"),
        pytest.param(long_signatures, "def f(self, a, b, c, d, e, f, g, *h, **i): pass", id="7"),
        pytest.param(prints, "console.print(1)", id="rich"),
        pytest.param(catch_alls, "try: f()\nexcept OSError: pass", id="by name"),
        pytest.param(undocumented, "def _f(): pass", id="private"),
    ],
)
def test_the_limit_itself_is_allowed(rule: Rule, source: str) -> None:
    """A rule does not forbid what is just within it."""
    assert rule(ast.parse(f'"""Doc."""\n{source}')) == []


@pytest.mark.parametrize("mark", ["parity", "prefect"])
def test_marked_tests_lie_where_make_looks(mark: str) -> None:
    """`make unit` leaves marked tests out, so another group must find every one of them."""
    makefile = (ROOT / "Makefile").read_text()
    found = re.search(rf"^{mark.upper()}_TESTS = (.+)$", makefile, re.MULTILINE)
    assert found is not None
    searched = [ROOT / place for place in found[1].split()]
    marked = [path for path in TESTS if f"pytest.mark.{mark}" in path.read_text()]

    assert marked
    lost = [path for path in marked if not any(path.is_relative_to(p) for p in searched)]
    assert [name_of(path) for path in lost] == []


def test_calib_comes_from_this_project() -> None:
    """The packages have common names: another `calib` on the path would be tested instead."""
    assert Path(calib.__file__).parent == ROOT / "calib"


IMPORT_CALIB = """
import importlib, pkgutil, sys, calib
for module in pkgutil.walk_packages(calib.__path__, "calib."):
    if ".migrations" not in module.name:
        importlib.import_module(module.name)
print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""


def test_calib_loads_neither_prefect_nor_dask() -> None:
    """Importing all of calib, as a notebook may, leaves Prefect and Dask unloaded."""
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_CALIB], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    loaded = set(done.stdout.split())
    assert "calib" in loaded
    assert not loaded & {"prefect", "prefect_dask", "dask", "distributed"}


def test_licence_is_bsd_3() -> None:
    """The licence file, the package metadata and the citation name the same licence."""
    text = " ".join((ROOT / "LICENSE").read_text().split())

    assert text.startswith("BSD 3-Clause License Copyright (c) 2026, The hstflow developers")
    assert all(f" {n}. " in text for n in (1, 2, 3))
    assert "Neither the name of the copyright holder nor" in text
    assert PYPROJECT["project"]["license"] == "BSD-3-Clause"
    assert "license: BSD-3-Clause" in (ROOT / "CITATION.cff").read_text()


def pins() -> dict[str, str]:
    """Return the constrained version by normalised package name."""
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pairs = (line.split("==") for line in lines if line and not line.startswith("#"))
    return {canonicalize_name(name): version for name, version in pairs}


@pytest.mark.parametrize(
    "text",
    [
        *PYPROJECT["project"]["dependencies"],
        *PYPROJECT["project"]["optional-dependencies"]["test"],
    ],
)
def test_constraints_fit_the_requirements(text: str) -> None:
    """Each requirement has one pin, which it allows and which names no place."""
    requirement = Requirement(text)
    version = pins()[canonicalize_name(requirement.name)]

    assert requirement.specifier.contains(version, prereleases=True)
    assert "/" not in version
