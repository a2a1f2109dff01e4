"""Artifacts in the pages of Prefect that are brought up to date in place.

A new version every minute would fill Prefect's database: a campaign of two days would leave three
thousand tables. So each flow run has one version of each, which is changed; the key is the same
for all runs of a campaign, so that its page has a version for each session.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import ArtifactCreate, ArtifactUpdate

# A data URL lies in the server's database: only small pictures belong there, bytes.
LARGEST_PICTURE = 50_000

_FORMATS = {"jpg": "jpeg", "jpeg": "jpeg", "png": "png"}

# What Markdown would take for markup, and HTML.
_MARKUP = re.compile(r"([\\`*_{}\[\]()#+!|~>])")


class Shelf:
    """The artifacts of one flow run.

    Parameters
    ----------
    client
        Of Prefect's server.
    flow_run
        Whose they are.
    """

    def __init__(self, client: SyncPrefectClient, flow_run: UUID) -> None:
        self._client, self._flow_run = client, flow_run
        self._there: dict[str, UUID] = {}
        self._shown: dict[str, Any] = {}

    def table(self, key: str, rows: Sequence[Mapping[str, str]], text: str) -> None:
        """Show a table: a mapping of columns to cells for each row.

        Raises
        ------
        PrefectException, HTTPError
            The server does not take it; the same for the other kinds.
        """
        self._put(key, "table", json.dumps(list(rows)), text)

    def markdown(self, key: str, page: str, text: str) -> None:
        """Show a text."""
        self._put(key, "markdown", page, text)

    def progress(self, key: str, percent: float, text: str) -> None:
        """Show a bar, 0 to 100."""
        self._put(key, "progress", percent, text)

    def _put(self, key: str, kind: str, data: Any, text: str) -> None:
        if self._shown.get(key) == (data, text):
            return
        if key in self._there:
            new = ArtifactUpdate(data=data, description=text)
            self._client.update_artifact(self._there[key], new)
        else:
            made = self._client.create_artifact(
                ArtifactCreate(
                    key=key, type=kind, data=data, description=text, flow_run_id=self._flow_run
                )
            )
            self._there[key] = made.id
        self._shown[key] = (data, text)


def key_of(kind: str, name: str = "") -> str:
    """Return the key of an artifact, which may have small letters, digits and dashes."""
    return re.sub(r"[^a-z0-9]+", "-", f"{kind}-{name}".lower()).strip("-")


def plain(text: str, most: int = 300) -> str:
    """Return a text of others as one line of Markdown that shows it and does nothing else.

    Parameters
    ----------
    text
        A reason, a name: anything may be in it.
    most
        Letters at most.
    """
    line = " ".join(text.split())
    line = line if len(line) <= most else f"{line[: most - 3]}..."
    return _MARKUP.sub(r"\\\1", line).replace("&", "&amp;").replace("<", "&lt;")


def picture(name: str, content: bytes) -> str | None:
    """Return a picture as a data URL; None where it is too large, or of no kind that is shown."""
    kind = _FORMATS.get(name.rpartition(".")[2].lower())
    if kind is None or len(content) > LARGEST_PICTURE:
        return None
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
