"""Playing Go with a trained network: in a terminal, as a GTP engine, and in matches against other players.

    bundle = neocog.load("model.neocog")
    player = NetworkPlayer(bundle)
    game = GoGame(player.size, komi=6.5)
    game.play(BLACK, player.choose(game, BLACK))

`play_match` plays any two players against each other, `GTPPlayer` is a program that speaks the Go Text Protocol, and
`GTPEngine` is Neocog as such a program.
"""

from neocog.modalities.go.rules import BLACK, WHITE
from neocog.play.board_text import board_text
from neocog.play.game import GoGame, Move
from neocog.play.gtp_engine import GTPEngine
from neocog.play.gtp_player import GTPPlayer
from neocog.play.match import GameResult, MatchResult, play_game, play_match
from neocog.play.players import Candidate, NetworkPlayer, Player, RandomPlayer
from neocog.play.score import Score, dead_stones, score_board, score_game
from neocog.play.terminal import play_in_terminal

__all__ = [
    "BLACK",
    "WHITE",
    "Candidate",
    "GTPEngine",
    "GTPPlayer",
    "GameResult",
    "GoGame",
    "MatchResult",
    "Move",
    "NetworkPlayer",
    "Player",
    "RandomPlayer",
    "Score",
    "board_text",
    "dead_stones",
    "play_game",
    "play_in_terminal",
    "play_match",
    "score_board",
    "score_game",
]
