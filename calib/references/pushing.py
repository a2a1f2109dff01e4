"""Telling a CRDS server which context is in use here."""

from __future__ import annotations

from calib.errors import BESTREFS, ConfigError, Unavailable
from calib.references import library
from calib.references.profile import CrdsProfile


def require_server(profile: CrdsProfile) -> None:
    """Refuse a profile that has no server to be told anything.

    Raises
    ------
    ConfigError
        It has none.
    """
    if profile.offline:
        message = "a context can only be reported to a CRDS server, and the profile has none"
        raise ConfigError(message, found=f"profile {profile.name}", code=BESTREFS)


def push_context(profile: CrdsProfile, key: str, context: str) -> str:
    """Tell the server which context is in use here, and ask whether it knows it now.

    Parameters
    ----------
    key
        Under which the server knows this installation.

    Returns
    -------
    str
        The context that the server has under this key.

    Raises
    ------
    ConfigError
        The profile has no server.
    Unavailable
        The server does not answer or refuses, or has another context afterwards.
    """
    require_server(profile)
    with library.session(profile):
        from crds.client import api
        from crds.core import exceptions

        try:
            api.push_remote_context(library.OBSERVATORY, "operational", key, context)
            found = str(api.get_remote_context(library.OBSERVATORY, key))
        except (exceptions.CrdsError, OSError) as error:
            message = f"the CRDS server does not take the context: {error}"
            raise Unavailable(message, path=profile.server_url, code=BESTREFS) from error
    if found != context:
        raise Unavailable(
            f"the CRDS server did not keep the context under {key}",
            path=profile.server_url,
            expected=context,
            found=found,
            code=BESTREFS,
        )
    return found
