"""Settings of Sphinx. The sources are those that `stage.py` gathers and `python -m website` generates."""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "conformance")]

import xbce  # noqa: E402  # the one beside this file

project = "xbce"
author = "The xbce developers"
copyright = author  # noqa: A001  # Sphinx's name
version = release = xbce.__version__

extensions = [
    "sphinx.ext.autodoc",
    "numpydoc",
    "myst_parser",
    "sphinx_copybutton",
    "sphinx_design",
    "website.mathml",
    "website.names",
]
root_doc = "index"
exclude_patterns = ["files/**"]
default_role = "name"

myst_enable_extensions = ["attrs_inline", "colon_fence", "dollarmath"]
myst_heading_anchors = 4
myst_dmath_allow_digits = False
myst_dmath_allow_space = False

toc_object_entries_show_parents = "hide"
autodoc_typehints = "none"
autodoc_member_order = "bysource"
numpydoc_show_class_members = False
numpydoc_xref_param_type = False
# Not asked of docstrings: an extended summary, examples, See Also; parameters where attributes are described, or where
# a method has those of its class; a capital where a description begins with a formula; Returns where the first line
# says it.
numpydoc_validation_checks = {"all", "ES01", "EX01", "PR01", "PR08", "RT01", "SA01"}

html_title = "xbce"
suppress_warnings = ["ref.citation", "ref.footnote"]  # literature that a docstring lists and does not cite

html_theme = "pydata_sphinx_theme"
html_math_renderer = "mathml"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {
    "navbar_align": "left",
    "header_links_before_dropdown": 7,
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "show_prev_next": True,
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
html_sidebars = {"index": []}

copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
