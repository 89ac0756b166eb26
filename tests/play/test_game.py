import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neocog.errors import DataError
from neocog.modalities.go.game import replay
from neocog.modalities.go.records import read_games
from neocog.modalities.go.rules import BLACK, WHITE, Board, IllegalMoveError, parse_point, point_name
from neocog.play import GoGame, Move, board_text


def random_game(size, seed, moves=120):
    """A game of random legal moves and a few passes."""
    draw, game = random.Random(seed), GoGame(size)
    for _ in range(moves):
        point = draw.randrange(size * size + 1)
        if game.is_legal(game.to_move, point):
            game.play(game.to_move, point)
    return game


@given(st.integers(5, 9), st.integers(0, 2**32))
def test_legal_are_the_moves_that_can_be_played(size, seed):
    game = random_game(size, seed, 60)
    for colour in (BLACK, WHITE):
        for point in range(size * size):
            board = game.board.copy()
            try:
                board.play(colour, point)
                played = True
            except IllegalMoveError:
                played = False
            assert game.is_legal(colour, point) == played
        assert game.is_legal(colour, game.passing)


@given(st.integers(5, 9), st.integers(0, 2**32), st.integers(1, 30))
def test_taking_back_leads_to_the_earlier_boards(size, seed, count):
    game = random_game(size, seed, 60)
    boards = [bytes(board.stones) for board in game.boards]
    for _ in range(min(count, len(game.moves))):
        game.undo()
        assert bytes(game.board.stones) == boards[len(game.moves)]
    assert game.to_move == (3 - game.moves[-1].colour if game.moves else BLACK)


@given(st.integers(5, 9), st.integers(0, 2**32))
def test_position_is_the_one_that_training_replays(size, seed):
    game = random_game(size, seed)
    position = replay(game.position(WHITE), "a game")
    assert position.to_move == WHITE and position.board.stones == game.board.stones
    assert position.board.ko == game.board.ko
    assert list(position.history) == [bytes(board.stones) for board in game.boards[::-1][:8]]


@given(st.integers(5, 9), st.integers(0, 2**32))
def test_record_leads_to_the_same_game(size, seed):
    game = random_game(size, seed)
    (record,) = read_games(game.to_sgf(black="a]b\\", white="w", result="B+1.5").encode(), "a game")
    assert record.size == size
    assert record.steps.tolist() == game.position(BLACK)[2:].tolist()


def test_captures_are_counted():
    game = GoGame(5)
    for colour, name in ((BLACK, "B5"), (WHITE, "A5"), (BLACK, "A4")):
        game.play(colour, parse_point(name, 5))
    assert (game.captures(BLACK), game.captures(WHITE)) == (1, 0)


def ko_to_take():
    """A board on which White may take a stone back, after two passes, and so repeat an earlier board."""
    game = GoGame(5)
    ko = [(BLACK, "B5"), (BLACK, "A4"), (BLACK, "B3"), (WHITE, "C5"), (WHITE, "D4"), (WHITE, "C3"), (WHITE, "B4")]
    for colour, name in ko:
        game.play(colour, parse_point(name, 5))
    game.play(BLACK, parse_point("C4", 5))
    game.play(WHITE, game.passing)
    game.play(BLACK, game.passing)
    return game, parse_point("B4", 5)


def test_repetition_is_told_and_legal():
    game, back = ko_to_take()
    assert not game.boards[-3].is_legal(WHITE, back)  # at once
    assert game.is_legal(WHITE, back) and game.repeats(WHITE, back)
    assert not game.repeats(WHITE, game.passing) and not game.repeats(BLACK, parse_point("E1", 5))


def test_network_does_not_repeat_a_board(make_player):
    game, back = ko_to_take()
    points = {candidate.point for candidate in make_player(size=5).candidates(game, WHITE)}
    assert back not in points and game.passing in points


def test_handicap_gives_white_the_first_move():
    game = GoGame(9)
    game.set_up([parse_point("C3", 9), parse_point("G7", 9)])
    assert game.to_move == WHITE and "HA[2]AB[cg][gc]" in game.to_sgf()
    game.play(WHITE, 40)
    with pytest.raises(ValueError, match="before the first move"):
        game.set_up([0])
    assert game.undo() == Move(WHITE, 40)
    with pytest.raises(ValueError, match="no move to take back"):
        game.undo()


def test_two_passes_end_a_game():
    game = GoGame(9)
    game.play(BLACK, game.passing)
    assert game.num_passes == 1 and not game.is_over
    game.play(WHITE, game.passing)
    assert game.is_over and game.num_passes == 2


def test_board_in_characters():
    game = GoGame(9)
    for colour, name in ((BLACK, "E5"), (WHITE, "J9"), (BLACK, "A1"), (WHITE, "J1")):
        game.play(colour, parse_point(name, 9))
    lines = board_text(game, {1: "7", 40: "8"}).splitlines()
    assert lines[0] == lines[-1] == "    A B C D E F G H J"
    assert lines[1] == "  9 . 7 . . . . . . O 9"
    assert lines[3] == "  7 . . + . + . + . . 7"
    assert lines[5] == "  5 . . + . X . + . . 5"
    assert lines[9] == "  1 X . . . . . . .(O)1"


def test_large_boards_keep_their_columns():
    text = board_text(GoGame(19)).splitlines()
    assert text[1].startswith(" 19 .") and text[19].startswith("  1 .") and len({len(line) for line in text[1:10]}) == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("(;SZ[9];B[aa];W[aa])", "Moves must be legal.*a.sgf, move 2: received there is a stone already"),
        ("(;SZ[9];B[aa];AB[bb])", "stones are set up before the first move"),
        ("(;SZ[9]AE[aa])", "a point is emptied"),
    ],
)
def test_games_that_cannot_be_continued_are_refused(tmp_path, content, message):
    (tmp_path / "a.sgf").write_text(content)
    with pytest.raises(DataError, match=message):
        GoGame.load(tmp_path / "a.sgf")


def test_missing_game_is_named(tmp_path):
    with pytest.raises(DataError, match="missing.sgf can't be read"):
        GoGame.load(tmp_path / "missing.sgf")


def test_loading_stops_before_a_move(tmp_path):
    (tmp_path / "a.sgf").write_text("(;SZ[9]AB[aa];W[bb];B[cc])")
    assert len(GoGame.load(tmp_path / "a.sgf").moves) == 2
    assert [move.point for move in GoGame.load(tmp_path / "a.sgf", 1).moves] == [10]


@given(st.text(max_size=4), st.integers(5, 25))
def test_names_of_points_are_read_back(name, size):
    point = parse_point(name, size)
    assert point is None or point_name(point, size) == name.upper().replace(name[1:].upper(), str(int(name[1:])))
    for number in range(size * size):
        assert parse_point(point_name(number, size).lower(), size) == number


def test_eye_is_not_legal_to_fill_for_the_opponent():
    board = Board(5)
    for point in (1, 5, 6):
        board.play(BLACK, point)
    assert not board.is_legal(WHITE, 0) and board.is_legal(BLACK, 0)
    assert board.is_legal(WHITE, 0, suicide=True)
