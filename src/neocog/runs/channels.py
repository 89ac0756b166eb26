"""The channels of a data set in the order that a trained network expects."""

from neocog.bundle.signal_file import by_place
from neocog.data import Preprocess, SignalPreprocess, Source
from neocog.modalities.signal.channel_names import order_channels
from neocog.modalities.signal.signal_columns import hint
from neocog.modalities.signal.source import SignalSource
from neocog.progress import note
from neocog.shards.source import ShardSource

__all__ = ["match_channels"]


def match_channels(source: Source, preprocess: Preprocess) -> Source:
    """The source with its channels in the order of the network: by name, or by position, with a note, without names.

    Raises DataError for other names.
    """
    if not isinstance(preprocess, SignalPreprocess):
        return source
    names: tuple[str, ...] = getattr(source, "channel_names", ())
    for notice in by_place(names, preprocess):
        note(f"  {notice}")
    if not isinstance(source, SignalSource | ShardSource) or not names or not preprocess.names:
        return source
    foreign = [name for name in getattr(source, "unused", ()) if hint(name) is None]
    found = [*names, *foreign]
    ordered, notices = order_channels(preprocess.names, found, source.name, "The network", unused=preprocess.unused)
    for notice in notices:
        note(f"  {notice}")
    return source.with_channels(ordered)
