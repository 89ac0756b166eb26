"""TensorBoard: events as curves."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from neocog.errors import ConfigError

__all__ = ["TensorBoardWriter", "import_writer"]


def import_writer() -> Any:
    """torch's SummaryWriter. Raises ConfigError if TensorBoard is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise ConfigError(
            f"monitor.tensorboard needs TensorBoard, which can't be imported: {error}.",
            fix='Install it: pip install "neocog[track]"',
        ) from error
    return SummaryWriter


class TensorBoardWriter:
    """Writes the numbers of events as curves over steps, and texts as texts.

    A number `lr` of the event `step` is the curve `step/lr`; numbers by stage, such as those of the event `norms` under
    `gradients`, are curves `gradients/stem`.
    Raises ConfigError if TensorBoard is not installed.
    """

    def __init__(self, folder: Path, step: int = 0) -> None:
        """`step` counts the updates made so far; whatever an earlier start wrote beyond them is discarded."""
        self.writer = import_writer()(str(folder), purge_step=step + 1 if step else None)

    def add(self, event: str, step: int, facts: Mapping[str, Any]) -> None:
        for name, value in facts.items():
            if isinstance(value, Mapping):
                self.add(name, step, value)
            elif isinstance(value, str):
                self.writer.add_text(f"{event}/{name}", value, step)
            elif isinstance(value, int | float):
                self.writer.add_scalar(f"{event}/{name}", value, step)

    def close(self) -> None:
        self.writer.close()
