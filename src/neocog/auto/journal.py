"""The journal of a search: all that it has measured and decided, in the order in which it did.

Each step of a search has a name. A search that resumes walks through the same steps, and reads from the journal what is
there already, so a decision that depended on the clock is made once.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from neocog.errors import CheckpointError
from neocog.files import write_whole
from neocog.training.distributed import World, broadcast_json

__all__ = ["Journal", "read_journal"]


class Journal:
    """The steps of a search by name, in a file that is replaced whole after each.

    >>> import tempfile
    >>> from neocog.training.distributed import SINGLE_PROCESS
    >>> folder = tempfile.TemporaryDirectory()
    >>> journal = Journal(Path(folder.name) / "journal.json", SINGLE_PROCESS)
    >>> journal.once("look", lambda: {"classes": 2}, seconds=lambda: 1.5)
    {'classes': 2}
    >>> again = Journal(Path(folder.name) / "journal.json", SINGLE_PROCESS)
    >>> again.once("look", lambda: {"classes": 3}, seconds=lambda: 9.0), again.seconds
    ({'classes': 2}, 1.5)
    >>> folder.cleanup()
    """

    def __init__(self, path: Path, world: World) -> None:
        """Read the journal, if there is one. Raises CheckpointError if it is damaged."""
        self.path, self.world = path, world
        found = read_journal(path) if world.first else None
        found = broadcast_json(found, world) or {"seconds": 0.0, "steps": {}}
        self.steps: dict[str, Any] = found["steps"]
        self.seconds: float = found["seconds"]
        """Of the run's time when the last step was written."""

    def once(self, name: str, work: Callable[[], Any], seconds: Callable[[], float]) -> Any:
        """The result of this step when it was first done, as JSON returns it; it is done now if it never was.

        All processes do it, and all get the first one's result. `seconds` tells the time of the run.
        """
        if name not in self.steps:
            found = broadcast_json(work(), self.world)
            self.steps[name] = json.loads(json.dumps(found))
            self.seconds = seconds()
            self.write()
        return self.steps[name]

    def write(self) -> None:
        """Replace the file, in the first process."""
        if self.world.first:
            content = {"seconds": self.seconds, "steps": self.steps}
            write_whole(self.path, json.dumps(content, indent=1, allow_nan=False))


def read_journal(path: Path) -> dict[str, Any] | None:
    """The content of a journal; None if there is none. Raises CheckpointError if it is damaged."""
    if not path.is_file():
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(found["steps"], dict) and isinstance(found["seconds"], float):
            return dict(found)
    except (ValueError, KeyError, TypeError):
        pass
    raise CheckpointError(
        f"The journal of the search is damaged: {path}.", fix="Remove the run folder, and train again."
    )
