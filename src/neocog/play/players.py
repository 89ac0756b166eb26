"""Players: a network, and a random one to compare it with."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from random import Random

import numpy as np
import torch
from numpy.typing import NDArray

from neocog.bundle import Predictor
from neocog.errors import ConfigError
from neocog.modalities.go.preprocess import BoardPreprocess
from neocog.modalities.go.rules import fills_eye
from neocog.modalities.go.symmetry import NUM_SYMMETRIES, move_planes, moved_points
from neocog.play.game import GoGame
from neocog.play.score import score_game, win_share
from neocog.rng import derive_seed

__all__ = ["Candidate", "NetworkPlayer", "Player", "RandomPlayer", "sensible_points"]

RESIGN_PLAYOUTS = 100
RESIGN_MOVES = 3  # own moves in a row that must look lost
RESIGN_FROM = 1 / 4  # of the board's points: moves before which nobody resigns


class Player(ABC):
    """Who chooses moves. A player that keeps a board of its own, such as a program, is told every move."""

    name: str

    def start(self, game: GoGame) -> None:
        """A game begins, or begins again, with the stones and moves that it has so far."""
        return

    def tell(self, colour: int, point: int) -> None:
        """A move was made by someone else."""
        return

    @abstractmethod
    def choose(self, game: GoGame, colour: int) -> int | None:
        """The point to play, `game.passing` to pass, None to resign."""

    def close(self) -> None:
        """The last game is over."""
        return


@dataclass(frozen=True, slots=True)
class Candidate:
    """A legal move, and the probability that the network gives it."""

    point: int
    probability: float


def sensible_points(game: GoGame, colour: int) -> list[int]:
    """The legal moves, in ascending order, that don't fill an own eye."""
    board = game.board
    return [
        point
        for point, stone in enumerate(board.stones)
        if not stone and board.is_legal(colour, point) and not fills_eye(board, colour, point)
    ]


class NetworkPlayer(Player):
    """The move that the network finds most probable.

    Its probabilities are means over the 8 symmetries of the board. It never plays an illegal move, fills an own eye, or
    brings back an earlier board (positional superko, which the rules of `GoGame` don't demand). It passes if

    - no other move is left, so that every game ends,
    - a pass is what the network finds most probable, or
    - the opponent has passed, and the board as it is wins by `score_game`.

    With `resign`, it resigns if at each of its last three turns it won a smaller share than that of 100 random playouts
    from its position; not before the board could be a quarter full. With a `temperature` T above 0, it draws
    moves with probabilities in proportion to p^(1/T).
    """

    def __init__(
        self,
        predictor: Predictor,
        *,
        name: str = "Neocog",
        resign: float | None = None,
        temperature: float = 0.0,
        seed: int = 0,
    ) -> None:
        """Raises ConfigError for a network that was not trained on games, and for settings out of range."""
        preprocess = predictor.preprocess
        if not isinstance(preprocess, BoardPreprocess):
            raise ConfigError(
                "Only a network that was trained on games of Go can play.",
                received=f"a network for {preprocess.modality} inputs", fix="Train one: neocog train GAMES.",
            )  # fmt: skip
        if resign is not None and not 0 < resign < 1:
            raise ConfigError(
                "The share of wins below which a player resigns is between 0 and 1.", received=f"{resign:g}"
            )
        if not 0 <= temperature < math.inf:
            raise ConfigError("A temperature is 0 or more.", received=f"{temperature:g}")
        self.predictor, self.preprocess, self.name = predictor, preprocess, name
        self.resign, self.temperature, self.seed = resign, temperature, seed
        self.num_games = 0
        self.num_lost_turns = 0
        """Turns in a row that looked lost."""

    @property
    def size(self) -> int:
        """Points on each side of the board that the network knows."""
        return self.preprocess.size

    def start(self, game: GoGame) -> None:
        self.num_games += 1
        self.num_lost_turns = 0

    def rate(self, game: GoGame, colour: int) -> NDArray[np.float64]:
        """The probability of each point and of a pass, legal or not, as the network sees it; (S * S + 1,).

        A network that was not made to pass gives a pass the probability 0.
        """
        planes = self.preprocess.decode(game.position(colour), "the game")
        moved = torch.stack([move_planes(planes, symmetry) for symmetry in range(NUM_SYMMETRIES)])
        probs = self.predictor.task.decode(self.predictor.logits(moved))
        back = probs.gather(1, moved_points(self.size)[:, : probs.shape[1]])
        rates = np.zeros(game.passing + 1)
        rates[: probs.shape[1]] = back.mean(dim=0).numpy()
        return rates

    def candidates(self, game: GoGame, colour: int) -> list[Candidate]:
        """The moves that it would make, the most probable first; a pass is always among them."""
        rates = self.rate(game, colour)
        points = [point for point in sensible_points(game, colour) if not game.repeats(colour, point)]
        found = [Candidate(point, float(rates[point])) for point in (*points, game.passing)]
        return sorted(found, key=lambda candidate: -candidate.probability)

    def choose(self, game: GoGame, colour: int) -> int | None:
        found = self.candidates(game, colour)
        if len(found) == 1 or self.wins_by_passing(game, colour):
            return game.passing
        if self.looks_lost(game, colour):
            return None
        if self.temperature == 0:
            return found[0].point
        weights = np.array([candidate.probability for candidate in found]) ** (1 / self.temperature)
        draw = Random(derive_seed(self.seed, "moves", self.num_games, len(game.moves)))
        return draw.choices(found, weights.tolist() if weights.sum() > 0 else None)[0].point

    def wins_by_passing(self, game: GoGame, colour: int) -> bool:
        """Whether the opponent has passed, and the game would end in a win."""
        return game.num_passes == 1 and score_game(game, seed=self.seed).winner == colour

    def looks_lost(self, game: GoGame, colour: int) -> bool:
        """Whether it is time to resign."""
        if self.resign is None or len(game.moves) < RESIGN_FROM * game.passing:
            return False
        share = win_share(game, colour, playouts=RESIGN_PLAYOUTS, seed=self.seed)
        self.num_lost_turns = self.num_lost_turns + 1 if share < self.resign else 0
        return self.num_lost_turns >= RESIGN_MOVES


class RandomPlayer(Player):
    """Any legal move that doesn't fill an own eye, each with the same probability; passes if there is none."""

    def __init__(self, seed: int = 0) -> None:
        self.name = "random"
        self.draw = Random(derive_seed(seed, "random player"))

    def choose(self, game: GoGame, colour: int) -> int | None:
        points = sensible_points(game, colour)
        return self.draw.choice(points) if points else game.passing
