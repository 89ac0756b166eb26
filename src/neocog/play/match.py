"""Games between two players, and how often one of them wins."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

from neocog.errors import ConfigError
from neocog.evaluation import Estimate, wilson
from neocog.files import write_whole
from neocog.modalities.go.rules import BLACK, EMPTY, WHITE, IllegalMoveError
from neocog.play.game import GoGame
from neocog.play.gtp import colour_name, vertex
from neocog.play.players import Player
from neocog.play.score import score_game
from neocog.progress import track
from neocog.rng import derive_seed

__all__ = ["GameResult", "MatchResult", "play_game", "play_match"]

LONGEST = 3  # moves for each point of the board, after which a game is counted as it is
REFEREE_PLAYOUTS = 400


@dataclass(frozen=True, slots=True)
class GameResult:
    """One finished game."""

    black: str
    white: str
    winner: int
    """BLACK, WHITE, or EMPTY for a draw."""
    text: str
    """As SGF writes it: B+3.5, W+R (resigned), B+F (forfeited), 0 (a draw)."""
    num_moves: int
    reason: str
    """How it ended, such as `both passed`."""
    sgf: str


@dataclass(frozen=True, slots=True)
class MatchResult:
    """All games of a match, in which the first player had Black in every second game."""

    player: str
    opponent: str
    games: tuple[GameResult, ...]

    def won(self, colour: int | None = None) -> tuple[int, int]:
        """Games that the first player won, and games it played, with a colour or with both."""
        own = [BLACK if k % 2 == 0 else WHITE for k in range(len(self.games))]
        chosen = [(game, mine) for game, mine in zip(self.games, own, strict=True) if colour in (None, mine)]
        return sum(game.winner == mine for game, mine in chosen), len(chosen)

    @property
    def draws(self) -> int:
        return sum(game.winner == EMPTY for game in self.games)

    @property
    def win_rate(self) -> Estimate:
        """The share of games won, draws not among them, with its interval."""
        return wilson(*self.won())


def play_game(black: Player, white: Player, game: GoGame, *, seed: int = 0) -> GameResult:
    """Continue a game to its end, by both players in turn.

    It ends when both pass, one resigns, one makes an illegal move, which loses, or after three moves for each point of
    the board, which rules without superko may need. It is counted by `score_game`, whatever the players think.
    """
    players = {BLACK: black, WHITE: white}
    for player in players.values():
        player.start(game)
    text, reason, winner = "", "both passed", EMPTY
    while not game.is_over and not text:
        if len(game.moves) >= LONGEST * game.passing:
            reason = "too many moves"
            break
        colour = game.to_move
        point = players[colour].choose(game, colour)
        if point is None:
            winner, text, reason = 3 - colour, f"{'WB'[colour - 1]}+R", f"{colour_name(colour)} resigned"
            break
        try:
            game.play(colour, point)
        except IllegalMoveError as error:
            winner, text = 3 - colour, f"{'WB'[colour - 1]}+F"
            reason = f"{colour_name(colour)} played {vertex(point, game.size)}: {error}"
            break
        players[3 - colour].tell(colour, point)
    if not text:
        score = score_game(game, playouts=REFEREE_PLAYOUTS, seed=seed)
        winner, text = score.winner, score.text
    sgf = game.to_sgf(black=black.name, white=white.name, result=text)
    return GameResult(black.name, white.name, winner, text, len(game.moves), reason, sgf)


def play_match(
    player: Player,
    opponent: Player,
    *,
    size: int,
    games: int = 20,
    komi: float = 6.5,
    opening: int = 2,
    seed: int = 0,
    folder: Path | None = None,
    tell: Callable[[int, GameResult], None] | None = None,
) -> MatchResult:
    """Games between two players, with colours in turn; the first player has Black in the first.

    Each two games begin with the same random moves, `opening` in number, off the edge, since most players would play
    the same game again and again. `folder` gets each game as an SGF file as soon as it is over, 0001.sgf and so on;
    `tell` is called with its number. Raises ConfigError for a folder that holds games already, and for less than one
    game.
    """
    if games < 1:
        raise ConfigError("A match has at least one game.", received=f"{games}")
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.glob("*.sgf")):
            raise ConfigError(
                "A match needs a folder without games.", received="SGF files", where=str(folder), fix="Choose another."
            )
    results = []
    for number in track(range(games), "playing"):
        game = GoGame(size, komi)
        open_randomly(game, opening, Random(derive_seed(seed, "opening", number // 2)))
        black, white = (player, opponent) if number % 2 == 0 else (opponent, player)
        result = play_game(black, white, game, seed=seed)
        results.append(result)
        if folder is not None:
            write_whole(folder / f"{number + 1:04}.sgf", result.sgf)
        if tell is not None:
            tell(number + 1, result)
    return MatchResult(player.name, opponent.name, tuple(results))


def open_randomly(game: GoGame, count: int, draw: Random) -> None:
    """Random first moves, Black and White in turn, none of them on the edge of the board."""
    inside = [point for point in range(game.passing) if len(game.board.near[point]) == 4]
    for _ in range(count):
        free = [point for point in inside if game.board.is_legal(game.to_move, point)]
        if free:
            game.play(game.to_move, draw.choice(free))
