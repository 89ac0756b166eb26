"""Watching a run: how fast it goes, how large its gradients are, and what is wrong with it, with the reason."""

from neocog.training.watching.board import check_watch
from neocog.training.watching.config import WatchConfig
from neocog.training.watching.told import Log, told_before
from neocog.training.watching.watch import Watch

__all__ = ["Log", "Watch", "WatchConfig", "check_watch", "told_before"]
