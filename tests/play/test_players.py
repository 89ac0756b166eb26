from random import Random

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from neocog.bundle import Predictor
from neocog.data import ImagePreprocess
from neocog.errors import ConfigError
from neocog.modalities.go.rules import BLACK, WHITE, fills_eye, parse_point
from neocog.play import GoGame, NetworkPlayer, RandomPlayer, play_game
from neocog.play.players import sensible_points
from neocog.tasks import Classification


def test_best_move_is_the_most_probable_legal_one(make_player):
    player, game = make_player(), GoGame(9)
    assert player.choose(game, BLACK) == 40
    game.play(BLACK, 40)
    second = player.choose(game, WHITE)
    assert second in (31, 39, 41, 49)
    found = player.candidates(game, WHITE)
    assert len(found) == 81 and found[0].point == second
    assert [one.probability for one in found] == sorted((one.probability for one in found), reverse=True)
    assert 40 not in {one.point for one in found} and game.passing in {one.point for one in found}


def test_rates_are_means_over_the_symmetries(make_player):
    player, game = make_player(), GoGame(9)
    game.play(BLACK, parse_point("C3", 9))
    with torch.no_grad():
        player.predictor.model.rates.copy_(torch.arange(82) / 20.0)  # not symmetric at all
    rates = player.rate(game, WHITE)
    assert rates.sum() == pytest.approx(1.0) and rates.shape == (82,)
    grid = rates[:81].reshape(9, 9)
    for other in (np.rot90(grid), grid.T, grid[::-1]):
        np.testing.assert_allclose(grid, other)
    probs = torch.softmax(torch.arange(82, dtype=torch.float64) / 20, 0).numpy()
    corners = probs[[0, 8, 72, 80]].mean()
    assert grid[0, 0] == pytest.approx(corners)


def test_network_passes_when_a_pass_is_most_probable(make_player):
    assert make_player(passing=1.0).choose(GoGame(9), BLACK) == 81
    assert make_player(passing=-1.0).choose(GoGame(9), BLACK) == 40


def test_network_without_a_pass_passes_when_only_eyes_are_left(make_player):
    player, game = make_player(size=5, passing=None), GoGame(5)
    for point in range(25):
        if point not in (0, 24):
            game.board.stones[point] = BLACK
    assert sensible_points(game, BLACK) == [] and player.choose(game, BLACK) == game.passing
    assert player.rate(game, BLACK)[25] == 0


def test_network_answers_a_pass_by_passing_if_it_has_won(make_player):
    player = make_player(size=5)
    for komi, passes in ((0.5, True), (50.5, False)):
        game = GoGame(5, komi)
        for point in (10, 11, 12, 13, 14):
            game.board.stones[point] = BLACK
        game.play(WHITE, game.passing)
        assert (player.choose(game, BLACK) == game.passing) is passes


def test_network_resigns_when_three_turns_look_lost(make_player):
    rows = (".......",) + ("OOOOOOO",) + (".......",) * 2 + ("OOOOOOO",) + (".......",) * 2
    player = make_player(size=7, resign=0.05)
    game = GoGame(7, 0.5)
    game.board.stones[:] = bytes(".XO".index(sign) for sign in "".join(rows))
    player.start(game)
    assert player.choose(game, BLACK) is not None  # too early
    game.moves = [None] * 13
    game.moves.clear()
    for _ in range(7):
        game.play(BLACK, game.passing)
        game.play(WHITE, game.passing)
    game.play(BLACK, 0)
    answers = [player.choose(game, BLACK) for _ in range(3)]
    assert answers[2] is None and None not in answers[:2]
    player.start(game)
    assert player.choose(game, BLACK) is not None
    assert make_player(size=7).choose(game, BLACK) is not None  # without the option


def test_temperature_draws_by_the_seed(make_player):
    games = [GoGame(9) for _ in range(2)]
    for game in games:
        player = make_player(temperature=2.0, seed=1)
        player.start(game)
        for _ in range(12):
            game.play(game.to_move, player.choose(game, game.to_move))
    assert games[0].moves == games[1].moves
    other = make_player(temperature=2.0, seed=2)
    other.start(GoGame(9))
    assert len({other.choose(game, BLACK) for game in games} | {games[0].moves[0].point}) > 1


@settings(max_examples=15)
@given(st.integers(5, 9), st.integers(0, 2**32))
def test_games_end_and_all_moves_are_legal(size, seed):
    """A move is legal and fills no own eye, whatever the position; an illegal one would forfeit the game."""
    one, other = RandomPlayer(seed), RandomPlayer(seed + 1)
    game = GoGame(size)
    result = play_game(one, other, game)
    assert result.reason in ("both passed", "too many moves") and "+F" not in result.text
    assert result.num_moves <= 3 * size * size
    replayed = GoGame(size)
    for move in game.moves:
        if move.point != game.passing:
            assert not fills_eye(replayed.board, move.colour, move.point)
        replayed.play(move.colour, move.point)


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2**32), st.integers(0, 80))
def test_network_only_makes_legal_moves(make_player, seed, count):
    draw, game, player = Random(seed), GoGame(7), make_player(size=7)
    for _ in range(count):
        point = draw.randrange(50)
        if game.is_legal(game.to_move, point):
            game.play(game.to_move, point)
    for colour in (BLACK, WHITE):
        for candidate in player.candidates(game, colour):
            point = candidate.point
            assert game.is_legal(colour, point) and not game.repeats(colour, point)
            assert point == game.passing or not fills_eye(game.board, colour, point)
        game.play(colour, player.choose(game, colour))


@pytest.mark.parametrize("passing", [None, -50.0, -2.0])
def test_network_against_itself_and_random_play_ends(make_player, passing):
    for other in (make_player(size=7, passing=passing), RandomPlayer(5)):
        game = GoGame(7)
        result = play_game(make_player(size=7, passing=passing), other, game)
        assert result.reason == "both passed"
        boards = [bytes(board.stones) for board, move in zip(game.boards[1:], game.moves, strict=True)
                  if move.point != game.passing]  # fmt: skip
        if other.name != "random":
            assert len(set(boards)) == len(boards)  # superko, by the player's own choice


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"resign": 0.0}, "is between 0 and 1. Received: 0."),
        ({"resign": 1.5}, "is between 0 and 1. Received: 1.5"),
        ({"temperature": -1.0}, "A temperature is 0 or more. Received: -1"),
        ({"temperature": float("nan")}, "A temperature is 0 or more. Received: nan"),
    ],
)
def test_settings_out_of_range_are_refused(make_player, options, message):
    with pytest.raises(ConfigError, match=message):
        make_player(**options)


def test_network_for_images_cannot_play():
    predictor = Predictor(lambda inputs: inputs, ImagePreprocess(size=(8, 8), channels=1), Classification(("a", "b")))
    with pytest.raises(ConfigError, match=r"trained on games of Go can play. Received: a network for image inputs"):
        NetworkPlayer(predictor)
