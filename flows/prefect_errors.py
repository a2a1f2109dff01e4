"""What Prefect raises; apart, so that those who only ask its server import no stages for it."""

from __future__ import annotations

import httpx
from prefect.exceptions import PrefectException

# What Prefect raises of its own: its exceptions, and those of the connection to its server.
_OWN = (PrefectException, httpx.HTTPError, httpx.StreamError)

# And what its client raises where no server answers, which is no exception of its own. To be
# caught where nothing but Prefect runs; elsewhere `is_prefects` tells.
PREFECT_ERRORS = (*_OWN, RuntimeError)
_NO_SERVER = "Failed to reach API"


def is_prefects(error: Exception) -> bool:
    """Tell whether an error is Prefect's, rather than of what runs inside it."""
    return isinstance(error, _OWN) or (isinstance(error, RuntimeError) and _NO_SERVER in str(error))
