"""Pages that are made when the documentation is built, into docs/generated: lessons, the zoo, the reference.

lessons     the course of the Studio; every number is computed, and one that differs from the text stops the build
zoo         a page for each paper: idea, table of the plan, drawing, published and own figures
reference   commands, settings and Python names, from the program itself
"""

from pathlib import Path

from generate.lessons import lesson_pages
from generate.reference import reference_pages
from generate.zoo import zoo_pages

__all__ = ["write_pages"]

FOLDER = Path(__file__).parents[1] / "generated"


def write_pages() -> None:
    """Write all generated pages. A page that did not change keeps its time, and pages of before are removed."""
    pages = {**lesson_pages(), **zoo_pages(), **reference_pages()}
    for name, content in pages.items():
        path = FOLDER / name
        data = content if isinstance(content, bytes) else content.encode()
        if not path.is_file() or path.read_bytes() != data:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    for path in FOLDER.rglob("*.*"):
        if path.is_file() and path.relative_to(FOLDER).as_posix() not in pages:
            path.unlink()
