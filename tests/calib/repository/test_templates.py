"""Templates: what paths say, what they cannot say, and templates that are refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calib.errors import ConfigError
from calib.repository.templates import FIELDS, compile_template, open_layout, place

VALUES: dict[str, st.SearchStrategy[str]] = {
    name: st.from_regex(kind.pattern, fullmatch=True)
    for name, kind in FIELDS.items()
    if name not in {"any", "run"}
}
# In lower case: so are they kept.
VALUES["run"] = st.from_regex(r"[a-z0-9][a-z0-9._-]{0,20}", fullmatch=True)


@st.composite
def filled_templates(draw: st.DrawFn) -> tuple[str, dict[str, str]]:
    """Draw a template in which all kinds of fields stand between separators, and its values."""
    names = draw(st.permutations(sorted(VALUES)))
    parts = [f"{{{name}}}" for name in names if draw(st.booleans()) or name == "root"]
    text = "/".join(parts)
    if draw(st.booleans()):
        text = f"**/{text}"
    text += draw(st.sampled_from(["", "/{root}_{suffix}.fits", "/x+y.fits"]))
    return text, {name: draw(values) for name, values in VALUES.items()}


@given(filled_templates())
def test_a_formatted_path_gives_its_fields_back(case: tuple[str, dict[str, str]]) -> None:
    """Whatever the template, what was put into a path is read from it."""
    text, values = case
    template = compile_template(text)
    found = template.parse(template.format(values))

    assert found is not None
    assert found == {name: values[name] for name in found}
    assert set(found) == {name for name in values if f"{{{name}}}" in text}


@given(st.text(max_size=80))
def test_no_path_says_anything_unsafe(key: str) -> None:
    """Any text at all: what a layout makes of it has no separator and leaves no folder."""
    for name in ("auto", "flat", "caldp", "mast", "hstflow"):
        placed = place(open_layout(name), key)
        if placed is not None:
            assert "/" not in placed.dataset + placed.name
            assert ".." not in key.split("/")
            assert key.isprintable()


@pytest.mark.parametrize(
    ("layout", "key", "dataset", "archived"),
    [
        ("auto", "a/b/j8bt05njq_raw.fits", "j8bt05njq", "j8bt05njq_raw.fits"),
        ("auto", "J8BT05NJQ_RAW.FITS", "j8bt05njq", "J8BT05NJQ_RAW.FITS"),
        ("auto", "lbgu17qnq_rawtag_a.fits.gz", "lbgu17qnq", "lbgu17qnq_rawtag_a.fits.gz"),
        ("auto", "j8bt05njq.tra", "j8bt05njq", "j8bt05njq.tra"),
        ("auto", "x/j8bt05njq_flt_thumb.jpg", "j8bt05njq", "previews/j8bt05njq_flt_thumb.jpg"),
        ("auto", "x/j8bt05020.tar.gz", "j8bt05020", "j8bt05020.tar.gz"),
        ("flat", "j8bt05njq_flt.fits", "j8bt05njq", "j8bt05njq_flt.fits"),
        ("caldp", "outputs/j8bt05020/j8bt05njq_flt.fits", "j8bt05020", "j8bt05njq_flt.fits"),
        ("caldp", "outputs/j8bt05020/process.txt", "j8bt05020", "logs/process.txt"),
        ("caldp", "data/acs/j8bt05020/logs/process.txt", "j8bt05020", "logs/process.txt"),
        ("caldp", "j8bt05020/env/j8bt05020_cal_env.txt", "j8bt05020", "env/j8bt05020_cal_env.txt"),
        ("caldp", "outputs/j8bt05020/j8bt05020.tar.gz", "j8bt05020", "j8bt05020.tar.gz"),
        ("caldp", "acs_8ph_01/hst_x_drz.fits", "acs_8ph_01", "hst_x_drz.fits"),
        (
            "mast",
            "mastDownload/HST/ib2j02n5q/ib2j02n5q_ima.fits",
            "ib2j02n5q",
            "ib2j02n5q_ima.fits",
        ),
        ("mast", "hst/public/ib2j/ib2j02n5q/ib2j02n5q_raw.fits", "ib2j02n5q", "ib2j02n5q_raw.fits"),
        ("hstflow", "runs/r.1/acs/j8bt05njq/previews/a.jpg", "j8bt05njq", "previews/a.jpg"),
        (
            "{instrument}/{visit}/{root}_{suffix}.fits",
            "acs/05/j8bt05njq_raw.fits",
            "j8bt05njq",
            "j8bt05njq_raw.fits",
        ),
    ],
)
def test_a_path_says_what_a_file_is(layout: str, key: str, dataset: str, archived: str) -> None:
    """Named layouts and templates give the dataset, and the place in the archive."""
    placed = place(open_layout(layout), key)

    assert placed is not None
    assert (placed.dataset, placed.archived_name) == (dataset, archived)


@pytest.mark.parametrize(
    ("layout", "key"),
    [
        ("auto", "../j8bt05njq_raw.fits"),
        ("auto", "/etc/j8bt05njq_raw.fits"),
        ("auto", "a//j8bt05njq_raw.fits"),
        ("auto", "a/./j8bt05njq_raw.fits"),
        ("auto", ".staging/j8bt05njq_raw.fits"),
        ("auto", "j8bt05njq_raw.fits\n"),
        ("auto", "j8bt05njq_ra\x00w.fits"),
        ("auto", "a\u202eb/j8bt05njq_raw.fits"),
        ("auto", "j8bt05/jq_raw.fits"),
        ("auto", "u2gh0101t_raw.fits"),
        ("auto", "notes.txt"),
        ("flat", "a/j8bt05njq_raw.fits"),
        ("flat", "readme.txt"),
        ("caldp", "j8bt05njq/-rf.fits"),
        ("caldp", "j8bt05njq/a b.fits"),
        ("caldp", f"j8bt05njq/{'a' * 300}.fits"),
        ("hstflow", "runs/r1/acs/j8bt05njq/manifest.json"),
        ("hstflow", "runs/r1/wfc3/j8bt05njq/j8bt05njq_flt.fits"),
        ("hstflow", "runs/../acs/j8bt05njq/j8bt05njq_flt.fits"),
        ("{instrument}/{visit}/{root}_{suffix}.fits", "acs/06/j8bt05njq_raw.fits"),
        ("{dataset}/{dataset}_{suffix}.fits", "j8bt05njq/j8bt05nkq_raw.fits"),
    ],
)
def test_what_is_hostile_or_contradicts_itself_matches_nothing(layout: str, key: str) -> None:
    """Paths that leave their folder, hidden or odd names, and an instrument of another letter."""
    assert place(open_layout(layout), key) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{root}_{sufix}.fits", "unknown field, at character 8"),
        ("{root}_{suffix.fits", "'{' stands alone, at character 8"),
        ("{root}}.fits", "'}' stands alone, at character 7"),
        ("*/{root}.fits", "'*' stands alone, at character 1"),
        ("a**/{root}.fits", "begins a folder, at character 2"),
        ("**/a/**/{root}.fits", "occurs twice, at character 6"),
        ("/{root}.fits", "not the name of a folder or file, at character 1"),
        ("a/../{root}.fits", "not the name of a folder or file, at character 3"),
        ("{root}\n.fits", "not the name of a folder or file, at character 1"),
        ("{visit}/{any}", "no field names the dataset, at character 1"),
        ("{root}/{detector}{filter}.fits", "where {detector} ends cannot be told, at character 18"),
        ("{root}/{name}.gz", "where {name} ends cannot be told, at character 14"),
        ("{root}/{any}x{any}", "{any} occurs twice in one name, at character 8"),
        ("nowhere", "no layout of this name"),
        ("", "no layout of this name"),
    ],
)
def test_a_bad_template_is_refused_with_its_place(text: str, said: str) -> None:
    """The message says what is wrong, and at which character."""
    with pytest.raises(ConfigError) as caught:
        open_layout(text)

    assert said in str(caught.value)


def test_a_value_that_a_field_cannot_have_is_refused() -> None:
    """Formatting never makes a path that parsing would not read."""
    with pytest.raises(ConfigError, match=r"no value for \{root\}"):
        compile_template("{root}_{suffix}.fits").format({"root": "../../etc", "suffix": "raw"})


def test_any_folder_name_is_passed_over_quickly() -> None:
    """A long path that almost matches takes no time: no expression tries all ways."""
    key = "/".join(["a" * 40] * 200) + "/j8bt05njq_raw.fitz"

    assert place(open_layout("auto"), key) is None
