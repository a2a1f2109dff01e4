"""The file of variables beside the inputs: what it may say, and which line may not."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calib.engines.astrometry import astrometry_of
from calib.environment import check_variable, merged, read_environment
from calib.errors import ConfigError, CorruptFile

TEXT = """# for this dataset alone

ASTROMETRY_SERVICE_URL = http://localhost/
  PIPELINE_OPTIONS=a=b=c
SVM_EMPTY=
CSYS_VER=2026.2
AWSYSVER=0.4.48
"""


# They choose code, its folders or hosts, or are read by no program of ours.
OTHERS = (
    *("HOME", "TMPDIR", "XDG_CONFIG_HOME", "MPLBACKEND", "MPLCONFIGDIR", "NUMBA_CACHE_DIR"),
    *("http_proxy", "HTTPS_PROXY", "SSL_CERT_FILE", "OPTIONS", "svm_catalog_hrc", "SVM_", "LANG"),
)


def lay(folder: Path, text: str | bytes) -> Path:
    """Write a file of variables."""
    path = folder / "j8bt05njq_cal_env.txt"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_lines(tmp_path: Path) -> None:
    """Values may hold `=`, which CALDP loses; comments and blank lines say nothing."""
    assert read_environment(lay(tmp_path, TEXT)) == {
        "ASTROMETRY_SERVICE_URL": "http://localhost/",
        "PIPELINE_OPTIONS": "a=b=c",
        "SVM_EMPTY": "",
        "CSYS_VER": "2026.2",
        "AWSYSVER": "0.4.48",
    }
    marked = lay(tmp_path, b"\xef\xbb\xbfSVM_A=1\r\nMVM_B=2\r\n")
    assert read_environment(marked) == {"SVM_A": "1", "MVM_B": "2"}
    assert read_environment(lay(tmp_path, "")) == {}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("no equals sign", "not a variable and its value"),
        ("=value", "not the name"),
        ("A B=1", "not the name"),
        ("export A=1", "not the name"),
        ("HSTFLOW_LEDGER=x", "does not set HSTFLOW"),
        ("aws_region=x", "does not set"),
        ("AWS_SECRET_ACCESS_KEY=hunter2", "does not set"),
        ("MAST_API_TOKEN=hunter2", "looks like a secret"),
        ("LD_PRELOAD=./evil.so", "which code is run"),
        ("PATH=/tmp/evil", "which code is run"),
        ("PYTHONPATH=.", "which code is run"),
        ("jref=/elsewhere/", "does not choose references"),
        ("CRDS_CONTEXT=hst_0001.pmap", "does not choose references"),
        ("OMP_NUM_THREADS=64", "does not choose its threads"),
        ("ASTRODRIZ_NO_PARALLEL=", "does not choose its threads"),
        ("ASTROMETRY_STEP_CONTROL=off", "the setting `astrometry`"),
        *((f"{name}=x", "of drizzlepac and version keywords only") for name in OTHERS),
        ("PIPELINE_X=again", "set twice"),
        ("SVM_A=\0", "null character"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str, words: str) -> None:
    """CALDP skips it and goes on; the message has its number, and no secret."""
    path = lay(tmp_path, f"# first\nPIPELINE_X=1\n{line}\nSVM_B=2\n")
    with pytest.raises(CorruptFile, match=words) as caught:
        read_environment(path)
    assert "line 3" in str(caught.value)
    assert caught.value.path == str(path)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("content", [b"SVM_A=\xff\n", b"SVM_A=1\n" * 20000])
def test_what_is_no_such_file(tmp_path: Path, content: bytes) -> None:
    """Neither other encodings nor megabytes are read as variables."""
    with pytest.raises(CorruptFile, match="not a file of variables"):
        read_environment(lay(tmp_path, content))


@given(
    st.dictionaries(
        st.from_regex(r"(PIPELINE|SVM|MVM)_[A-Z0-9_]{1,8}", fullmatch=True),
        st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=20),
        max_size=5,
    )
)
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, said: dict[str, str]
) -> None:
    """Whatever the values are, but for blanks around them."""
    path = lay(tmp_path_factory.getbasetemp(), "".join(f"{k}={v}\n" for k, v in said.items()))
    assert read_environment(path) == {name: value.strip() for name, value in said.items()}


def test_later_ones_win() -> None:
    """What a user sets stands above the dataset's file."""
    assert merged({"A": "1", "B": "1"}, {"B": "2"}) == {"A": "1", "B": "2"}


@pytest.mark.parametrize("name", ["CSYS_VER", "AWSDPVER", "AWSYSVER", "MY_PATH"])
def test_version_keywords_are_no_settings_of_a_store(name: str) -> None:
    """Two of them begin like the variables of AWS; a manifest may set all three."""
    assert check_variable(name, "1") == "1"


def test_a_person_hears_it_as_a_bad_setting() -> None:
    """The same rules, with the exit code of a setting."""
    with pytest.raises(ConfigError, match="does not set HSTFLOW"):
        check_variable("HSTFLOW_WORK", "x")


@pytest.mark.parametrize(
    "name",
    [
        *("jref", "IREF", "CRDS_PATH", "LD_PRELOAD", "GCONV_PATH", "GLIBC_TUNABLES", "PATH"),
        *("OMP_NUM_THREADS", "OMP_STACKSIZE", "OPENBLAS_NUM_THREADS", "ASTRODRIZ_NO_PARALLEL"),
        *astrometry_of("off", {})[0].environment(),
    ],
)
def test_a_person_does_not_set_what_is_recorded_or_granted(name: str) -> None:
    """A manifest would say one thing, and the program be told another."""
    with pytest.raises(ConfigError, match=r"dataset does not choose|setting `astrometry`"):
        check_variable(name, "1")


@pytest.mark.parametrize("name", ["SVM_QUALITY_TESTING", "HOME", "http_proxy", "LANG"])
def test_a_person_may_set_more_than_a_file(name: str) -> None:
    """An operator's own manifest is no data from elsewhere."""
    assert check_variable(name, "1") == "1"
