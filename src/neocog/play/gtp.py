"""The Go Text Protocol, version 2: what both of its sides share.

Source: Farnebäck 2002, "Specification of the Go Text Protocol, version 2, draft 2".
"""

from neocog.modalities.go.rules import BLACK, WHITE, parse_point, point_name

__all__ = ["COLOURS", "clean_line", "colour_name", "fixed_handicap", "parse_vertex", "split_id", "vertex"]

COLOURS = {"b": BLACK, "black": BLACK, "w": WHITE, "white": WHITE}
LEAST_SIZE, LARGE = 7, 13  # boards with handicap points; those with points on the fourth line, not the third


def clean_line(line: str) -> str:
    """A command without its comment and control characters; tabs are spaces.

    >>> clean_line("1 play\\tB D4 # at once\\r\\n")
    '1 play B D4'
    """
    kept = "".join(" " if sign == "\t" else sign for sign in line if sign == "\t" or (sign >= " " and sign != "\x7f"))
    return kept.partition("#")[0].strip()


def split_id(line: str) -> tuple[str, str, list[str]]:
    """The id or an empty text, the name, and the arguments of a command that `clean_line` has cleaned.

    >>> split_id("12 play B D4"), split_id("quit"), split_id("7")
    (('12', 'play', ['B', 'D4']), ('', 'quit', []), ('7', '', []))
    """
    words = line.split()
    number = words.pop(0) if words and words[0].isascii() and words[0].isdecimal() else ""
    return number, words[0] if words else "", words[1:]


def vertex(point: int, size: int) -> str:
    """A point, or a pass, as the protocol writes it.

    >>> vertex(0, 9), vertex(81, 9)
    ('A9', 'pass')
    """
    return "pass" if point == size**2 else point_name(point, size)


def parse_vertex(text: str, size: int) -> int | None:
    """The inverse of `vertex`, in any case; None for anything else.

    >>> parse_vertex("a9", 9), parse_vertex("PASS", 9), parse_vertex("Z9", 9)
    (0, 81, None)
    """
    return size**2 if text.lower() == "pass" else parse_point(text, size)


def colour_name(colour: int) -> str:
    """Black or White."""
    return "Black" if colour == BLACK else "White"


def fixed_handicap(count: int, size: int) -> list[int] | None:
    """The usual points of a handicap; None if there are none for this number of stones (section 4.1.1).

    >>> [point_name(point, 19) for point in fixed_handicap(5, 19)]
    ['D4', 'Q16', 'D16', 'Q4', 'K10']
    >>> fixed_handicap(5, 8), fixed_handicap(1, 19)
    (None, None)
    """
    if size < LEAST_SIZE or not 2 <= count <= (9 if size % 2 and size > LEAST_SIZE else 4):
        return None
    low = 3 if size >= LARGE else 2
    high, middle = size - 1 - low, size // 2
    corners = [(high, low), (low, high), (low, low), (high, high)]  # row from above, column
    sides = [(middle, low), (middle, high), (high, middle), (low, middle)]
    places = corners[:count] if count < 6 else corners + sides[: count - count % 2 - 4]
    places += [(middle, middle)] if count % 2 and count > 4 else []
    return [row * size + column for row, column in places]
