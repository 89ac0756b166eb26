"""Going on from a model of one's own: its network, its input settings, its weights, and what it has seen."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from neocog.bundle import Predictor, load, read_manifest
from neocog.data import DataConfig, ImagePreprocess, Modality, Preprocess, Source, Splits, TextPreprocess, divide
from neocog.dataset.record import record_ids
from neocog.errors import CheckpointError, ConfigError, DataError
from neocog.modalities.text.choose import known_share
from neocog.runs.config import CHOSEN, RunConfig, Settled, flat
from neocog.zoo import Network, Normalisation, create_model, model_info
from neocog.zoo.config import OPTIONS

__all__ = ["Start", "divide_as", "find_own", "open_start", "own_network", "seen_before", "split_digest"]

SECTIONS: dict[Modality, str] = {"image": "data", "signal": "signal", "audio": "sound", "text": "text"}
ALONE = {"text.vocabulary", "text.min_count"}  # what makes a vocabulary, which is there already
PLACE = {"data.size", "data.pad"}  # one makes no sense with the other one's value of before
# What mean and deviation were measured on; where one of these differs, they are measured anew.
MEASURED: dict[Modality, tuple[str, ...]] = {
    "image": ("channels",),
    "signal": ("channels", "scale"),
    "audio": ("features", "sample_rate", "window_ms", "num_mels", "num_coefficients", "f_min", "f_max"),
}
DIVISION = ("train.seed", "data.val_fraction", "data.test_fraction")
WAVEFORM_TOO = {"sound.sample_rate", "sound.seconds", "sound.max_seconds"}  # what has a meaning for all features
EMPTY = RunConfig(data=DataConfig(source=""))


def find_own(pretrained: str | None) -> Path | None:
    """The sealed file of a model of one's own, named by its path or by its run's folder; None for other weights.

    Raises ConfigError for a run's folder without a model.
    """
    if pretrained is None:
        return None
    path = Path(pretrained)
    if (path / "model.neocog").is_file():
        return path / "model.neocog"
    if (path / "config.yaml").is_file():
        raise ConfigError(
            f"A run can start from the model of a finished run. {path} has no model.neocog yet. Finish it first: "
            f"neocog train --resume {path}"
        )
    from neocog.zoo.weights import is_bundle  # with a dozen files that few calls need

    return path if is_bundle(path) else None


def own_network(pretrained: str | None) -> tuple[str, str] | None:
    """The name of the network of a model of one's own, and why a run that starts from it takes that; None for others.

    Raises what `find_own` and `load` do.
    """
    path = find_own(pretrained)
    return None if path is None else (str(read_manifest(path)["model"]["name"]), as_in(path))


def as_in(path: Path) -> str:
    return f"{CHOSEN}: as in {path}"


def open_start(pretrained: str | None, kept: Path | None = None) -> "Start | None":
    """The model of one's own that is meant; None for other weights, and for none.

    `kept` is the copy of it that a run has made when it began. Raises what `find_own` and `load` do.
    """
    path = find_own(pretrained)
    if kept is not None and kept.is_file():
        return Start(path or kept, load(kept), kept)
    return None if path is None else Start(path, load(path), path)


@dataclass(frozen=True, slots=True)
class Start:
    """A trained model that a run starts from."""

    path: Path
    """As the user knows it."""
    predictor: Predictor
    file: Path
    """From which it was read."""

    @property
    def network(self) -> str:
        return str(self.predictor.manifest["model"]["name"])

    @property
    def options(self) -> dict[str, Any]:
        """What its network was built with, beside channels and classes."""
        return dict(self.predictor.manifest["model"]["options"])

    @property
    def preprocess(self) -> Preprocess:
        return self.predictor.preprocess

    @property
    def lineage(self) -> list[dict[str, Any]]:
        """The data of all runs that its weights come from, the last run's last."""
        manifest = self.predictor.manifest
        return [*manifest.get("trained before on", []), *([manifest["data"]] if "data" in manifest else [])]

    def settle(self, settled: Settled) -> tuple[Settled, list[str]]:
        """The settings with those of the model where the user has set none, and a sentence on those that differ.

        Raises ConfigError for another network, and for what can't differ.
        """
        self.check_network(settled)
        values = dict(self.values())
        own = {key for key in values if settled.set_by_user(key)}
        if own & PLACE:
            values = {key: value for key, value in values.items() if key in own or key not in {*PLACE, "data.resize"}}
        given = dict(flat(settled.config))
        if "sound.features" in own and given["sound.features"] != values["sound.features"]:
            values = {
                key: value
                for key, value in values.items()
                if key in own or key in WAVEFORM_TOO or not key.startswith("sound.")
            }
        told = [
            f"{key} is {given[key]}, where {self.path.name} was trained with {values[key]}"
            for key in sorted(own)
            if plain(given[key]) != plain(values[key]) and key not in DIVISION
        ]
        self.check_tokens(given, own, values)
        settled = settled.choose(
            {key: (value, f"as in {self.path}") for key, value in values.items() if key not in own}
        )
        if self.preprocess.modality == "text":
            self.check_vocabulary(settled)
            settled = settled.without(ALONE)
        return settled, told

    def check_network(self, settled: Settled) -> None:
        name = settled.config.model.name
        if settled.set_by_user("model.name") and name != self.network:
            raise ConfigError(
                f"A run that starts from a model of your own has its network. {self.path} is {self.network}. "
                f"Received: {name} ({settled.origins['model.name']}). Leave --model out, or start without "
                "--model.pretrained."
            )

    def check_tokens(self, given: Mapping[str, Any], own: set[str], values: Mapping[str, Any]) -> None:
        """Raises ConfigError where texts would be cut into other tokens than those of the vocabulary."""
        for key in ("text.level", "text.lowercase"):
            if key in own and given[key] != values[key]:
                raise ConfigError(
                    f"A network of texts goes on with the vocabulary that it knows, which has {key}={values[key]}. "
                    f"Received: {key}={given[key]}. Leave it out, or train a new network."
                )

    def check_vocabulary(self, settled: Settled) -> None:
        """Raises ConfigError for settings of a vocabulary; in a file, which is for a whole run, they may stand."""
        for key in sorted(ALONE):
            if settled.set_by_user(key) and not settled.origins[key].startswith("file"):
                raise ConfigError(
                    f"A setting must have an effect. {key} ({settled.origins[key]}) would be ignored, because the "
                    f"vocabulary is that of {self.path}. Remove it."
                )

    def values(self) -> Iterable[tuple[str, Any]]:
        """The model's settings by dotted key: network, options, inputs, and how its data were divided."""
        yield "model.name", self.network
        there = model_info(self.network).options
        yield from ((f"model.{option}", self.options.get(option)) for option in OPTIONS if option in there)
        yield from self.input_values()
        if self.lineage:
            last = self.lineage[-1]
            values = {"train.seed": "seed", "data.val_fraction": "val_fraction", "data.test_fraction": "test_fraction"}
            yield from ((key, last[name]) for key, name in values.items() if name in last)
            known, reading = {key for key, _ in flat(EMPTY)}, last.get("signal", {})
            yield from ((f"signal.{name}", value) for name, value in reading.items() if f"signal.{name}" in known)

    def input_values(self) -> Iterable[tuple[str, Any]]:
        """The settings of the preprocessing that are settings of a run too, by dotted key."""
        modality = self.preprocess.modality
        if modality not in SECTIONS:
            return
        section = SECTIONS[modality]
        known = {key.partition(".")[2] for key, _ in flat(EMPTY) if key.startswith(f"{section}.")}
        there = [field.name for field in fields(self.preprocess)]  # type: ignore[arg-type]
        unused = ["vocabulary"]
        if modality == "audio":
            features = getattr(self.preprocess, "features", None)
            unused += replace(EMPTY.sound, features=features).ignored()
        for name in there:
            if name in known and name not in unused:
                yield f"{section}.{name}", getattr(self.preprocess, name)

    def texts(self, length: int | None, source: Source, indices: NDArray[np.int64]) -> tuple[TextPreprocess, str]:
        """The preprocessing of texts, with the model's own vocabulary, and how much of these texts it knows."""
        spec = self.preprocess
        assert isinstance(spec, TextPreprocess)
        spec = replace(spec, length=spec.length if length is None else length)
        share = known_share(source, indices, spec)
        return spec, f"its vocabulary of {len(spec.vocabulary):,} holds {share:.1%} of the tokens of the training texts"

    def check_inputs(self, spec: Preprocess, source: Source) -> None:
        """Raises ConfigError for signals of other channels and boards of another size, which mean something else."""
        before = self.preprocess
        if spec.modality == "signal" and spec.in_channels != before.in_channels:
            raise ConfigError(
                f"A network of signals goes on with the channels that it knows. {self.path} has {before.in_channels}, "
                f"{source.name} has {spec.in_channels}. Choose the same channels, or train a new network."
            )
        if spec.modality == "board" and spec.shape != before.shape:
            raise ConfigError(
                f"A network of boards goes on with boards of one size. {self.path} knows "
                f"{before.shape[-1]} x {before.shape[-1]} points, {source.name} has {spec.shape[-1]} x "
                f"{spec.shape[-1]}. Choose such games, or train a new network."
            )

    def measured(self, spec: Preprocess) -> Preprocess | None:
        """The preprocessing with the model's mean and deviation; None where its inputs are others, so that they have
        to be measured."""
        names = MEASURED.get(spec.modality)
        if names is None:
            return spec
        if any(getattr(spec, name) != getattr(self.preprocess, name) for name in names):
            return None
        kept = {name: getattr(self.preprocess, name) for name in ("mean", "std")}
        return replace(spec, **kept)  # type: ignore[type-var]

    def put_into(self, model: Network, options: Mapping[str, Any], classes: Sequence[str]) -> str:
        """Give a fresh network the model's weights; returns a sentence on its head.

        Raises ConfigError for options that change the shape of layers, and what `load_own` does.
        """
        from neocog.zoo.weights import load_own  # with a dozen files that few calls need
        from neocog.zoo.weights.pretrained import adapted_normalisation

        self.check_shapes(model, options)
        trained = self.predictor.model
        assert trained is not None
        assert model.build_spec is not None
        if isinstance(self.preprocess, ImagePreprocess):
            expected = Normalisation(self.preprocess.mean, self.preprocess.std)
            model.normalisation = adapted_normalisation(expected, model.build_spec.in_channels)
        try:
            return load_own(model, trained.state_dict(), self.predictor.classes, classes)
        except CheckpointError as error:
            before, now = self.preprocess.in_channels, model.build_spec.in_channels
            if before == now:
                raise
            raise ConfigError(
                f"A run that starts from a model keeps the shapes of its layers, and the first ones of {self.network} "
                f"can't be adapted. {self.path} was trained with {before} channels. Received: {now}. Leave "
                "--data.channels out, or train a new network."
            ) from error

    def check_shapes(self, model: Network, options: Mapping[str, Any]) -> None:
        before, now = self.options, dict(options)
        differ = sorted(key for key in before.keys() | now.keys() if before.get(key) != now.get(key))
        if not differ:
            return
        assert model.build_spec is not None
        with torch.device("meta"):
            there = create_model(
                self.network,
                num_classes=model.build_spec.num_classes,
                in_channels=model.build_spec.in_channels,
                **before,
            )
        shapes = [{key: value.shape for key, value in each.state_dict().items()} for each in (there, model)]
        if shapes[0] != shapes[1]:
            raise ConfigError(
                f"A run that starts from a model keeps the shapes of its layers. {self.path} was built with "
                f"{listed(before, differ)}. Received: {listed(now, differ)}. Leave it out."
            )

    def tell_seen(self, source: Source, fingerprint: str, splits: Splits) -> list[str]:
        """Sentences on what the model has seen of the records that measure this run, and of those that validate."""
        called, part = ("test", splits.test) if len(splits.test) else ("validation", splits.val)
        num_seen, known = seen_before(self.lineage, source, fingerprint, part)
        same = any(data.get("fingerprint") == fingerprint for data in self.lineage)
        told = []
        if num_seen and called == "test":
            last = self.lineage[-1]
            as_then = f"--train.seed {last.get('seed')}"
            if "all" in source.splits:
                as_then += f" --data.test_fraction {last.get('test_fraction')}"
            told.append(
                f"warning: {self.path.name} was trained on {num_seen:,} of the {len(part):,} test records, or chosen "
                f"by them, so the test figures will be too good. Divide the data as it was then: {as_then}"
            )
        elif same and known and called == "test":
            told.append(f"these {len(part):,} test records have measured {self.path.name} before; none trained it")
        if not known and same:
            told.append(
                f"warning: {self.path.name} was trained on these data in another division, or on others too; as far as "
                f"it was trained on some of the {len(part):,} {called} records, the {called} figures will be too good"
            )
        elif not known and "all" in source.splits:
            told.append(
                f"{self.path.name} was trained on other data than these; if some of its records are among the "
                f"{len(part):,} {called} records, the {called} figures will be too good"
            )
        num_trained, _ = seen_before(self.lineage, source, fingerprint, splits.val, chosen_by=False)
        if num_trained:
            told.append(
                f"warning: {self.path.name} was trained on {num_trained:,} of the {len(splits.val):,} validation "
                "records, so the validation figures, by which the best epoch is chosen, will be too good"
            )
        return told

    def tell(self) -> str:
        """A line on the model."""
        about = self.predictor.manifest
        figures, data = about.get("evaluation", {}), about.get("data", {})
        trained = f", trained on {data['name']}" if "name" in data else ""
        measured = {"split", "accuracy"} <= figures.keys()
        share = f"; {figures['split']} accuracy {figures['accuracy']:.2%}" if measured else ""
        return f"Weights start from {self.path} ({self.network}{trained}{share})"


def plain(value: Any) -> Any:
    """A value as JSON brings it back."""
    return list(value) if isinstance(value, tuple) else value


def listed(options: Mapping[str, Any], names: Iterable[str]) -> str:
    return ", ".join(f"{name}={options.get(name, 'its own default')}" for name in names)


def split_digest(source: Source, indices: NDArray[np.int64]) -> str:
    """A short name for a part of a source's records; 16 digits."""
    return hashlib.sha256(np.sort(record_ids(source, indices)).tobytes()).hexdigest()[:16]


def divide_as(source: Source, trained: Mapping[str, Any]) -> Splits:
    """The parts of a source as a run divided it, by what its manifest says of its data."""
    return divide(
        source,
        val_fraction=trained["val_fraction"],
        test_fraction=trained["test_fraction"],
        seed=trained["seed"],
        groups_by_class=trained.get("groups_by_class", False),
    )


def seen_before(
    lineage: Sequence[Mapping[str, Any]],
    source: Source,
    fingerprint: str,
    indices: NDArray[np.int64],
    *,
    chosen_by: bool = True,
) -> tuple[int, bool]:
    """How many of these records the runs of a lineage have learned from, and whether that is all that is to be known.

    With `chosen_by`, those that validated count too. It is known of runs on these very data, whose division can be
    repeated.
    """
    seen, known = np.empty(0, np.int64), True
    for data in lineage:
        if data.get("fingerprint") != fingerprint:
            known = False
            continue
        try:
            parts = divide_as(source, data)
        except (DataError, KeyError):
            known = False
            continue
        if "training part" in data and data["training part"] != split_digest(source, parts.train):
            known = False  # other folds were left out, or another Neocog divided in another way
            continue
        seen = np.union1d(seen, np.concatenate([parts.train, parts.val]) if chosen_by else parts.train)
    return int(np.isin(indices, seen).sum()), known
