"""Saving in the background: the state is copied in memory, and a thread writes the copy while training continues."""

from collections.abc import Callable, Mapping
from threading import Thread

import torch
from torch import Tensor

__all__ = ["Background", "Buffers"]


class Buffers:
    """Memory for copies of tensors on the CPU, reused from one copy to the next.

    >>> buffers, weights = Buffers(), {"w": torch.zeros(2)}
    >>> copied = buffers.hold(weights)
    >>> _ = weights["w"].fill_(1)
    >>> copied["w"]
    tensor([0., 0.])
    """

    def __init__(self) -> None:
        self.kept: dict[str, Tensor] = {}

    def hold(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Copies of these tensors, in their own memory layouts, valid until the next call."""
        self.kept = {key: self.place(key, value) for key, value in tensors.items()}
        for key, value in tensors.items():
            self.kept[key].copy_(value, non_blocking=value.is_cuda)
        for device in {value.device for value in tensors.values() if value.is_cuda}:
            torch.cuda.synchronize(device)
        return self.kept

    def place(self, key: str, like: Tensor) -> Tensor:
        """The buffer that a tensor is copied to: the previous one, if it fits."""
        buffer = self.kept.get(key)
        if buffer is not None and (buffer.shape, buffer.dtype, buffer.stride()) == (
            like.shape,
            like.dtype,
            like.stride(),
        ):
            return buffer
        # A GPU copies to pinned memory without a detour.
        return torch.empty_like(like, device="cpu", pin_memory=like.is_cuda, requires_grad=False)


class Background:
    """One job at a time on a thread of its own. Its errors are raised here, at the next call."""

    def __init__(self) -> None:
        self.thread: Thread | None = None
        self.error: BaseException | None = None

    @property
    def busy(self) -> bool:
        return self.thread is not None and self.thread.is_alive()

    def start(self, job: Callable[[], None]) -> None:
        """Wait for the previous job and start this one. Raises the error of the previous one instead."""
        self.wait()
        self.thread = Thread(target=self.run, args=(job,), name="neocog-save")
        self.thread.start()

    def wait(self) -> None:
        """Wait for the current job. Raises its error, once."""
        if self.thread is not None:
            self.thread.join()
            self.thread = None
        error, self.error = self.error, None
        if error is not None:
            raise error

    def run(self, job: Callable[[], None]) -> None:
        try:
            job()
        except BaseException as error:
            self.error = error
