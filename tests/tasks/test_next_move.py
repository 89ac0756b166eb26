"""The next move of a game as a target."""

import base64

import numpy as np
import pytest

from neocog.dataset.record import Record
from neocog.evaluation import Mistake
from neocog.modalities.go.draw import RIGHT, WRONG, draw_position
from neocog.modalities.go.game import KIND, MOVE, position_code
from neocog.modalities.go.rules import BLACK, WHITE, parse_point, point_name
from neocog.tasks import NextMove

CLASSES = (*(point_name(point, 9) for point in range(81)), "pass")
STEPS = [KIND * (MOVE + BLACK) + 40, KIND * (MOVE + WHITE) + 20]
CODE = position_code(9, BLACK, STEPS)


def svg(drawing):
    kind, _, content = drawing.address.partition(",")
    assert kind == "data:image/svg+xml;base64"
    return base64.b64decode(content).decode()


def test_task_knows_its_board():
    assert (NextMove(CLASSES).num_points, NextMove(CLASSES).size) == (81, 9)
    assert (NextMove(CLASSES[:-1]).num_points, NextMove(CLASSES[:-1]).size) == (81, 9)


def test_phases_come_from_the_keys():
    logits = np.eye(82, dtype=np.float32)[[3, 4, 5]]
    found = NextMove(CLASSES).evaluate(logits, np.array([3, 4, 6]), ["a#1", "a#2:50", "b"], data="g", split="test")
    assert [(phase.name, phase.count, phase.top1.value) for phase in found.phases] == [
        ("opening", 1, 1.0), ("end", 1, 1.0), ("unknown", 1, 0.0),
    ]  # fmt: skip


def test_error_is_drawn_with_both_moves():
    task, record = NextMove(CLASSES), Record("a#3", CODE, 3)
    drawn = svg(task.draw_error(record, Mistake("a#3", "D9", "pass", 0.5, 0.1)))
    assert drawn.count(RIGHT) == 1 and WRONG not in drawn
    drawn = svg(task.draw_error(record, Mistake("a#3", "D9", "A1", 0.5, 0.1)))
    place = f'<circle cx="{20 * 4}" cy="20" r="7.5" fill="none" stroke="{RIGHT}"'
    assert place in drawn and f'<circle cx="20" cy="180" r="7.5" fill="none" stroke="{WRONG}"' in drawn


def test_position_is_drawn_in_the_colours_of_the_stones():
    drawn = svg(draw_position(CODE, None))
    assert drawn.count('fill="#1c1c1c" stroke') == 1 and drawn.count('fill="#fafafa" stroke') == 1
    assert drawn.count('r="3"') == 1  # the last move
    assert ">J</text>" in drawn and ">9</text>" in drawn and ">I</text>" not in drawn


def test_records_and_planes_are_drawn_too():
    assert svg(draw_position(b"(;SZ[9];B[ee];W[cc])", None)) == svg(draw_position(CODE, None))
    planes = np.zeros((3, 9, 9), np.uint8)
    planes[0, 4, 4] = planes[1, 2, 2] = 1
    assert svg(draw_position(planes, None)).count('stroke-width=".7"') == 2


@pytest.mark.parametrize("name", ["a9", "J1", "t19"])
def test_point_of_a_name(name):
    size = 19 if name == "t19" else 9
    assert point_name(parse_point(name, size), size) == name.upper()
