"""How commands are registered: none of them is imported before it runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cyclopts import App
from cyclopts.group import Group


@dataclass(frozen=True)
class Command:
    """One command of the program or of a group.

    Attributes
    ----------
    where
        ``module:function``.
    group
        Under which heading it is listed.
    text
        Its line in the list.
    usage
        What cyclopts cannot say of a command whose words are sorted out by their form.
    """

    where: str
    group: Group
    text: str
    usage: str = ""


def register(app: App, commands: Mapping[str, Command], *, program: str, focus: str | None) -> None:
    """Add commands to an application.

    Parameters
    ----------
    program
        What a user types before the name of the command.
    focus
        The command about to run: its own text is its help, not the line of the list.
    """
    for name, command in commands.items():
        words: dict[str, str] = {} if name == focus else {"help": command.text}
        if command.usage:
            words["usage"] = f"Usage: {program} {name} {command.usage}"
        app.command(command.where, name=name, group=command.group, **words)


def build_group(name: str, text: str, commands: Mapping[str, Command], focus: str | None) -> App:
    """Return a group with all its commands registered, none of them imported.

    Parameters
    ----------
    name, text
        Of the group.
    commands
        Its commands.
    focus
        The command about to run.
    """
    app = App(name=name, help=text)
    register(app, commands, program=f"hstflow {name}", focus=focus)
    return app
