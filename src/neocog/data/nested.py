"""Find the folder in which a data set starts: archives often unpack into a folder of their own name."""

import os
from pathlib import Path

from neocog.dataset.class_folders import fold_folders, split_folders
from neocog.dataset.files import class_folders, hidden, is_kind, leads_back
from neocog.errors import DataError

__all__ = ["innermost", "names_split"]

DEPTH = 3
DOCUMENTS = frozenset({".md", ".rst", ".pdf", ".html", ".htm", ".bib", ".url", ".docx", ".rtf", ".sha256", ".md5"})
DOCUMENT_NAMES = ("readme", "license", "licence", "copying", "citation", "notice", "changelog", "checksums", "md5sums")
ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".rar", ".7z")


def innermost(path: Path) -> Path:
    """The folder below a path up to which each folder holds one other and nothing else that is data.

    A folder that holds a split is the last. It is the path itself if there are more than `DEPTH` on the way.
    """
    place = path
    for _ in range(DEPTH + 1):
        inner = only_folder(place)
        if inner is None or names_split(place):
            return place
        place = inner
    return path


def only_folder(folder: Path) -> Path | None:
    """The only folder in a folder, if there is no file beside it but documents, or the archive that it came in."""
    found: Path | None = None
    archives = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:  # left at the first that decides: there may be very many
                if hidden(entry.name) or is_document(entry.name):
                    continue
                if is_kind(entry.is_dir):
                    if found is not None or leads_back(Path(entry.path)):
                        return None
                    found = Path(entry.path)
                elif entry.name.lower().endswith(ARCHIVES):
                    archives.append(entry.name)
                else:
                    return None
    except OSError:
        return None
    return found if found and all(name.startswith(f"{found.name}.") for name in archives) else None


def is_document(name: str) -> bool:
    """Whether a file tells people about the data.

    >>> is_document("README.txt"), is_document("classes.txt")
    (True, False)
    """
    lower = name.lower()
    return lower.startswith(DOCUMENT_NAMES) or Path(lower).suffix in DOCUMENTS


def names_split(folder: Path) -> bool:
    """Whether folders in a folder are splits, or folds."""
    folders = class_folders(folder)
    try:
        return bool(split_folders(folder, folders) or fold_folders(folders))
    except DataError:
        return True
