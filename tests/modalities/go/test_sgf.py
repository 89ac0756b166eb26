import contextlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neocog.data import describe, fingerprint
from neocog.dataset.record import num_left_out
from neocog.doctor import check
from neocog.errors import DataError
from neocog.modalities.go.game import KIND, MAX_STEPS, MOVE, replay
from neocog.modalities.go.preprocess import BoardPreprocess
from neocog.modalities.go.records import last_position, read_games
from neocog.modalities.go.rules import BLACK, WHITE
from neocog.modalities.go.sgf import MAX_BYTES, MAX_DEPTH, parse_sgf
from neocog.modalities.go.source import SgfSource, holds_games

GAME = b"(;FF[4]GM[1]SZ[9]PB[A]PW[B];B[ee];W[gc];B[];W[cc])"
OTHER = b"(;GM[1]SZ[9]AB[gc][cg]HA[2];W[cc];B[gg])"


def write(folder, **games):
    """One file for each game; `train__a` becomes train/a.sgf."""
    for name, content in games.items():
        path = folder / f"{name.replace('__', '/')}.sgf"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def main_line(text):
    return [sorted((name, *values) for name, values in node.items()) for node in parse_sgf(text, "g.sgf")[0]]


def test_each_move_is_a_record_with_the_position_before_it(tmp_path):
    source = SgfSource(write(tmp_path / "games", a=GAME, b=OTHER))
    assert (source.name, source.modality, source.task, source.format) == ("games", "board", "next move", "sgf")
    assert len(source) == 6 and len(source.classes) == 82 and source.size == 9
    assert source.classes[0] == "A9" and source.classes[80:] == ("J1", "pass")
    assert [source.key(i) for i in range(6)] == [*(f"a.sgf#{k}" for k in range(1, 5)), "b.sgf#1", "b.sgf#2"]
    assert [source.classes[k] for k in source.targets] == ["E5", "G7", "pass", "C7", "C7", "G3"]
    assert source.groups.tolist() == [0, 0, 0, 0, 1, 1]
    assert source.splits.keys() == {"all"} and source.splits["all"].tolist() == [0, 1, 2, 3, 4, 5]
    assert source.notices == ()
    assert source.read(2).target == 81
    record = source.read(3)
    assert (record.key, record.target) == ("a.sgf#4", 2 * 9 + 2)
    moves = [KIND * (MOVE + colour) + point for colour, point in ((BLACK, 40), (WHITE, 24), (BLACK, 81))]
    assert record.payload.dtype == np.int16 and record.payload.tolist() == [9, WHITE, *moves]
    handicap = [KIND * BLACK + 24, KIND * BLACK + 6 * 9 + 2]
    assert source.read(4).payload.tolist() == [9, WHITE, *handicap]
    assert "6 samples; 82 classes: A9, B9" in describe(source)


def test_one_file_may_hold_many_games(tmp_path):
    path = tmp_path / "games.sgf"
    path.write_bytes(GAME + b"\n\n" + OTHER + b"\0\n")
    source = SgfSource(path)
    assert source.name == "games"
    assert [source.key(i) for i in (0, 3, 4, 5)] == [f"games.sgf#{key}" for key in ("1:1", "1:4", "2:1", "2:2")]
    assert len({source.key(i) for i in range(len(source))}) == 6


def test_fingerprint_knows_the_games(tmp_path):
    first = fingerprint(SgfSource(write(tmp_path / "one", a=GAME)))
    assert first == fingerprint(SgfSource(write(tmp_path / "two", a=GAME.replace(b"PB[A]", b"PB[C]"))))
    assert first != fingerprint(SgfSource(write(tmp_path / "three", a=GAME.replace(b"B[]", b"B[hh]"))))


def test_folders_may_divide_the_games(tmp_path):
    source = SgfSource(write(tmp_path / "a", train__a=GAME, test__b=OTHER, train__deep__c=GAME))
    assert {split: len(indices) for split, indices in source.splits.items()} == {"train": 8, "test": 2}
    for split, indices in source.splits.items():
        assert all(source.key(i).startswith(f"{split}/") for i in indices.tolist())
    source = SgfSource(write(tmp_path / "b", train__a=GAME, test__b=OTHER, other__c=GAME))
    assert source.splits.keys() == {"all"}


def test_path_is_recognised_by_the_files_in_it(tmp_path):
    write(tmp_path / "games", deep__a=GAME)
    (tmp_path / "x.SGF").write_bytes(GAME)
    (tmp_path / "a.txt").write_bytes(GAME)
    (tmp_path / "empty").mkdir()
    assert holds_games(tmp_path / "games") and holds_games(tmp_path / "x.SGF")
    assert not any(holds_games(tmp_path / name) for name in ("a.txt", "empty", "missing"))


def test_links_out_of_the_folder_are_not_followed(tmp_path):
    folder = write(tmp_path / "games", a=GAME)
    write(tmp_path / "outside", b=OTHER)
    (folder / "b.sgf").symlink_to(tmp_path / "outside" / "b.sgf")
    (folder / "deep").symlink_to(tmp_path / "outside")
    source = SgfSource(folder)
    assert len(source) == 4
    assert source.notices == ("links that lead out of the folder were skipped: b.sgf",)


def test_games_without_a_move_are_skipped_and_named(tmp_path):
    source = SgfSource(write(tmp_path / "games", a=b"(;SZ[9];C[resigned])", b=GAME))
    assert source.notices == ("games without a move were skipped: a.sgf#",)
    assert len(source) == 4 and source.groups.tolist() == [1, 1, 1, 1] and source.key(0) == "b.sgf#1"


@pytest.mark.parametrize(
    ("games", "message"),
    [
        ({}, "holds no games. Put files there that end in .sgf"),
        ({"a": b"(;SZ[9])"}, "holds no move"),
        ({"a": b"(;SZ[9];B[aa];W[aa])"}, r"a\.sgf: received move 2, White A9: there is a stone already"),
        (
            {"a": b"(;SZ[9];B[aa];W[aa])" * 3},
            r"a\.sgf, game 1: received move 2, White A9.*Fix.* 2 more can't be replayed",
        ),
        ({"a": b"(;SZ[9];B[aa"}, r"a\.sgf is damaged at byte 9: a value is never closed"),
        ({"a": GAME, "b": GAME, "c": b"(;SZ[13];B[aa])"}, r"2 of 9x9, 1 of 13x13; the first that differs is c\.sgf"),
    ],
)
def test_unusable_games_are_named(tmp_path, games, message):
    (tmp_path / "games").mkdir()
    with pytest.raises(DataError, match=message):
        SgfSource(write(tmp_path / "games", **games))


def test_file_that_can_not_be_read_is_named(tmp_path):
    (tmp_path / "a.sgf").symlink_to(tmp_path / "a.sgf")
    with pytest.raises(DataError, match=r"a\.sgf can't be read"):
        SgfSource(tmp_path)


KO = b"(;SZ[9]AB[ba][ab][bc]AW[ca][bb][db][cc];B[cb];W[bb];B[ii])"
SURROUNDED = b"SZ[9]AB[ba][ab][bb]AW[ca][cb][ac][bc];W[gg];B[aa];W[hh])"
UNPLAYABLE = {
    "occupied": (b"(;SZ[9];B[aa];W[];W[aa];B[cc])", 4, "move 3, White A9: there is a stone already"),
    "ko": (KO, 3, "move 2, White B8: this takes a ko back at once"),
    "suicide": (b"(;" + SURROUNDED, 3, "move 2, Black A9: the stone would have no liberty"),
    "suicide in Japan": (b"(;RU[Japanese]" + SURROUNDED, 3, "move 2, Black A9: the stone would have no liberty"),
    "off the board": (b"(;SZ[9];B[aa];W[jj])", 2, "b.sgf, move 2: received [jj]"),
    "tt is a point": (b"(;SZ[21];B[tt];W[tt])", 2, "move 2, White U2: there is a stone already"),
    "no point": (b"(;SZ[9];B[aa];W[A1];B[tt])", 3, "b.sgf, move 2: received [A1]"),
    "another game": (b"(;GM[3]SZ[9];B[aa])", 1, "b.sgf: received GM[3]. Remove it"),
    "no board": (b"(;SZ[9:13];B[aa];W[bb])", 2, "b.sgf: received SZ[9:13]"),
    "set up without liberty": (b"(;SZ[9]AB[aa]AW[ba][ab];B[cc])", 1, "a chain without one at A9"),
    "cut off": (b"(;SZ[9];B[aa];W[bb];B[c", 2, "is damaged at byte 21: a value is never closed"),
    "cut off behind a variation": (b"(;SZ[9];B[aa](;W[bb];B[])(;W[cc]", 3, "the file ends within a game"),
    "no game": (b"<html>404</html>", 0, "which starts with '(;'"),
    "nothing": (b"", 0, "which starts with '(;'"),
}


@pytest.mark.parametrize("name", UNPLAYABLE)
def test_game_that_can_not_be_replayed_is_left_out_and_named(tmp_path, name):
    content, num_moves, reason = UNPLAYABLE[name]
    source = SgfSource(write(tmp_path / "games", a=GAME, b=content, c=OTHER))
    assert [source.key(i) for i in range(6)] == [*(f"a.sgf#{k}" for k in range(1, 5)), "c.sgf#1", "c.sgf#2"]
    assert len(source) == 6 and source.groups.tolist() == [0, 0, 0, 0, 1, 1]
    assert num_left_out(source) == num_moves
    (notice,) = source.notices
    moves = f"{num_moves} move{'' if num_moves == 1 else 's'}"
    assert notice.startswith(f"1 game can't be replayed and is left out, with {moves}: b.sgf. ")
    assert reason in notice
    report = check(source)
    assert notice in report.notices
    (finding,) = [found for found in report.findings if found.kind == "game-unplayable"]
    assert (finding.severity, finding.sentence) == ("warning", "1 game can't be replayed")
    assert finding.examples[0].key == "b.sgf" and reason in finding.examples[0].detail


def test_all_games_that_can_not_be_replayed_are_counted_and_named(tmp_path):
    bad = b"(;SZ[9];B[aa];W[aa])"
    source = SgfSource(write(tmp_path / "games", a=bad + GAME + bad, b=bad, c=b"(;", d=OTHER))
    assert source.notices[0].startswith(
        "4 games can't be replayed and are left out, with 6 moves: a.sgf#1, a.sgf#3, b.sgf and 1 more. Moves must be"
    )
    keys = [*(f"a.sgf#2:{k}" for k in range(1, 5)), "d.sgf#1", "d.sgf#2"]
    assert [source.key(i) for i in range(len(source))] == keys
    assert (len(source), num_left_out(source)) == (6, 6)
    (finding,) = [found for found in check(source).findings if found.kind == "game-unplayable"]
    assert [example.key for example in finding.examples] == ["a.sgf#1", "a.sgf#3", "b.sgf", "c.sgf"]


def test_games_that_are_left_out_take_nothing_from_the_splits_of_others(tmp_path):
    bad = b"(;SZ[9];B[aa];W[aa])"
    source = SgfSource(
        write(tmp_path / "a", train__a=bad, train__b=GAME, test__a=OTHER, test__z=bad, val__a=b"", val__b=OTHER)
    )
    keys = {split: [source.key(i) for i in part.tolist()] for split, part in source.splits.items()}
    assert keys == {
        "train": ["train/b.sgf#1", "train/b.sgf#2", "train/b.sgf#3", "train/b.sgf#4"],
        "val": ["val/b.sgf#1", "val/b.sgf#2"],
        "test": ["test/a.sgf#1", "test/a.sgf#2"],
    }


def test_board_sizes_are_those_of_the_games_that_can_be_replayed(tmp_path):
    source = SgfSource(write(tmp_path / "games", a=GAME, b=b"(;SZ[13];B[aa];W[aa])"))
    assert (source.size, len(source)) == (9, 4)


@pytest.mark.parametrize(
    "rules",
    ["NZ", "nz", "New Zealand", "new-zealand", "GOE", "Ing", "Tromp-Taylor", "tromp taylor", "TT",
     "koPOSITIONALscoreAREAtaxNONEsui1", "koSIMPLEscoreAREAtaxALLsui1whbN"],
)  # fmt: skip
def test_suicide_is_played_under_rules_that_allow_it(tmp_path, rules):
    source = SgfSource(write(tmp_path / "games", a=b"(;RU[" + rules.encode() + b"]" + SURROUNDED))
    assert source.notices == () and [source.classes[k] for k in source.targets] == ["G3", "A9", "H2"]
    last = source.read(2)
    code = last.payload
    assert code[:2].tolist() == [9, WHITE]
    position = replay(code, "g")
    # SGF FF[4]: the opponent's prisoners first, then the own chain is taken off.
    assert [p for p, stone in enumerate(position.board.stones) if stone == BLACK] == []
    assert [p for p, stone in enumerate(position.board.stones) if stone == WHITE] == [2, 11, 18, 19, 60]
    assert position.ages[0] == 0 and position.board.ko == -1
    assert source.read(1).payload[1] == BLACK
    planes = BoardPreprocess(features="zero17", size=9).decode(code)
    assert planes[0].sum() == 5 and planes[1].sum() == 0 and planes[3].sum() == 3


@pytest.mark.parametrize(
    "rules", ["Japanese", "Chinese", "AGA", "Korean", "", "koSIMPLEscoreTERRITORYtaxSEKIsui0", "French", "tournament"]
)
def test_suicide_is_illegal_under_other_rules(tmp_path, rules):
    with pytest.raises(DataError, match="move 2, Black A9: the stone would have no liberty"):
        SgfSource(write(tmp_path / "games", a=b"(;RU[" + rules.encode() + b"]" + SURROUNDED))


def test_capture_is_not_suicide_and_ko_stays_if_suicide_is_allowed(tmp_path):
    taking = b"(;RU[NZ]SZ[9]AB[ba][ab]AW[bb][ca][ac];W[aa])"  # both black stones have lost their last liberty
    source = SgfSource(write(tmp_path / "a", a=taking[:-1] + b";B[ii])"))
    stones = replay(source.read(1).payload, "g").board.stones
    assert [p for p, stone in enumerate(stones) if stone == BLACK] == []
    with pytest.raises(DataError, match="White B8: this takes a ko back at once"):
        SgfSource(write(tmp_path / "b", a=KO.replace(b"(;", b"(;RU[NZ]")))


def test_position_with_suicide_is_predicted_from_its_record():
    stones = replay(last_position(b"(;RU[NZ]" + SURROUNDED, "g"), "g").board.stones
    assert stones.count(BLACK) == 0 and stones.count(WHITE) == 6
    with pytest.raises(DataError, match="the stone would have no liberty"):
        replay(last_position(b"(;" + SURROUNDED, "g"), "g")


def test_main_line_is_the_first_of_all_variations():
    text = b"(;SZ[9];B[aa](;W[bb](;B[cc];W[dd])(;B[ee]))(;W[ff](;B[gg])))"
    assert main_line(text) == [[("SZ", "9")], [("B", "aa")], [("W", "bb")], [("B", "cc")], [("W", "dd")]]


def test_text_is_read_as_the_format_says():
    text = b"mail header\n( ; C[a \\] b (;W[aa\\\\] N[\\:]\nAddStone[x] SiZe [ 9 ]\n ;\r\nB\n[aa]\nC[];White[bb][cc])"
    assert main_line(text) == [[("SZ", "9")], [("B", "aa")], [("W", "bb", "cc")]]
    assert main_line(b"\xef\xbb\xbf(;SZ[9]PB[\xff\xfe];B[aa])") == [[("SZ", "9")], [("B", "aa")]]


def test_brackets_within_letters_of_two_bytes_do_not_count():
    name = "表示ソ".encode("shift_jis")
    assert b"\\" in name
    text = b"(;CA[Shift_JIS]SZ[9]PB[" + name + b"];B[aa])"
    assert main_line(text) == [[("SZ", "9")], [("B", "aa")]]
    assert len(main_line(text.replace(b"CA[Shift_JIS]", b""))) == 1  # byte by byte, the name would not end


def test_deep_and_a_long_game_are_read_without_recursion():
    nested = b"(;SZ[9]" + b"(;B[aa]" * (MAX_DEPTH - 1) + b")" * MAX_DEPTH
    assert len(parse_sgf(nested, "g")[0]) == MAX_DEPTH
    with pytest.raises(DataError, match=r"damaged at byte 3[\d,]+: variations are nested more than 5,000 deep"):
        parse_sgf(b"(;SZ[9]" + b"(;B[aa]" * MAX_DEPTH, "g")
    assert len(parse_sgf(b"(;C[" + b"x\\]" * 300_000 + b"])", "g")[0]) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", r"starts with '\(;'. g.sgf: received none"),
        (b"no game (at all)", "received none. Remove it"),
        (b"(;SZ[9]", "damaged at byte 7: the file ends within a game"),
        (b"(;B[aa", r"damaged at byte 3: a value is never closed with '\]'"),
        (b"(;B[aa\\]", "damaged at byte 3: a value is never closed"),
        (b"(;B)", "damaged at byte 3: a property has no value"),
        (b"(;B[aa]](;W[bb]))", "damaged at byte 7: ']' is out of place"),
        (b"(;B[aa](;W[bb]);B[cc])", "damaged at byte 15: ';' is out of place"),
        (b"(;B[aa](W[bb]))", r"damaged at byte 7: a game or variation does not start with '\(;'"),
        (b"(;B[aa]) rest", "damaged at byte 9: 'r' is out of place"),
        (b"(;B[aa]))", r"damaged at byte 8: '\)' is out of place"),
        ("(;CA[gbk]PB[表]B)".encode("gbk"), "damaged at byte 16: a property has no value"),
    ],
)
def test_damaged_file_is_named_with_its_place(text, message):
    with pytest.raises(DataError, match=message) as error:
        parse_sgf(text, "g.sgf")
    assert "g.sgf" in str(error.value)


def test_file_that_is_too_large_is_refused():
    with pytest.raises(DataError, match=r"at most 64 MiB. g.sgf: received 64.5 MiB. Divide it"):
        parse_sgf(bytes(MAX_BYTES + 2**19), "g.sgf")


def steps(text):
    return [divmod(step, KIND) for step in read_games(text, "g.sgf")[0].steps.tolist()]


def test_stones_are_set_up_by_points_and_rectangles():
    assert steps(b"(;SZ[5]AB[aa][bc:cd];AW[ee]AE[aa])") == [(1, 0), (1, 11), (1, 12), (1, 16), (1, 17), (0, 0), (2, 24)]


def test_passes_are_empty_or_off_the_board():
    assert steps(b"(;SZ[19];B[];W[tt])") == [(3, 361), (4, 361)]
    assert steps(b"(;SZ[21];B[tt])") == [(3, 19 * 21 + 19)]
    assert read_games(b"(;B[aa])", "g")[0].size == 19
    assert read_games(b"(;SZ[9:9];B[aa])", "g")[0].size == 9


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"(;GM[3];B[aa])", r"Records must be of Go, GM\[1\]. g.sgf: received GM\[3\]"),
        (b"(;SZ[9:13])", r"square, 5 to 25 points wide. g.sgf: received SZ\[9:13\]"),
        (b"(;SZ[4])", r"received SZ\[4\]"),
        (b"(;SZ[\xb2])", "Boards must be square"),
        (b"(;SZ[99999999999999999])", r"received SZ\[99999999999999999\]"),
        (b"(;SZ[])", r"received SZ\[\]"),
        (b"(;SZ[9];B[aa];W[jj])", r"board, which has 9 x 9. g.sgf, move 2: received \[jj\]"),
        (b"(;SZ[9];B[A1])", r"g.sgf, move 1: received \[A1\]"),
        (b"(;SZ[9]AB[aa:])", ""),
        (b"(;SZ[9]AB[aa:zz])", r"g.sgf, AB: received \[zz\]"),
        (b"(;SZ[9]AW[])", r"g.sgf, AW: received \[\]"),
        (b"(;SZ[9]" + b";B[]" * (MAX_STEPS + 1) + b")", "at most 10,000 moves. g.sgf: received more"),
    ],
)
def test_invalid_game_is_named(text, message):
    if message:
        with pytest.raises(DataError, match=message):
            read_games(text, "g.sgf")
    else:
        assert len(read_games(text, "g.sgf")[0].steps) == 1


@pytest.mark.parametrize(
    ("text", "to_move"),
    [
        (b"(;SZ[9])", BLACK),
        (b"(;SZ[9];B[aa])", WHITE),
        (b"(;SZ[9];B[aa];W[])", BLACK),
        (b"(;SZ[9]AB[aa][bb])", WHITE),
        (b"(;SZ[9]AB[aa]AW[bb])", BLACK),
        (b"(;SZ[9]AB[aa]AW[bb]PL[W])", WHITE),
        (b"(;SZ[9]PL[white];W[aa])", BLACK),
    ],
)
def test_last_position_tells_the_colour_to_move(text, to_move):
    assert last_position(text, "g")[1] == to_move


def test_position_comes_from_one_game():
    with pytest.raises(DataError, match="A position comes from one game. g.sgf: received 2 games"):
        last_position(GAME + OTHER, "g.sgf")


@given(st.lists(st.sampled_from([b"(;", b"(", b")", b";", b"[", b"]", b"\\", b"B[aa]", b"SZ[9]", b"W", b"AB", b" "])))
def test_any_text_is_games_or_an_error(parts):
    with contextlib.suppress(DataError):
        assert read_games(b"".join(parts), "g.sgf")


@given(st.binary(max_size=60), st.integers(0, len(GAME)), st.integers(0, len(GAME)))
def test_any_damage_ends_in_games_or_an_error(patch, start, stop):
    with contextlib.suppress(DataError):
        assert read_games(GAME[:start] + patch + GAME[stop:], "g.sgf")
