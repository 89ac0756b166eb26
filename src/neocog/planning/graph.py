"""A plan drawn as a graph: boxes from top to bottom in the order of execution, branches side by side."""

from dataclasses import dataclass, field
from html import escape

from neocog.planning.cost import by_axis
from neocog.planning.plan import Plan
from neocog.planning.rows import Row
from neocog.planning.table import count, sees

__all__ = ["Box", "fused", "place", "svg", "words"]

WIDTH, HEIGHT, ACROSS, DOWN, EDGE = 320, 46, 350, 70, 40  # of a box, from box to box, and around, in pixels
COLOURS = {
    "conv": "#dbe9fb", "linear": "#e6defa", "matmul": "#e6defa", "pool": "#d9f2e3", "join": "#fdebcf",
    "input": "#eeeeee", "other": "#f6f6f6",
}  # fmt: skip
STYLE = (
    "text{font-family:system-ui,sans-serif;font-size:12px;fill:#1a1a1a}.small{font-size:10.5px;fill:#555}"
    "rect{stroke:#8a94a6;stroke-width:1}path{fill:none;stroke:#8a94a6;stroke-width:1.5}"
)


@dataclass(slots=True)
class Box:
    """An operation and those that only pass its values on: a convolution with its norm and its activation."""

    rows: list[Row]
    sources: list[int]
    lane: int = 0
    readers: list[int] = field(default_factory=list)


def svg(plan: Plan) -> str:
    """The network as an image in SVG: a box for each operation with its shape, parameters and receptive field."""
    boxes = fused(plan)
    lanes = place(boxes)
    width = 2 * EDGE + lanes * ACROSS
    height = 2 * EDGE + len(boxes) * DOWN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">',
        f"<style>{STYLE}</style>",
        f"<title>{escape(plan.model)} on {by_axis(plan.input_shape)}</title>",
        f'<rect width="{width}" height="{height}" style="fill:#fff;stroke:none"/>',
    ]
    for target, box in enumerate(boxes):
        parts += [edge(boxes, source, target) for source in box.sources]
    parts += [drawn(plan, box, at) for at, box in enumerate(boxes)]
    return "\n".join([*parts, "</svg>"])


def fused(plan: Plan) -> list[Box]:
    """Boxes in the order of execution, the first of which is the input."""
    box_of = {plan.trace.input: 0}  # value -> box that made it
    boxes = [Box([], [])]
    rows = {row.operation: row for row in plan.rows}
    readers: dict[int, int] = {}
    for operation in plan.trace.operations:
        for value in set(operation.inputs):
            readers[value] = readers.get(value, 0) + 1
    for at, operation in enumerate(plan.trace.operations):
        sources = list(dict.fromkeys(box_of[value] for value in operation.inputs if value in box_of))
        if not sources:
            continue
        row = rows.get(at)
        alone = len(sources) == 1 and all(readers[v] == 1 for v in operation.inputs if v in box_of)
        passes = row is None or row.moves or (row.macs == 0 and row.input_shapes[0] == row.output_shape)
        if alone and passes and boxes[sources[0]].rows:
            if row is not None:
                boxes[sources[0]].rows.append(row)
            made = sources[0]
        elif row is None:
            made = sources[-1]
        else:
            made = len(boxes)
            boxes.append(Box([row], sources))
            for source in sources:
                boxes[source].readers.append(made)
        box_of.update(dict.fromkeys(operation.outputs, made))
    return boxes


def place(boxes: list[Box]) -> int:
    """Give each box a lane: that of its first source if it continues there, else a free one. The number of lanes."""
    busy: dict[int, int] = {0: 0}  # lane -> the last box that still needs it
    for at, box in enumerate(boxes):
        taken = {lane for lane, until in busy.items() if until > at}
        wanted = [boxes[source].lane for source in box.sources if boxes[source].readers[0] == at]
        joined = min((boxes[source].lane for source in box.sources), default=0)
        if len(box.sources) > 1:
            box.lane = joined
        elif wanted:
            box.lane = wanted[0]
        elif box.sources:
            box.lane = next(lane for lane in range(len(boxes)) if lane not in taken and lane != joined)
        busy[box.lane] = max(box.readers, default=at)
    return max(box.lane for box in boxes) + 1


def corner(boxes: list[Box], at: int) -> tuple[int, int]:
    return EDGE + boxes[at].lane * ACROSS, EDGE + at * DOWN


def edge(boxes: list[Box], source: int, target: int) -> str:
    """A line from box to box; one that would cross others in its lane goes round them on the left."""
    x0, y0 = corner(boxes, source)
    x1, y1 = corner(boxes, target)
    y0, x0, x1 = y0 + HEIGHT, x0 + WIDTH // 2, x1 + WIDTH // 2
    lane = boxes[source].lane
    crossed = any(box.lane == lane for box in boxes[source + 1 : target])
    if lane == boxes[target].lane and crossed:
        side = x0 - WIDTH // 2 - 24
        left = x0 - WIDTH // 2 + 16
        return f'<path d="M{left} {y0} C{side} {y0 + 20} {side} {y1 - 20} {left} {y1}"/>'
    gap = DOWN - HEIGHT  # change lanes between two boxes: at once on the way out, at the end on the way back
    turn = y0 if boxes[target].lane > lane else y1 - gap
    return f'<path d="M{x0} {y0} L{x0} {turn} C{x0} {turn + gap} {x1} {turn} {x1} {turn + gap} L{x1} {y1}"/>'


def drawn(plan: Plan, box: Box, at: int) -> str:
    """The rectangle of a box, with two lines of text, and its modules as what shows when the mouse is over it."""
    x, y = EDGE + box.lane * ACROSS, EDGE + at * DOWN
    head, small, kind, tip = words(plan, box)
    head = head if len(head) < 50 else head[:47] + "..."
    return (
        f'<g><title>{escape(tip)}</title><rect x="{x}" y="{y}" width="{WIDTH}" height="{HEIGHT}" rx="6" '
        f'style="fill:{COLOURS[kind]}"/><text x="{x + 12}" y="{y + 19}">{escape(head)}</text>'
        f'<text class="small" x="{x + 12}" y="{y + 36}">{escape(small)}</text></g>'
    )


def words(plan: Plan, box: Box) -> tuple[str, str, str, str]:
    """The operators of a box; its shape, parameters and receptive field; its kind; its modules."""
    if not box.rows:
        return "input", by_axis(plan.input_shape), "input", plan.model
    first = box.rows[0]
    last = next((row for row in reversed(box.rows) if not row.moves), first)
    followers = [row.operator for row in box.rows[1:] if not row.moves]
    parameters = count(sum(row.parameters for row in box.rows))
    small = [by_axis(last.output_shape), f"{parameters} parameters" if parameters else "", f"sees {sees(last)}"]
    return (
        " · ".join([f"{first.operator} {first.detail}".strip(), *followers]),
        " · ".join(text for text in small if text),
        colour(first, len(box.sources)),
        ", ".join(dict.fromkeys(row.name for row in box.rows if row.name)) or plan.model,
    )


def colour(row: Row, sources: int) -> str:
    """The kind of a box, by which it is coloured."""
    if sources > 1:
        return "join"
    return next((kind for kind in ("conv", "linear", "matmul", "pool") if kind in row.operator), "other")
