"""What the environment says of fetching."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from calib.errors import ConfigError
from calib.fetch.options import MAST_URL, FetchOptions, options_from


def test_nothing_set_is_the_public_archive(own_home: Path) -> None:
    """No token, no support files, a cache in the user's folder without a limit."""
    options = options_from({})

    assert options == FetchOptions()
    assert (options.mast_url, options.token, options.spt, options.cache_limit) == (
        MAST_URL,
        None,
        False,
        None,
    )
    assert options.downloads == own_home / ".cache" / "hstflow" / "downloads"


def test_each_variable_sets_its_field(tmp_path: Path) -> None:
    """Address without its last slash, limit in gigabytes, blanks around a token dropped."""
    options = options_from(
        {
            "HSTFLOW_MAST_URL": "http://127.0.0.1:8000/",
            "MAST_API_TOKEN": " abc\n",
            "HSTFLOW_DOWNLOADS": str(tmp_path),
            "HSTFLOW_DOWNLOADS_LIMIT": "1.5",
            "HSTFLOW_FETCH_SPT": "1",
        }
    )

    assert options.mast_url == "http://127.0.0.1:8000"
    assert options.token == "abc"  # noqa: S105 - a made-up token
    assert options.downloads == tmp_path
    assert options.cache_limit == 1_500_000_000
    assert options.spt


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HSTFLOW_MAST_URL", "mast.stsci.edu"),
        ("HSTFLOW_MAST_URL", "file:///tmp"),
        ("HSTFLOW_DOWNLOADS_LIMIT", "much"),
        ("HSTFLOW_DOWNLOADS_LIMIT", "-1"),
        ("HSTFLOW_DOWNLOADS_LIMIT", "inf"),
        ("HSTFLOW_FETCH_SPT", "perhaps"),
    ],
)
def test_value_that_cannot_be_used_names_its_variable(name: str, value: str) -> None:
    """Code 2, before anything starts."""
    with pytest.raises(ConfigError, match=name) as caught:
        options_from({name: value})
    assert caught.value.code == 2


def test_token_is_not_shown_but_travels() -> None:
    """In no text of the options; in a pickle, which goes to a worker process, it is."""
    options = FetchOptions(token="s3cret")  # noqa: S106 - a made-up token
    assert "s3cret" not in f"{options!r} {options}"
    assert pickle.loads(pickle.dumps(options)) == options  # noqa: S301 - our own bytes
