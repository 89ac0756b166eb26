"""A game between a person and a network, line by line."""

from collections.abc import Callable
from pathlib import Path

from neocog.errors import NeocogError
from neocog.files import write_whole
from neocog.modalities.go.rules import BLACK, IllegalMoveError
from neocog.play.board_text import board_text
from neocog.play.game import GoGame
from neocog.play.gtp import colour_name, parse_vertex, vertex
from neocog.play.players import Candidate, NetworkPlayer
from neocog.play.score import score_game

__all__ = ["play_in_terminal"]

HELP = """E5          play there (a column's letter and a row's number)
pass        pass; the game is counted when both have passed
undo        take your last move back
hint        the moves that the network would make in your place
score       count the board as it is
save FILE   write the game as SGF
resign      give up
quit        leave"""

Say = Callable[[str], None]
Ask = Callable[[str], str]


class Table:
    """One game, and the commands of the person who plays."""

    def __init__(self, player: NetworkPlayer, game: GoGame, human: int, top: int, say: Say) -> None:
        self.player, self.game, self.human, self.top, self.say = player, game, human, top, say
        self.result = ""
        """As SGF writes it, when the game is over."""
        self.left = False
        """Whether the person has left before the end."""

    @property
    def done(self) -> bool:
        return bool(self.result) or self.left

    def answer(self) -> None:
        """The network's move."""
        found = self.player.candidates(self.game, 3 - self.human)
        point = self.player.choose(self.game, 3 - self.human)
        name = colour_name(3 - self.human)
        if point is None:
            self.end(f"{'BW'[self.human - 1]}+R", f"{name} resigns. You win.")
            return
        self.game.play(3 - self.human, point)
        what = "passes" if point == self.game.passing else f"plays {vertex(point, self.game.size)}"
        self.say(f"{name} {what}. {self.listed(found)}")
        if self.game.is_over:
            self.count()

    def listed(self, found: list[Candidate]) -> str:
        """The best moves with their probabilities."""
        best = [f"{vertex(one.point, self.game.size)} {one.probability:.0%}" for one in found[: self.top]]
        return f"Its best moves: {', '.join(best)}."

    def show(self, found: list[Candidate] | None = None) -> None:
        """The board; the best of some moves are marked by their rank."""
        marks = {one.point: str(rank) for rank, one in enumerate((found or [])[: min(self.top, 9)], 1)}
        self.say(board_text(self.game, marks))

    def take(self, line: str) -> None:
        """Carry out a line that the person has typed."""
        words = line.split()
        if not words:
            return
        name = words[0].lower()
        commands: dict[str, Callable[[], object]] = {
            "undo": self.undo, "hint": self.hint, "score": self.tell_score, "board": self.show, "resign": self.resign,
            "quit": self.leave, "help": self.help,
        }  # fmt: skip
        point = parse_vertex(name, self.game.size) if len(words) == 1 else None
        if name == "save" and len(words) == 2:
            self.save(Path(words[1]))
        elif len(words) == 1 and name in commands:
            commands[name]()
        elif point is None:
            self.say(f"Not a move or a command: {line.strip()[:40]}. Type help for a list.")
        else:
            self.play(point)

    def play(self, point: int) -> None:
        try:
            self.game.play(self.human, point)
        except IllegalMoveError as error:
            self.say(f"{vertex(point, self.game.size)} is illegal: {error}.")
            return
        if self.game.is_over:
            self.count()
        else:
            self.answer()
        if not self.done:
            self.show()

    def undo(self) -> None:
        own = [k for k, move in enumerate(self.game.moves) if move.colour == self.human]
        if not own:
            self.say("You have not moved yet.")
            return
        while len(self.game.moves) > own[-1]:
            self.game.undo()
        self.show()

    def help(self) -> None:
        self.say(HELP)

    def hint(self) -> None:
        found = self.player.candidates(self.game, self.human)
        self.show(found)
        self.say(self.listed(found).replace("Its best moves", "The network's choice for you"))

    def tell_score(self) -> str:
        """The count of the board as it is, which is also returned."""
        score = score_game(self.game)
        dead = ", ".join(vertex(point, self.game.size) for point in sorted(score.dead))
        white = f"White {score.white} + {score.komi:g} komi"
        self.say(f"Black {score.black}, {white}: {score.text}.{f' Counted as dead: {dead}.' if dead else ''}")
        return score.text

    def count(self) -> None:
        """Both have passed."""
        self.show()
        self.result = self.tell_score()
        won = self.result[0] == "BW"[self.human - 1]
        self.say("A draw." if self.result == "0" else "You win." if won else "You lose.")

    def resign(self) -> None:
        self.end(f"{'WB'[self.human - 1]}+R", "You resign.")

    def leave(self) -> None:
        self.left = True

    def end(self, result: str, sentence: str) -> None:
        self.result = result
        self.say(sentence)

    def save(self, path: Path) -> None:
        """Write the game; an error is only told, since the game is not over."""
        players = ("You", self.player.name) if self.human == BLACK else (self.player.name, "You")
        try:
            write_whole(path, self.game.to_sgf(black=players[0], white=players[1], result=self.result))
            self.say(f"Saved as {path}.")
        except NeocogError as error:
            self.say(str(error))


def play_in_terminal(
    player: NetworkPlayer,
    game: GoGame,
    *,
    human: int = BLACK,
    top: int = 3,
    save: Path | None = None,
    ask: Ask = input,
    say: Say,
) -> str:
    """A person's game with a network; its result as SGF writes it, or an empty text if it was not played to its end.

    `ask` shows a prompt and returns a line; at the end of the input, by EOFError, the person leaves. `save` is written
    at the end, whatever the end is; KeyboardInterrupt is raised again after that.
    """
    table = Table(player, game, human, top, say)
    player.start(game)
    say(f"You are {colour_name(human)} ({'XO'[human - 1]}). Type help for a list of commands.")
    try:
        if game.to_move != human:
            table.answer()
        table.show()
        while not table.done:
            try:
                table.take(ask(f"{colour_name(human).lower()}> "))
            except EOFError:
                say("")
                table.leave()
    finally:
        if save is not None:
            table.save(save)
    return table.result
