"""The models of a server, by name and version."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from neocog.errors import ConfigError, NeocogError, did_you_mean, some

if TYPE_CHECKING:
    from neocog.serving.served import Served  # with torch, which a supervisor does without

__all__ = ["Repository", "UnknownModelError", "parse_models"]

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class UnknownModelError(NeocogError):
    """A model or a version that is not served."""


class Repository:
    """The models that are served, by name and version.

    Reading takes no lock: a change makes a new table and puts it in place.
    """

    def __init__(self, *served: "Served") -> None:
        self.models: dict[str, dict[str, Served]] = {}
        for one in served:
            self.replace(one.name, one.version, one)

    def __iter__(self) -> "Iterator[Served]":
        """All versions of all models; names in the order in which they were added, versions ascending."""
        return (served for versions in self.models.values() for served in versions.values())

    def __len__(self) -> int:
        return sum(len(versions) for versions in self.models.values())

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.models)

    def get(self, name: str | None = None, version: str | None = None) -> "Served":
        """A model, by default the first one, in its highest version unless one is named. Raises UnknownModelError."""
        if name is None:
            name = next(iter(self.models), "")
        versions = self.models.get(name)
        if not versions:
            raise UnknownModelError(
                "The model must be one that is served.", received=repr(name), fix=did_you_mean(name, self.models)
            )
        if version is None:
            return next(reversed(versions.values()))
        if version not in versions:
            raise UnknownModelError(
                f"The version of {name} must be one that is served.", received=repr(version),
                fix=f"Served: {some(versions, 10)}.",
            )  # fmt: skip
        return versions[version]

    def versions(self, name: str) -> tuple[str, ...]:
        """The versions of a model, ascending."""
        return tuple(self.models.get(name, ()))

    def replace(self, name: str, version: str, served: "Served") -> "Served | None":
        """Put a model in place of the one of this name and version, which is returned: close it then."""
        before = self.models.get(name, {}).get(version)
        versions = {**self.models.get(name, {}), version: served}
        ordered = {key: versions[key] for key in sorted(versions, key=int)}
        self.models = {**self.models, name: ordered}
        return before

    def remove(self, name: str, version: str) -> "Served | None":
        """Take a version out, and return it."""
        versions = dict(self.models.get(name, {}))
        before = versions.pop(version, None)
        self.models = {**self.models, name: versions} if versions else {
            key: value for key, value in self.models.items() if key != name
        }  # fmt: skip
        return before

    def ready(self) -> bool:
        """Whether something is served and every engine computes."""
        return len(self) > 0 and all(served.alive for served in self)


def parse_models(specs: list[str] | tuple[str, ...]) -> list[tuple[str, str, Path]]:
    """Models as they are named on the command line, (name, version, path).

    BUNDLE, NAME=BUNDLE or NAME:VERSION=BUNDLE; a folder stands for the model.neocog in it. Without a name, it is that
    of the file, or of its folder if the file is model.neocog. Raises ConfigError for a name or a version that is not
    valid, and for two models of the same name and version.

    >>> parse_models(["runs/digits/model.neocog", "cats:2=cats.neocog"])
    [('digits', '1', PosixPath('runs/digits/model.neocog')), ('cats', '2', PosixPath('cats.neocog'))]
    """
    found: list[tuple[str, str, Path]] = []
    for spec in specs:
        head, equals, tail = spec.partition("=")
        named = bool(equals) and not Path(spec).exists()
        path = Path(tail if named else spec)
        if path.is_dir():
            path = path / "model.neocog"
        name, _, version = head.partition(":") if named else (own_name(path), "", "")
        version = version or "1"
        if not NAME.fullmatch(name):
            raise ConfigError(
                "A model's name has letters, digits, dots, dashes and underscores.", received=repr(name), where=spec,
                fix=f"Give it one: NAME={path}.",
            )  # fmt: skip
        if not version.isdecimal() or not version.isascii() or version != str(int(version)) or version == "0":
            raise ConfigError("A model's version is a whole number from 1.", received=repr(version), where=spec)
        if (name, version) in [(other, number) for other, number, _ in found]:
            raise ConfigError(
                "Each model needs a name and a version of its own.", received=f"a second {name} of version {version}",
                where=spec, fix=f"Name it: {name}:{int(version) + 1}={path}, or OTHER={path}.",
            )  # fmt: skip
        found.append((name, version, path))
    return found


def own_name(path: Path) -> str:
    """The name of a bundle that was given none.

    >>> own_name(Path("runs/my digits/model.neocog"))
    'my-digits'
    """
    stem = path.absolute().parent.name if path.name == "model.neocog" else path.stem
    return re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("-._")
