"""Sizes as people write them: 256MB, 1GiB."""

import re

from neocog.errors import ConfigError

__all__ = ["parse_size", "show_size"]

UNITS = {
    "": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12,
    "kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40,
}  # fmt: skip
SIZE = re.compile(r"(\d{1,12}(?:\.\d{1,6})?)\s*([a-z]*)")
LEAST, MOST = 10**3, 10**12


def parse_size(text: str) -> int:
    """A size in bytes. Raises ConfigError for what is none, and below 1 kB or above 1 TB.

    >>> parse_size("256MB"), parse_size("1GiB"), parse_size("1.5 kb"), parse_size("4096")
    (256000000, 1073741824, 1500, 4096)
    """
    match = SIZE.fullmatch(text.strip().lower())
    if match is None or match[2] not in UNITS:
        raise ConfigError(
            f"A size is a number and a unit: 256MB (a million bytes each) or 1GiB (2^30 bytes). Received: {text!r}. "
            "Units are kB, MB, GB, TB, KiB, MiB, GiB, TiB."
        )
    size = int(float(match[1]) * UNITS[match[2]])
    if not LEAST <= size <= MOST:
        raise ConfigError(
            f"A shard has 1kB to 1TB. Received: {text!r}, which is {size:,} bytes. 256MB suits most disks."
        )
    return size


def show_size(size: int) -> str:
    """
    >>> show_size(1_234_567), show_size(999)
    ('1.2 MB', '999 B')
    """
    for unit, name in ((10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if size >= unit:
            return f"{size / unit:.1f} {name}"
    return f"{size} B"
