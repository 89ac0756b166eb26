"""The user's cache: the one rule on where files are kept that can be made or fetched again."""

import os
from pathlib import Path

__all__ = ["cache_dir", "cached_path"]


def cache_dir(*parts: str) -> Path:
    """NEOCOG_CACHE, else neocog in XDG_CACHE_HOME, else ~/.cache/neocog; and within it `parts`. It may be deleted."""
    if own := os.environ.get("NEOCOG_CACHE"):
        return Path(own).joinpath(*parts)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache").joinpath("neocog", *parts)


def cached_path(*parts: str) -> Path:
    """A path in `cache_dir`; or in ~/.cache/neocog, if it exists only there, where downloads were kept at first."""
    path, usual = cache_dir(*parts), (Path.home() / ".cache" / "neocog").joinpath(*parts)
    return usual if not path.exists() and usual.exists() else path
