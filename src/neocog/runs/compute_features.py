"""Features of a data set by a trained network, or by one of the zoo with published weights."""

from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neocog.bundle import Predictor, load
from neocog.data import (
    MODALITIES,
    DataConfig,
    ImagePreprocess,
    Preprocess,
    Source,
    fingerprint,
    open_source,
    tell,
)
from neocog.dataset.split import take
from neocog.doctor.skip_list import read_skip_list
from neocog.errors import ConfigError, DataError, did_you_mean
from neocog.loading import load_in_memory
from neocog.modalities.image.choose import find_pages
from neocog.modalities.image.pages import SeveralPages
from neocog.progress import Bar, note
from neocog.runs.channels import match_channels
from neocog.runs.config import RunConfig, with_values
from neocog.runs.evaluate_bundle import names_channels, task_to_read, trained_fold, with_trained
from neocog.runs.session import find_device
from neocog.runs.split import leave_out, split_as_trained
from neocog.transfer import FeatureExtractor, FeatureRows, FeatureTable, feature_file, feature_part
from neocog.transfer.feature_file import About, check_file
from neocog.transfer.features import Precision
from neocog.zoo import Network, create_model, list_models, model_info
from neocog.zoo.config import ModelConfig

__all__ = ["FeatureRun", "features", "open_features", "write_features"]

BATCH = 64  # samples that are decoded at once
MEASURED = 512  # samples that mean and deviation are measured on
HELD_OUT = 0.2  # for scores, of a set without splits
SEED = 0  # of the samples that are held out


class FeatureRun:
    """The features of a data set, computed as they are asked for: iterating gives `FeatureRows`, in order.

    Memory holds a few batches, whatever the size of the set; each iteration computes all features again.
    """

    def __init__(
        self,
        extractor: FeatureExtractor,
        preprocess: Preprocess,
        source: Source,
        splits: dict[str, NDArray[np.int64]],
        model: str,
        *,
        in_tiles: bool = False,
    ) -> None:
        """`in_tiles` says that a sample is several inputs: the tiles of an image or a signal whose scale is kept."""
        self.extractor, self.preprocess, self.source, self.in_tiles = extractor, preprocess, source, in_tiles
        self.indices = np.concatenate(list(splits.values()))
        self.split_of = np.repeat(np.array(list(splits)), [len(part) for part in splits.values()])
        self.about = About(source.name, source.task, source.classes, model, fingerprint(source))

    def __len__(self) -> int:
        return len(self.indices)

    def __iter__(self) -> Iterator[FeatureRows]:
        """Raises DataError that names the samples of a batch that can't be read."""
        found = self.of_views() if self.in_tiles else self.extractor.computed(self.inputs(), ())
        done = 0
        with Bar("features", len(self)) as bar:
            for part in found:
                yield self.rows(done, part)
                done += len(part)
                bar.draw(done)
        assert done == len(self), "samples in = rows out"

    def rows(self, start: int, features: Tensor) -> FeatureRows:
        here = slice(start, start + len(features))
        indices = self.indices[here]
        targets = self.source.targets[indices]
        if self.about.task == "multi-label":
            targets = targets.astype(np.float64)
        keys = tuple(map(self.source.key, indices.tolist()))
        return FeatureRows(keys, self.split_of[here], targets, features.numpy())

    def inputs(self) -> Iterator[Tensor]:
        """Decoded inputs, a batch at a time."""
        for start in range(0, len(self), BATCH):
            yield load_in_memory(self.source, self.indices[start : start + BATCH], self.preprocess).inputs

    def of_views(self) -> Iterator[Tensor]:
        """The mean over the tiles of each sample; (1, D) at a time."""
        counts = deque[int]()

        def tiles() -> Iterator[Tensor]:
            for index in self.indices.tolist():
                record = self.source.read(index)
                views = self.preprocess.views(record.payload, f"{self.source.name}: {record.key}")
                counts.append(views.num)
                for view in views:
                    yield view.inputs[None]

        held = list[Tensor]()
        for part in self.extractor.computed(tiles(), ()):
            held += part.unbind()
            while counts and len(held) >= counts[0]:
                count = counts.popleft()
                yield torch.stack(held[:count]).mean(dim=0, keepdim=True)
                del held[:count]

    def gather(self) -> FeatureTable:
        """All features at once: four bytes times their length for each sample."""
        found = list(self)
        return FeatureTable(self.about, FeatureRows(
            tuple(key for rows in found for key in rows.keys),
            np.concatenate([rows.splits for rows in found]),
            np.concatenate([rows.targets for rows in found]),
            np.concatenate([rows.features for rows in found]),
        ))  # fmt: skip


def features(model: str | Path | Predictor, data: object, **options: Any) -> FeatureTable:
    """The features of all samples of a data set: the inputs of a network's last layer, as an array (N, D).

    `model` is a bundle, a predictor, or the name of a network of the zoo with published weights. `data` and the options
    are those of `open_features`, which says what is raised.

        table = neocog.features("model.neocog", "photos/")
        table.features, table.keys, table.labels
        print(table.knn(k=20).metrics["accuracy"].percent(), table.probe().metrics["accuracy"].percent())
    """
    return open_features(model, data, **options).gather()


def write_features(model: str | Path | Predictor, data: object, path: str | Path, **options: Any) -> int:
    """Write the features of a data set to a `.parquet` or `.npz` file as they are computed; returns their number.

    Raises ConfigError for another kind of file, before anything is computed, and what `open_features` raises.
    """
    check_file(Path(path))
    return write_run(open_features(model, data, **options), Path(path))


def write_run(run: FeatureRun, path: Path) -> int:
    """Write features as they are computed; returns their number."""
    with feature_file(path, run.about, len(run)) as add:
        for rows in run:
            add(rows)
    return len(run)


def open_features(
    model: str | Path | Predictor,
    data: object,
    *,
    split: str | None = None,
    scores: bool = False,
    pretrained: str = "auto",
    size: int | str | tuple[int, int] | None = None,
    precision: Precision = "fp32",
    device: str = "auto",
    skip_list: str | Path | None = None,
    **reading: Any,
) -> FeatureRun:
    """A network and a data set, ready to compute features.

    `split` is train, val or test; by default all samples are taken, split as in training if the network was trained on
    this very set. With `scores`, samples of a set without splits are held out for testing. Of a network of the zoo,
    `pretrained` names the weights (as `model.pretrained` does) and `size` the height and width of images; a bundle has
    both. `precision` is that of `FeatureExtractor`: features in fp32 agree with those of the network to 1e-4.
    `skip_list` is a file of `neocog check` with samples to leave out; `reading` are the options of `open_source`.
    Raises DataError for data that can't be read or is of another kind, and for a split that doesn't exist; ConfigError
    for a network without weights, and for options that would be ignored.
    """
    if isinstance(model, str) and model in list_models():
        source = open_source(data, **reading)
        tell(source)
        splits = choose_splits(source, None, split, scores, skip_list)
        network, preprocess = from_zoo(model, source, np.concatenate(list(splits.values())), pretrained, size)
        name, in_tiles = model, False
    else:
        predictor = model if isinstance(model, Predictor) else open_bundle(model)
        if pretrained != "auto" or size is not None:
            raise ConfigError(
                "A trained network has its weights and its image size.",
                received=f"pretrained={pretrained}" if pretrained != "auto" else f"size={size}", fix="Leave it out.",
            )  # fmt: skip
        source = open_as_trained(predictor, data, reading)
        tell(source)
        check_kind(source, predictor.preprocess.modality)
        source = match_channels(source, predictor.preprocess)
        splits = choose_splits(source, predictor, split, scores, skip_list)
        assert isinstance(predictor.model, Network)
        network, preprocess, name = predictor.model, predictor.preprocess, predictor.manifest["model"]["name"]
        in_tiles = predictor.task.dense
    several = SeveralPages()
    find_pages(source, np.concatenate(list(splits.values())), several)
    for notice in several.notices:
        note(f"  {notice}")
    part = feature_part(network).to(find_device(device))
    extractor = FeatureExtractor(network, preprocess.normalise, precision=precision, part=part)
    return FeatureRun(extractor, preprocess, source, splits, name, in_tiles=in_tiles)


def open_bundle(path: str | Path) -> Predictor:
    """A predictor from a bundle. Raises ConfigError if it is neither a file nor a network, BundleError as `load`."""
    if isinstance(path, str) and not Path(path).exists() and not path.endswith(".neocog"):
        raise ConfigError(
            "A network is a model.neocog file or a name from the zoo.", received=repr(path),
            fix=did_you_mean(path, list_models()),
        )  # fmt: skip
    return load(path)


def open_as_trained(predictor: Predictor, data: object, options: dict[str, Any]) -> Source:
    """The data set, its recordings, folds and labels read as those that the network was trained on, if it is this."""
    given = {name: options.get(name) for name in ("window", "step", "columns")}
    reading = with_trained(given, predictor)
    if given["columns"] is None and reading["columns"] and not names_channels(data, options.get("format")):
        reading["columns"] = None
    source = open_source(data, **{**options, **reading})
    if options.get("test_fold") is None and (fold := trained_fold(predictor, source)):
        reading["test_fold"] = fold
        source = open_source(data, **{**options, **reading})
    task = task_to_read(data, options.get("format"), predictor) if options.get("task") is None else None
    trained = predictor.manifest.get("data", {})
    if task not in (None, source.task) and fingerprint(source) != trained.get("fingerprint"):
        with suppress(DataError, ConfigError):  # labels may be for another task than the network's
            again = open_source(data, **{**options, **reading, "task": task})
            return again if fingerprint(again) == trained.get("fingerprint") else source
    return source


def check_kind(source: Source, modality: str) -> None:
    """Raises DataError for data of another kind than the network's."""
    if source.modality != modality:
        raise DataError(
            f"This network takes {MODALITIES[modality].plural}.", received=MODALITIES[source.modality].plural,
            where=source.name,
        )  # fmt: skip


def choose_splits(
    source: Source, predictor: Predictor | None, split: str | None, scores: bool, skip_list: str | Path | None
) -> dict[str, NDArray[np.int64]]:
    """The samples of each split. Raises DataError for a split that doesn't exist, or without samples."""
    splits = dict(source.splits)
    trained = predictor.manifest.get("data", {}) if predictor is not None else {}
    if trained.get("fingerprint") == fingerprint(source):
        parts = split_as_trained(source, trained)
        splits = {"train": parts.train, "val": parts.val, "test": parts.test}
        note("The network was trained on this very data set; it is split as in training.")
    elif scores and not splits.keys() & {"val", "test"}:
        whole = next(iter(splits.values()))
        train, test = take(source, whole, HELD_OUT, SEED, "test", groups_by_class=True)
        splits = {"train": train, "test": test}
        note(f"  {len(test):,} of {len(whole):,} samples are held out for testing")
    splits = {name: indices for name, indices in splits.items() if len(indices)}
    if split not in (None, *splits):
        raise DataError(f"{source.name} has no split {split!r}.", fix=f"Choose one of {', '.join(splits)}.")
    chosen = splits if split is None else {split: splits[split]}
    if not chosen:
        raise DataError("Features need at least one sample.", received="none", where=source.name)
    if skip_list is None:
        return chosen
    skip = read_skip_list(Path(skip_list))
    kept = {name: leave_out(source, indices, skip) for name, indices in chosen.items()}
    left = sum(map(len, chosen.values())) - sum(map(len, kept.values()))
    note(f"{left:,} samples are left out, as {skip_list} lists them")
    return kept


def from_zoo(
    name: str, source: Source, indices: NDArray[np.int64], pretrained: str, size: int | str | tuple[int, int] | None
) -> tuple[Network, Preprocess]:
    """A network with published weights, and the preprocessing that it takes these samples with.

    Raises ConfigError for a network without weights, or of another kind of data.
    """
    from neocog.zoo.weights import available, none_available  # a dozen files that a bundle does not need

    info = model_info(name)
    check_kind(source, info.modality)
    weights = available(name) if pretrained == "auto" else pretrained
    if weights is None:
        raise ConfigError("Features need a network with weights.", received=name, fix=none_available(name))
    if size is not None and info.modality != "image":
        raise ConfigError("A size is for images.", received=f"size={size}, for {name}", fix="Leave it out.")
    config = RunConfig(data=DataConfig(source=""), model=ModelConfig(name=name))
    config = config if size is None else with_values(config, {"image.size": size})
    kind = MODALITIES[source.modality]
    settings = getattr(config, kind.section) if kind.section else None
    spec, _ = kind.choose(source, indices, settings, info.input_shape, network=name)
    network = create_model(name, in_channels=spec.in_channels, pretrained=weights)
    note(f"Weights: {weights}")
    if network.normalisation is not None and isinstance(spec, ImagePreprocess):
        return network, replace(spec, mean=network.normalisation.mean, std=network.normalisation.std)
    spread = np.unique(np.linspace(0, len(indices) - 1, min(MEASURED, len(indices))).astype(np.int64))
    return network, spec.measured(load_in_memory(source, indices[spread], spec).inputs)
