"""A position of Go as an image: lines, stones, coordinates, the last move, and marked moves."""

import base64
from collections.abc import Mapping
from typing import Any

import numpy as np
from torch import Tensor

from neocog.dataset.record import Payload
from neocog.errors import DataError
from neocog.modalities.draw import Drawing
from neocog.modalities.draw_map import MARK, Heat, heat_colours
from neocog.modalities.go.game import KIND, MOVE, replay
from neocog.modalities.go.records import last_position
from neocog.modalities.go.rules import BLACK, EMPTY, LETTERS, WHITE, parse_point
from neocog.modalities.preprocess import Preprocess

__all__ = ["draw_board", "draw_position", "draw_stones"]

CELL = 20  # units between two lines
COLOURS = {BLACK: "#1c1c1c", WHITE: "#fafafa"}
RIGHT, WRONG = "#12863b", "#d42a1c"
STAR_LINES = {9: (2, 4, 6), 13: (3, 6, 9), 19: (3, 9, 15)}


def draw_position(
    payload: Payload, decoded: Tensor | None, _: str = "", *, played: int | None = None, predicted: int | None = None
) -> Drawing:
    """The board of a position with its last move; of planes alone, which don't tell colours, own stones are black.

    `played` is marked by a green ring and `predicted` by a red one; a point size * size, a pass, has no place.
    """
    stones, last = stones_of(payload, decoded)
    marks = {played: RIGHT} if played is not None else {}
    marks |= {predicted: WRONG} if predicted is not None and predicted != played else {}
    return draw_stones(stones, marks, last)


def stones_of(payload: Payload | None, decoded: Tensor | None) -> tuple[bytes, int | None]:
    """The stones of a position, (S * S,), and the point of the last move; of planes alone, own stones are black."""
    try:
        if payload is None:
            raise DataError("A position needs its moves.")
        code = last_position(as_bytes(payload), "") if isinstance(payload, bytes | str) else np.asarray(payload)
        position = replay(code, "")
    except DataError:
        planes = np.asarray(payload) if decoded is None else decoded.numpy()
        stones = (planes[0] > 0) * BLACK + (planes[1] > 0) * WHITE
        return bytes(stones.astype(np.uint8).ravel()), None
    step = int(code[-1]) if len(code) > 2 else 0
    return bytes(position.board.stones), step % KIND if step // KIND > MOVE else None


def draw_board(axes: Any, payload: Payload | None, decoded: Tensor, _: Preprocess | None, heat: Heat) -> None:
    """The board on the axes of a figure, its points coloured by a map; a yellow ring marks the move of the target."""
    from matplotlib.patches import Circle, Rectangle

    stones, _last = stones_of(payload, decoded)
    size = heat.values.shape[-1]
    if not heat.bare:
        axes.add_patch(Rectangle((-0.7, -0.7), size + 0.4, size + 0.4, zorder=0, facecolor="#ecd7b0"))
        axes.hlines(range(size), 0, size - 1, color="#8a7347", linewidth=0.6)
        axes.vlines(range(size), 0, size - 1, color="#8a7347", linewidth=0.6)
    colours = heat_colours(heat.shares)
    axes.imshow(colours, interpolation="none", zorder=2)
    for point, stone in enumerate(stones if not heat.bare else b""):
        if stone != EMPTY:
            row, column = divmod(point, size)
            fill = {"facecolor": COLOURS[stone], "edgecolor": "#1c1c1c", "linewidth": 0.6}
            axes.add_patch(Circle((column, row), 0.42, zorder=3, **fill))
            axes.add_patch(Circle((column, row), 0.24, zorder=4, facecolor=colours[row, column], linewidth=0))
    target = parse_point(heat.name, size)
    if target is not None:
        row, column = divmod(target, size)
        axes.add_patch(Circle((column, row), 0.44, zorder=5, fill=False, edgecolor=MARK, linewidth=2.2))
    axes.set(xlim=(-0.7, size - 0.3), ylim=(size - 0.3, -0.7), xticks=range(size), yticks=range(size))
    axes.set_xticklabels(LETTERS[:size])
    axes.set_yticklabels([str(size - k) for k in range(size)])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def as_bytes(payload: bytes | str) -> bytes:
    return payload.encode(errors="replace") if isinstance(payload, str) else payload


def draw_stones(stones: bytes, marks: Mapping[int, str], last: int | None = None) -> Drawing:
    """Stones (S * S,) as SVG, rings in the given colours around some points, and a dot on the last move's stone."""
    size = round(len(stones) ** 0.5)
    side = CELL * (size + 1)
    far = CELL * size
    parts = [f'<rect width="{side}" height="{side}" fill="#dcb579"/>']
    lines = "".join(f"M{CELL},{CELL * k}H{far}M{CELL * k},{CELL}V{far}" for k in range(1, size + 1))
    parts.append(f'<path d="{lines}" stroke="#5b4522" fill="none"/>')
    for row in STAR_LINES.get(size, ()):
        parts += [circle(row * size + column, size, 2.2, 'fill="#5b4522"') for column in STAR_LINES[size]]
    for k in range(size):
        parts.append(label(CELL * (k + 1), side - 4, LETTERS[k]))
        parts.append(label(8, CELL * (size - k) + 3, str(k + 1)))
    for point, colour in enumerate(stones):
        if colour != EMPTY:
            parts.append(circle(point, size, 9.2, f'fill="{COLOURS[colour]}" stroke="#1c1c1c" stroke-width=".7"'))
    if last is not None and last < len(stones) and stones[last] != EMPTY:
        parts.append(circle(last, size, 3, f'fill="{COLOURS[3 - stones[last]]}"'))
    for point, ring in marks.items():
        if point < len(stones):
            parts.append(circle(point, size, 7.5, f'fill="none" stroke="{ring}" stroke-width="3"'))
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {side} {side}">'
    return Drawing(
        "data:image/svg+xml;base64," + base64.b64encode((head + "".join(parts) + "</svg>").encode()).decode()
    )


def circle(point: int, size: int, radius: float, style: str) -> str:
    """A disc on a point."""
    row, column = divmod(point, size)
    return f'<circle cx="{CELL * (column + 1)}" cy="{CELL * (row + 1)}" r="{radius:g}" {style}/>'


def label(x: float, y: float, text: str) -> str:
    """A coordinate."""
    return f'<text x="{x:g}" y="{y:g}" font-size="9" font-family="sans-serif" text-anchor="middle">{text}</text>'
