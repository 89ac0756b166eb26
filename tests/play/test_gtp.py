"""Scripted sessions of the Go Text Protocol, well-formed and not."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neocog import __version__
from neocog.modalities.go.rules import BLACK, point_name
from neocog.play import GTPEngine
from neocog.play.gtp import clean_line, fixed_handicap, parse_vertex, vertex


@pytest.fixture
def engine(make_player):
    return GTPEngine(make_player())


def session(engine, text):
    """The answers to the lines of a text, without the empty lines after them."""
    answers = []
    for line in text.strip("\n").splitlines():
        answer = engine.answer(line)
        if answer:
            assert answer.endswith("\n\n") and "\n\n" not in answer[:-2], answer
            answers.append(answer[:-2])
    return answers


def test_administration(engine):
    assert session(engine, "protocol_version\nname\nversion") == ["= 2", "= Neocog", f"= {__version__}"]
    commands = session(engine, "list_commands")[0].removeprefix("= ").splitlines()
    required = {"protocol_version", "name", "version", "known_command", "list_commands", "quit", "boardsize",
                "clear_board", "komi", "play", "genmove"}  # fmt: skip
    assert required <= set(commands) and len(set(commands)) == len(commands)
    for command in commands:
        assert engine.answer(f"known_command {command}") == "= true\n\n"
    assert session(engine, "known_command fly\nknown_command") == ["= false", "= false"]


def test_quit_ends_the_session(engine):
    written = []
    engine.run(["name\n", "# nothing\n", "\n", "7 quit\n", "name\n"], written.append)
    assert written == ["= Neocog\n\n", "=7\n\n"] and engine.done


def test_end_of_input_ends_the_session(engine):
    written = []
    engine.run(["name\n"], written.append)
    assert written == ["= Neocog\n\n"] and not engine.done


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("1 name", "=1 Neocog"),
        ("0 name", "=0 Neocog"),
        ("123456789 clear_board", "=123456789"),
        ("12 fly", "?12 unknown command"),
        ("fly high", "? unknown command"),
        ("3", "?3 unknown command"),
        ("\t1\tplay\tb\te5\t# a comment", "=1"),
        ("name # fly", "= Neocog"),
        ("na\x01me\r", "= Neocog"),
        ("NAME", "? unknown command"),
    ],
)
def test_ids_comments_and_control_characters(engine, line, answer):
    assert session(engine, line) == [answer]


@pytest.mark.parametrize("line", ["", "   ", "# a comment", "\t", "\r\n"])
def test_lines_without_a_command_have_no_answer(engine, line):
    assert engine.answer(line) == ""


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("boardsize", "syntax error"),
        ("boardsize nine", "syntax error"),
        ("boardsize -9", "syntax error"),
        ("boardsize 19", "unacceptable size"),
        ("boardsize 9999999999999999999999", "unacceptable size"),
        ("komi", "syntax error"),
        ("komi much", "syntax error"),
        ("komi nan", "syntax error"),
        ("komi inf", "syntax error"),
        ("play", "syntax error"),
        ("play black", "syntax error"),
        ("play green E5", "syntax error"),
        ("play black I5", "syntax error"),
        ("play black K1", "syntax error"),
        ("play black E10", "syntax error"),
        ("play black E0", "syntax error"),
        ("play black 5E", "syntax error"),
        ("play black resign", "syntax error"),
        ("play black E\u0665", "syntax error"),
        ("genmove", "syntax error"),
        ("genmove red", "syntax error"),
        ("reg_genmove", "syntax error"),
        ("undo", "cannot undo"),
        ("fixed_handicap", "syntax error"),
        ("fixed_handicap 1", "invalid number of stones"),
        ("fixed_handicap 10", "invalid number of stones"),
        ("set_free_handicap", "bad vertex list"),
        ("set_free_handicap C3", "bad vertex list"),
        ("set_free_handicap C3 C3", "bad vertex list"),
        ("set_free_handicap C3 pass", "bad vertex list"),
        ("set_free_handicap C3 Z9", "bad vertex list"),
        ("time_settings 60", "syntax error"),
        ("time_settings a b c", "syntax error"),
        ("time_left black 3", "syntax error"),
        ("time_left 3 3 3", "syntax error"),
        ("final_status_list", "syntax error"),
        ("final_status_list asleep", "syntax error"),
        ("loadsgf", "syntax error"),
        ("loadsgf /nowhere/a.sgf", "cannot load file"),
        ("loadsgf /nowhere/a.sgf x", "syntax error"),
    ],
)
def test_malformed_commands_are_answered_by_the_error_that_the_protocol_names(engine, line, error):
    before = engine.game
    assert session(engine, f"5 {line}") == [f"?5 {error}"]
    assert engine.game is before and not engine.game.moves


def test_moves_in_any_case_and_illegal_ones(engine):
    text = "play B e5\nplay WHITE E5\nplay w D4\nplay white pass\nplay w PASS\nplay b C3\nshowboard"
    *answers, board = session(engine, text)
    assert answers == ["=", "? illegal move", "=", "=", "=", "="]
    lines = board.splitlines()
    assert lines[0] == "= " and lines[6] == "  5 . . + . X . + . . 5" and lines[8] == "  3 . .(X). + . + . . 3"
    assert lines[-1] == "Black (X) has taken 0, White (O) 0"


def test_ko_is_not_retaken_at_once(engine):
    ko = "\n".join(f"play {c} {p}" for c, p in zip("bbbwwww", ["B9", "A8", "B7", "C9", "D8", "C7", "B8"], strict=True))
    assert set(session(engine, ko)) == {"="}
    assert session(engine, "play b C8\nplay w B8\nplay w A1\nplay b J1\nplay w B8") == [
        "=",
        "? illegal move",
        "=",
        "=",
        "=",
    ]
    assert "White (O) 1" in session(engine, "showboard")[0]


def test_undo_takes_back_what_was_played_and_generated(engine):
    text = "genmove b\ngenmove w\nundo\nundo\nundo\nplay w E5\nreg_genmove b"
    first, second, *rest, again = session(engine, text)
    assert first == "= E5" and second in ("= E6", "= D5", "= F5", "= E4")
    assert rest == ["=", "=", "? cannot undo", "="]
    assert again == second and len(engine.game.moves) == 1  # reg_genmove plays nothing


def test_boardsize_and_clear_board_empty_the_board_and_keep_the_komi(engine):
    assert session(engine, "komi 7.5\nplay b E5\nboardsize 9\nundo\nplay b E5\nclear_board\nundo") == [
        "=", "=", "=", "? cannot undo", "=", "=", "? cannot undo",
    ]  # fmt: skip
    assert engine.game.komi == 7.5


def test_handicaps(engine):
    assert session(engine, "fixed_handicap 2\nfixed_handicap 2\nclear_board\nplace_free_handicap 4") == [
        "= C3 G7", "? board not empty", "=", "= C3 G7 C7 G3",
    ]  # fmt: skip
    assert session(engine, "clear_board\nset_free_handicap a1 J9 E5\nset_free_handicap B1 B2") == [
        "=", "=", "? board not empty",
    ]  # fmt: skip
    assert engine.game.board.stones[40] == BLACK
    assert session(engine, "clear_board\nplay w A1\nfixed_handicap 2") == ["=", "=", "? board not empty"]


@pytest.mark.parametrize(("count", "size", "points"), [
    (2, 19, "D4 Q16"), (3, 19, "D4 Q16 D16"), (4, 19, "D4 Q16 D16 Q4"), (5, 19, "D4 Q16 D16 Q4 K10"),
    (6, 19, "D4 Q16 D16 Q4 D10 Q10"), (7, 19, "D4 Q16 D16 Q4 D10 Q10 K10"),
    (8, 19, "D4 Q16 D16 Q4 D10 Q10 K4 K16"), (9, 19, "D4 Q16 D16 Q4 D10 Q10 K4 K16 K10"),
    (4, 7, "C3 E5 C5 E3"), (4, 8, "C3 F6 C6 F3"), (9, 13, "D4 K10 D10 K4 D7 K7 G4 G10 G7"),
])  # fmt: skip
def test_points_of_fixed_handicaps_are_those_of_the_specification(count, size, points):
    assert " ".join(point_name(point, size) for point in fixed_handicap(count, size)) == points


@pytest.mark.parametrize(("count", "size"), [(5, 7), (5, 8), (10, 19), (2, 5), (1, 9), (0, 9)])
def test_boards_without_points_for_a_handicap(count, size):
    assert fixed_handicap(count, size) is None


def test_time_is_accepted(engine):
    assert session(engine, "time_settings 300 30 5\ntime_left b 12 0\ntime_left white 3 2") == ["=", "=", "="]


def test_scores_and_dead_stones(engine):
    """A wall of Black on the middle row, and a single white stone above it."""
    stones = [f"play b {letter}5" for letter in "ABCDEFGHJ"] + [f"play b {p}" for p in ["B7", "D7", "F7", "H7"]]
    session(engine, "\n".join([*stones, "play w E8"]))
    assert session(engine, "komi 0.5\nfinal_score\nfinal_status_list dead\nfinal_status_list seki") == [
        "=", "= B+80.5", "= E8", "=",
    ]  # fmt: skip
    alive = session(engine, "final_status_list alive")[0]
    assert alive.splitlines()[0] == "= B7" and "E8" not in alive and "A5 B5 C5" in alive


def test_loading_a_game(engine, tmp_path):
    path = tmp_path / "a.sgf"
    path.write_text("(;SZ[9];B[ee];W[cc];B[gg])")
    assert session(engine, f"loadsgf {path}") == ["="] and len(engine.game.moves) == 3
    assert session(engine, f"loadsgf {path} 3") == ["="] and len(engine.game.moves) == 2
    path.write_text("(;SZ[19];B[ee])")
    assert session(engine, f"loadsgf {path}") == ["? cannot load file"] and len(engine.game.moves) == 2
    path.write_text("(;SZ[9];B[ee];W[ee])")
    assert session(engine, f"loadsgf {path}") == ["? cannot load file"]


def test_resignation_is_an_answer(make_player, monkeypatch):
    engine = GTPEngine(make_player(resign=0.1))
    monkeypatch.setattr(engine.player, "choose", lambda game, colour: None)
    assert session(engine, "genmove b\nreg_genmove b") == ["= resign", "= resign"]


@given(st.text())
def test_any_line_has_one_answer_or_none(text):
    """No input, however odd, breaks the form of an answer."""
    engine = ENGINE[0]
    answer = engine.answer(text)
    cleaned = clean_line(text)
    assert bool(cleaned) == bool(answer)
    assert not answer or re.fullmatch(r"[=?]\d*( .*)?\n\n", answer, re.DOTALL)


ENGINE = []


@pytest.fixture(autouse=True)
def one_engine(engine):
    ENGINE[:] = [engine]


@given(st.lists(st.tuples(st.sampled_from(["play", "genmove", "undo", "clear_board", "showboard", "reg_genmove"]),
                          st.sampled_from(["b", "w"]), st.integers(0, 81)), max_size=25))  # fmt: skip
def test_any_order_of_commands_keeps_the_board_legal(commands):
    engine = ENGINE[0]
    for name, colour, point in commands:
        arguments = {"play": f"{colour} {vertex(point, 9)}", "genmove": colour, "reg_genmove": colour}.get(name, "")
        before = len(engine.game.moves)
        answer = engine.answer(f"{name} {arguments}")
        if name == "genmove":
            assert parse_vertex(answer[1:].strip(), 9) == engine.game.moves[-1].point
        if answer.startswith("?"):
            assert answer in ("? illegal move\n\n", "? cannot undo\n\n") and len(engine.game.moves) == before
    for stone in (point for point, colour in enumerate(engine.game.board.stones) if colour):
        assert engine.game.board.chain(stone)[1], "each chain has a liberty"
