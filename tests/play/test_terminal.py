"""A game in the terminal, with a scripted person."""

import pytest

from neocog.modalities.go.records import read_games
from neocog.modalities.go.rules import BLACK, WHITE
from neocog.play import GoGame, play_in_terminal


@pytest.fixture
def sit_down(make_player):
    """A game whose person types these lines; gives the game, its result, and what was shown."""

    def play(*lines, size=9, komi=6.5, human=BLACK, options=None, **network):
        said, typed = [], iter(lines)

        def ask(prompt):
            said.append(prompt)
            line = next(typed, None)
            if line is None:
                raise EOFError
            if line is KeyboardInterrupt:
                raise KeyboardInterrupt
            return line

        game = GoGame(size, komi)
        result = play_in_terminal(
            make_player(size=size, **network), game, human=human, ask=ask, say=said.append, **(options or {})
        )
        return game, result, said

    return play


def test_network_answers_with_its_best_moves_and_probabilities(sit_down):
    game, result, said = sit_down("e5\n")
    assert result == "" and len(game.moves) == 2 and [move.colour for move in game.moves] == [BLACK, WHITE]
    assert said[0] == "You are Black (X). Type help for a list of commands."
    assert "black> " in said
    (answer,) = [line for line in said if line.startswith("White plays")]
    assert answer.startswith("White plays E6. Its best moves: E6 ") and answer.count("%") == 3
    boards = [line for line in said if line.startswith("    A B C")]
    assert "  5 . . + . X . + . . 5" in boards[-1] and "(O)" in boards[-1]


def test_network_opens_against_a_person_with_white(sit_down):
    game, _, said = sit_down("E5", "F6", human=WHITE)
    assert "Black plays E5." in " ".join(said) and "white> " in said
    assert "E5 is illegal: there is a stone already." in said
    assert [move.colour for move in game.moves] == [BLACK, WHITE, BLACK]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("Z9", "Not a move or a command: Z9. Type help for a list."),
        ("e5 e6", "Not a move or a command: e5 e6. Type help for a list."),
        ("undo", "You have not moved yet."),
        ("\x00", "Not a move or a command: \x00. Type help for a list."),
        ("save", "Not a move or a command: save. Type help for a list."),
        ("save /nowhere/at/all.sgf", "/nowhere/at/all.sgf could not be written: No such file or directory."),
    ],
)
def test_mistakes_are_told_and_change_nothing(sit_down, line, told):
    game, _, said = sit_down(line)
    assert any(text.startswith(told) for text in said) and not game.moves


def test_empty_lines_and_help(sit_down):
    _, _, said = sit_down("", "   \n", "help")
    assert said[-3].startswith("E5          play there") and "resign      give up" in said[-3]


def test_own_move_and_its_answer_are_taken_back(sit_down):
    game, _, _ = sit_down("C3", "undo", "G7")
    assert [move.point for move in game.moves[:1]] == [2 * 9 + 6] and len(game.moves) == 2
    game, _, said = sit_down("undo", human=WHITE)
    assert "You have not moved yet." in said and len(game.moves) == 1


def test_hint_marks_the_best_moves(sit_down):
    game, _, said = sit_down("hint")
    assert not game.moves
    (board,) = [text for text in said if " 1 . + . . 5" in text]
    assert "2" in board and "3" in board
    assert any(text.startswith("The network's choice for you: E5 ") for text in said)


def test_board_and_score_are_shown_on_request(sit_down):
    _, _, said = sit_down("board", "score", options={"top": 1})
    assert sum(text.startswith("    A B C") for text in said) == 2
    assert "Black 0, White 0 + 6.5 komi: W+6.5." in said


def test_two_passes_end_the_game_with_its_count(sit_down):
    game, result, said = sit_down("pass", passing=5.0)
    assert game.is_over and result == "W+6.5"
    assert said[-1] == "You lose." and any(text.startswith("White passes.") for text in said)
    _, result, said = sit_down("pass", passing=5.0, komi=0)
    assert result == "0" and said[-1] == "A draw."
    _, result, said = sit_down("E5", "pass", passing=5.0)
    assert result == "B+74.5" and said[-1] == "You win."


def test_person_may_resign(sit_down, tmp_path):
    _, result, said = sit_down("E5", "resign", options={"save": tmp_path / "game.sgf"})
    assert result == "W+R" and "You resign." in said
    text = (tmp_path / "game.sgf").read_text()
    assert "PB[You]PW[Neocog]RE[W+R]" in text and len(read_games(text.encode(), "")[0].steps) == 2


def test_network_may_resign(sit_down, monkeypatch):
    monkeypatch.setattr("neocog.play.NetworkPlayer.choose", lambda self, game, colour: None)
    _, result, said = sit_down("E5")
    assert result == "B+R" and "White resigns. You win." in said


@pytest.mark.parametrize("lines", [(), ("quit",)])
def test_leaving_ends_without_a_result(sit_down, tmp_path, lines):
    _, result, said = sit_down("E5", *lines, options={"save": tmp_path / "game.sgf"})
    assert result == "" and (tmp_path / "game.sgf").exists()
    assert said[-1] == f"Saved as {tmp_path / 'game.sgf'}."


def test_game_is_saved_after_ctrl_c(sit_down, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        sit_down("E5", KeyboardInterrupt, options={"save": tmp_path / "game.sgf"})
    assert ";B[ee];W[ed]" in (tmp_path / "game.sgf").read_text()


def test_game_is_saved_on_request(sit_down, tmp_path):
    _, _, said = sit_down("E5", f"save {tmp_path / 'a.sgf'}")
    assert f"Saved as {tmp_path / 'a.sgf'}." in said and "PB[You]PW[Neocog]" in (tmp_path / "a.sgf").read_text()
