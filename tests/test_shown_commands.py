"""Every command line that a page shows is one that the command line takes, and a test runs it.

Which test, or why none, is in `shown_elsewhere.py`; both ways are compared here.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.shown_commands import Shown, complaint, shape, shown_commands, shown_lines
from tests.shown_elsewhere import NOT_RUN, PLAYED, RENAMED, RUN_BY
from tests.test_shown_archive import is_ours

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    path
    for path in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *ROOT.glob("changes/*.md"))
    if path.parent.name not in {"reference", "_build"}
)


NAMED = {line for lines in (*RUN_BY.values(), *NOT_RUN.values()) for line in lines}


def lines_of(page: Path) -> list[str]:
    """Return what a reader of a page would type."""
    return shown_lines(page.read_text(encoding="utf-8"))


PLAYED_SHAPES = [shape(line) for page in PLAYED for line in lines_of(ROOT / page)]


def is_played(line: str) -> bool:
    """Tell whether a played page has the command, with all options of the line or more."""
    words, options = shape(line)
    return any(words == those and options <= more for those, more in PLAYED_SHAPES)


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_each_line_is_run_or_named(page: Path) -> None:
    """A new command has to be played on its page, or be named with its test or a reason."""
    name = page.relative_to(ROOT).as_posix()
    if name in PLAYED:
        return
    left = [
        line
        for line in lines_of(page)
        if line not in NAMED and not is_played(line) and not (name in RENAMED and is_ours(line))
    ]

    assert left == []


def test_nothing_is_named_that_no_page_shows() -> None:
    """A line that a page no longer shows leaves the list; no line is there twice."""
    shown = {line for page in PAGES for line in lines_of(page)}

    assert sorted(NAMED - shown) == []
    assert len(NAMED) == sum(len(lines) for lines in (*RUN_BY.values(), *NOT_RUN.values()))


@pytest.mark.parametrize("test", sorted({*PLAYED.values(), *RENAMED.values(), *RUN_BY}))
def test_each_test_that_is_named_exists(test: str) -> None:
    """So does each page that it plays."""
    path, _, name = test.partition("::")

    assert f"def {name}(" in (ROOT / path).read_text(encoding="utf-8")
    assert all((ROOT / page).exists() for page in (*PLAYED, *RENAMED))


def whole(*words: str) -> Shown:
    """Return a command of a block."""
    return Shown(words, is_whole=True)


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_commands_of_a_page_can_be_typed(page: Path) -> None:
    """Options, choices, numbers and needed words of each command shown are what it takes."""
    said = [complaint(shown) for shown in shown_commands(page.read_text(encoding="utf-8"))]

    assert [text for text in said if text] == []


def test_the_pages_show_most_commands() -> None:
    """The reader finds what the pages show: every command and group, and some hundred lines."""
    from deployments.cli.main import COMMANDS, GROUPS

    shown = {each for page in PAGES for each in shown_commands(page.read_text(encoding="utf-8"))}

    assert {each.words[0] for each in shown if each.is_whole} >= {*COMMANDS, *GROUPS}
    assert len(shown) > 300


@pytest.mark.parametrize(
    ("page", "lines"),
    [
        ("```sh\na  b # c\n\nd \\\n  e\n```\n", ["a b", "d e"]),
        ("```sh\na <<'END'\nb\nEND\nc\n```\n", ["a <<'END'", "c"]),
        ("```console\n$ a\nb\n```\n", ["a"]),
        ("```text\na\n```\n", []),
        ("Say:\n\n    a b\n", ["a b"]),
    ],
)
def test_what_is_typed_is_found(page: str, lines: list[str]) -> None:
    """Comments, what a program is given, and what it says are not typed."""
    assert shown_lines(page) == lines


def test_an_option_that_is_not_played_is_another_command() -> None:
    """A line is run elsewhere only with all its options."""
    assert is_played("hstflow up --stop")
    assert not is_played("hstflow up --read-only")
    assert not is_played("hstflow reference matches x.fits --json")


@pytest.mark.parametrize(
    ("page", "words"),
    [
        ("```sh\nhstflow up --stop\n```\n", ("up", "--stop")),
        ("```text\n$ hstflow up   # all of it\n```\n", ("up",)),
        ("Say:\n\n    A_B=1 .venv/bin/hstflow up\n", ("up",)),
        ("```sh\nhstflow status a \\\n  --json > a.json\n```\n", ("status", "a", "--json")),
        ("```sh\nhstflow status a 2> log\n```\n", ("status", "a")),
        ("```sh\nls | hstflow status a || echo no\n```\n", ("status", "a")),
        ("```sh\ndocker compose run --rm hstflow status a\n```\n", ("status", "a")),
        ("Say `hstflow up\n--stop`.\n", ("up", "--stop")),
    ],
)
def test_commands_are_found(page: str, words: tuple[str, ...]) -> None:
    """Blocks, prompts, settings, continued lines, redirections and sentences are all read."""
    assert [shown.words for shown in shown_commands(page)] == [words]


@pytest.mark.parametrize(
    "page",
    [
        "The program hstflow up to now.\n",
        "`CAL_VER = hstflow 1.0`, `hstflow VERSION`\n",
        "```text\nhstflow: NotFound: none\n```\n",
        "```sh\npip install 'hstflow[s3]'\n```\n",
        "```sh\nprefect worker start --pool hstflow --limit 4\n```\n",
    ],
)
def test_what_is_no_command_is_left_alone(page: str) -> None:
    """Prose, header cards, messages and the package's name are no commands."""
    assert shown_commands(page) == []


@pytest.mark.parametrize(
    "words",
    [
        ("up", "--prot", "1"),
        ("up", "--port", "many"),
        ("up", "--only", "everything"),
        ("campaign", "submitt", "a"),
        ("campaign", "rescue", "a", "--klass", "NotFound"),
        ("deploy", "--type", "nomad"),
        ("campaign", "report"),
    ],
)
def test_a_wrong_command_is_complained_of(words: tuple[str, ...]) -> None:
    """A wrong option, choice, number or name, and a word that is lacking, are each an error."""
    assert complaint(whole(*words)) != ""


def test_a_sentence_may_leave_words_out() -> None:
    """Within a sentence a synopsis is enough; an option that does not exist is not."""
    assert complaint(Shown(("campaign", "report"), is_whole=False)) == ""
    assert complaint(Shown(("campaign", "resume", "NAME", "--workers", "N"), is_whole=False)) == ""
    assert complaint(Shown(("campaign", "report", "--hmtl"), is_whole=False)) != ""
