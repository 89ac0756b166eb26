"""Public data sets by name: where to look on this machine, and where they are published.

Nothing is fetched unless the user asks for it.
"""

import os
import tarfile
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath

from neocog.errors import DataError, did_you_mean
from neocog.files import Remote, cache_dir, fetch, storage_errors, whole_file

__all__ = ["KNOWN", "Known", "data_folders", "download_set", "find_data", "unpack"]

CHUNK = 2**16
CIFAR = "https://www.cs.toronto.edu/~kriz/cifar"


@dataclass(frozen=True, slots=True)
class Known:
    """A published set: its files, and the names of its classes if its files do not carry them."""

    files: tuple[Remote, ...]
    classes: tuple[str, ...] | None = None


def idx_files(address: str, **hashes: str) -> tuple[Remote, ...]:
    names = {
        "train_images": "train-images-idx3-ubyte.gz",
        "train_labels": "train-labels-idx1-ubyte.gz",
        "test_images": "t10k-images-idx3-ubyte.gz",
        "test_labels": "t10k-labels-idx1-ubyte.gz",
    }
    return tuple(Remote(f"{address}/{name}", hashes[key]) for key, name in names.items())


KNOWN = {
    "mnist": Known(
        idx_files(
            # The mirror that the original page's successors name; the original refuses most programs.
            "https://ossci-datasets.s3.amazonaws.com/mnist",
            train_images="440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            train_labels="3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            test_images="8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            test_labels="f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        ),
    ),
    "fashion_mnist": Known(
        idx_files(
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
            train_images="3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            train_labels="a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            test_images="346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            test_labels="67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
        ),
        classes=(
            "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
        ),
    ),
    "cifar10": Known((
        Remote(f"{CIFAR}-10-binary.tar.gz", "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"),
    )),
    "cifar100": Known((
        Remote(f"{CIFAR}-100-binary.tar.gz", "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec"),
    )),
}  # fmt: skip


def data_folders() -> list[Path]:
    """The places to look up a name, in this order: NEOCOG_DATA, the repository's `datasets/`, the user's caches."""
    folders = [Path(os.environ["NEOCOG_DATA"])] if os.environ.get("NEOCOG_DATA") else []
    repository = Path(__file__).resolve().parents[3]
    if (repository / "pyproject.toml").is_file():
        folders.append(repository / "datasets")
    usual = Path.home() / ".cache" / "neocog" / "datasets"  # where sets were put before other caches were honoured
    return list(dict.fromkeys([*folders, cache_dir("datasets"), usual]))


def find_data(data: str | Path, *, download: bool = False) -> Path:
    """The folder or file that a path or a name means. Raises DataError that says where to put a set of this name."""
    path, name = Path(data), str(data)
    if name and path.exists():
        return path
    if len(path.parts) > 1 or path.suffix or not name:
        raise DataError(f"There is no {name or 'empty path'!r}. Looked in {Path.cwd()}.", fix="Check the path.")
    for folder in data_folders():
        if (folder / name).exists():
            return folder / name
    places = ", ".join(str(folder / name) for folder in data_folders())
    if name not in KNOWN:
        rule = f"No data set {name!r} is on this machine: neither a path here nor {places}."
        raise DataError(rule, fix=did_you_mean(name, KNOWN))
    target = Path(os.environ.get("NEOCOG_DATA") or cache_dir("datasets")) / name
    if download:
        return download_set(KNOWN[name].files, target)
    addresses = "\n  ".join(remote.url for remote in KNOWN[name].files)
    rule = f"The data set {name!r} is not on this machine, and nothing is fetched unless asked. Looked for {places}."
    raise DataError(rule, fix=f"Add --download, or fetch these yourself and put them into {target}:\n  {addresses}")


def download_set(files: tuple[Remote, ...], folder: Path) -> Path:
    """Fetch all files, unpack archives, and return the folder, which appears when it is complete.

    A broken download resumes: its files wait beside the folder.
    """
    coming = folder.with_name(f".{folder.name}.coming")
    with storage_errors(folder):
        coming.mkdir(parents=True, exist_ok=True)
    for remote in files:
        path = fetch(remote, coming / remote.name)
        if path.name.endswith(".tar.gz"):
            unpack(path, coming)
            path.unlink()
    with storage_errors(folder):
        return coming.rename(folder)


def unpack(archive: Path, folder: Path) -> None:
    """Write a tar's plain files below `folder`. Raises DataError for a path that would leave it, and for links."""
    with tarfile.open(archive) as tar:
        for member in tar:
            inner = PureWindowsPath(member.name)  # which knows the ways of POSIX too
            what = ""
            if inner.anchor or ".." in inner.parts:
                what = "a path that leaves its folder"
            elif not member.isdir() and (not member.isfile() or member.issparse()):
                what = "a link, a device or a sparse file"
            if what:
                raise DataError(f"{archive.name} holds {what}: {member.name!r}. It is not unpacked.")
            content = tar.extractfile(member)
            if content is not None:
                target = folder / inner
                target.parent.mkdir(parents=True, exist_ok=True)
                with whole_file(target) as file:
                    while chunk := content.read(CHUNK):
                        file.write(chunk)
