"""A predictor whose network is computed by an engine of this machine."""

from torch import Tensor

from neocog.bundle.predictor import Predictor
from neocog.engines.choose import choose_engine, remembered_choice
from neocog.engines.engine import Backend
from neocog.engines.kept import Workshop
from neocog.engines.make_engine import check_name
from neocog.errors import ConfigError, NeocogError
from neocog.progress import note

__all__ = ["has_choice", "use_engine"]

AUTO = "auto"


def use_engine(predictor: Predictor, name: str, decoded: Tensor, *, threads: int | None = None) -> Predictor:
    """The same predictor with the engine of this name, or with auto the fastest one within the tolerance.

    `decoded` (N, *shape) are inputs with which engines are measured if no choice is remembered.
    Raises ConfigError for a name that no engine has, an engine that this machine does not have, or one that can't run
    the network.
    """
    workshop = workshop_of(predictor, threads)
    if name != AUTO:
        check_name(name)
        return predictor.with_backend(workshop.build(name))
    choice = remembered_choice(workshop)
    if choice is not None:
        try:
            return predictor.with_backend(sized(workshop.build(choice.name), choice.batch))
        except NeocogError as error:  # a graph that was deleted, a program that was changed
            note(f"{choice.name}, the fastest engine here, can't be used any more: {error}")
    note("measuring engines for this network on this machine, once")
    choice = choose_engine(workshop, predictor.task, decoded)
    (taken,) = (trial for trial in choice.trials if trial.name == choice.name)
    note(f"the fastest engine here is {choice.name}, by {len(decoded)} samples")
    assert taken.backend is not None
    return predictor.with_backend(sized(taken.backend, choice.batch))


def has_choice(predictor: Predictor, *, threads: int | None = None) -> bool:
    """Whether the fastest engine for this network on this machine is remembered."""
    return remembered_choice(workshop_of(predictor, threads)) is not None


def workshop_of(predictor: Predictor, threads: int | None = None) -> Workshop:
    if predictor.model is None:
        raise ConfigError(
            "Engines are made from a network.", received="a predictor without one", fix="Load it from its bundle."
        )
    return Workshop(predictor.model, predictor.preprocess, threads=threads)


def sized(backend: Backend, batch: int) -> Backend:
    """An engine that computes this many inputs at once; eager PyTorch takes what comes."""
    if hasattr(backend, "batch"):
        backend.batch = batch
    return backend
