"""How the documentation is built: `make docs`. Code in the pages is run, so that their numbers are computed.

Lessons, the pages of the zoo and the reference are made first, into docs/generated; see docs/generate.
"""

import sys
from pathlib import Path

project = "Neocog"
author = "The Neocog developers"
copyright = author
extensions = ["myst_nb"]
html_theme = "furo"
html_title = "Neocog"
html_static_path = ["static"]
html_css_files = ["output.css"]
exclude_patterns = ["build", "generate", "bench"]  # figures.md includes what is in bench
myst_heading_anchors = 3
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 120
nb_merge_streams = True
nb_output_stderr = "remove"  # progress bars
nb_render_markdown_format = "myst"


def setup(app):
    """Make the generated pages before Sphinx looks for sources."""
    sys.path.insert(0, str(Path(__file__).parent))
    from generate import write_pages

    app.connect("builder-inited", lambda _: write_pages())
