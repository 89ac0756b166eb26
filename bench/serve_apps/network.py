"""A network as the peers' servers use it: Pillow reads the file, Neocog's backend computes, JSON is the answer."""

import io
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

import neocog
from neocog.bundle import Predictor
from neocog.data import ImagePreprocess

__all__ = ["ServedNetwork", "load_predictor"]


def load_predictor(bundle: str, backend: str) -> Predictor:
    """The predictor of a bundle, computed by this backend."""
    return neocog.load(bundle, backend=backend)


class ServedNetwork:
    """Work on an upload that is the same for all peers, so that they differ only in how they serve it."""

    def __init__(self, bundle: str, backend: str) -> None:
        self.predictor = load_predictor(bundle, backend)
        spec = self.predictor.preprocess
        assert isinstance(spec, ImagePreprocess)
        self.mode = "L" if spec.channels == 1 else "RGB"
        self.width, self.height, self.border = spec.size[1], spec.size[0], spec.pad[0]
        self.scores(self.decode(self.blank())[None])  # the first batch is slow

    def blank(self) -> bytes:
        """A PNG of zeros."""
        file = io.BytesIO()
        Image.new(self.mode, (self.width, self.height)).save(file, "PNG")
        return file.getvalue()

    def decode(self, content: bytes) -> Tensor:
        """An image file -> uint8 (C, H, W)."""
        image = Image.open(io.BytesIO(content)).convert(self.mode)
        if image.size != (self.width, self.height):
            image = image.resize((self.width, self.height), Image.Resampling.BILINEAR)
        pixels = np.array(image)
        planes = torch.from_numpy(pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1))
        return F.pad(planes, [self.border] * 4) if self.border else planes

    def scores(self, images: Tensor) -> Tensor:
        """uint8 (N, C, H, W) -> probabilities (N, K)."""
        with torch.inference_mode():
            return self.predictor.logits(images).softmax(dim=1)

    def answer(self, probabilities: Tensor) -> dict[str, Any]:
        """Probabilities (K,) -> the answer to one request."""
        best = int(probabilities.argmax())
        return {"class": self.predictor.classes[best], "probability": float(probabilities[best])}
