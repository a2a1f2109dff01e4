"""What the parameters of the flows are called and explained as, in the form of Prefect's page.

Prefect makes the form from the schema of a flow's parameters. It sets title and description of
each by itself (the parameter's name, and nothing where the docstring is numpydoc): what is said
here is given as an addition to the schema, which comes last and wins.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field

# The words that Prefect's own check of a deployment lets through; the flow's check is stricter.
_NAME = r"^[A-Za-z0-9][A-Za-z0-9._+-]*$"


def asked(title: str, text: str, *, examples: Sequence[object] = (), **bounds: Any) -> Any:
    """Return how a parameter is shown and bounded.

    Parameters
    ----------
    title
        Its label.
    text
        What it means: one or two sentences of Markdown.
    examples
        Values that could be typed.
    bounds
        As pydantic's Field: ge, le, min_length, pattern...
    """
    extra: dict[str, Any] = {"title": title, "description": text}
    if examples:
        extra["examples"] = list(examples)
    return Field(json_schema_extra=extra, **bounds)


def in_order(schema: dict[str, Any]) -> None:
    """Give each field of a group of options its place, which PostgreSQL forgets.

    For ``json_schema_extra`` of a model's configuration.
    """
    for position, field in enumerate(schema.get("properties", {}).values()):
        field["position"] = position


Dataset = Annotated[
    str,
    asked(
        "Dataset",
        "Name of an exposure or association (ipppssoot), of a visit (`acs_8bt_05`) or of a "
        "skycell (`skycell-p0081x14y15`).",
        examples=["j8bt05njq", "jcw505010"],
        min_length=1,
        max_length=64,
        pattern=_NAME,
    ),
]

InputUri = Annotated[
    str,
    asked(
        "Inputs",
        "Where raw files come from: `astroquery:` (MAST), `file:/FOLDER` or `s3://BUCKET/PREFIX`. "
        "A folder is one of the worker's host: give it in full.",
        examples=["astroquery:", "file:/data/raws", "s3://bucket/raws"],
        min_length=1,
    ),
]

OutputUri = Annotated[
    str,
    asked(
        "Products",
        "Where products are published: `file:/FOLDER` or `s3://BUCKET/PREFIX`. Runs start in a "
        "temporary folder: give a folder in full.",
        examples=["file:/data/archive", "s3://bucket/hst"],
        min_length=1,
    ),
]

Profile = Annotated[
    str | None,
    asked(
        "CRDS profile",
        "How CRDS is reached: `onsite`, `offsite`, `cloud` or the path of a file. Nothing: "
        "HSTFLOW_PROFILE of the worker.",
        examples=["offsite", "/etc/hstflow/crds.env"],
    ),
]

Context = Annotated[
    str | None,
    asked(
        "CRDS context",
        "The rules that choose references. Nothing: what is pinned, or else the operational "
        "context of the server.",
        examples=["hst_1234.pmap"],
        pattern=r"^[A-Za-z0-9_.-]+$",
    ),
]

RunName = Annotated[
    str | None,
    asked(
        "Run",
        "Name of the output collection; nothing is ever overwritten in it. Nothing: a new name.",
        examples=["spring-2026"],
        pattern=_NAME,
    ),
]

CampaignName = Annotated[
    str,
    asked(
        "Campaign",
        "Its name. The same name again goes on with the same campaign where it stopped.",
        examples=["spring-2026"],
        min_length=1,
        max_length=255,
    ),
]

OPTIONS = asked("Options", "Engine, switches, custom references, previews, message files.")
HOW = asked(
    "How it runs", "Runner, workers, memory rungs, chunks, and what else belongs to a campaign."
)
MANIFEST = asked(
    "Manifest",
    "Path of a file that the worker can read: one dataset a line, `#` for remarks.",
    examples=["/data/manifests/spring.txt"],
    min_length=1,
)
