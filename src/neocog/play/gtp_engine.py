"""Neocog as a program that speaks the Go Text Protocol, for graphical boards, servers and tournaments."""

import math
from collections.abc import Callable, Iterable
from pathlib import Path

from neocog import __version__
from neocog.errors import NeocogError
from neocog.modalities.go.rules import BLACK, EMPTY, IllegalMoveError
from neocog.play.board_text import board_text
from neocog.play.game import GoGame
from neocog.play.gtp import COLOURS, clean_line, fixed_handicap, parse_vertex, split_id, vertex
from neocog.play.players import NetworkPlayer
from neocog.play.score import dead_stones, score_game

__all__ = ["GTPEngine"]

SYNTAX = "syntax error"


class RefusedError(Exception):
    """A command that can't be carried out; the text is the answer."""


class GTPEngine:
    """Answers commands, one after the other.

    engine.answer("1 play black E5")   "=1" and an empty line
    engine.answer("2 play white E5")   "?2 illegal move" and an empty line
    """

    def __init__(self, player: NetworkPlayer, *, komi: float = 6.5) -> None:
        self.player = player
        self.game = GoGame(player.size, komi)
        self.done = False
        """Whether it was told to quit."""
        self.commands: dict[str, Callable[[list[str]], str]] = {
            "boardsize": self.boardsize,
            "clear_board": self.clear_board,
            "final_score": self.final_score,
            "final_status_list": self.final_status_list,
            "fixed_handicap": self.fixed_handicap,
            "genmove": self.genmove,
            "known_command": self.known_command,
            "komi": self.komi,
            "list_commands": lambda _: "\n".join(self.commands),
            "loadsgf": self.loadsgf,
            "name": lambda _: "Neocog",
            "place_free_handicap": self.fixed_handicap,
            "play": self.play,
            "protocol_version": lambda _: "2",
            "quit": self.quit,
            "reg_genmove": self.reg_genmove,
            "set_free_handicap": self.set_free_handicap,
            "showboard": self.showboard,
            "time_left": self.time_left,
            "time_settings": self.time_settings,
            "undo": self.undo,
            "version": lambda _: __version__,
        }
        self.player.start(self.game)

    def run(self, lines: Iterable[str], write: Callable[[str], None]) -> None:
        """Answer commands until there are no more, or one is to quit."""
        for line in lines:
            if answer := self.answer(line):
                write(answer)
            if self.done:
                return

    def answer(self, line: str) -> str:
        """The answer to a line, with the empty line after it; an empty text for a line without a command."""
        cleaned = clean_line(line)
        if not cleaned:
            return ""
        number, name, words = split_id(cleaned)
        try:
            if name not in self.commands:
                raise RefusedError("unknown command")
            text = self.commands[name](words)
        except RefusedError as error:
            return f"?{number} {error}\n\n"
        except NeocogError as error:
            return f"?{number} {' '.join(str(error).split())}\n\n"
        return f"={number} {text}".rstrip(" ") + "\n\n"

    # Administration

    def known_command(self, words: list[str]) -> str:
        return "true" if words and words[0] in self.commands else "false"

    def quit(self, _: list[str]) -> str:
        self.done = True
        return ""

    # Setting up

    def boardsize(self, words: list[str]) -> str:
        if whole(words, 0) != self.player.size:
            raise RefusedError("unacceptable size")
        return self.clear_board(words)

    def clear_board(self, _: list[str]) -> str:
        self.begin(GoGame(self.game.size, self.game.komi))
        return ""

    def begin(self, game: GoGame) -> None:
        """Another game takes the place of this one."""
        self.game = game
        self.player.start(game)

    def komi(self, words: list[str]) -> str:
        try:
            komi = float(words[0])
        except (IndexError, ValueError):
            raise RefusedError(SYNTAX) from None
        if not math.isfinite(komi):
            raise RefusedError(SYNTAX)
        self.game.komi = komi
        return ""

    def fixed_handicap(self, words: list[str]) -> str:
        count = whole(words, 0)
        self.check_empty()
        points = fixed_handicap(count, self.game.size)
        if points is None:
            raise RefusedError("invalid number of stones")
        self.game.set_up(points)
        return self.vertices(points)

    def set_free_handicap(self, words: list[str]) -> str:
        self.check_empty()
        points = [parse_vertex(word, self.game.size) for word in words]
        stones = [point for point in points if point is not None and point != self.game.passing]
        if len(stones) < 2 or len(set(stones)) != len(words) or len(stones) == self.game.passing:
            raise RefusedError("bad vertex list")
        self.game.set_up(stones)
        return ""

    def check_empty(self) -> None:
        if any(self.game.board.stones) or self.game.moves:
            raise RefusedError("board not empty")

    def loadsgf(self, words: list[str]) -> str:
        if not words:
            raise RefusedError(SYNTAX)
        most = whole(words, 1) - 1 if len(words) > 1 else None  # the position before that move
        try:
            game = GoGame.load(Path(words[0]), most)
        except NeocogError:
            raise RefusedError("cannot load file") from None
        if game.size != self.player.size:
            raise RefusedError("cannot load file")
        game.komi = self.game.komi
        self.begin(game)
        return ""

    # Playing

    def play(self, words: list[str]) -> str:
        colour = self.colour(words)
        point = parse_vertex(words[1], self.game.size) if len(words) > 1 else None
        if point is None:
            raise RefusedError(SYNTAX)
        try:
            self.game.play(colour, point)
        except IllegalMoveError:
            raise RefusedError("illegal move") from None
        return ""

    def genmove(self, words: list[str]) -> str:
        colour = self.colour(words)
        point = self.player.choose(self.game, colour)
        if point is None:
            return "resign"
        self.game.play(colour, point)
        return vertex(point, self.game.size)

    def reg_genmove(self, words: list[str]) -> str:
        point = self.player.choose(self.game, self.colour(words))
        return "resign" if point is None else vertex(point, self.game.size)

    def undo(self, _: list[str]) -> str:
        try:
            self.game.undo()
        except ValueError:
            raise RefusedError("cannot undo") from None
        return ""

    def colour(self, words: list[str]) -> int:
        found = COLOURS.get(words[0].lower()) if words else None
        if found is None:
            raise RefusedError(SYNTAX)
        return found

    # Time: a move takes milliseconds, whatever is left.

    def time_settings(self, words: list[str]) -> str:
        for k in range(3):
            whole(words, k)
        return ""

    def time_left(self, words: list[str]) -> str:
        self.colour(words)
        for k in (1, 2):
            whole(words, k)
        return ""

    # Counting

    def final_score(self, _: list[str]) -> str:
        return score_game(self.game).text

    def final_status_list(self, words: list[str]) -> str:
        status = words[0] if words else ""
        if status not in ("alive", "dead", "seki"):
            raise RefusedError(SYNTAX)
        dead = dead_stones(self.game.board, self.game.to_move)
        stones = {point for point, stone in enumerate(self.game.board.stones) if stone != EMPTY}
        found = {"dead": dead, "alive": stones - dead, "seki": set[int]()}[status]  # playouts don't tell sekis
        chains: list[list[int]] = []
        while found:
            chain, _ = self.game.board.chain(min(found))
            chains.append(sorted(chain))
            found = found - chain
        return "\n".join(self.vertices(chain) for chain in chains)

    def showboard(self, _: list[str]) -> str:
        taken = [self.game.captures(colour) for colour in (BLACK, 3 - BLACK)]
        return f"\n{board_text(self.game)}\nBlack (X) has taken {taken[0]}, White (O) {taken[1]}"

    def vertices(self, points: Iterable[int]) -> str:
        return " ".join(vertex(point, self.game.size) for point in points)


def whole(words: list[str], place: int) -> int:
    """An argument that is a whole number from 0 on."""
    word = words[place] if place < len(words) else ""
    if not word.isascii() or not word.isdecimal():
        raise RefusedError(SYNTAX)
    return int(word)
