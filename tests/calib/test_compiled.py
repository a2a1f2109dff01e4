"""Compilation on first call, our cache, and what happens without one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from calib import compiled as module
from calib.compiled import Compiled, cache_folder, compiled, new_planes, planes, warm_up
from calib.image import Image

IMPORT = "import sys; import calib.steps.dark, calib.engines.native; "
MISSES = """
import importlib
from calib.compiled import Compiled, _modules, warm_up
ready = warm_up()
loops = [loop for name in _modules() for loop in vars(importlib.import_module(name)).values()]
stats = [loop.dispatcher.stats for loop in loops if isinstance(loop, Compiled)]
assert any(each.cache_hits for each in stats)
print(ready, sum(sum(each.cache_misses.values()) for each in stats))
"""
CALL = "from calib.arithmetic.error import add_in_quadrature as q; "


def python(code: str, cache: Path, **environ: str) -> str:
    """Run code in a new process and return what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "HSTFLOW_CACHE": str(cache), **environ},
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


def test_importing_steps_does_not_import_numba(tmp_path: Path) -> None:
    """Half a second is spent when a step is called, not before."""
    assert python(IMPORT + "print('numba' in sys.modules)", tmp_path) == "False"


def test_cache_is_ours_and_found_again(tmp_path: Path) -> None:
    """The second process loads what the first one compiled: no file is added or changed."""
    code = CALL + "print(q(3, 4))"
    assert python(code, tmp_path) == "5.0"
    first = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.nb*")}
    assert first
    assert all(path.relative_to(tmp_path).parts[0].startswith("compiled-") for path in first)
    assert python(code, tmp_path) == "5.0"
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.nb*")} == first


def test_unwritable_cache_is_no_error(tmp_path: Path) -> None:
    """Where neither the cache nor a temporary folder can be written, nothing is kept."""
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    code = "import tempfile; tempfile.tempdir = sys.argv[0] + '/none'; " + CALL + "print(q(3, 4))"
    assert python("import sys; " + code, blocked / "cache") == "5.0"


def test_temporary_folder_is_the_last_resort(tmp_path: Path) -> None:
    """It is used where the cache cannot be written, and removed at the end."""
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    code = CALL + "q(3, 4); from calib.compiled import cache_folder; print(cache_folder())"
    assert python(code, blocked / "cache", TMPDIR=str(scratch)).startswith(str(scratch))
    assert not list(scratch.iterdir())


def test_folder_is_named_by_the_sources(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An edit in any source, also of a helper, gives another folder."""
    before = module.source_hash()
    assert module.source_hash() == before
    for name in module.PACKAGES:
        (tmp_path / name).mkdir()
    (tmp_path / "compiled.py").write_text("")
    (tmp_path / "steps" / "one.py").write_text("a = 1")
    monkeypatch.setattr(module, "__file__", str(tmp_path / "compiled.py"))
    first = module.source_hash()
    (tmp_path / "steps" / "one.py").write_text("a = 2")
    assert len({before, first, module.source_hash()}) == 3


def test_numba_settings_of_others_are_left_alone() -> None:
    """Other packages' caches stay where they were."""
    import numba

    before = numba.config.CACHE_DIR
    compiled("f8", "f8")(_double)(2.0)
    assert before == numba.config.CACHE_DIR


def _double(value: float) -> float:
    return value * 2.0


def test_warm_up_compiles_everything() -> None:
    """Afterwards every marked function has its machine code."""
    from calib.steps import flat

    assert warm_up() >= 20
    assert isinstance(flat._divide, Compiled)
    assert "dispatcher" in vars(flat._divide)
    assert cache_folder() is not None


def test_second_process_compiles_nothing() -> None:
    """A worker loads every function, helpers included, that another process compiled."""
    warm_up()
    folder = cache_folder()
    assert folder is not None

    assert python(MISSES, folder.parent).split() == [str(warm_up()), "0"]


def test_read_only_and_writable_arrays_share_one_compilation() -> None:
    """Inputs may be read-only (mapped files) at no cost."""
    from calib.steps.gain import _scale

    image = Image(*new_planes((2, 2)))
    for writable in (True, False):
        image.sci.flags.writeable = writable
        _scale(planes(image), np.ones(2, np.float32), new_planes((2, 2)))
    assert len(_scale.dispatcher.signatures) == 1


def test_planes_copies_only_what_must_be() -> None:
    """A native contiguous array is taken as it is; a big-endian one is converted."""
    image = Image(
        np.ones((2, 2), np.float32), np.ones((2, 2), ">f4"), np.zeros((4, 2), np.int16)[::2]
    )
    made = planes(image)
    assert np.shares_memory(made.sci, image.sci)
    assert not np.shares_memory(made.err, image.err)
    assert made.dq.flags.c_contiguous
    assert not made.sci.flags.writeable


def test_python_source_stays_callable() -> None:
    """The plain function is kept beside the compiled one, with its name and docstring."""
    from calib.arithmetic.error import add_in_quadrature

    assert add_in_quadrature.python(3.0, 4.0) == add_in_quadrature(3.0, 4.0) == 5.0
    assert add_in_quadrature.__name__ == "add_in_quadrature"  # type: ignore[attr-defined]
    assert "quadrature" in add_in_quadrature.python.__name__
