"""The files that `neocog predict` writes for its inputs, one each."""

from collections.abc import Sequence
from pathlib import Path

from neocog.cli.flags import FileInput as Input
from neocog.errors import ConfigError

__all__ = ["Input", "target_files"]


def target_files(
    folder: Path, named: Sequence[tuple[str, Input]], folders: Sequence[Path], suffix: str
) -> dict[str, Path]:
    """Where the file for each input goes, by the input's name; inputs below `folders` keep their place within.

    Raises ConfigError if two inputs would have the same file, or a file is one of the inputs.

    >>> files = [("scans/a/1.jpg", Path("scans/a/1.jpg")), ("standard input", b""), ("b.tif@2", "a slice")]
    >>> [path.as_posix() for path in target_files(Path("masks"), files, [Path("scans")], ".png").values()]
    ['masks/a/1.png', 'masks/standard-input.png', 'masks/b/0002.png']
    """
    found: dict[str, Path] = {}
    taken: dict[Path, str] = {}
    inputs = {one.resolve() for _, one in named if isinstance(one, Path)}
    for name, one in named:
        path = (folder / place_of(name, one, folders)).with_suffix(suffix)
        if path in taken:
            raise ConfigError(
                "Each input needs a file of its own.", received=f"{taken[path]} and {name}", where=str(path),
                fix="Predict them one after the other, into two folders.",
            )  # fmt: skip
        if path.resolve() in inputs:
            raise ConfigError("An input is never replaced.", received=f"{path} as both", fix="Name another folder.")
        taken[path], found[name] = name, path
    return found


def place_of(name: str, one: Input, folders: Sequence[Path]) -> Path:
    """The path of an input's file within its folder, as a PNG file."""
    if isinstance(one, bytes):
        return Path("standard-input.png")
    number = ""
    if not isinstance(one, Path):
        name, _, number = name.rpartition("@")
    path = Path(name)
    within = next((path.relative_to(folder) for folder in folders if path.is_relative_to(folder)), Path(path.name))
    return within.with_suffix("") / f"{int(number):04}.png" if number else within.with_suffix(".png")
