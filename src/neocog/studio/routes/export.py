"""Views as files: a notebook with the code that makes a view, and a page that needs nothing else."""

import base64
import binascii
import json
from html import escape
from typing import Annotated, Any

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from neocog import __version__
from neocog.errors import DataError

__all__ = ["notebook", "router", "single_page"]

router = APIRouter(prefix="/api/export")
PNG = b"\x89PNG\r\n\x1a\n"
Text = Annotated[str, Field(max_length=200_000)]


class Picture(BaseModel):
    """A drawing of a view, with what it shows in words."""

    png: Annotated[str, Field(max_length=40_000_000)]
    """Base64."""
    alt: Annotated[str, Field(max_length=2000)]


class View(BaseModel):
    """A view of the page: what it shows, and the code that makes it."""

    title: Annotated[str, Field(max_length=300)]
    code: Text = ""
    facts: list[tuple[Text, Text]] = []
    """Names and values of a table."""
    pictures: list[Picture] = []


@router.post("/notebook")
def export_notebook(view: View) -> Response:
    """The code of a view as a Jupyter notebook."""
    body = json.dumps(notebook(view.title, view.code), indent=1)
    return Response(body, media_type="application/x-ipynb+json")


@router.post("/page")
def export_page(view: View) -> Response:
    """A view as one HTML file that needs nothing else."""
    return Response(single_page(view), media_type="text/html; charset=utf-8")


def notebook(title: str, code: str) -> dict[str, Any]:
    """A notebook of format 4.5 with a title and one cell for each paragraph of code.

    >>> [cell["cell_type"] for cell in notebook("Shift", "import neocog")["cells"]]
    ['markdown', 'code']
    """
    parts = [part.strip("\n") for part in code.split("\n\n") if part.strip()]
    cells: list[dict[str, Any]] = [
        {"cell_type": "markdown", "id": "title", "metadata": {}, "source": [f"# {title}"]},
    ]
    for number, part in enumerate(parts):
        cells.append(
            {
                "cell_type": "code", "id": f"cell{number}", "metadata": {}, "execution_count": None, "outputs": [],
                "source": part.splitlines(keepends=True),
            }
        )  # fmt: skip
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}


def single_page(view: View) -> str:
    """The page. Raises DataError for an image that is not a PNG."""
    figures = []
    for picture in view.pictures:
        try:
            content = base64.b64decode(picture.png, validate=True)
        except binascii.Error:
            content = b""
        if not content.startswith(PNG):
            raise DataError("An image of a view is a PNG in base64.", received=repr(picture.png[:40]))
        alt = escape(picture.alt, quote=True)
        figures.append(f'<figure><img alt="{alt}" src="data:image/png;base64,{picture.png}">'
                       f"<figcaption>{alt}</figcaption></figure>")  # fmt: skip
    rows = "".join(f"<tr><th scope=row>{escape(k)}</th><td>{escape(v)}</td></tr>" for k, v in view.facts)
    table = f"<table>{rows}</table>" if rows else ""
    code = f"<h2>The code that makes it</h2><pre><code>{escape(view.code)}</code></pre>" if view.code else ""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" '
        f'content="width=device-width"><title>{escape(view.title)}</title><style>{STYLE}</style></head><body><main>'
        f"<h1>{escape(view.title)}</h1>{''.join(figures)}{table}{code}"
        f"<footer>Made with the Studio of Neocog {__version__}.</footer></main></body></html>"
    )


STYLE = (
    ":root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;margin:0}"
    "main{max-width:60rem;margin:auto;padding:1rem}"
    "img{max-width:100%;image-rendering:pixelated}figure{margin:1rem 0}figcaption,footer{opacity:.75;font-size:.875rem}"
    "table{border-collapse:collapse}th,td{text-align:left;padding:.25rem .75rem;border-bottom:1px solid #8886}"
    "pre{overflow:auto;padding:1rem;background:#8882}"
)
