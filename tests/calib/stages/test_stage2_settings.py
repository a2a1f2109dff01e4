"""What users say of stage 2: for a run, and for one dataset of a list."""

from __future__ import annotations

import pytest

from calib.campaigns.job_overrides import of_record, parse_words
from calib.errors import ConfigError
from calib.stages.enrolment import with_own
from calib.stages.job import Options
from calib.stages.planning import fixed_key


def test_run_names_of_before_stay() -> None:
    """Only what a user says of stage 2 makes another run."""
    plain = fixed_key(Options(), None)
    assert fixed_key(Options(stage2="auto", astrometry="auto"), None) == plain
    others = [Options(stage2="never"), Options(stage2="always"), Options(astrometry="off")]
    assert len({plain, *(fixed_key(each, None) for each in others)}) == 4


def test_settings_of_one_dataset() -> None:
    """A manifest may say of one dataset whether it is drizzled; other words are refused."""
    own = parse_words(["stage2=never", "astrometry=off"])

    options = with_own(Options(), own)

    assert (options.stage2, options.astrometry) == ("never", "off")
    assert of_record(own.record()) == own
    for word in ("stage2=maybe", "astrometry=on"):
        with pytest.raises(ConfigError, match="cannot be this"):
            parse_words([word])
