"""What `hstflow up` shows: a table that lives on a terminal, lines elsewhere."""

from __future__ import annotations

from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from deployments.operation.program import Program, State
from deployments.operation.supervisor import Supervisor

STYLE: dict[State, str] = {
    "ready": "green",
    "done": "green",
    "starting": "cyan",
    "again": "yellow",
    "ailing": "yellow",
    "failed": "red",
}
WORDS: dict[State, str] = {"ailing": "no answer", "again": "died"}


class View:
    """Shows the programs whenever something has changed.

    Parameters
    ----------
    console
        Where; a table on a terminal, a line for each change elsewhere.
    hint
        Lines below the table.
    """

    def __init__(self, console: Console, hint: str) -> None:
        self.console = console
        self.hint = hint
        self._said: dict[str, tuple[State, str]] = {}
        self._trouble = ""
        self._live: Live | None = None

    def __enter__(self) -> Self:
        if self.console.is_terminal:
            self._live = Live(console=self.console, auto_refresh=False)
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()

    def show(self, supervisor: Supervisor) -> None:
        """Show what has changed."""
        now = {each.role.name: (each.state, each.note) for each in supervisor.programs}
        if now == self._said and supervisor.trouble == self._trouble:
            return
        self._trouble = supervisor.trouble
        new = [
            each
            for each in supervisor.programs
            if self._said.get(each.role.name) != now[each.role.name]
        ]
        self._said = now
        if self._live:
            self._live.update(self._picture(supervisor), refresh=True)
            return
        if supervisor.trouble:
            self.console.print(escape(supervisor.trouble), soft_wrap=True)
        for program in new:
            if program.state != "waiting":
                self.console.print(f"{program.role.name}: {_words(program)}", soft_wrap=True)

    def _picture(self, supervisor: Supervisor) -> Group:
        table = table_of([_row(each) for each in supervisor.programs])
        if supervisor.is_stopping:
            last = "stopping; Ctrl-C again kills what is left"
        else:
            last = self.hint if supervisor.is_ready else "starting ..."
        trouble = [Text(supervisor.trouble, style="red")] if supervisor.trouble else []
        return Group(table, *trouble, Text.from_markup(last))


def table_of(rows: list[tuple[str, str, str, str, str]]) -> Table:
    """Return programs as a table: name, state, page or address, pid, note."""
    table = Table(
        "program", "state", "where", "pid", "", box=None, pad_edge=False, header_style="dim"
    )
    for name, state, where, pid, note in rows:
        table.add_row(name, state, escape(where), pid, escape(note))
    return table


def _row(program: Program) -> tuple[str, str, str, str, str]:
    word = WORDS.get(program.state, program.state)
    style = STYLE.get(program.state)
    notes = [program.note, f"restarted {program.restarts}x" if program.restarts else ""]
    where = program.role.page or program.role.address
    pid = str(program.pid or "")
    return (
        program.role.name,
        f"[{style}]{word}[/{style}]" if style else word,
        where,
        pid,
        ", ".join(filter(None, notes)),
    )


def _words(program: Program) -> str:
    word = WORDS.get(program.state, program.state)
    where = program.role.page or program.role.address
    return escape(
        " ".join(filter(None, (word, program.note or (where if program.state == "ready" else ""))))
    )
