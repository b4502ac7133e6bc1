"""Sphinx: the documentation site, built by `make docs` from what is installed and from docs/.

No build needs a network. Links to Python's own documentation come from python-names.txt, a list
that is kept by hand: a name that is missing there is a warning, and a warning is an error.
"""

from __future__ import annotations

import sys
from pathlib import Path

import zcloop

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_extensions"))

project = "zcloop"
author = "the zcloop developers"
version = release = zcloop.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.intersphinx",
    "sphinx_copybutton",
    "plain_docstrings",
    "python_names",
    "stub_signatures",
]
exclude_patterns = ["_extensions"]
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 4
# `name` in a docstring is code, as it is in Markdown.
default_role = "code"

nitpicky = True
# Names in signatures that are no classes to be looked up: type variables, aliases for several
# types, what only type checkers know, and bases that a reader need not know.
_NO_PAGES = """
_Arguments _File _Result Buffer Changes ClientConnected Descriptor FileDescriptorLike HasFileno
OpenBinaryMode OpenTextMode Operation Path ReadableBuffer Reader Waitable WriteableBuffer Writer
FutexWait
"""
nitpick_ignore_regex = [
    ("py:.*", rf"(?:zcloop\.[\w.]+\.)?(?:{'|'.join(_NO_PAGES.split())})"),
]

# Sphinx 9.0 gives no chance to sign a class in which it finds no signature itself.
autodoc_use_legacy_class_based = True
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_inherit_docstrings = True
python_use_unqualified_type_names = True
maximum_signature_line_length = 80

html_theme = "furo"
html_title = f"zcloop {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sphinx = False
html_show_copyright = False
html_copy_source = False
html_theme_options = {
    "source_repository": "https://github.com/zcloop/zcloop/",
    "source_branch": "main",
    "source_directory": "docs/",
}
copybutton_prompt_text = r"\$ |>>> "
copybutton_prompt_is_regexp = True
