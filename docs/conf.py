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
    "python_names",
    "stub_signatures",
]
exclude_patterns = ["_extensions"]
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 4
# `name` in a docstring is code, as it is in Markdown.
default_role = "code"

nitpicky = True
# Names in signatures that stand for more than one type, or that only type checkers know.
nitpick_ignore = [
    ("py:class", name)
    for name in (
        "_Arguments",
        "_File",
        "_Result",
        "Acquirable",
        "BarrierWords",
        "BaseEventLoop",
        "Buffer",
        "Changes",
        "ClientConnected",
        "Descriptor",
        "FileDescriptorLike",
        "FlowControl",
        "FutexWait",
        "LockWords",
        "MutexWords",
        "OpenBinaryMode",
        "OpenTextMode",
        "Operation",
        "Owner",
        "Path",
        "PosixSemaphore",
        "RawFile",
        "ReadableBuffer",
        "SemaphoreWords",
        "StreamInput",
        "SysvObject",
        "TextFormat",
    )
]
nitpick_ignore_regex = [("py:.*", r"zcloop\._native\..*")]

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"show-inheritance": False}
autodoc_inherit_docstrings = True
python_use_unqualified_type_names = True
maximum_signature_line_length = 80

html_theme = "furo"
html_title = f"zcloop {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sphinx = False
html_copy_source = False
html_theme_options = {
    "source_repository": "https://github.com/zcloop/zcloop/",
    "source_branch": "main",
    "source_directory": "docs/",
}
copybutton_prompt_text = r"\$ |>>> "
copybutton_prompt_is_regexp = True
