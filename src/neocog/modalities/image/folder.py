"""Image files below a folder, at any depth."""

from collections import Counter
from pathlib import Path

from neocog.dataset.folders import class_folders, is_kind, list_files, walk
from neocog.errors import DataError
from neocog.modalities.image.npy import promises_picture

__all__ = ["EXTENSIONS", "holds_pictures", "list_pictures", "read_picture"]

EXTENSIONS = frozenset({".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".webp", ".tif", ".tiff", ".npy"})
MAX_BYTES = 2**30


def holds_pictures(root: Path) -> bool:
    """Whether a folder has folders in which, at any depth, there is a picture."""
    return root.is_dir() and any(has_picture(folder) for folder in class_folders(root))


def has_picture(folder: Path) -> bool:
    entries = (entry for entry in walk(folder, follow=False) if is_picture(Path(entry.name)))
    paths = (Path(entry.path) for entry in entries if is_kind(entry.is_file))  # a pipe would never end
    return any(path.suffix.lower() != ".npy" or is_picture_array(path) for path in paths)


def is_picture_array(path: Path) -> bool:
    """Whether an .npy file's header promises pixels, not a signal."""
    try:
        with path.open("rb") as file:
            return promises_picture(file.read(4096))
    except OSError:
        return False


def list_pictures(folder: Path, strangers: Counter[str] | None = None) -> list[Path]:
    """All pictures below a folder, sorted; what else there is is counted by extension in `strangers`."""
    return list_files(folder, EXTENSIONS, strangers if strangers is not None else Counter())


def read_picture(path: Path) -> bytes:
    """A picture's file. Raises DataError where it can't be read, or is larger than any picture."""
    try:
        size = path.stat().st_size
        if size <= MAX_BYTES:
            return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} can't be read: {error.strerror}.") from error
    raise DataError(f"A picture's file may have at most {MAX_BYTES:,} bytes. {path} has {size:,}. Shrink it.")


def is_picture(path: Path) -> bool:
    return path.suffix.lower() in EXTENSIONS
