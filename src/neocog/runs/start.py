"""Fine-tuning the user's own model: its network, input settings and weights, and the samples it has seen."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.bundle import Predictor, load, read_manifest
from neocog.data import DataConfig, Preprocess, Source, TextPreprocess
from neocog.errors import ConfigError
from neocog.modalities.table import MODALITIES
from neocog.modalities.text.choose import known_share
from neocog.runs.config import ResolvedConfig, RunConfig, flat
from neocog.runs.provenance import Provenance, SetBy
from neocog.settings import HasIgnored
from neocog.zoo import model_info
from neocog.zoo.config import NAMED_WEIGHTS, OPTIONS

__all__ = ["Start", "find_own", "name_own_network", "open_start"]

VOCABULARY = {"text.vocabulary", "text.min_count"}  # settings of a vocabulary, which the model has already
SIZE = {"image.size", "image.pad"}  # a value of one makes no sense with the model's value of the other
SPLITTING = ("train.seed", "data.val_fraction", "data.test_fraction")
ALL_FEATURES = {"audio.sample_rate", "audio.seconds", "audio.max_seconds"}  # these have a meaning for all features
EMPTY = RunConfig(data=DataConfig(source=""))


def find_own(pretrained: str | None) -> Path | None:
    """The bundle of the user's own model, named by its path or by its run folder; None for other weights.

    Raises ConfigError for a run folder without a model.
    """
    if pretrained is None or pretrained in NAMED_WEIGHTS:
        return None
    path = Path(pretrained)
    if (path / "model.neocog").is_file():
        return path / "model.neocog"
    if (path / "config.yaml").is_file():
        raise ConfigError(
            "A run can start from the model of a finished run.",
            received="a run without model.neocog",
            where=str(path),
            fix=f"Finish it first: neocog train --resume {path}",
        )
    from neocog.zoo.weights import is_bundle  # imported late, with a dozen files that few calls need

    return path if is_bundle(path) else None


def name_own_network(pretrained: str | None) -> tuple[str, Provenance] | None:
    """The network of the user's own model, and why a run that starts from it uses that network; None for other weights.

    Raises what `find_own` and `load` do.
    """
    path = find_own(pretrained)
    return (
        None if path is None else (str(read_manifest(path)["model"]["name"]), Provenance(SetBy.CHOSEN, f"as in {path}"))
    )


def open_start(pretrained: str | None, kept: Path | None = None) -> "Start | None":
    """The user's own model that these weights name; None for other weights, and for none.

    `kept` is the copy that the run made of it when it began. Raises what `find_own` and `load` do.
    """
    path = find_own(pretrained)
    if kept is not None and kept.is_file():
        return Start(path or kept, load(kept), kept)
    return None if path is None else Start(path, load(path), path)


@dataclass(frozen=True, slots=True)
class Start:
    """A trained model that a run starts from."""

    path: Path
    """As the user named it."""
    predictor: Predictor
    file: Path
    """The file that was read."""

    @property
    def network(self) -> str:
        return str(self.predictor.manifest["model"]["name"])

    @property
    def options(self) -> dict[str, Any]:
        """The options of its network, apart from channels and classes."""
        return dict(self.predictor.manifest["model"]["options"])

    @property
    def preprocess(self) -> Preprocess:
        return self.predictor.preprocess

    @property
    def lineage(self) -> list[dict[str, Any]]:
        """The data of all runs that its weights come from, the latest run last."""
        manifest = self.predictor.manifest
        return [*manifest.get("trained before on", []), *([manifest["data"]] if "data" in manifest else [])]

    def resolve(self, resolved: ResolvedConfig) -> tuple[ResolvedConfig, list[str]]:
        """The settings, with the model's where the user has set none, and a sentence on each that differs.

        Raises ConfigError for another network, and for settings that must not differ.
        """
        self.check_network(resolved)
        values = dict(self.values())
        own = {key for key in values if resolved.set_by_user(key)}
        if own & SIZE:
            values = {key: value for key, value in values.items() if key in own or key not in {*SIZE, "image.resize"}}
        given = dict(flat(resolved.config))
        if "audio.features" in own and given["audio.features"] != values["audio.features"]:
            values = {
                key: value
                for key, value in values.items()
                if key in own or key in ALL_FEATURES or not key.startswith("audio.")
            }
        told = [
            f"{key} is {given[key]}, but {self.path.name} was trained with {values[key]}"
            for key in sorted(own)
            if plain(given[key]) != plain(values[key]) and key not in SPLITTING
        ]
        self.check_tokens(given, own, values)
        resolved = resolved.choose(
            {key: (value, f"as in {self.path}") for key, value in values.items() if key not in own}
        )
        if self.preprocess.has_vocabulary:
            self.check_vocabulary(resolved)
            resolved = resolved.without(VOCABULARY)
        return resolved, told

    def check_network(self, resolved: ResolvedConfig) -> None:
        name = resolved.config.model.name
        if resolved.set_by_user("model.name") and name != self.network:
            raise ConfigError(
                f"A run that starts from your own model has its network, which is {self.network}.",
                received=f"{name} ({resolved.provenance['model.name']})",
                where=str(self.path),
                fix="Leave --model out, or start without --model.pretrained.",
            )

    def check_tokens(self, given: Mapping[str, Any], own: set[str], values: Mapping[str, Any]) -> None:
        """Raises ConfigError for settings that would cut texts into other tokens than those of the vocabulary."""
        for key in ("text.level", "text.lowercase"):
            if key in own and given[key] != values[key]:
                raise ConfigError(
                    f"A fine-tuned network of texts keeps its vocabulary, which was made with {key}={values[key]}.",
                    received=f"{key}={given[key]}",
                    fix="Leave it out, or train a new network.",
                )

    def check_vocabulary(self, resolved: ResolvedConfig) -> None:
        """Raises ConfigError for settings of a vocabulary; a config file, which is for a whole run, may have them."""
        for key in sorted(VOCABULARY):
            if resolved.set_by_user(key) and resolved.provenance[key].by is not SetBy.FILE:
                raise ConfigError(
                    "A setting must have an effect.",
                    received=f"{key} ({resolved.provenance[key]}), but the vocabulary is that of {self.path}",
                    fix="Remove it.",
                )

    def values(self) -> Iterable[tuple[str, Any]]:
        """The model's settings by dotted key: network, options, inputs, and how its data were split."""
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
        """The values of the preprocessing that are settings of a run too, by dotted key."""
        section = MODALITIES[self.preprocess.modality].section
        if not section:
            return
        known = {key.partition(".")[2] for key, _ in flat(EMPTY) if key.startswith(f"{section}.")}
        there = [field.name for field in fields(self.preprocess)]  # type: ignore[arg-type]
        values = {name: getattr(self.preprocess, name) for name in there if name in known and name != "vocabulary"}
        settings = replace(getattr(EMPTY, section), **values)
        unused = {"vocabulary", *(settings.ignored() if isinstance(settings, HasIgnored) else ())}
        for name in there:
            if name in known and name not in unused:
                yield f"{section}.{name}", getattr(self.preprocess, name)

    def adapt_texts(self, length: int | None, source: Source, indices: NDArray[np.int64]) -> tuple[TextPreprocess, str]:
        """The preprocessing of texts with the model's vocabulary, and a sentence on how much of the texts it covers."""
        spec = self.preprocess
        assert isinstance(spec, TextPreprocess)
        spec = replace(spec, length=spec.length if length is None else length)
        share = known_share(source, indices, spec)
        return (
            spec,
            f"its vocabulary of {len(spec.vocabulary):,} covers {share:.1%} of the tokens of the training texts",
        )

    def check_inputs(self, spec: Preprocess, source: Source) -> None:
        """Raises ConfigError for inputs that mean something else, such as signals with other channels."""
        spec.check_continues(self.preprocess, str(self.path), source.name)

    def keep_statistics(self, spec: Preprocess) -> Preprocess | None:
        """The preprocessing with the model's mean and deviation; None if the inputs differ, so that both must be
        measured again."""
        names = spec.statistics_of
        if names is None:
            return spec
        if any(getattr(spec, name) != getattr(self.preprocess, name) for name in names):
            return None
        kept = {name: getattr(self.preprocess, name) for name in ("mean", "std")}
        return replace(spec, **kept)  # type: ignore[type-var]

    def describe(self) -> str:
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
