"""A program that speaks the Go Text Protocol as a player, such as GNU Go."""

import queue
import shlex
import shutil
import subprocess
import threading
from collections.abc import Sequence
from contextlib import suppress
from tempfile import TemporaryFile

from neocog.errors import ConfigError, PlayError
from neocog.modalities.go.game import KIND
from neocog.modalities.go.rules import BLACK
from neocog.play.game import GoGame
from neocog.play.gtp import parse_vertex, vertex
from neocog.play.players import Player

__all__ = ["GTPPlayer"]

PATIENCE = 300.0  # seconds for an answer
GRACE = 5.0  # seconds to quit
SHOWN = 300  # characters of what a program wrote to standard error


class GTPPlayer(Player):
    """Starts a program and asks it for moves, until `close` ends it.

    `command` is a command line, which no shell interprets. Raises ConfigError if there is no such program.
    """

    def __init__(self, command: str | Sequence[str], *, patience: float = PATIENCE) -> None:
        try:
            words = shlex.split(command) if isinstance(command, str) else list(command)
        except ValueError as error:
            raise ConfigError("A command line must have matching quotes.", received=repr(command)) from error
        if not words or shutil.which(words[0]) is None:
            raise ConfigError(
                "An opponent is random, a model.neocog file, or a program that is installed.",
                received=repr(words[0] if words else ""), fix='Such as "gnugo --mode gtp --level 1".',
            )  # fmt: skip
        self.command, self.patience, self.size = shlex.join(words), patience, 0
        self.errors = TemporaryFile()  # noqa: SIM115  # closed by `close`
        self.process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, text=True, bufsize=1,
            encoding="utf-8", errors="replace",
        )  # fmt: skip
        self.lines: queue.Queue[str | None] = queue.Queue()
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()
        try:
            self.name = f"{self.ask('name')} {self.ask('version')}".strip()
        except PlayError:
            self.close()
            raise

    def read(self) -> None:
        """Move the program's lines to the queue, and None at their end."""
        assert self.process.stdout is not None
        with self.process.stdout as answers:
            for line in answers:
                self.lines.put(line.rstrip("\r\n"))
        self.lines.put(None)

    def ask(self, command: str) -> str:
        """The answer to a command. Raises PlayError if it fails, if there is none in time, or if the program ended."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(command + "\n")
            self.process.stdin.flush()
        except (OSError, ValueError) as error:
            raise self.failed(command, "nothing: it has ended") from error
        answer: list[str] = []
        while True:
            try:
                line = self.lines.get(timeout=self.patience)
            except queue.Empty:
                raise self.failed(command, f"no answer within {self.patience:g} seconds") from None
            if line is None:
                raise self.failed(command, "nothing: it has ended")
            if line.strip():
                answer.append(line)
            elif answer:
                break
        text = "\n".join(answer)
        if not text.startswith("="):
            raise self.failed(command, text[:SHOWN])
        return text[1:].strip()

    def failed(self, command: str, received: str) -> PlayError:
        self.errors.seek(0)
        said = self.errors.read()[-SHOWN:].decode(errors="replace").strip()
        fix = f"It said: {said}" if said else ""
        return PlayError(f"The program must answer {command!r}.", received=received, where=self.command, fix=fix)

    def start(self, game: GoGame) -> None:
        self.size = game.size
        self.ask(f"boardsize {game.size}")
        self.ask("clear_board")
        self.ask(f"komi {game.komi:g}")
        stones = [step % KIND for step in game.setup if step // KIND == BLACK]
        if stones:
            self.ask("set_free_handicap " + " ".join(vertex(point, game.size) for point in stones))
        for move in game.moves:
            self.tell(move.colour, move.point)

    def tell(self, colour: int, point: int) -> None:
        self.ask(f"play {'bw'[colour - 1]} {vertex(point, self.size)}")

    def choose(self, game: GoGame, colour: int) -> int | None:
        command = f"genmove {'bw'[colour - 1]}"
        answer = self.ask(command)
        if answer.lower() == "resign":
            return None
        point = parse_vertex(answer, game.size)
        if point is None:
            raise self.failed(command, repr(answer))
        return point

    def close(self) -> None:
        """End the program, by force if it does not quit."""
        assert self.process.stdin is not None
        with suppress(OSError, ValueError):  # a program that has ended reads nothing
            self.process.stdin.write("quit\n")
        with suppress(OSError):
            self.process.stdin.close()
        try:
            self.process.wait(GRACE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.reader.join()
        self.errors.close()
