"""Matches, against players in this process and against programs."""

import sys
from pathlib import Path

import pytest

from neocog.errors import ConfigError, PlayError
from neocog.modalities.go.records import read_games
from neocog.modalities.go.rules import BLACK, WHITE
from neocog.play import GoGame, GTPPlayer, RandomPlayer, play_game, play_match

FAKE = Path(__file__).parent / "fake_engine.py"


@pytest.fixture
def fake():
    """Starts the small program; ends it after the test."""
    started = []

    def start(how="plays", **options):
        started.append(GTPPlayer([sys.executable, str(FAKE), how], **options))
        return started[-1]

    yield start
    for player in started:
        player.close()
        assert player.process.poll() is not None


def test_program_is_asked_for_its_name_and_moves(make_player, fake):
    opponent = fake()
    assert opponent.name == "Fake 1"
    game = GoGame(9)
    result = play_game(make_player(passing=None), opponent, game)
    assert result.black == "Neocog" and result.white == "Fake 1"
    assert [move.colour for move in game.moves[:4]] == [BLACK, WHITE, BLACK, WHITE]
    assert game.moves[0].point == 40 and game.moves[1].point == 72


@pytest.mark.parametrize(
    ("how", "text", "reason"),
    [("resigns", "B+R", "White resigned"), ("cheats", "B+F", "White played E5: there is a stone already")],
)
def test_program_that_resigns_or_cheats_loses(make_player, fake, how, text, reason):
    result = play_game(make_player(), fake(how), GoGame(9))
    assert (result.text, result.reason, result.winner, result.num_moves) == (text, reason, BLACK, 1)
    assert f"RE[{text}]" in result.sgf


@pytest.mark.parametrize(
    ("how", "options", "message"),
    [
        ("dies", {}, r"must answer 'genmove w'\. .*: received nothing: it has ended\. It said: out of memory"),
        ("sleeps", {"patience": 0.3}, "must answer 'genmove w'.*no answer within 0.3 seconds"),
        ("babbles", {}, "must answer 'genmove w'.*received 'nonsense'"),
        ("refuses", {}, r"must answer 'play b E5'.*received \? illegal move"),
    ],
)
def test_program_that_fails_is_named_with_what_it_said(make_player, fake, how, options, message):
    opponent = fake(how)
    opponent.patience = options.get("patience", 20.0)
    with pytest.raises(PlayError, match=message) as caught:
        play_game(make_player(), opponent, GoGame(9))
    assert "fake_engine.py" in caught.value.where


def test_program_without_a_name_is_refused(fake):
    with pytest.raises(PlayError, match=r"must answer 'name'.*received \? no name"):
        fake("nameless")


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("no-such-program --mode gtp", "or a program that is installed. Received: 'no-such-program'"),
        ("", "or a program that is installed. Received: ''"),
        ("gnugo 'open", "must have matching quotes"),
    ],
)
def test_command_that_cannot_be_started_is_refused(command, message):
    with pytest.raises(ConfigError, match=message):
        GTPPlayer(command)


def test_match_alternates_colours_and_shares_openings(make_player, tmp_path):
    told = []
    match = play_match(
        make_player(size=7, name="one"), RandomPlayer(1), size=7, games=4, seed=3, folder=tmp_path / "games",
        tell=lambda number, game: told.append((number, game)),
    )  # fmt: skip
    assert [number for number, _ in told] == [1, 2, 3, 4] and tuple(game for _, game in told) == match.games
    assert [game.black for game in match.games] == ["one", "random", "one", "random"]
    assert match.won()[1] == 4 and match.won(BLACK)[1] == match.won(WHITE)[1] == 2
    assert match.won()[0] == match.won(BLACK)[0] + match.won(WHITE)[0]
    assert match.win_rate.low <= match.won()[0] / 4 <= match.win_rate.high
    files = sorted((tmp_path / "games").iterdir())
    assert [file.name for file in files] == ["0001.sgf", "0002.sgf", "0003.sgf", "0004.sgf"]
    first, second, third, _ = (read_games(file.read_bytes(), file.name)[0].steps.tolist() for file in files)
    assert first[:2] == second[:2] != third[:2]
    for step in first[:2]:
        row, column = divmod(step % 1024, 7)
        assert 0 < row < 6 and 0 < column < 6
    with pytest.raises(ConfigError, match="folder without games"):
        play_match(make_player(size=7), RandomPlayer(), size=7, games=1, folder=tmp_path / "games")


def test_same_seed_plays_the_same_match(make_player):
    matches = [play_match(make_player(size=5), RandomPlayer(2), size=5, games=2, seed=1) for _ in range(2)]
    assert matches[0].games == matches[1].games


def test_match_without_a_game_is_refused(make_player):
    with pytest.raises(ConfigError, match="at least one game. Received: 0"):
        play_match(make_player(), RandomPlayer(), size=9, games=0)


def test_game_that_never_ends_is_counted(make_player):
    class Looping(RandomPlayer):
        def choose(self, game, colour):
            return game.passing if len(game.moves) % 2 else next(
                p for p in range(game.passing) if game.is_legal(colour, p)
            ) if len([m for m in game.moves if m.point != game.passing]) < 20 else game.passing  # fmt: skip

    result = play_game(Looping(), Looping(), GoGame(5))
    assert result.reason in ("both passed", "too many moves")


def test_middle_of_the_board_beats_nothing_that_passes(make_player, fake):
    result = play_game(make_player(), fake("passes"), GoGame(9, komi=0.5))
    assert result.winner == BLACK and result.num_moves < 20  # it passes too, once it is ahead
