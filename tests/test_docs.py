"""The pages, the job list and the CI files say only what exists."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path

import pytest
import yaml

from calib import errors

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *ROOT.glob("changes/*.md")])
DECISIONS = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))
FRAGMENTS = sorted(p for p in (ROOT / "changes").glob("*.md") if p.name != "README.md")
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
COMMAND_NAME = re.compile(r"[a-z][a-z-]*")
EXIT_CODES = {name: value for name, value in vars(errors).items() if isinstance(value, int)}


def name_of(path: Path) -> str:
    """Return a path as seen from the project's root."""
    return path.relative_to(ROOT).as_posix()


def code_of(page: str) -> Iterator[str]:
    """Yield the lines of fenced blocks and the pieces of code within sentences."""
    for block in re.findall(r"^```[a-z]*\n(.*?)^```", page, re.MULTILINE | re.DOTALL):
        yield from block.replace("\\\n", " ").splitlines()
    prose = re.sub(r"^```.*?^```", "", page, flags=re.MULTILINE | re.DOTALL)
    yield from re.findall(r"`([^`\n]+)`", prose)


def commands_of(page: str, program: str) -> set[tuple[str, ...]]:
    """Return the words after a program's name, up to the first that is no command's name."""
    found = set()
    for code in code_of(page):
        line = re.sub(r"^[$!] ?|^(?:[A-Z_]+=\S+ )+|^(?:\.venv/bin/)", "", code.strip())
        words = line.split("#")[0].split()
        if words[:1] == [program]:
            found.add(tuple(takewhile(COMMAND_NAME.fullmatch, words[1:])))
    return found - {()}


def written(program: str) -> list[tuple[str, ...]]:
    """Return every command of a program that any page names."""
    pages = (page.read_text(encoding="utf-8") for page in PAGES)
    return sorted(set().union(*(commands_of(page, program) for page in pages)))


@pytest.mark.parametrize("words", written("hstflow"), ids=" ".join)
def test_each_command_in_the_pages_exists(words: tuple[str, ...]) -> None:
    """A page names only commands that the command line has, group and member."""
    from deployments.cli.main import build_app

    app = build_app()
    assert words[0] in app, f"hstflow {words[0]}"
    members = {name for name in app[words[0]] if not name.startswith("-")}
    if members and len(words) > 1:
        assert words[1] in members, f"hstflow {words[0]} {words[1]}"


@pytest.mark.parametrize("words", written("make"), ids=" ".join)
def test_each_job_in_the_pages_exists(words: tuple[str, ...]) -> None:
    """A page names only jobs that the Makefile has."""
    assert set(words) <= TARGETS


def test_commands_are_found_in_pages() -> None:
    """Blocks, prompts, settings before the command, and code in a sentence are all read."""
    page = (
        "Say `hstflow up`, not `hstflowx y`; hstflow bare is prose.\n"
        "```sh\n$ hstflow campaign plan night.txt\nA_B=1 hstflow process j8bt05njq  # why\n```\n"
    )

    assert commands_of(page, "hstflow") == {("up",), ("campaign", "plan"), ("process",)}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    """Each relative link of a page leads to a file of the project, and to a heading in it."""
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if target.startswith(("https://", "mailto:")):
            continue
        file, _, anchor = target.partition("#")
        path = page.parent / file if file else page
        if path.stem in generated_pages() and path.parent.name == "reference":
            continue
        assert path.exists(), f"{name_of(page)}: {target}"
        assert not anchor or anchor in anchors(path), f"{name_of(page)}: {target}"


def generated_pages() -> set[str]:
    """Return the names of the pages that `make site` makes of the code."""
    source = (ROOT / "docs" / "extensions" / "generated.py").read_text(encoding="utf-8")
    return set(re.findall(r'^    "([a-z-]+)": [a-z_]+,$', source, re.MULTILINE))


def anchors(page: Path) -> set[str]:
    """Return the anchors that a Markdown reader makes of a page's headings."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", h.strip().lower()).replace(" ", "-") for h in headings}


@pytest.mark.parametrize(("name", "code"), EXIT_CODES.items(), ids=list(EXIT_CODES))
def test_each_exit_code_is_documented(name: str, code: int) -> None:
    """The table of exit codes has a row for every code of the error tree."""
    table = (ROOT / "docs" / "exit-codes.md").read_text()

    assert re.search(rf"^\| {code} \|", table, re.MULTILINE), name


def test_each_setting_is_documented() -> None:
    """The table of settings has a row for every variable that is read."""
    from calib.fetch import options
    from tasks.settings import DashboardVariables, Settings

    table = (ROOT / "docs" / "configuration.md").read_text()
    names = {f"HSTFLOW_{name.upper()}" for name in Settings.model_fields}
    names |= {f"HSTFLOW_DASHBOARD_{name.upper()}" for name in DashboardVariables.model_fields}
    names |= {value for key, value in vars(options).items() if key.endswith("_VARIABLE")}
    names.discard(options.TOKEN_VARIABLE)  # astroquery's

    assert names == set(re.findall(r"^\| `(HSTFLOW_[A-Z0-9_]+)` \|", table, re.MULTILINE))


@pytest.mark.parametrize("page", DECISIONS, ids=name_of)
def test_each_decision_has_its_parts(page: Path) -> None:
    """A decision record says why, what, what follows, and what was rejected; the list has it."""
    text = page.read_text(encoding="utf-8")
    headings = re.findall(r"^## (.*)$", text, re.MULTILINE)

    assert headings == ["Context", "Decision", "Consequences", "Rejected"]
    assert re.match(rf"# {int(page.name[:4])}\. ", text)
    assert page.name in (page.parent / "README.md").read_text()


def test_fragments_have_a_known_type() -> None:
    """A change fragment ends in a type that the change list prints."""
    types = {entry["directory"] for entry in PYPROJECT["tool"]["towncrier"]["type"]}

    assert {p.suffixes[-2].lstrip(".") for p in FRAGMENTS} <= types


def test_citation_has_the_version() -> None:
    """The citation file names the version that is built."""
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())

    assert citation["version"] == PYPROJECT["project"]["version"]


@pytest.mark.parametrize("path", WORKFLOWS, ids=name_of)
def test_workflows_run_jobs_that_exist_with_little_power(path: Path) -> None:
    """CI calls the jobs of the Makefile, and gives no job more than it needs."""
    workflow = yaml.safe_load(path.read_text())
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    jobs = {words[-1] for step in steps for words in commands_in(step.get("run", ""))}

    assert workflow["permissions"] == {}
    assert jobs
    assert jobs <= TARGETS
    assert all("timeout-minutes" in job for job in workflow["jobs"].values())


def commands_in(script: str) -> list[list[str]]:
    """Return the calls of make in a script, without settings."""
    lines = (line.split() for line in script.splitlines())
    return [[w for w in line if "=" not in w] for line in lines if line[:1] == ["make"]]


def test_job_list_names_every_job() -> None:
    """`make` alone lists every job that has a purpose of its own."""
    done = run_make()

    assert done.returncode == 0
    assert {line.split()[0] for line in done.stdout.splitlines()[1:]} == TARGETS


@pytest.mark.parametrize("script", ["#!/bin/sh\nexit 1\n", None], ids=["too old", "absent"])
def test_an_unfit_python_is_refused_in_words(tmp_path: Path, script: str | None) -> None:
    """Without Python 3.11 the build stops before it makes anything, and says what it needs."""
    python = tmp_path / "python"
    if script:
        python.write_text(script)
        python.chmod(0o755)

    done = run_make("install", f"PYTHON={python}", f"VENV={tmp_path / 'venv'}")

    assert done.returncode != 0
    assert "hstflow needs Python 3.11 or later" in done.stderr
    assert not (tmp_path / "venv").exists()


def run_make(*words: str) -> subprocess.CompletedProcess[str]:
    """Run make in the project, apart from a make that may have started the tests."""
    make = shutil.which("make")
    if make is None:
        pytest.skip("no make on this machine")
    return subprocess.run(
        ["env", "-u", "MAKEFLAGS", "-u", "MAKELEVEL", make, "--no-print-directory", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
