"""URIs of inputs and outputs: what each kind means, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from calib.errors import ConfigError
from calib.stores.uri import Source, parse_uri, source_uri


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("file:.", Source("file", ".")),
        ("file:/data/raw", Source("file", "/data/raw")),
        ("file:///data/raw", Source("file", "/data/raw")),
        ("file:data/a b", Source("file", "data/a b")),
        ("file:/data/12:30:00", Source("file", "/data/12:30:00")),
        ("file:x.tar.gz", Source("file", "x.tar.gz")),
        ("astroquery:", Source("astroquery")),
        ("astroquery:/pollers", Source("astroquery", "/pollers")),
        ("astroquery:./pollers", Source("astroquery", "./pollers")),
        ("astroquery:s3://pollers/x/", Source("astroquery", "s3://pollers/x")),
        ("s3://stpubdata/hst/public/", Source("s3", "stpubdata/hst/public")),
        ("s3://stpubdata", Source("s3", "stpubdata")),
        ("archive:", Source("archive")),
        ("archive:nightly-2", Source("archive", "nightly-2")),
        ("archive:first,second", Source("archive", "first,second")),
        ("none", Source("none")),
    ],
)
def test_every_kind_is_read(text: str, expected: Source) -> None:
    """The scheme decides; all after `file:` is the path, further colons too."""
    assert parse_uri(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "file:",
        "file://",
        "file://server/share",
        "file:a\x00b",
        "file:a\nb",
        "astroquery:j8bt05njq",
        "s3:bucket",
        "s3://",
        "s3:///prefix",
        "s3://Bucket/x",
        "s3://a/x",
        "archive:../other",
        "archive://run",
        "archive:a,",
        "archive:Run",
        "http://example.org/x",
        "FILE:.",
        "None",
    ],
)
def test_anything_else_is_a_config_error(text: str) -> None:
    """Exit code 2, and the message says which kinds there are."""
    with pytest.raises(ConfigError, match="file:PATH") as caught:
        parse_uri(text)
    assert caught.value.code == 2


def test_expected_kinds_end_in_one_or() -> None:
    """`none` is a word of its own where it may be said, and is not among the kinds of inputs."""
    with pytest.raises(ConfigError, match=r"archive:\[COLLECTION\], or the word none"):
        parse_uri("None")
    with pytest.raises(ConfigError, match=r"PREFIX, or archive:\[COLLECTION\]; found none"):
        source_uri("none")


def test_path_without_scheme_gets_a_hint(tmp_path: Path) -> None:
    """A folder that exists was meant as file:, and the message says so."""
    with pytest.raises(ConfigError, match=f"did you mean file:{tmp_path}"):
        parse_uri(str(tmp_path))


def test_path_is_absolute_and_knows_home(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`~` is not expanded by the shell inside file:~/x, so it is here."""
    (own_home / "data").mkdir()
    monkeypatch.chdir(own_home)
    assert parse_uri("file:~/data").path == own_home.resolve() / "data"
    assert parse_uri("file:data").path == own_home.resolve() / "data"
