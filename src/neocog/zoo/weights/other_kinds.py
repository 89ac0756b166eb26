"""The kind of a file or folder that can't be read as weights, and what to do with it."""

import json
import pickletools
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

__all__ = ["is_bundle", "is_checkpoint", "is_safetensors", "other_kind"]

HEAD = 512  # bytes that tell a kind of file
MOST_PICKLED = 2**24  # bytes of a pickle that are looked through
BUNDLE_MEMBERS = {"manifest.json", "weights.safetensors"}
SAVE_OURS = "Neocog reads weights of PyTorch: save the network's state_dict() there as .pth or .safetensors."
TRUSTED = "If you trust it, save its weights alone: "
STARTS: tuple[tuple[bytes, str], ...] = (
    (b"\x89HDF\r\n\x1a\n", f"is an HDF5 file, as Keras saves weights. {SAVE_OURS}"),
    (b"GGUF", f"is a GGUF file, as llama.cpp reads it. {SAVE_OURS}"),
    (b"\x93NUMPY", f"is a NumPy array. {SAVE_OURS}"),
    (b"version https://git-lfs", "is a pointer of Git LFS, which stands for a file. Fetch the file: git lfs pull."),
    (b"<!DOCTYPE", "is a web page. Download the file itself, not the page that shows it."),
    (b"<html", "is a web page. Download the file itself, not the page that shows it."),
    (b"\x1f\x8b", "is compressed with gzip. Unpack it and give the file of weights in it."),
    (b"7z\xbc\xaf", "is a 7z archive. Unpack it and give the file of weights in it."),
)
WEIGHT_FILES = ("*.neocog", "*.safetensors", "*.pth", "*.pt", "*.bin", "*.ckpt")


def other_kind(path: Path) -> str | None:
    """A sentence on what lies at this path, and one on what to do; None if nothing is recognised.

    Nothing of the file is run: pickles are looked through, not loaded.
    """
    if path.is_dir():
        return f"{path} {kind_of_folder(path)}"
    try:
        with path.open("rb") as file:
            head = file.read(HEAD)
        found = kind_of_zip(path) if head.startswith(b"PK\x03\x04") else kind_of_file(path, head)
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError, RuntimeError):
        return None
    return found and f"{path} {found}"


def kind_of_file(path: Path, head: bytes) -> str | None:
    for start, kind in STARTS:
        if head.startswith(start):
            return kind
    if head[4:8] == b"TFL3":
        return f"is a network for TensorFlow Lite. {SAVE_OURS}"
    # An ONNX model is a protobuf message: its version first, which is one byte, then who made it.
    if head[:1] == b"\x08" and (path.suffix.lower() == ".onnx" or head[2:3] == b"\x12"):
        return f"is an ONNX model, which has no names for its layers' weights. {SAVE_OURS}"
    if head[257:262] == b"ustar":
        return "is a tar archive. Unpack it and give the file of weights in it."
    if head[:1] == b"{" and path.suffix == ".json":
        index = "weight_map" in json.loads(path.read_text(encoding="utf-8"))
        return (
            "lists in which files the weights of a large network lie. Join these files into one .safetensors file."
            if index
            else "is JSON, which describes a network but holds no weights. Give the file of weights."
        )
    return None


def kind_of_zip(path: Path) -> str | None:
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        if set(names) >= BUNDLE_MEMBERS:
            return (
                f"is a trained model of Neocog. Train from it: neocog train DATA --model.pretrained {path}; "
                f"in Python, load it: neocog.load({str(path)!r}).model."
            )
        if {"config.json", "metadata.json", "model.weights.h5"} <= set(names):
            return f"is a model of Keras. {SAVE_OURS}"
        inner = {name.partition("/")[2] for name in names}
        if "constants.pkl" in inner and any(name.startswith("code/") for name in inner):
            save = f"torch.save(torch.jit.load({str(path)!r}).state_dict(), 'weights.pth')"
            return f"is a TorchScript program. {TRUSTED}{save}."
        if "archive_format" in inner or any(name.startswith("models/") for name in inner):
            save = f"torch.save(dict(torch.export.load({str(path)!r}).state_dict), 'weights.pth')"
            return f"is an exported program of PyTorch. {TRUSTED}{save}."
        pickled = [info for info in archive.infolist() if info.filename.endswith("/data.pkl")]
        if pickled:
            return kind_of_pickle(path, archive.open(pickled[0]).read(MOST_PICKLED))
        if names and all(name.endswith(".npy") for name in names):
            return f"holds NumPy arrays. {SAVE_OURS}"
        listed = f"{', '.join(names[:3])}{', ..' if len(names) > 3 else ''}"
        return f"is a zip archive of {listed or 'nothing'}. Unpack it and give the file of weights in it."


def kind_of_pickle(path: Path, content: bytes) -> str | None:
    """The kind of object that `torch.save` pickled, if it is more than tensors."""
    first, strings = look_through(content)
    load = f"torch.load({str(path)!r}, weights_only=False)"
    if "pytorch-lightning_version" in strings:
        return (
            "is a checkpoint of Lightning. It holds more than tensors, which is not loaded since it could run code. "
            f"{TRUSTED}torch.save({load}['state_dict'], 'weights.pth')."
        )
    if first and first != "collections.OrderedDict":
        return (
            f"is a whole model, pickled with its class {first}, which is not loaded since it could run code. "
            f"{TRUSTED}torch.save({load}.state_dict(), 'weights.pth')."
        )
    return None


def look_through(content: bytes) -> tuple[str | None, set[str]]:
    """The class of a pickle's outermost object, where it has one, and the strings in it; nothing is run."""
    first: str | None = None
    strings: set[str] = set()
    recent: list[str] = []
    outermost = True
    for name, argument in operations(content):
        if name in ("GLOBAL", "STACK_GLOBAL") and outermost:
            first = str(argument).replace(" ", ".") if name == "GLOBAL" else ".".join(recent[-2:])
            outermost = False
        elif isinstance(argument, str) and "UNICODE" in name:
            strings.add(argument)
            recent.append(argument)
        elif name not in ("PROTO", "FRAME", "MEMOIZE", "BINPUT"):
            outermost = False
    return first, strings


def operations(content: bytes) -> Iterator[tuple[str, object]]:
    try:
        for operation, argument, _ in pickletools.genops(content):
            yield operation.name, argument
    except (ValueError, UnicodeDecodeError):  # cut off at the most that is looked through
        return


def kind_of_folder(path: Path) -> str:
    """A folder of weights, by what lies in it."""
    if (path / "config.yaml").is_file() and (path / "checkpoints").is_dir():
        return (
            f"is the folder of a run. Train from it: neocog train DATA --model.pretrained {path}; in Python, load its "
            f"model: neocog.load({str(path / 'model.neocog')!r}).model."
        )
    if (path.parent / "config.yaml").is_file() and path.name == "checkpoints":
        return f"holds the checkpoints of a run. {instead(path.parent)}"
    if (path / "saved_model.pb").is_file():
        return f"is a SavedModel of TensorFlow. {SAVE_OURS}"
    if (path / ".metadata").is_file() and any(path.glob("*.distcp")):
        convert = f"python -m torch.distributed.checkpoint.format_utils dcp_to_torch {path} weights.pth"
        return f"is a checkpoint of torch.distributed. Bring it into one file: {convert}"
    if (path / "model.safetensors.index.json").is_file():
        return "holds the weights of a large network in several files. Join them into one .safetensors file."
    found = [file for pattern in WEIGHT_FILES for file in sorted(path.glob(pattern))]
    return f"is a folder. Give the file in it: {found[0]}" if found else "is a folder without a file of weights in it."


def instead(run: Path) -> str:
    return f"Give the run's model instead, {run / 'model.neocog'}, or resume the run: neocog train --resume {run}"


def is_bundle(path: Path) -> bool:
    """Whether a file is meant to be a trained model of Neocog, be it sound or damaged: by its name or its members."""
    if path.suffix == ".neocog":
        return True
    try:
        with zipfile.ZipFile(path) as archive:
            return set(archive.namelist()) >= BUNDLE_MEMBERS
    except (OSError, zipfile.BadZipFile, ValueError):
        return False


def is_safetensors(path: Path) -> bool:
    """Whether a file begins as safetensors do: eight bytes that count those of the header, which is JSON."""
    try:
        with path.open("rb") as file:
            length, start = int.from_bytes(file.read(8), "little"), file.read(1)
        return start == b"{" and length < path.stat().st_size
    except OSError:
        return False


def is_checkpoint(path: Path, keys: Sequence[str], about: dict[str, str]) -> str | None:
    """Advice for a checkpoint of a run given as weights; None for other files."""
    if "neocog" not in about or not any(key.startswith("model/") for key in keys):
        return None
    run = path.absolute().parent.parent
    known = instead(run) if (run / "config.yaml").is_file() else "Give the run's model.neocog instead."
    return f"{path} is a checkpoint of a run, which holds the optimiser's state too. {known}"
