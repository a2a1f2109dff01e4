"""What a job's reason says that it waits for."""

from __future__ import annotations

import pytest

from calib.errors import MissingReference
from calib.references.problems import Problem, awaited_in, raise_problems


@pytest.mark.parametrize(
    ("reason", "names"),
    [
        (
            (
                "references that calibration opens cannot be used on hst_9002.pmap: BIASFILE: "
                "z0000001j_bia.fits is not in the cache (jsim01aaq_raw.fits); DARKFILE: "
                "Z0000002j_drk.fits is not in the cache (jsim01aaq_raw.fits, jsim01abq_raw.fits)"
            ),
            {"z0000001j_bia.fits": "BIASFILE", "z0000002j_drk.fits": "DARKFILE"},
        ),
        (
            (
                "FLSHFILE names a file that is not there (opened by FLSHCORR, OTHER) (file /c/x.d/"
                "z1j_fls.fits); DARKFILE names a file that is not there (file z2j_drk.fits)"
            ),
            {"z1j_fls.fits": "FLSHFILE", "z2j_drk.fits": "DARKFILE"},
        ),
        ("no reference file is named by DARKFILE (file j8bt05njq_raw.fits)", {}),
        ("", {}),
    ],
)
def test_names_of_references_and_no_others(reason: str, names: dict[str, str]) -> None:
    """Exposures and contexts of the same text are not waited for."""
    assert awaited_in(reason) == names


def test_parameters_of_a_drizzle_can_be_given_or_done_without() -> None:
    """The message names both ways out; of a reference that calibration opens there is none."""
    dark = Problem("j8bt05njq_raw.fits", "DARKFILE", "no match")
    drizzle = Problem("j8bt05njq_raw.fits", "MDRIZTAB", "hst_1.pmap has no rules for it")
    with pytest.raises(MissingReference, match="--reference MDRIZTAB=FILE, or --stage2 never"):
        raise_problems([dark, drizzle], "hst_1.pmap", ())
    with pytest.raises(MissingReference) as caught:
        raise_problems([dark], "hst_1.pmap", ())
    assert "stage2" not in str(caught.value)
