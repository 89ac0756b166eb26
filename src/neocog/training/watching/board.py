"""TensorBoard: events as curves."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from neocog.errors import ConfigError
from neocog.training.watching.config import WatchConfig

__all__ = ["Board", "check_watch"]


def writer_class() -> Any:
    """torch's SummaryWriter. Raises ConfigError where TensorBoard is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise ConfigError(
            f"monitor.tensorboard needs TensorBoard, which can't be imported: {error}. "
            'Install it: pip install "neocog[track]"'
        ) from error
    return SummaryWriter


def check_watch(config: WatchConfig) -> None:
    """Raises ConfigError where the settings ask for what is not installed; before a run leaves anything behind."""
    if config.tensorboard:
        writer_class()


class Board:
    """Writes the numbers of events as curves over steps, and texts as texts.

    A number `lr` of the event `step` is the curve `step/lr`; numbers by stage, such as those of the event `norms` below
    `gradients`, are curves `gradients/stem`.
    Raises ConfigError where TensorBoard is not installed.
    """

    def __init__(self, folder: Path, step: int = 0) -> None:
        """`step` counts the updates made so far: what an earlier start wrote beyond them no longer holds."""
        self.writer = writer_class()(str(folder), purge_step=step + 1 if step else None)

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
