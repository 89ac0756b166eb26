"""Image files below a folder, and images in a folder for each class, in folders for splits or without."""

from collections import Counter
from pathlib import Path

from neocog.dataset.class_files import ClassFolderSource, FileKind
from neocog.dataset.file_types import SUFFIXES
from neocog.dataset.files import class_folders, is_kind, list_files, walk
from neocog.modalities.image.npy import promises_image

__all__ = ["EXTENSIONS", "ImageFolder", "has_image", "holds_images", "is_image", "list_images", "open_image_folder"]

EXTENSIONS = SUFFIXES["image"]


class ImageFolder(ClassFolderSource):
    """Images at `train|val|test/CLASS/*.png` and so on; see `ClassFolderSource`."""

    format = "image-folder"
    kind = FileKind(EXTENSIONS, "images", "*.png")
    file_noun = "An image file"


def open_image_folder(path: Path, *, class_level: int | None = None, test_fold: str | int | None = None) -> ImageFolder:
    return ImageFolder(path, class_level=class_level, test_fold=test_fold)


def is_image(path: Path) -> bool:
    """Whether a file is named as an image."""
    return path.suffix.lower() in EXTENSIONS


def list_images(folder: Path, others: Counter[str] | None = None) -> list[Path]:
    """All images below a folder, sorted; other files are counted by suffix in `others`."""
    return list_files(folder, EXTENSIONS, others if others is not None else Counter())


def holds_images(root: Path) -> bool:
    """Whether a folder has folders in which, at any depth, there is an image."""
    return root.is_dir() and any(has_image(folder) for folder in class_folders(root))


def has_image(folder: Path) -> bool:
    """Whether there is an image at any depth; an .npy file is one if its header promises pixels, not a signal."""
    entries = (entry for entry in walk(folder, follow=False) if is_image(Path(entry.name)))
    paths = (Path(entry.path) for entry in entries if is_kind(entry.is_file))  # a pipe would never end
    return any(path.suffix.lower() != ".npy" or is_image_array(path) for path in paths)


def is_image_array(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return promises_image(file.read(4096))
    except OSError:
        return False
