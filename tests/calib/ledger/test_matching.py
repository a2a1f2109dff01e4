"""Patterns: what * and ? stand for, held to the standard library's own."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from calib.ledger.matching import any_of, like

LETTERS = st.text("ab_%!*?.", max_size=8)


@given(pattern=LETTERS, word=st.text("ab_%!.", max_size=8))
def test_patterns_are_those_of_a_shell(pattern: str, word: str) -> None:
    """The pattern of SQL matches what the shell's does; SQL's own signs are letters."""
    sql = re.sub(
        r"!(.)|(%)|(_)|(.)",
        lambda m: ".*" if m[2] else "." if m[3] else re.escape(m[1] or m[4]),
        like(pattern),
    )
    assert bool(re.fullmatch(sql, word)) == fnmatchcase(word, pattern)


def test_values_and_patterns_are_alternatives() -> None:
    """Values are one IN, patterns follow; the parameters have names of their own."""
    parameters: dict[str, Any] = {}
    text = any_of("name", ["a", "b", "a", "C*"], parameters, label="word")
    assert text == "(name IN (:word0, :word1) OR LOWER(name) LIKE :word_like0 ESCAPE '!')"
    assert parameters == {"word0": "a", "word1": "b", "word_like0": "c%"}
