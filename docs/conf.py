"""Sphinx builds these pages: ``pip install -e '.[docs]' && sphinx-build -W docs docs/_build``."""

from importlib.metadata import version as installed_version

project = "actorgrid"
author = "the actorgrid authors"
copyright = "2026, the actorgrid authors"  # noqa: A001  # Sphinx's name
release = version = installed_version("actorgrid")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinxcontrib.mermaid"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "actorgrid"

myst_heading_anchors = 3
# ```mermaid fences are drawn here as they are in the repository's web view.
myst_fence_as_directive = ["mermaid"]

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
