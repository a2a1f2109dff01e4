"""Where the stages of :mod:`ladder_stages` find what a dataset is to need."""

from __future__ import annotations

# Bytes by dataset, or "poison", "hang", "freeze" (in a call of C), or "program": one that does
# not end.
NEEDS = "HSTFLOW_TEST_NEEDS"

# Seconds that a calibration which hangs may take: what is predicted is a minute at least.
LIMIT = "HSTFLOW_TEST_LIMIT"
