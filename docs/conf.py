"""How the pages are built: `make site`. Nothing is fetched; a warning is an error."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "extensions"))

_ABOUT = tomllib.loads((HERE.parent / "pyproject.toml").read_text())["project"]

project = "hstflow"
author = "The hstflow developers"
release = _ABOUT["version"]
copyright = author  # noqa: A001 - Sphinx's name

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "generated",  # docs/extensions/generated.py: reference pages, made of the code
]
exclude_patterns = ["_build", "extensions"]
html_theme = "furo"
html_title = "hstflow"
html_show_sphinx = False
templates_path: list[str] = []

myst_enable_extensions = ["colon_fence", "deflist", "html_image"]
# Links to headings, as the pages use them: `campaigns.md#what-is-tried-again`.
myst_heading_anchors = 4
# Pages also link to files of the repository, which are no pages.
suppress_warnings = ["myst.xref_missing"]

autodoc_typehints = "none"
napoleon_google_docstring = False
napoleon_use_ivar = True
copybutton_prompt_text = "$ "
