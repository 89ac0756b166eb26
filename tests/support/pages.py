"""The pages of the documentation, cut into headings, code and links."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

__all__ = ["DOCS", "FENCE", "ROOT", "Block", "blocks", "links", "pages", "slugs"]

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
FENCE = re.compile(
    r"^(?P<indent> *)(?P<ticks>`{3,})(?P<info>[^`\n]*)\n(?P<text>.*?)^(?P=indent)(?P=ticks) *$", re.M | re.S
)
INDENTED = re.compile(r"(?:^ {4}[^\n]*\n)(?:(?: {4}[^\n]*)?\n)*", re.M)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")


@dataclass(frozen=True, slots=True)
class Block:
    """A piece of code in a page."""

    page: Path
    line: int
    info: str
    """What follows the opening fence, such as python; empty for an indented block."""
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


@cache
def pages() -> tuple[Path, ...]:
    """README, CONTRIBUTING and all pages of the documentation that are written by hand."""
    written = (page for page in DOCS.rglob("*.md") if "generated" not in page.parts)
    return (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(written))


def blocks(page: Path) -> Iterator[Block]:
    """The fenced and indented blocks of a page, in order of kind."""
    text = page.read_text(encoding="utf-8")
    for match in FENCE.finditer(text):
        indent = match["indent"]
        code = "".join(line.removeprefix(indent) for line in match["text"].splitlines(keepends=True))
        yield Block(page, line_of(text, match.start()), match["info"].strip(), code)
    rest = FENCE.sub(blank, text)
    for match in INDENTED.finditer(rest):
        before = rest[: match.start()].splitlines()
        if before and before[-1].strip():  # a line that continues a list or a paragraph
            continue
        code = "".join(line[4:] if line.strip() else "\n" for line in match[0].splitlines(keepends=True))
        yield Block(page, line_of(rest, match.start()), "", code)


def line_of(text: str, position: int) -> int:
    return text.count("\n", 0, position) + 1


def blank(match: re.Match[str]) -> str:
    """As many empty lines as a match has, so that line numbers stay."""
    return "\n" * match[0].count("\n")


def links(page: Path) -> Iterator[tuple[int, str]]:
    """Line and target of each link and image of a page; code is left out."""
    text = re.sub(r"`[^`\n]*`", "", FENCE.sub(blank, page.read_text(encoding="utf-8")))
    for match in LINK.finditer(text):
        yield line_of(text, match.start()), match[1]


def slugs(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub and MyST make them, and those that are set by hand.

    >>> sorted(slugs(DOCS / "plan.md"))[:2]
    ['advice', 'if-sizes-dont-match']
    """
    text = FENCE.sub(blank, page.read_text(encoding="utf-8"))
    found = set(re.findall(r"^\((\S+)\)=$", text, re.M))
    for heading in re.findall(r"^#+ +(.*?) *$", text, re.M):
        plain = re.sub(r"[`*]", "", re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)).lower()
        found.add(re.sub(r"[^\w\- ]", "", plain).replace(" ", "-"))
    return found
