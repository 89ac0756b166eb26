"""Decoded samples in a file of the user's cache, mapped into memory: decoded once, shared by all processes."""

import hashlib
import json
from collections.abc import Callable

import filelock
import numpy as np
import torch

from neocog.dataset.record import Source, fingerprint, record_ids
from neocog.files import cache_dir, storage_errors, whole_folder
from neocog.loading.dataset import Encode, Rows
from neocog.loading.in_memory import InMemoryDataset
from neocog.modalities.preprocess import Preprocess
from neocog.progress import note

__all__ = ["load_from_cache"]


def load_from_cache(
    source: Source, indices: Rows, preprocess: Preprocess, encode: Encode, load: Callable[[], InMemoryDataset]
) -> InMemoryDataset:
    """The samples that `load` decodes on the first call, mapped from the cache by later ones.

    The file's name is a hash of the data set, the preprocessing and the chosen samples, so it is never out of date.
    Processes that map it share its memory.
    """
    folder = cache_dir("decoded") / cache_name(source, indices, preprocess)
    with storage_errors(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(folder.with_suffix(".lock")):  # a second process waits, and finds the work done
        if not folder.is_dir():
            data = load()
            places = [place for place, index in enumerate(indices.tolist()) if source.key(index) not in data.skipped]
            with storage_errors(folder), whole_folder(folder) as new:
                np.save(new / "inputs.npy", data.inputs.numpy())
                np.save(new / "kept.npy", np.array(places, np.int64))
                (new / "skipped.json").write_text(json.dumps(data.skipped), encoding="utf-8")
            note(f"Decoded samples are kept in {folder}")
    # Copy on write: pages are shared with other processes, and nothing here can change the file.
    inputs = torch.from_numpy(np.load(folder / "inputs.npy", mmap_mode="c"))
    kept = indices[np.load(folder / "kept.npy")]
    skipped = json.loads((folder / "skipped.json").read_text(encoding="utf-8"))
    return InMemoryDataset(inputs, encode(source, kept), record_ids(source, kept), skipped)


def cache_name(source: Source, indices: Rows, preprocess: Preprocess) -> str:
    """A name for these samples under this preprocessing."""
    digest = hashlib.sha256(fingerprint(source).encode())
    digest.update(json.dumps(preprocess.to_json(), sort_keys=True).encode())
    digest.update(np.ascontiguousarray(indices, "<i8").tobytes())
    return digest.hexdigest()[:32]
