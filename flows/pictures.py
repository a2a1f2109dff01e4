"""Published pictures, read to be shown in a page of Prefect."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path

from calib.errors import HstflowError
from calib.ledger.campaign_excerpt import Thumbnail
from calib.stores.transfer import bring, local_path
from flows.artifacts import picture

log = logging.getLogger(__name__)


def read_picture(thumb: Thumbnail) -> str | None:
    """Read a published picture; None where it cannot be read, or not be shown."""
    try:
        return picture(thumb.name, _bytes_of(thumb.uri))
    except (OSError, HstflowError) as error:
        log.info("%s is not shown: %s", thumb.name, error)
        return None


def _bytes_of(uri: str) -> bytes:
    path = local_path(uri)
    if path is not None:
        return path.read_bytes()
    with tempfile.TemporaryDirectory(prefix="hstflow-") as folder:
        copy = Path(folder, "picture")
        bring(uri, copy)
        return copy.read_bytes()
