"""Published weights: found in the cache or fetched, recognised by their names, and put into a network of ours."""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from neocog.errors import ConfigError, DataError
from neocog.files import Remote, cached_path, fetch, storage_errors
from neocog.progress import note
from neocog.zoo.catalog import CATALOG
from neocog.zoo.network import BuildSpec, Network, Normalisation
from neocog.zoo.weights.available import available, none_available
from neocog.zoo.weights.files import TORCHVISION
from neocog.zoo.weights.key_map import KeyMap, translate
from neocog.zoo.weights.key_maps import TIMM, key_maps
from neocog.zoo.weights.packages import package_file
from neocog.zoo.weights.read import read_weights

__all__ = ["load_pretrained"]

TORCHVISION_ADDRESS = "https://download.pytorch.org/models"
TIMM_ADDRESS = "https://huggingface.co/timm"
IMAGENET = Normalisation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
SIGNED_BYTES = Normalisation((127 / 255,) * 3, (128 / 255,) * 3)  # of the packages' networks
HALVES = Normalisation((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
FROM_TENSORFLOW = ("googlenet", "inception_v3")  # torchvision turns their input back to the normalisation of halves


def load_pretrained(model: Network, spec: BuildSpec, source: str) -> None:
    """Put published weights into a network of the catalogue.

    `source` is "torchvision", "timm/NAME" with a name of timm's models, "package" for those that an installed package
    brings, "auto" for what `available` finds and else none, or the path of a file whose keys are ours, torchvision's or
    timm's, be it one of Lightning too. A head for another number of classes keeps its fresh weights;
    the first layer is adapted to another number of channels. A network with a backbone of the catalogue takes the
    weights that are published for that, and keeps its own head, fresh.
    Raises ConfigError if nothing is published or the package isn't installed, DataError if a file can't be fetched,
    and CheckpointError where it is of another network, or not the published one.
    """
    if source == "auto":
        found = available(spec.name)
        if found is None:
            note(f"Weights start at random. {none_available(spec.name)}")
            return
        source = found
    backbone = CATALOG[spec.name].backbone if spec.name in CATALOG else None
    name = backbone or spec.name
    maps, expected = key_maps(name, spec.options), model.state_dict()
    if backbone is not None:
        maps = {library: for_backbone(key_map, expected) for library, key_map in maps.items()}
    if source == "torchvision":
        foreign, key_map = read_weights(torchvision_file(name)), maps["torchvision"]
        normalisation = HALVES if name in FROM_TENSORFLOW else IMAGENET
    elif source.startswith("timm/"):
        path, normalisation = timm_file(name, source.removeprefix("timm/"))
        foreign, key_map = read_weights(path), maps["timm"]
    elif source == "package":
        foreign, key_map = read_weights(package_file(name)), maps["package"]
        normalisation = SIGNED_BYTES
    else:
        read, normalisation = read_weights(Path(source)), None
        foreign, key_map = recognised([read, without_owner(read)], expected, [*maps.values(), own_names(expected)])
    foreign = dict(key_map.renewed(foreign))
    fresh = fresh_keys(foreign, expected, key_map, spec)
    if fresh:
        note(f"{spec.name}: the weights are for other classes than these {spec.num_classes}; the head starts fresh")
    if backbone is not None:
        fresh |= {key for key in expected if not in_backbone(key) and key_map.theirs(key) not in foreign}
    adapt_channels(foreign, expected, key_map, spec.channel_keys() - fresh)
    model.load_state_dict(translate(key_map, foreign, expected, fresh))
    model.normalisation = adapted_normalisation(normalisation, spec.in_channels)


def in_backbone(key: str) -> bool:
    """Whether a tensor or a module is part of the stem or the stages."""
    return key.startswith(("stem.", "stages."))


def for_backbone(key_map: KeyMap, expected: Mapping[str, Tensor]) -> KeyMap:
    """The map of a classifier, for a network that has its stem and stages, and a head of its own."""
    heads = tuple(f"{theirs}." for ours, theirs in key_map.names.items() if not in_backbone(ours))
    names = {ours: theirs for ours, theirs in key_map.names.items() if in_backbone(ours)}
    own = {key: key for key in expected if not in_backbone(key)}
    return replace(key_map, names=names | own, unused=(*key_map.unused, *heads))


def fresh_keys(
    foreign: Mapping[str, Tensor], expected: Mapping[str, Tensor], key_map: KeyMap, spec: BuildSpec
) -> frozenset[str]:
    """The keys of the head if it is for another number of classes than the file's; else none."""
    keys = spec.class_keys()
    same = all(
        foreign[theirs].numel() == expected[key].numel() for key in keys if (theirs := key_map.theirs(key)) in foreign
    )
    return frozenset() if same else keys


def adapt_channels(
    foreign: dict[str, Tensor], expected: Mapping[str, Tensor], key_map: KeyMap, keys: frozenset[str]
) -> None:
    """Bring the kernels of the first layer to our number of channels, so that what they answer stays alike.

    A grey image stands for three equal channels: its kernels are the sums over theirs. For other numbers theirs
    recur in turn, scaled so that the sum over channels stays the same on average.
    """
    for key in keys:
        kernels = foreign.get(key_map.theirs(key))
        if kernels is None or kernels.ndim < 2 or kernels.shape[1] == (c_in := expected[key].shape[1]):
            continue
        published = kernels.shape[1]
        if c_in == 1:
            adapted = kernels.sum(dim=1, keepdim=True)
        else:
            adapted = kernels[:, torch.arange(c_in) % published] * (published / c_in)
        foreign[key_map.theirs(key)] = adapted


def adapted_normalisation(normalisation: Normalisation | None, in_channels: int) -> Normalisation | None:
    """The published one for three channels; its average for one; for other numbers none is known."""
    if normalisation is None or in_channels == len(normalisation.mean):
        return normalisation
    if in_channels == 1:
        return Normalisation(*((sum(values) / len(values),) for values in normalisation))
    return None


def own_names(expected: Mapping[str, Tensor]) -> KeyMap:
    """The map of a file whose names are ours."""
    return KeyMap(names={key: key for key in expected})


def recognised(
    files: list[dict[str, Tensor]], expected: Mapping[str, Tensor], maps: list[KeyMap]
) -> tuple[dict[str, Tensor], KeyMap]:
    """The form of a file's content and the map by which most of our tensors are found in it."""

    def num_found(pair: tuple[dict[str, Tensor], KeyMap]) -> int:
        theirs = dict(pair[1].renewed(pair[0]))
        return sum(pair[1].theirs(key) in theirs for key in expected)

    return max(((foreign, key_map) for foreign in files for key_map in maps), key=num_found)


def without_owner(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Tensors without the name of the module that holds the network, as Lightning's checkpoints have it before all.

    >>> without_owner({"net.fc.weight": torch.zeros(1), "net.fc.bias": torch.zeros(1)}).keys()
    dict_keys(['fc.weight', 'fc.bias'])
    """
    owners = {key.partition(".")[0] for key in tensors}
    return {key.partition(".")[2]: value for key, value in tensors.items()} if len(owners) == 1 else tensors


def torchvision_file(name: str) -> Path:
    """The published file, from the cache or fetched."""
    if name not in TORCHVISION:
        raise ConfigError(f"torchvision has no weights for {name}. It has some for: {', '.join(sorted(TORCHVISION))}.")
    file = TORCHVISION[name]
    digits = file.removesuffix(".pth").rpartition("-")[2]
    return fetched(Remote(f"{TORCHVISION_ADDRESS}/{file}", digits), cached_path("weights", file))


def timm_file(name: str, theirs: str) -> tuple[Path, Normalisation]:
    """The file of one of timm's models, from the cache or fetched, and what its weights expect."""
    if name not in TIMM:
        raise ConfigError(f"timm's weights are known for: {', '.join(sorted(TIMM))}.", received=f"{name}")
    if theirs.partition(".")[0] != TIMM[name] or not re.fullmatch(r"[\w.-]+", theirs):
        raise ConfigError(
            f"Weights must be of the same architecture: timm calls {name} {TIMM[name]}.",
            received=f"timm/{theirs}",
            fix=f"Give a name such as timm/{TIMM[name]}.tv_in1k.",
        )
    folder = cached_path("weights", "timm", theirs)
    path, settings = folder / "model.safetensors", folder / "config.json"
    if not (path.exists() and settings.exists()):
        address = f"{TIMM_ADDRESS}/{theirs}"
        pointer = fetched(Remote(f"{address}/raw/main/model.safetensors", ""), folder / "pointer")
        digest = re.search(r"oid sha256:([0-9a-f]{64})", pointer.read_text(errors="replace"))
        pointer.unlink()
        if digest is None:
            raise DataError(f"{address} does not say the SHA-256 of its weights. Fetch the file and give its path.")
        fetched(Remote(f"{address}/raw/main/config.json", ""), settings)
        fetched(Remote(f"{address}/resolve/main/model.safetensors", digest[1]), path)
    expected = json.loads(settings.read_text())["pretrained_cfg"]
    return path, Normalisation(tuple(expected["mean"]), tuple(expected["std"]))


def fetched(remote: Remote, path: Path) -> Path:
    """A file at its place in the cache; `fetch` checks its hash as it comes."""
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    return fetch(remote, path)
