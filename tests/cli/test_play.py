"""`neocog play`: the terminal, a GTP engine, and matches, each as a user runs it."""

import io
import subprocess
import sys

import pytest
import torch

from neocog.bundle import Predictor, torch_backend, write_bundle
from neocog.cli import main
from neocog.cli.play import check_options
from neocog.errors import ConfigError
from neocog.modalities.go.game import position_code
from neocog.modalities.go.preprocess import BoardPreprocess
from neocog.modalities.go.rules import point_name
from neocog.tasks import NextMove
from neocog.zoo import create_model


def write_go_bundle(path, size=5):
    """An untrained network that plays Go."""
    torch.manual_seed(0)
    spec = {"name": "go_residual", "num_classes": size**2 + 1, "in_channels": 17, "options": {"widths": [8, 8]}}
    model = create_model(spec["name"], num_classes=spec["num_classes"], in_channels=17, widths=[8, 8]).eval()
    classes = (*(point_name(point, size) for point in range(size**2)), "pass")
    preprocess = BoardPreprocess(features="zero17", size=size)
    predictor = Predictor(torch_backend(model), preprocess, NextMove(classes), model=model)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bundle(path, model, predictor, [position_code(size, 1, [])], {"model": spec, "data": {}})
    return path


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return write_go_bundle(tmp_path_factory.mktemp("go") / "run" / "model.neocog")


@pytest.fixture
def run(capsys, monkeypatch, tmp_path):
    """Run `neocog play` with lines on standard input; gives exit code, output and errors."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments, typed=""):
        monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
        capsys.readouterr()
        code = main(["play", *map(str, arguments)])
        shown = capsys.readouterr()
        return code, shown.out, shown.err

    return run


def test_game_in_the_terminal(run, bundle, tmp_path):
    code, out, err = run(bundle, "-o", "game.sgf", typed="c3\nnonsense\nhint\nresign\n")
    assert code == 0 and err == ""
    assert out.startswith("You are Black (X).") and "White plays " in out and "Its best moves: " in out
    assert "Not a move or a command: nonsense" in out and "You resign.\nSaved as game.sgf." in out
    text = (tmp_path / "game.sgf").read_text()
    assert "PB[You]PW[run]RE[W+R]" in text and "SZ[5]KM[6.5]" in text


def test_end_of_input_leaves_the_game(run, bundle):
    code, out, _ = run(bundle, typed="c3\n")
    assert code == 0 and "White plays" in out


def test_person_may_have_white(run, bundle):
    code, out, _ = run(bundle, "--color", "white", "--top", "1", typed="quit\n")
    assert code == 0 and "You are White (O)." in out and out.count("%") == 1


def test_engine_answers_commands_alone_on_standard_output(run, bundle):
    code, out, err = run(bundle, "--mode", "gtp", typed="1 name\nboardsize 5\nkomi 0.5\nplay b c3\nfly\n9 quit\nname\n")
    assert (code, err) == (0, "")
    assert out == "=1 Neocog\n\n=\n\n=\n\n=\n\n? unknown command\n\n=9\n\n"


def test_match_against_random_play(run, bundle, tmp_path):
    code, out, err = run(bundle, "--against", "random", "--games", "2", "-o", "games", "--opening", "1")
    assert code == 0
    lines = out.splitlines()
    assert lines[0].split("  ")[0] == "run against random" and "95% interval (Wilson)" in lines[0]
    assert [line.split()[0] for line in lines[1:]] == ["all", "as", "as"]
    assert "1: run (Black), random (White): " in err and "both passed" in err
    assert sorted(path.name for path in (tmp_path / "games").iterdir()) == ["0001.sgf", "0002.sgf"]


def test_match_against_another_network(run, bundle, tmp_path):
    other = write_go_bundle(tmp_path / "other.neocog")
    code, out, _ = run(bundle, "--against", other, "--games", "1")
    assert code == 0 and "run against other" in out and "as White" not in out


def test_match_against_a_program_that_is_this_one(bundle, tmp_path):
    """Engine against engine over pipes; the game ends, and nothing is left running."""
    neocog = [sys.executable, "-m", "neocog", "play", str(bundle)]
    opponent = " ".join([*neocog, "--mode gtp"])
    found = subprocess.run(
        [*neocog, "--against", opponent, "--games", "1"], capture_output=True, text=True, timeout=300, check=False
    )
    assert found.returncode == 0, found.stderr
    assert "run against Neocog" in found.stdout and "both passed" in found.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--against", "no-such-program --gtp"], "or a program that is installed. Received: 'no-such-program'"),
        (["--against", "missing.neocog"], "missing.neocog"),
        (["--against", "random", "--mode", "gtp"], "A match has no mode. Received: --mode and --against"),
        (["--against", "random", "--color", "white"], "--color would be ignored in a match"),
        (["--against", "random", "--games", "0"], "A match has at least one game"),
        (["--games", "3"], "--games would be ignored in the terminal"),
        (["--mode", "gtp", "--handicap", "2"], "--handicap would be ignored with --mode gtp"),
        (["--mode", "gtp", "-o", "x"], "-o would be ignored with --mode gtp"),
        (["--handicap", "2"], "A 5x5 board has no points for a handicap. Received: --handicap 2"),
        (["--resign", "2"], "resigns is between 0 and 1. Received: 2"),
        (["--mode", "chess"], "mode"),
    ],
)
def test_mistakes_are_told(run, bundle, arguments, message):
    code, _, err = run(bundle, *arguments)
    assert code == 2 and message in " ".join(err.split())


def test_handicap_that_the_board_has_no_points_for(run, tmp_path):
    bundle = write_go_bundle(tmp_path / "a.neocog", size=9)
    code, _, err = run(bundle, "--handicap", "1")
    assert code == 2 and "A 9x9 board has points for 2 to 9 stones of handicap. Received: --handicap 1" in err
    code, out, _ = run(bundle, "--handicap", "3", "-o", "game.sgf", typed="quit\n")
    assert code == 0 and "White plays" in out
    assert "KM[0.5]" in (tmp_path / "game.sgf").read_text() and "HA[3]" in (tmp_path / "game.sgf").read_text()


def test_networks_for_different_boards_cannot_play(run, bundle, tmp_path):
    other = write_go_bundle(tmp_path / "nine.neocog", size=9)
    code, _, err = run(bundle, "--against", other)
    assert code == 2 and "know the same board. " in err and "received 5x5 and 9x9" in err


def test_options_are_told_apart():
    check_options(None, "random", {"--games": (3, "match"), "-o": ("x", "match or terminal")})
    with pytest.raises(ConfigError) as caught:
        check_options(None, None, {"--games": (3, "match")})
    assert caught.value.kind == "ignored"
