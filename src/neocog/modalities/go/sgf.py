"""Game records in SGF, the Smart Game Format: a parser for the main line of each game.

    Collection = GameTree+        GameTree = "(" Node+ GameTree* ")"
    Node = ";" Property*          Property = letters ("[" value "]")+

Properties that are not needed are skipped. Source: https://www.red-bean.com/sgf/, FF[4]; older records, whose
property names may hold small letters, are read as well.
"""

import re

from neocog.errors import DataError

__all__ = ["MAX_BYTES", "DamagedGameError", "Node", "parse_sgf"]

MAX_BYTES = 64 * 2**20
MAX_DEPTH = 5_000

Node = dict[str, list[str]]
"""The values of each property of one node, as they are written."""

START = re.compile(r"\(\s*;")
NAME = re.compile(r"[A-Za-z]+")
VALUE = re.compile(r"\[((?:[^\]\\]++|\\.)*+)\]", re.DOTALL)
SPACE = re.compile(r"[\s\0\x1a]*")
CHARSET = re.compile(rb"CA\s*\[\s*([\w:.-]+)\s*\]")
# In these, the second byte of a letter may look like a bracket or a backslash; all others are safe byte by byte.
WIDE = {"gbk": "gbk", "gb18030": "gb18030", "big5": "big5", "shiftjis": "shift_jis", "sjis": "shift_jis"}
PLAYED = frozenset({"AB", "AE", "AW", "B", "GM", "PL", "RU", "SZ", "W"})


class DamagedGameError(DataError):
    """A file that is not whole, with the nodes of the main lines that were read up to the damage."""

    def __init__(self, rule: str, nodes: list[Node], *, received: str = "", where: str = "", fix: str = "") -> None:
        super().__init__(rule, received=received, where=where, fix=fix)
        self.nodes = nodes


def parse_sgf(content: bytes, where: str) -> list[list[Node]]:
    """The nodes of each game's main line, with the properties that tell stones and moves.

    Raises DataError with `where` and the offset in bytes for a file that is not SGF, damaged or nested too deeply.

    >>> parse_sgf(b"(;SZ[9];B[ee](;W[gc];B[cc])(;W[cg]))", "a game")
    [[{'SZ': ['9']}, {'B': ['ee']}, {'W': ['gc']}, {'B': ['cc']}]]
    """
    if len(content) > MAX_BYTES:
        rule, received = f"An SGF file has at most {MAX_BYTES / 2**20:.0f} MiB.", f"{len(content) / 2**20:.1f} MiB"
        raise DataError(rule, received=received, where=where, fix="Divide it.")
    return Parser(content, where).games()


class Parser:
    """One reading of a text, from its first game to its end."""

    def __init__(self, content: bytes, where: str) -> None:
        self.charset, self.where = charset(content), where
        self.text = content.decode(self.charset, errors="replace")
        self.place = 0
        self.read: list[Node] = []
        """The nodes of all main lines so far."""

    def games(self) -> list[list[Node]]:
        start = START.search(self.text)
        if not start:
            rule = "An SGF file holds a game, which starts with '(;'."
            raise DamagedGameError(rule, [], received="none", where=self.where, fix="Remove it.")
        self.place = start.start()
        games = []
        while self.place < len(self.text):
            games.append(self.game())
            self.skip_space()
        return games

    def game(self) -> list[Node]:
        """One game tree with all its variations, of which the first at each branching is kept."""
        first, on_main_line = len(self.read), True
        branched: list[bool] = []  # whether each of the open trees has had a variation
        while True:
            sign = self.sign()
            if sign == "(":
                self.check_start(len(branched))
                branched[-1:] = [True, False] if branched else [False]
            elif sign == ")" and branched:
                on_main_line = False
                branched.pop()
                if not branched:
                    return self.read[first:]
            elif sign == ";" and branched and not branched[-1]:
                node = self.node()
                if on_main_line:
                    self.read.append(node)
            else:
                raise self.damaged(f"{sign!r} is out of place", self.place - 1)

    def sign(self) -> str:
        """The next sign that is not a space. Raises DataError at the end of the text."""
        self.skip_space()
        if self.place == len(self.text):
            raise self.damaged("the file ends within a game", self.place)
        self.place += 1
        return self.text[self.place - 1]

    def check_start(self, depth: int) -> None:
        if not START.match(self.text, self.place - 1):
            raise self.damaged("a game or variation does not start with '(;'", self.place - 1)
        if depth == MAX_DEPTH:
            raise self.damaged(f"variations are nested more than {MAX_DEPTH:,} deep", self.place - 1)

    def node(self) -> Node:
        """The properties of a node that tell of stones and moves."""
        node: Node = {}
        self.skip_space()
        while name := NAME.match(self.text, self.place):
            self.place = name.end()
            values = self.values()
            letters = "".join(letter for letter in name[0] if letter.isupper())
            if letters in PLAYED:
                node.setdefault(letters, []).extend(values)
        return node

    def values(self) -> list[str]:
        """One value or more in brackets, and the space behind them."""
        values = []
        self.skip_space()
        while value := VALUE.match(self.text, self.place):
            values.append(value[1].strip())
            self.place = value.end()
            self.skip_space()
        if self.text[self.place : self.place + 1] == "[":
            raise self.damaged("a value is never closed with ']'", self.place)
        if not values:
            raise self.damaged("a property has no value", self.place)
        return values

    def skip_space(self) -> None:
        if match := SPACE.match(self.text, self.place):
            self.place = match.end()

    def damaged(self, what: str, place: int) -> DataError:
        offset = len(self.text[:place].encode(self.charset, errors="replace"))
        rule = f"{self.where} is damaged at byte {offset:,}: {what}."
        return DamagedGameError(rule, self.read, fix="Fix or remove it.")


def charset(content: bytes) -> str:
    """How to decode a record so that brackets are brackets: as it says if that matters, else byte by byte."""
    found = CHARSET.search(content[:4096])
    name = found[1].decode().lower().replace("-", "").replace("_", "") if found else ""
    return WIDE.get(name, "latin-1")
