"""From a path or a name to a source: which of the known layouts is it?"""

from pathlib import Path

from neocog.data.formats import FORMATS, Format, recognise
from neocog.data.known import find_data
from neocog.data.record import Modality, Source
from neocog.data.shards import is_address
from neocog.data.sources.python_objects import as_source
from neocog.errors import ConfigError, DataError, did_you_mean

__all__ = ["open_source", "recognised"]


def open_source(data: object, *, format: str | None = None, download: bool = False, **options: object) -> Source:
    """Open a data set by path, by name, or from Python: arrays, tensors, Hugging Face's or torch's data sets.

    The layout is recognised; `format` names it where a path can be read in two ways (`FORMATS` lists the names). With
    `download`, a known set that is nowhere on this machine is fetched from its official address.
    `options` are settings that only some layouts need: window, step and rate, for recordings that are cut; columns, the
    names of those that are channels.
    Shards may lie elsewhere: an address such as s3://bucket/folder is opened through fsspec.
    Raises DataError where nothing is there, nothing that is understood, or what can be read in two ways.

    >>> source = open_source("mnist")
    >>> len(source), source.format, source.read(0).payload.shape
    (70000, 'idx', (28, 28))
    """
    if not isinstance(data, str | Path):
        return as_source(data)
    layout, path = find_format(data, format=format, download=download)
    given = {name: value for name, value in options.items() if value is not None and name in layout.options}
    if options.get("columns") and layout.modality == "signal" and "columns" not in layout.options:
        raise ConfigError(
            f"signal.columns names the columns of tables. Received: {options['columns']}, and {data} is read as "
            f"{layout.what}, which have none. Leave it out."
        )
    try:
        source = layout.opens(path, **given)
    except OSError as error:  # a file where the layout has a folder, or what may not be read
        raise DataError(
            f"{error.filename or path} can't be read as {layout.what}: {error.strerror or error}. Check the path and "
            "the layout."
        ) from error
    source.format = layout.name
    return source


def find_format(data: str | Path, *, format: str | None = None, download: bool = False) -> tuple[Format, Path | str]:
    """The layout of a data set, and where it lies: a path, or an address."""
    layouts = {layout.name: layout for layout in FORMATS}
    if format is not None and format not in layouts:
        raise DataError(f"No layout is called {format!r}. {did_you_mean(format, layouts)}")
    if is_address(data):
        if format not in (None, "shards"):
            raise DataError(f"At an address there are shards. Received: the layout {format!r}, for {data}. Remove it.")
        return layouts["shards"], str(data)
    path = find_data(data, download=download)
    found = [layouts[format]] if format else recognise(path)
    if len(found) > 1:
        ways = "\n".join(f"  as {layout.what}: --data.format {layout.name}" for layout in found)
        raise DataError(f"{path} can be read in {len(found)} ways. Say which is meant, or move the one away:\n{ways}")
    if not found:
        raise not_understood(path)
    return found[0], path


def recognised(data: str | Path, *, format: str | None = None) -> Modality:
    """What kind of data lies there, by its layout alone. Raises DataError as `open_source` does."""
    layout, _ = find_format(data, format=format)
    return layout.modality or open_source(data, format=format).modality


def not_understood(path: Path) -> DataError:
    if path.is_dir() and not any(path.iterdir()):
        return DataError(
            f"{path} is empty. Put pictures at {path}/train/CLASS/*.png or {path}/CLASS/*.png, or one of the other "
            "layouts that docs/data.md shows."
        )
    inside = sorted(entry.name for entry in path.iterdir())[:5] if path.is_dir() else []
    return DataError(
        f"No known layout of a data set is recognised at {path}"
        + (f", which holds {', '.join(inside)}{' ...' if len(inside) == 5 else ''}. " if inside else ". ")
        + "Put pictures at FOLDER/CLASS/*.png, or use one of the other layouts that docs/data.md shows: "
        + ", ".join(layout.name for layout in FORMATS)
        + "."
    )
