"""Positions and their moves turn together."""

import itertools

import numpy as np
import pytest
import torch

from neocog.data import open_source
from neocog.loading import load_in_memory
from neocog.modalities.go.augment import BoardAugmentConfig, augment_boards, draw_symmetries, move_labels
from neocog.modalities.go.game import KIND, MOVE, position_code
from neocog.modalities.go.preprocess import BoardPreprocess
from neocog.modalities.go.symmetry import NUM_SYMMETRIES, move_planes, moved_points
from neocog.recipes import recipe
from neocog.rng import integers
from neocog.runs.prepare import make_loader
from neocog.tasks import NextMove
from neocog.training.distributed import SINGLE_PROCESS

KEY = {"seed": 3, "epoch": 1, "samples": np.arange(200, dtype=np.uint64)}
TURNED = BoardAugmentConfig(symmetries=True)


def test_symmetries_are_the_eight_of_the_square():
    planes = torch.arange(25).reshape(5, 5)
    moved = [move_planes(planes, k) for k in range(NUM_SYMMETRIES)]
    assert len({tuple(one.flatten().tolist()) for one in moved}) == 8
    neighbours = {frozenset(pair) for row in planes.tolist() for pair in itertools.pairwise(row)}
    neighbours |= {frozenset(pair) for row in planes.T.tolist() for pair in itertools.pairwise(row)}
    for one in moved:  # those that were beside each other still are
        pairs = {frozenset(pair) for row in one.tolist() for pair in itertools.pairwise(row)}
        pairs |= {frozenset(pair) for row in one.T.tolist() for pair in itertools.pairwise(row)}
        assert pairs == neighbours


@pytest.mark.parametrize("size", [5, 9, 19])
def test_a_stone_goes_where_the_table_says(size):
    table = moved_points(size)
    for symmetry in range(NUM_SYMMETRIES):
        for point in range(0, size * size, 7):
            planes = torch.zeros(1, size, size)
            planes[0, point // size, point % size] = 1
            assert move_planes(planes, symmetry).flatten().argmax() == table[symmetry, point]
        assert table[symmetry, -1] == size * size
        assert sorted(table[symmetry].tolist()) == list(range(size * size + 1))


def test_each_sample_has_a_symmetry_of_its_own_draw():
    drawn = draw_symmetries(KEY)
    assert set(drawn.tolist()) == set(range(8))
    assert np.array_equal(drawn, integers(**KEY, purpose="board symmetry", low=0, high=7)[:, 0])
    assert np.array_equal(drawn[50:60], draw_symmetries({**KEY, "samples": KEY["samples"][50:60]}))
    assert not np.array_equal(drawn, draw_symmetries({**KEY, "epoch": 2}))


def test_positions_and_moves_are_moved_alike():
    """Each position has one stone, where its move was; after augmentation, it still is."""
    labels = torch.from_numpy(np.random.default_rng(0).integers(0, 81, 200))
    planes = torch.zeros(200, 3, 81)
    planes[torch.arange(200), 1, labels] = 1
    moved = augment_boards(planes.reshape(200, 3, 9, 9), TURNED, KEY)
    mover = NextMove.mover(TURNED, BoardPreprocess(features="zero17", size=9))
    assert torch.equal(moved[:, 1].flatten(1).argmax(dim=1), mover(labels, KEY))
    assert not torch.equal(mover(labels, KEY), labels)
    passes = torch.full((200,), 81)
    assert torch.equal(move_labels(passes, KEY, size=9), passes)


def test_without_symmetries_nothing_moves():
    planes = torch.rand(4, 3, 9, 9)
    assert augment_boards(planes, BoardAugmentConfig(), KEY) is planes
    assert NextMove.mover(BoardAugmentConfig(), BoardPreprocess(features="zero17", size=9)) is None
    assert NextMove.mover(None, BoardPreprocess(features="zero17", size=9)) is None


@pytest.mark.parametrize("features", ["zero17", "alphago48"])
def test_planes_of_a_moved_game_are_the_moved_planes(features):
    """The features don't know which side of the board is up: 40 random moves in all 8 orientations."""
    draw = np.random.default_rng(1)
    preprocess = BoardPreprocess(features=features, size=9)
    points = draw.permutation(81)[:40]
    steps = [KIND * (MOVE + 1 + k % 2) + int(point) for k, point in enumerate(points)]
    planes = preprocess.decode(position_code(9, 1, steps))
    for symmetry in range(8):
        moved = [KIND * (step // KIND) + int(moved_points(9)[symmetry, step % KIND]) for step in steps]
        assert torch.equal(preprocess.decode(position_code(9, 1, moved)), move_planes(planes, symmetry)), symmetry


def test_recipe_turns_training_positions_with_their_moves(tmp_path):
    """Each game has two moves, the second opposite to the first, as it is in every orientation."""
    names = "abcdefghi"
    for k in range(40):
        row, column = divmod(k, 9)
        first, second = names[column] + names[row], names[8 - column] + names[8 - row]
        (tmp_path / f"{k:02}.sgf").write_text(f"(;SZ[9];B[{first}];W[{second}])")
    source = open_source(tmp_path)
    replies = np.array([i for i in range(len(source)) if source.key(i).endswith("#2")])
    config = recipe("board", str(tmp_path))
    preprocess = BoardPreprocess(features="zero17", size=9)
    train = load_in_memory(source, replies, preprocess)
    loader = make_loader(config, source, train, preprocess, 82, SINGLE_PROCESS)
    seen = set()
    for epoch in range(6):
        planes, labels = loader.batch(epoch, 0)
        stones = planes[:, 1].flatten(1).argmax(dim=1)
        assert torch.equal(labels, 80 - stones)
        seen |= set(stones.tolist())
    assert len(seen) > 70  # the games alone have 40, all in the upper half
