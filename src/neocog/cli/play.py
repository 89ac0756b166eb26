"""`neocog play`: play Go against a network, or let it play."""

import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from neocog.bundle import load
from neocog.cli.output import table
from neocog.cli.stdout import write_out
from neocog.errors import BundleError, ConfigError
from neocog.evaluation import wilson
from neocog.modalities.go.rules import BLACK, WHITE
from neocog.play import (
    GameResult,
    GoGame,
    GTPEngine,
    GTPPlayer,
    MatchResult,
    NetworkPlayer,
    Player,
    RandomPlayer,
    play_in_terminal,
    play_match,
)
from neocog.play.gtp import fixed_handicap
from neocog.progress import note

COLOURS = {"black": BLACK, "white": WHITE}
KOMI, GAMES, OPENING, TOP = 6.5, 20, 2, 3


def play(
    bundle: Path,
    *,
    mode: Literal["terminal", "gtp"] | None = None,
    against: Annotated[str | None, Parameter(metavar="OPPONENT")] = None,
    games: int | None = None,
    opening: int | None = None,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    color: Annotated[Literal["black", "white"] | None, Parameter(name=["--color", "--colour"])] = None,
    handicap: int | None = None,
    komi: float | None = None,
    top: int | None = None,
    resign: float | None = None,
    temperature: float = 0.0,
    seed: int = 0,
) -> int:
    """Play Go against a network, or let it play.

    neocog play model.neocog                    # in the terminal; you have Black
    neocog play model.neocog --color white --handicap 4
    neocog play model.neocog --mode gtp         # for a graphical board such as Sabaki or GoGui
    neocog play model.neocog --against random --games 100
    neocog play model.neocog --against "gnugo --mode gtp --level 1" -o games/

    The network plays the move that it finds most probable, without reading ahead.
    It passes if it finds that most probable, if the opponent has passed and the
    board is won, or if only own eyes are left to fill. In Python: neocog.play.

    Parameters
    ----------
    bundle
        A model.neocog file that was trained on games of Go.
    mode
        terminal, or gtp: a program that speaks the Go Text Protocol on standard input and output.
    against
        Play a match instead: against random, another model.neocog file, or a command that speaks the Go Text Protocol.
    games
        Number of games of the match [20]. Colours alternate.
    opening
        Random moves at the start of each game of a match, the same for both colours [2].
    output
        Of a match, the folder for the games as SGF; in the terminal, the file for the game.
    color
        Your colour in the terminal [black].
    handicap
        Black's stones on the board at the start of a game in the terminal.
    komi
        Points that White gets [6.5, or 0.5 with a handicap].
    top
        Number of the network's best moves to show in the terminal [3].
    resign
        Resign if fewer than this share of random playouts are won at three turns in a row; by default never.
    temperature
        0 plays the best move; above it, moves are drawn in proportion to p^(1/T).
    seed
        Of everything that is random.
    """
    check_options(mode, against, {
        "--games": (games, "match"), "--opening": (opening, "match"), "--color": (color, "terminal"),
        "--handicap": (handicap, "terminal"), "--top": (top, "terminal"), "-o": (output, "match or terminal"),
    })  # fmt: skip
    player = NetworkPlayer(load(bundle), name=name_of(bundle), resign=resign, temperature=temperature, seed=seed)
    points = KOMI if komi is None else komi
    if mode == "gtp":
        GTPEngine(player, komi=points).run(sys.stdin, write_answer)
    elif against is not None:
        opponent = open_opponent(against, player, temperature, resign, seed)
        try:
            match = play_match(
                player, opponent, size=player.size, games=GAMES if games is None else games, komi=points,
                opening=OPENING if opening is None else opening, seed=seed, folder=output,
                tell=tell_game,
            )  # fmt: skip
        finally:
            opponent.close()
        show_match(match)
    else:
        game = GoGame(player.size, 0.5 if handicap and komi is None else points)
        place_handicap(game, handicap)
        play_in_terminal(
            player, game, human=COLOURS[color or "black"], top=TOP if top is None else top, save=output,
            ask=ask_line, say=write_out,
        )  # fmt: skip
    return 0


def tell_game(number: int, game: GameResult) -> None:
    """A line for each game of a match."""
    players = f"{game.black} (Black), {game.white} (White)"
    note(f"{number}: {players}: {game.text}, {game.num_moves} moves, {game.reason}")


def check_options(mode: str | None, against: str | None, options: dict[str, tuple[object, str]]) -> None:
    """Raises ConfigError for options that would be ignored."""
    if mode is not None and against is not None:
        raise ConfigError("A match has no mode.", received="--mode and --against", fix="Leave one out.", kind="ignored")
    kind = "match" if against is not None else mode or "terminal"
    for name, (value, kinds) in options.items():
        if value is not None and kind not in kinds.split(" or "):
            where = {"match": "in a match", "gtp": "with --mode gtp", "terminal": "in the terminal"}[kind]
            raise ConfigError(
                f"An option must have an effect. {name} would be ignored {where}.", fix="Leave it out.", kind="ignored"
            )


def name_of(bundle: Path) -> str:
    """The name of a player: that of its run, if the file has the usual name."""
    return bundle.resolve().parent.name if bundle.name == "model.neocog" else bundle.stem


def open_opponent(against: str, player: NetworkPlayer, temperature: float, resign: float | None, seed: int) -> Player:
    """The other player of a match. Raises ConfigError if there is none of this name, or if it knows another board."""
    if against == "random":
        return RandomPlayer(seed)
    if not Path(against).is_file() and not against.endswith(".neocog"):
        return GTPPlayer(against)
    try:
        predictor = load(Path(against))
    except BundleError:
        if against.endswith(".neocog"):
            raise
        return GTPPlayer(against)  # a program, by its path
    other = NetworkPlayer(predictor, name=name_of(Path(against)), resign=resign, temperature=temperature, seed=seed + 1)
    if other.size != player.size:
        raise ConfigError(
            "Both networks of a match must know the same board.",
            received=f"{player.size}x{player.size} and {other.size}x{other.size}", where=against,
        )  # fmt: skip
    return other


def place_handicap(game: GoGame, count: int | None) -> None:
    """Raises ConfigError for a number of stones that this board has no points for."""
    if not count:
        return
    points = fixed_handicap(count, game.size)
    if points is None:
        most = max((n for n in range(2, 10) if fixed_handicap(n, game.size)), default=0)
        raise ConfigError(
            f"A {game.size}x{game.size} board has points for 2 to {most} stones of handicap." if most else
            f"A {game.size}x{game.size} board has no points for a handicap.",
            received=f"--handicap {count}",
        )  # fmt: skip
    game.set_up(points)


def ask_line(prompt: str) -> str:
    """A line of standard input; a person sees the prompt."""
    if sys.stdin.isatty():
        return input(prompt)
    line = sys.stdin.readline()
    if not line:
        raise EOFError
    return line


def write_answer(text: str) -> None:
    """An answer of the protocol, at once; its empty line is part of it."""
    write_out(text.removesuffix("\n"))


def show_match(match: MatchResult) -> None:
    """Wins of the first player, in all and with each colour, with their intervals."""
    rows = [(f"{match.player} against {match.opponent}", "games", "wins", "share", "95% interval (Wilson)")]
    for name, colour in (("all", None), ("as Black", BLACK), ("as White", WHITE)):
        won, played = match.won(colour)
        if played:
            share = wilson(won, played)
            rows.append((name, f"{played}", f"{won}", f"{share.value:.1%}", f"{share.low:.1%} to {share.high:.1%}"))
    write_out(table(rows, left=(0, 4)))
    if match.draws:
        write_out(f"draws: {match.draws}")
