"""What a manifest says of one dataset alone is checked by value."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from calib.campaigns.job_overrides import JobOverrides, of_record, parse_mapping, parse_words
from calib.errors import ConfigError
from calib.switches import Overrides


def test_all_keys() -> None:
    """Each key has its type; sizes are GB or have a unit."""
    words = "rung=0.5 disk=20GB timeout_scale=2 retries=0 priority=-3 env.A= env.B=x=y"
    found = parse_words([*words.split(), "set=darkcorr=omit", "set=noise.x=4"])
    assert found == JobOverrides(
        rung=500_000_000,
        disk=20_000_000_000,
        timeout_scale=2.0,
        retries=0,
        priority=-3,
        env={"A": "", "B": "x=y"},
        switches=Overrides({"DARKCORR": "OMIT"}, {"noise.x": "4"}),
    )
    assert parse_words(["rung=512MiB"]).rung == 2**29


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("rung", "not a setting.*KEY=VALUE"),
        ("rungs=8", "no such key.*rung, disk, timeout_scale.*'rungs'"),
        ("rung=-8", "not a size"),
        ("rung=0", "not a size"),
        ("rung=8XB", "not a size"),
        ("rung=99999999999999999999", "not a size"),
        ("timeout_scale=0", "timeout_scale cannot be this.*above 0, up to 100.*'0'"),
        ("timeout_scale=101", "timeout_scale"),
        ("timeout_scale=nan", "timeout_scale"),
        ("timeout_scale=inf", "timeout_scale"),
        ("timeout_scale=x", "timeout_scale"),
        ("retries=11", "retries cannot be this.*from 0 to 10"),
        ("retries=-1", "retries"),
        ("retries=1.5", "retries"),
        ("priority=high", "priority"),
        ("priority=1000001", "priority"),
        ("env.=1", "not the name of an environment variable"),
        ("env.A-B=1", "not the name of an environment variable"),
        ("env.HSTFLOW_LEDGER=x", "does not set HSTFLOW"),
        ("env.prefect_api_url=x", "does not set"),
        ("env.AWS_SECRET_ACCESS_KEY=x", "does not set"),
        ("env.MAST_API_TOKEN=x", "looks like a secret"),
        ("env.jref=x", "does not choose references"),
        ("env.OMP_NUM_THREADS=8", "does not choose its threads"),
        ("env.A=\0", "null character"),
        ("input=/data", "a URI begins with its kind"),
        ("input=ftp://host/data", "unknown kind of URI"),
        ("input=none", "inputs come from somewhere.*s3://BUCKET/PREFIX"),
        ("input=file://host/data", "cannot name a host"),
        ("set=DARKCORR", "not a setting"),
        ("set=DARKCORR=MAYBE", "DARKCORR cannot be set to this"),
    ],
)
def test_bad_words_are_refused(word: str, message: str) -> None:
    """The message says what is wrong, what is expected and what was found."""
    with pytest.raises(ConfigError, match=f"(?s){message}"):
        parse_words([word])


def test_a_place_means_the_same_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative path is that of who says it, whoever reads the record; MAST stays as it is."""
    monkeypatch.chdir(tmp_path)
    found = parse_words(["input=file:again"])
    assert found.input == f"file:{tmp_path / 'again'}"
    monkeypatch.chdir("/")
    assert of_record(found.record()) == found
    assert parse_words(["input=astroquery:"]).input == "astroquery:"


@pytest.mark.parametrize(
    "words",
    ["input=archive: input=archive:", "rung=8 rung=8", "env.A=1 env.A=2", "set=a.b=1 set=a.b=2"],
)
def test_a_key_comes_once(words: str) -> None:
    """Which of two would count is nobody's guess."""
    with pytest.raises(ConfigError, match="given twice"):
        parse_words(words.split())


def test_mappings_are_read_as_words() -> None:
    """YAML and JSON say the same as a line does, and are held to the same values."""
    wanted = {"rung": 8, "env": {"A": 1}, "set": {"DARKCORR": "OMIT", "noise.x": 4}}
    words = "rung=8 env.A=1 set=DARKCORR=OMIT set=noise.x=4"
    assert parse_mapping(wanted) == parse_words(words.split())
    assert parse_mapping({"set": ["DARKCORR=OMIT"]}) == parse_words(["set=DARKCORR=OMIT"])
    for bad in ({"rung": True}, {"retries": None}, {"rung": [8]}, {"env": {"A": {}}}, {"x": 1}):
        with pytest.raises(ConfigError):
            parse_mapping(bad)


@pytest.mark.parametrize(
    "text", ["{astrometry: off}", "{astrometry: 'off'}", '{"astrometry":"off"}']
)
def test_off_of_yaml_is_off(text: str) -> None:
    """YAML reads the word without quotes as False; what has no such word refuses it."""
    assert parse_mapping(yaml.safe_load(text)) == parse_words(["astrometry=off"])
    with pytest.raises(ConfigError):
        parse_mapping({"stage2": False})
    with pytest.raises(ConfigError):
        parse_mapping({"astrometry": True})


SWITCHES = st.dictionaries(
    st.sampled_from(["DARKCORR", "FLATCORR"]), st.sampled_from(["PERFORM", "OMIT"])
)
SAID = st.builds(
    JobOverrides,
    rung=st.none() | st.integers(1, 2**62),
    disk=st.none() | st.integers(1, 2**62),
    timeout_scale=st.none() | st.floats(0.001, 100),
    retries=st.none() | st.integers(0, 10),
    priority=st.none() | st.integers(-1000, 1000),
    env=st.dictionaries(
        st.from_regex(r"X_[A-D]{1,5}", fullmatch=True),
        st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=5),
    ),
    switches=st.builds(Overrides, SWITCHES, st.dictionaries(st.just("noise.x"), st.just("4"))),
)


@given(SAID)
@example(JobOverrides(rung=2**53 + 1))
def test_record_comes_back(said: JobOverrides) -> None:
    """What the ledger keeps as JSON is what was said; nothing said is nothing kept."""
    record = json.loads(json.dumps(said.record()))
    assert of_record(record) == said
    assert bool(record) == bool(said)
