"""Where the value of a setting came from."""

from dataclasses import dataclass
from enum import Enum

__all__ = ["DEFAULT", "FLAG", "PYTHON", "Provenance", "SetBy"]


class SetBy(Enum):
    """Who set a value. The text is stored in `config.yaml`, so it must not change."""

    DEFAULT = "default"
    RECIPE = "recipe"
    RUN = "the run's"
    FILE = "file"
    FLAG = "flag"
    PYTHON = "given in Python"
    CHOSEN = "chosen automatically:"


@dataclass(frozen=True, slots=True)
class Provenance:
    """Who set a value, and a detail: the recipe's name, the file, or the reason of an automatic choice."""

    by: SetBy
    detail: str = ""

    @property
    def by_user(self) -> bool:
        """Whether the user set the value: with a flag, in a file or in Python."""
        return self.by in (SetBy.FILE, SetBy.FLAG, SetBy.PYTHON)

    def __str__(self) -> str:
        """The text as it is shown and stored.

        >>> str(Provenance(SetBy.RECIPE, "lenet5")), str(Provenance(SetBy.FLAG))
        ('recipe lenet5', 'flag')
        """
        if self.by is SetBy.FLAG and self.detail:  # a flag that is not called as the setting is
            return self.detail
        return f"{self.by.value} {self.detail}".rstrip()

    @classmethod
    def read(cls, text: str) -> "Provenance":
        """The inverse of `str`; other text is a flag's.

        >>> Provenance.read("chosen automatically: there is no GPU").by
        <SetBy.CHOSEN: 'chosen automatically:'>
        >>> Provenance.read("--epochs, for a run that was planned for 3 epochs").by
        <SetBy.FLAG: 'flag'>
        """
        for by in SetBy:
            if text == by.value or text.startswith(f"{by.value} "):
                return cls(by, text[len(by.value) :].strip())
        return cls(SetBy.FLAG, text)


DEFAULT = Provenance(SetBy.DEFAULT)
FLAG = Provenance(SetBy.FLAG)
PYTHON = Provenance(SetBy.PYTHON)
