"""Monitoring a run: how fast it goes, how large its gradients are, and what is wrong with it, with the reason."""

from neocog.training.monitoring.diagnostics import still_improving
from neocog.training.monitoring.monitor import NO_MONITOR, Monitor, MonitorConfig, check_monitor, null_log
from neocog.training.monitoring.warn_once import Log, read_events, read_warnings

__all__ = [
    "NO_MONITOR",
    "Log",
    "Monitor",
    "MonitorConfig",
    "check_monitor",
    "null_log",
    "read_events",
    "read_warnings",
    "still_improving",
]
