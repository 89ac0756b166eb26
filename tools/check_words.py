#!/usr/bin/env python3
"""Find wording that a native practitioner would not write, in the text that users and contributors read.

It reads string literals, docstrings and comments of `src`, `bench` and `examples`, HTML templates, Markdown pages,
and the names of tests.

    tools/check_words.py                  # everything; `make check` runs this
    tools/check_words.py src/neocog/cli   # some files or folders
    tools/check_words.py --count          # the number of findings for each habit and each file

Each finding is one line, `path:line: phrase -> better`; the exit code is 1 if there are any.
"""

import argparse
import io
import re
import sys
import tokenize
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
MADE = {"build", "generated"}  # folders of files that are made from others
DEFAULT_PATHS = ("src", "bench", "examples", "tests", "docs", ".github", "README.md", "CONTRIBUTING.md", "SECURITY.md")
SUFFIXES = (".py", ".md", ".html", ".jinja", ".j2")


@dataclass(frozen=True)
class Habit:
    """A pattern of old wording, what to write instead, and texts that it must and must not find."""

    pattern: str
    better: str
    finds: tuple[str, ...]
    passes: tuple[str, ...] = ()
    ignore_case: bool = True

    def compile(self) -> re.Pattern[str]:
        return re.compile(self.pattern, re.IGNORECASE if self.ignore_case else 0)


COMPARED = "longer|more|less|fewer|later|earlier|better|worse|larger|smaller|bigger|faster|slower|different"
PARTICIPLES = "taken|read|found|trained|asked|given|kept|shown|measured|written|drawn|chosen|known"

HABITS = (
    Habit(
        rf"(?<!there )(?<!there's )(?<!is there )\b(?:is|are|was|were) no (?!(?:{COMPARED})\b)",
        "is not a ...",
        ("runs/x is no run", "labels that are no classes", "what is no plain file"),
        ("if there is no GPU", "there are no labels", "the loss is no longer finite", "is no more than 3"),
    ),
    Habit(
        r"\bso (?:many|much)\b(?! that\b)",
        "N; how many; that many",
        ("Show each record so many times", "Beta(so much, so much)"),
        ("costs so much that it fails",),
    ),
    Habit(r"\bmend(?:s|ed|ing)?\b", "fix; correct", ("how to mend it",), ("we recommend", "amended")),
    Habit(r"\b(?:anew|afresh)\b", "again; from scratch", ("augmented anew each time",), ("a new file",)),
    Habit(
        rf"(?:(?:\A|(?<=[.:;(] )|(?<=\n))(?!(?:Speed|Need|Seed|Feed|Red|Bed|Breed|Embed)\b)[A-Z][a-z]+ed"
        rf"|(?:\A|(?<=[.:;(] ))(?i:{PARTICIPLES})) (?:is|are)\b(?! not None)",
        "name the subject first",
        ("Trained are networks", "One set. Read are .npz files.", "passed over; read are PNG files", "Found are files"),
        ("Speed is a ratio", "each read is one request", "A file that is read is closed", "if found is None"),
        ignore_case=False,
    ),
    Habit(
        r"\b(?:go(?:es|ing)?|went|gone) on\b(?! (?:the|a|an|top|one)\b)",
        "resume; continue",
        ("go on with a run", "Training goes on."),
        ("it goes on the skip list", "from now on"),
    ),
    Habit(r"\bwhat is taken for what\b", "confusion matrix", ("What is taken for what",)),
    Habit(r"\bhow it learn(?:ed|t)\b", "training curves", ("How it learned",)),
    Habit(
        r"(?<![\w/.\-])pictur(?:es?|ed)\b(?![\w/(=\[]|-\d|\.\w)",
        "image",
        ("54,001 pictures", "A picture's depth", "each picture."),
        ("examples/pictures/seven.png", "pictures.npz", "picture_size", "pictures(indices)"),
    ),
    Habit(
        r"\b(?:stands?|stood)\b(?!-in|alone| for\b| in for\b| out\b)",
        "is; lies; appears",
        ("what stands in the file", "the head stands alone", "Norms stand before convolutions"),
        ("NaN stands for a missing value", "a stand-in", "a standard", "stands out"),
    ),
    Habit(r"\bh(?:o|e)ld(?:s|ing)? still\b", "freeze", ("layers that are held still", "hold still"), ("still held",)),
    Habit(
        r"(?<!to )(?<!can )\bsave that\b|,? save (?:for (?!later)|where\b|in (?:that|one|two)\b)",
        "except",
        ("As in torch, save that norms stay", "all, save where it differs", "nothing save for weights"),
        ("Save the file in a folder", "to save that state", "save for later"),
    ),
    Habit(r"\bone's own\b", "your own", ("images of one's own",), ("on its own",)),
    Habit(
        r"\braises? \w+(?:Error|Warning)?(?:,[^.;]{0,40},)? (?:where|for what)\b",
        "Raises ... if ...",
        ("Raises DataError where labels are missing", "Raises ValueError for what is not a phrase"),
        ("Raises DataError if labels are missing", "Raises DataError for a truncated file"),
    ),
    Habit(
        r"\b(?:none|0|empty|nothing) where\b|\bwhere there (?:is|are|was|were) (?:no|none|any|several|one|many)\b",
        "if",
        ("The split; None where it is unknown", "where there is no GPU"),
        ("a folder where files lie", "None if unknown"),
    ),
    Habit(
        r"\A\s*(?:What|Whom|By what|By how|With what|In what|Of what)\b(?! if\b)(?![^.]*\?)[^.]*\.",
        "start with a noun or a verb, not with a question word",
        ("What a user wants to know at the end.", "Whom it is charged to.", "By what a batch is keyed."),
        ("What is a stride?", "Whatever it is.", "What if labels differ."),
        ignore_case=False,
    ),
    Habit(
        r"(?<=[,;] )for (?:(?:it|they|we|he|she) \w|(?:that|its|their|this|these|those) (?:\w+ )?"
        r"(?:is|are|was|were|has|have|can|may|would|could|takes?|need|needs)\b)",
        "because",
        ("is refused, for it would repeat a page", "of its own, for they have none"),
        ("for the best result", "made for it", "a Ray of these cores, for this run"),
    ),
    Habit(r"\bof several (?:processes|ranks) the first\b", "rank 0", ("of several processes the first tells it",)),
    Habit(r"\ball else\b(?! equal)", "everything else", ("leaves all else alone",), ("all else equal",)),
    Habit(
        r"\bpassed over\b",
        "skipped; ignored",
        ("other files are passed over",),
        ("a pass over the data", "handed over"),
    ),
    Habit(
        r"\beighths of (?:its|their|the) size", "reduced resolution (DCT scaling)", ("decoded at eighths of its size",)
    ),
    Habit(r"\b(?:run )?keepers?\b", "checkpointer", ("the keeper writes",), ("bookkeeper",)),
    Habit(r"\bsettl(?:e|es|ed|ing)\b", "resolve", ("settle the config",)),
    Habit(r"\bwatch(?:es|ed|ing|er|ers)?\b", "monitor", ("what is watched",), ("a watchdog",)),
    Habit(r"\bparting curves\b", "overfitting", ("parting curves",)),
    Habit(r"\bstill loss\b", "plateau", ("a still loss",)),
    Habit(r"\bcut-outs?\b", "random resized crop", ("a cut-out of the image",), ("Cutout (DeVries and Taylor)",)),
    Habit(r"\bclass[ -]list file|\ba class list\b", "image table", ("a class list",), ("the list of classes",)),
    Habit(
        r"\bresident (?:data|feed|set|samples|records)\b|\bfeeding\b",
        "in-memory; loading",
        ("resident data", "feeding"),
    ),
)


class Exempt(NamedTuple):
    """A phrase that stays in one file, and why."""

    path: str
    phrase: str
    reason: str


EXEMPT = (Exempt("src/neocog/dataset/split_names.py", "phase photo photos", "words in the names of folders"),)


class Text(NamedTuple):
    """A piece of prose, with the line of each of its characters."""

    text: str
    lines: list[int]


class Finding(NamedTuple):
    path: str
    line: int
    phrase: str
    better: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.phrase} -> {self.better}"


def find_habits(piece: Text, path: str) -> Iterator[Finding]:
    """Findings in one piece of prose."""
    for habit, pattern in PATTERNS:
        for match in pattern.finditer(piece.text):
            start = match.start() + len(match[0]) - len(match[0].lstrip(" ,\n"))
            if not is_exempt(path, piece.text[max(0, match.start() - 60) : match.end() + 60]):
                yield Finding(path, piece.lines[start], shorten(match[0].strip(" ,\n")), habit.better)


PATTERNS = [(habit, habit.compile()) for habit in HABITS]


def is_exempt(path: str, around: str) -> bool:
    return any(exempt.path == path and exempt.phrase in around for exempt in EXEMPT)


def shorten(phrase: str) -> str:
    phrase = re.sub("\0+", "_", phrase)
    return phrase if len(phrase) <= 60 else phrase[:57] + "..."


def read_python(source: str) -> Iterator[Text]:
    """Comments, docstrings and string literals; neighbours that Python joins, or that a reader does, are one piece."""
    pieces: list[tuple[str, int]] = []  # (text, first line) of the literals or comments that belong together
    kind = 0
    for new_kind, text, line in read_tokens(source):
        follows = kind == new_kind != 0 and (kind == tokenize.STRING or line == pieces[-1][1] + 1)
        if pieces and not follows:
            yield join(pieces, " " if kind == tokenize.COMMENT else "")
            pieces = []
        kind = new_kind
        if kind:
            pieces.append((text, line))
    if pieces:
        yield join(pieces, " " if kind == tokenize.COMMENT else "")


def read_tokens(source: str) -> Iterator[tuple[int, str, int]]:
    """(STRING or COMMENT, its prose, its line), and (0, "", line) for code between them."""
    lines = source.splitlines(keepends=True)
    start, depth = (0, 0), 0
    fstring_start = getattr(tokenize, "FSTRING_START", None)  # from Python 3.12 on, an f-string is several tokens
    fstring_end = getattr(tokenize, "FSTRING_END", None)
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == fstring_start:
            start, depth = (start if depth else token.start), depth + 1
        elif token.type == fstring_end:
            depth -= 1
            if not depth:
                yield tokenize.STRING, read_literal(cut(lines, start, token.end)), start[0]
        elif depth or token.type in (tokenize.NL, tokenize.INDENT, tokenize.DEDENT):
            continue
        elif token.type == tokenize.STRING:
            yield tokenize.STRING, read_literal(token.string), token.start[0]
        elif token.type == tokenize.COMMENT:
            yield tokenize.COMMENT, hide_code(token.string.lstrip("#! ")), token.start[0]
        else:
            yield 0, "", token.start[0]


def cut(lines: list[str], start: tuple[int, int], end: tuple[int, int]) -> str:
    taken = lines[start[0] - 1 : end[0]]
    taken[-1] = taken[-1][: end[1]]
    taken[0] = taken[0][start[1] :]
    return "".join(taken)


def read_literal(literal: str) -> str:
    """The prose of a string literal: line breaks stay, code in it does not."""
    match = re.fullmatch(r"(?is)([a-z]*)('''|\"\"\"|'|\")(.*)\2", literal)
    assert match is not None, literal
    prefix, _, text = match.groups()
    if "b" in prefix.lower():
        return ""
    if "f" in prefix.lower():
        text = hide_fields(text)
    if "r" not in prefix.lower():
        text = re.sub(r"\\\n|\\[nt]", lambda found: "\n" if found[0] == "\\\n" else "  ", text)
    is_name = not re.search(r"\s", text) and not re.match(r"[A-Z][a-z]+\W?$", text)
    return hide_code(text) if not is_name else re.sub(r"\S", "\0", text)


def hide_fields(text: str) -> str:
    """An f-string without its expressions."""
    text = text.replace("{{", "\0\0").replace("}}", "\0\0")
    while (shorter := re.sub(r"\{[^{}]*\}", hide, text)) != text:
        text = shorter
    return text


def hide_code(text: str) -> str:
    """Prose without what is in backticks, without doctest lines and without addresses."""
    text = re.sub(r"(?m)^[ \t]*(?:>>>|\.\.\.).*$", hide, text)
    return re.sub(r"(`+)[^`]+\1|https?://\S+", hide, text)


def hide(found: re.Match[str]) -> str:
    """As many placeholders as characters, so that places stay what they are."""
    return re.sub(r"[^\n]", "\0", found[0])


def join(pieces: list[tuple[str, int]], between: str) -> Text:
    """One text of several; a line break and its indentation become one space, so that phrases run across lines."""
    characters: list[str] = []
    lines: list[int] = []
    for text, first in pieces:
        if characters and between:
            characters.append(between)
            lines.append(first)
        line, blank = first, False
        for character in text:
            if character in " \n\t":
                line += character == "\n"
                if not blank and characters:
                    characters.append(" ")
                    lines.append(line)
                blank = True
            else:
                characters.append(character)
                lines.append(line)
                blank = False
    return Text("".join(characters), lines)


def read_names(source: str) -> Iterator[Text]:
    """The names of test functions, as words."""
    for number, line in enumerate(source.splitlines(), 1):
        if match := re.match(r"\s*(?:async )?def test_(\w+)", line):
            words = match[1].replace("_", " ")
            yield Text(words, [number] * len(words))


def read_markup(source: str) -> Iterator[Text]:
    """Paragraphs of Markdown or HTML. Of fenced code only comments, of output in fences everything."""
    paragraph: list[tuple[str, int]] = []
    fence = None
    for number, line in enumerate([*source.splitlines(), ""], 1):
        opening = re.match(r"\s*(?:```+|~~~+)\s*(\S*)", line)
        if opening:
            fence = opening[1] or "text" if fence is None else None
        prose = "" if opening else line
        if fence not in (None, "text"):
            prose = "".join(re.findall(r"(?:^|\s)#\s+(.*)", line))
        starts = bool(re.match(r"\s*(?:[#|>*+-]|\d+\.)", line))
        if paragraph and (not prose.strip() or starts or fence is not None):
            yield join_paragraph(paragraph)
            paragraph = []
        if prose.strip():
            paragraph.append((prose.lstrip("# "), number))
    if paragraph:
        yield join_paragraph(paragraph)


def join_paragraph(paragraph: list[tuple[str, int]]) -> Text:
    first = paragraph[0][1]
    text = hide_code("\n".join(line for line, _ in paragraph))
    text = re.sub(r"\]\([^)]*\)|<[^>]*>|\{\{[^}]*\}\}|\{%.*?%\}", hide, text)
    return join([(text, first)], "")


def read_texts(path: Path, name: str) -> Iterator[Text]:
    source = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        return read_markup(source)
    return read_names(source) if name.startswith("tests/") else read_python(source)


def list_files(paths: list[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            yield from sorted(p for p in path.rglob("*") if p.suffix in SUFFIXES and not MADE & set(p.parts))
        else:
            yield path


def check(paths: list[Path]) -> list[Finding]:
    """All findings in these files and folders."""
    findings: list[Finding] = []
    for path in list_files(paths):
        full = path.resolve()
        name = full.relative_to(ROOT).as_posix() if full.is_relative_to(ROOT) else path.as_posix()
        for piece in read_texts(path, name):
            findings += find_habits(piece, name)
    return findings


def main() -> int:
    parser = argparse.ArgumentParser(description="Find wording that a native practitioner would not write.")
    parser.add_argument("paths", nargs="*", type=Path, help="files or folders; default: everything that is checked")
    parser.add_argument("--count", action="store_true", help="print counts for each habit and file instead")
    arguments = parser.parse_args()
    paths = arguments.paths or [ROOT / path for path in DEFAULT_PATHS if (ROOT / path).exists()]
    findings = check(paths)
    if arguments.count:
        for counts in (Counter(f.better for f in findings), Counter(f.path for f in findings)):
            print("\n".join(f"{count:5}  {what}" for what, count in counts.most_common()), end="\n\n")
    else:
        print("".join(f"{finding}\n" for finding in findings), end="")
    if findings:
        print(f"{len(findings)} phrases to reword.", file=sys.stderr)
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
