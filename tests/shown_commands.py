"""Read the command lines of hstflow in pages, and ask the command line what it makes of them."""

from __future__ import annotations

import re
import shlex
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from cyclopts import CoercionError, CycloptsError, MissingArgumentError

from deployments.cli.main import GROUPS

FENCED = re.compile(
    r"^(?P<fence>```+)(?P<language>[a-z]*)\n(.*?)^(?P=fence)$", re.MULTILINE | re.DOTALL
)
INDENTED = re.compile(r"(?:^ {4}.*\n|^\n(?= {4}))+", re.MULTILINE)
CODE = re.compile(r"(`+)(.+?)\1", re.DOTALL)
# `hstflow VERSION` is the value of a header card, not a command.
COMMAND_LINE = re.compile(r"(?:[A-Z_]+=\S+ +)*(?:\S*bin/)?hstflow +[a-z-]")
PROMPT = re.compile(r" *\$ ")
COMMENT = re.compile(r"(?:^|\s)#.*")
EXPORT = re.compile(r"export [A-Z_]+=")  # a setting is no command
GIVEN = re.compile(r"<<'?([A-Z]+)'?")
PUNCTUATION = "();<>|&"
# What stands for a word of the reader's: NAME, N, STAGE.
PLACEHOLDER = re.compile(r"[A-Z][A-Z_.]*")


@dataclass(frozen=True)
class Shown:
    """One command line of a page.

    Attributes
    ----------
    words
        What follows `hstflow`.
    is_whole
        Whether it stands in a block, to be typed as it is; a sentence may leave words out.
    """

    words: tuple[str, ...]
    is_whole: bool

    def __str__(self) -> str:
        """Return it as one types it."""
        return shlex.join(("hstflow", *self.words))


def shown_commands(page: str) -> list[Shown]:
    """Return the command lines of a page, those of blocks first, each once.

    Read are fenced and indented blocks, and code within sentences that begins with `hstflow`.
    """
    blocks = [match[3] for match in FENCED.finditer(page)]
    prose = FENCED.sub("", page)
    blocks += [match[0] for match in INDENTED.finditer(prose)]
    prose = INDENTED.sub("", prose)
    found = [Shown(words, is_whole=True) for block in blocks for words in _in_script(block)]
    for match in CODE.finditer(prose):
        code = " ".join(match[2].split())
        if COMMAND_LINE.match(code):
            found += [Shown(words, is_whole=False) for words in _in_script(code)]
    return list(dict.fromkeys(found))


def shown_lines(page: str) -> list[str]:
    """Return what a reader of a page would type, of any program, each line once.

    Read are blocks of `sh`, lines with a prompt in other blocks, and indented blocks. A line that
    goes on in the next is one; comments and settings are left out, and so is what a line gives to
    a program (`<<END`).
    """
    found = [line for match in FENCED.finditer(page) for line in _typed(match[2], match[3])]
    prose = FENCED.sub("", page)
    found += [line for match in INDENTED.finditer(prose) for line in _typed("sh", match[0])]
    return list(dict.fromkeys(found))


def _typed(language: str, block: str) -> Iterator[str]:
    """Yield the command lines of a block, with single spaces."""
    lines = iter(block.replace("\\\n", " ").splitlines())
    for line in lines:
        prompt = PROMPT.match(line)
        if language != "sh" and not prompt:
            continue
        typed = " ".join(COMMENT.sub("", line[prompt.end() :] if prompt else line).split())
        if given := GIVEN.search(typed):
            deque(takewhile(lambda each, end=given[1]: each.strip() != end, lines), maxlen=0)
        if typed and not EXPORT.match(typed):
            yield typed


def shape(line: str) -> tuple[tuple[str, ...], frozenset[str]]:
    """Return the command of a line without its values: program, command and member; its options.

    Two lines of one shape differ in names alone.
    """
    words = _split(re.sub(r"^(?:[A-Z_]+=\S* )+", "", line))
    end = next((n for n, word in enumerate(words) if set(word) <= set(PUNCTUATION)), len(words))
    words = words[:end]
    depth = 3 if (words[1:2] and words[1] in GROUPS) or words[:1] == ["prefect"] else 2
    options = frozenset(word.partition("=")[0] for word in words if word.startswith("-"))
    return tuple(word for word in words[:depth] if not word.startswith("-")), options


def _in_script(script: str) -> Iterator[tuple[str, ...]]:
    """Yield the words after `hstflow`, of each line that a shell would run."""
    for line in script.replace("\\\n", " ").splitlines():
        words = _split(line)
        while "hstflow" in (names := [_name(word) for word in words]):
            start = names.index("hstflow")
            is_command = _runs(words[:start])
            words = words[start + 1 :]
            end = next((n for n, w in enumerate(words) if set(w) <= set(PUNCTUATION)), len(words))
            if is_command and words[:end]:
                yield tuple(_without_redirection(words[:end], words[end : end + 1]))


def _split(line: str) -> list[str]:
    """Split a line as a shell does; what is no shell (an apostrophe in a table) has no words."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=PUNCTUATION)
    lexer.whitespace_split = True
    try:
        return list(lexer)
    except ValueError:
        return []


def _name(word: str) -> str:
    return word if "/" not in word else Path(word).name if word.endswith("bin/hstflow") else ""


def _runs(before: list[str]) -> bool:
    """Whether words before `hstflow` let it be the command: settings, a prompt, a pipe, docker."""
    own = before[:]
    for number, word in enumerate(before):
        if set(word) <= set(PUNCTUATION):
            own = before[number + 1 :]
    return all(re.fullmatch(r"[A-Z_]+=.*|[$!]|exec|if|ExecStart=.*", word) for word in own) or own[
        :1
    ] == ["docker"]


def _without_redirection(words: list[str], ended_by: list[str]) -> list[str]:
    """Leave out the number of a stream that is led elsewhere: `2>log`."""
    is_led = bool(ended_by) and ended_by[0].startswith(">")
    return words[:-1] if is_led and words[-1:] == ["2"] else words


def complaint(shown: Shown) -> str:
    """Return what the command line finds wrong with a command; nothing is run."""
    from deployments.cli.main import build_app

    words = [*shown.words] if shown.is_whole else [*_filled_in(shown.words)]
    may_lack = not shown.is_whole or "..." in words
    app = build_app(words)
    try:
        app.parse_args([w for w in words if w != "..."], exit_on_error=False, print_error=False)
    except MissingArgumentError as error:
        return "" if may_lack else f"{shown}: {error}"
    except CoercionError as error:
        stands_for = error.token is not None and PLACEHOLDER.fullmatch(error.token.value)
        return "" if stands_for and not shown.is_whole else f"{shown}: {error}"
    except CycloptsError as error:
        return f"{shown}: {type(error).__name__}: {error}"
    return ""


def _filled_in(words: Iterable[str]) -> Iterator[str]:
    """Yield the words of a synopsis: what is in brackets is there, of two forms both are."""
    for word in words:
        bare = word.strip("[]")
        if bare not in {"or", ""}:
            yield bare.replace("FILE...", "FILE").replace("DATASET...", "DATASET")
