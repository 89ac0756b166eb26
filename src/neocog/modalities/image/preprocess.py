"""The preprocessing of an image, as data."""

from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neocog.dataset.record import Modality, Payload
from neocog.errors import DataError
from neocog.modalities.image.decode import decode_scaled, is_npy
from neocog.modalities.image.pillow import pillow_pixels
from neocog.modalities.image.pixels import Decoded, Pixels, array_pixels
from neocog.modalities.image.resize import ResizeRule, Size, needed_size, resize_image
from neocog.modalities.image.views import image_tiles, whole_image
from neocog.modalities.preprocess import Preprocess
from neocog.modalities.tensor_spec import TensorSpec
from neocog.modalities.views import Views

__all__ = ["ImagePreprocess"]

GREY_WEIGHTS = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601, as in Pillow's convert("L")


@dataclass(frozen=True, kw_only=True, slots=True)
class ImagePreprocess(Preprocess):
    """Decode, orient, convert, resize, pad, scale to 0..1, normalise.

    A call maps one payload to (C, H, W) float32. Its two halves are used apart in training: `decode` once for each
    image, giving integers that fit in memory, and `normalise` for each batch.

    >>> pre = ImagePreprocess(size=(2, 2), channels=1, mean=(0.5,), std=(0.25,))
    >>> pre(np.array([[0, 255], [255, 0]], np.uint8)).tolist()
    [[[-2.0, 2.0], [2.0, -2.0]]]
    """

    modality: ClassVar[Modality] = "image"
    newest: ClassVar[int] = 3
    statistics_of: ClassVar[tuple[str, ...] | None] = ("channels",)
    # The name of the first release, kept so that all versions read the same bundles and find the same cached files.
    stored_names: ClassVar[dict[str, str]] = {"bit_depth": "depth"}

    size: Size
    """Height and width after resizing, before padding."""
    channels: int
    """1 for grey, 3 for RGB, 4 for RGB with alpha, or the number of channels of the images."""
    bit_depth: int = 8
    """Bits per value."""
    resize: ResizeRule = "squash"
    """squash: stretch both sides. crop: scale the short side, crop the centre. letterbox: fit the long side, pad. tile:
    keep the scale, cut larger images into overlapping tiles, and pad smaller ones at the right and below."""
    pad: tuple[int, int] = (0, 0)
    """Black rows above and below, and black columns left and right, added after resizing."""
    convert: bool = False
    """Whether CMYK, transparent and 16-bit images are converted rather than refused."""
    max_pixels: int = 40_000_000
    """Larger images are refused before they are decoded."""
    mean: tuple[float, ...] = (0.0,)
    """Subtracted from each channel, on the scale 0..1."""
    std: tuple[float, ...] = (1.0,)
    """Divisor of each channel."""
    dct_scaling: bool = True
    """Whether large JPEGs are decoded at reduced resolution (libjpeg DCT scaling)."""
    version: int = field(default=3)
    """1: Pillow reads all files at full size. 2: libjpeg-turbo reads JPEGs, tifffile the TIFFs that Pillow does not
    read exactly. 3: scaled JPEGs keep the stored resolution of colours; white is never zero in a TIFF."""

    def __post_init__(self) -> None:
        if self.version == 1 and self.dct_scaling:
            rule = "Preprocessing of version 1 decodes images at full size."
            fix = "Set dct_scaling to false, or version to 3."
            raise DataError(rule, received="version 1 with dct_scaling", fix=fix)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height, width."""
        return self.channels, self.size[0] + 2 * self.pad[0], self.size[1] + 2 * self.pad[1]

    @property
    def white(self) -> int:
        """The largest value of a pixel: 255 or 65,535."""
        return 0xFFFF if self.bit_depth == 16 else 0xFF

    @property
    def fill(self) -> Tensor:
        """The mean of each channel, which means nothing in a decoded image; (channels,)."""
        return torch.tensor(self.mean) * self.white

    @property
    def in_channels(self) -> int:
        return self.channels

    @property
    def dtype(self) -> torch.dtype:
        return torch.uint16 if self.bit_depth == 16 else torch.uint8

    @property
    def payload_spec(self) -> TensorSpec:
        """Decoded, upright images of one size, (N, H, W, C)."""
        return TensorSpec("images", "uint16" if self.bit_depth == 16 else "uint8", (None, None, None, self.channels))

    def decode(self, payload: Payload, where: str = "the image") -> Tensor:
        """One image as (channels, height, width) of uint8 or uint16. Raises DataError with `where` in it."""
        return self.resized(self.read(payload, where), where)

    def resized(self, image: Decoded, where: str) -> Tensor:
        """An image as it is stored, as (channels, height, width)."""
        image.pixels = self.to_channels(self.to_bit_depth(image.pixels, where), where)
        pixels = resize_image(image, self.resize, self.size)
        return torch.from_numpy(np.array(self.add_border(pixels[None])[0].transpose(2, 0, 1), order="C"))

    def views(self, payload: Payload, where: str = "the image") -> Views:
        if self.resize != "tile":
            image = self.read(payload, where)
            return whole_image(self.resized(image, where), image.full, self.resize, self.size, self.pad)
        return image_tiles(self.pixels(payload, where), self.size)

    def pixels(self, payload: Payload, where: str = "the image") -> Pixels:
        """An image at its own size, with the channels and the bit depth of the network; (H, W, C)."""
        return self.to_channels(self.to_bit_depth(self.read(payload, where).pixels, where), where)

    def read(self, payload: Payload, where: str) -> Decoded:
        """One image as it is stored, or no larger than needed."""
        limits: dict[str, Any] = {"max_pixels": self.max_pixels, "convert": self.convert, "channels": self.channels}
        if not isinstance(payload, bytes):
            return Decoded.whole(array_pixels(np.asarray(payload), where))
        if self.version == 1 and not is_npy(payload):
            return Decoded.whole(pillow_pixels(payload, where, **limits))
        scales = self.dct_scaling and self.resize != "tile"
        need = partial(needed_size, rule=self.resize, size=self.size) if scales else None
        return decode_scaled(payload, where, **limits, need=need, exact=self.version >= 3)

    def decode_many(self, payloads: Pixels) -> Tensor:
        """Images of one size at once; (N, H, W) or (N, H, W, C) -> (N, channels, height, width).

        Equal to `decode` of each, bit for bit, and much faster if nothing has to be resized or converted.
        """
        batch = payloads.reshape(*payloads.shape[:3], -1)
        if batch.shape[1:] != (*self.size, self.channels) or batch.dtype != self.pixel_type:
            return super(ImagePreprocess, self).decode_many(payloads)
        return torch.from_numpy(np.array(self.add_border(batch).transpose(0, 3, 1, 2), order="C"))

    def is_one(self, array: NDArray[Any]) -> bool:
        return array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (1, 3, self.channels))

    def normalise(self, images: Tensor) -> Tensor:
        """Integers or floats on the scale 0..255 (or 0..65,535) as float32 around zero; (N, C, H, W) -> the same."""
        mean, std = (torch.tensor(values, dtype=torch.float64) for values in (self.mean, self.std))
        pair = (1.0 / (self.white * std), mean / std)
        factor, shift = (values.float().view(-1, 1, 1).to(images.device) for values in pair)
        # Converting first and then working in place is four times as fast as one mixed-type product.
        scaled = images * factor if images.is_floating_point() else images.float().mul_(factor)
        return scaled.sub_(shift)

    @property
    def pixel_type(self) -> type[np.uint8] | type[np.uint16]:
        return np.uint16 if self.bit_depth == 16 else np.uint8

    def add_border(self, batch: Pixels) -> Pixels:
        """(N, H, W, C) with black rows and columns around it."""
        rows, columns = self.pad
        if not any(self.pad):
            return batch
        num, height, width, channels = batch.shape
        padded = np.zeros(
            (num, height + 2 * rows, width + 2 * columns, channels), batch.dtype
        )  # np.pad takes 25 us more
        padded[:, rows : rows + height, columns : columns + width] = batch
        return padded

    def to_bit_depth(self, pixels: Pixels, where: str) -> Pixels:
        """8 bits as 16 exactly, times 257; 16 bits as 8 only if conversion is accepted."""
        if pixels.dtype == self.pixel_type:
            return pixels
        if self.bit_depth == 16:
            return pixels.astype(np.uint16) * np.uint16(257)
        if not self.convert:
            rule, received = "This preprocessing takes images of 8 bits.", "16 bits, of which 8 would be lost"
            fix = "Convert it, train with --image.bit_depth 16, or accept the upper 8 with --image.convert true."
            raise DataError(rule, received=received, where=where, fix=fix)
        return np.round(pixels / np.float32(257)).astype(np.uint8)

    def to_channels(self, pixels: Pixels, where: str) -> Pixels:
        """Grey three times as RGB; RGB weighted as grey."""
        channels = pixels.shape[2]
        if channels == self.channels:
            return pixels
        if {channels, self.channels} != {1, 3}:
            mixed = "only grey and RGB are converted to each other"
            rule = f"This preprocessing takes images of {self.channels} channels; {mixed}."
            fix = "Choose other images, or the number of channels with --image.channels in training."
            raise DataError(rule, received=f"{channels} channels", where=where, fix=fix)
        converted = np.repeat(pixels, 3, axis=2) if self.channels == 3 else np.round(pixels @ GREY_WEIGHTS)[:, :, None]
        return converted.astype(pixels.dtype, copy=False)

    def measured(self, images: Tensor) -> Self:
        """This preprocessing with mean and standard deviation of these decoded images, channel by channel.

        Counted exactly, so that their order makes no difference. Shapes: (N, C, H, W) uint8 or uint16.
        """
        values = np.arange(self.white + 1) / self.white
        mean, std = [], []
        for channel in range(self.channels):
            counts = sum(
                np.bincount(part[:, channel].ravel(), minlength=self.white + 1)
                for part in np.array_split(images.numpy(), max(1, len(images) // 4096))
            )
            total = np.sum(counts)
            mean.append(float(counts @ values / total))
            std.append(float(np.sqrt(counts @ (values - mean[-1]) ** 2 / total)))
        # A constant channel keeps its scale, rather than being divided by zero.
        return replace(self, mean=tuple(mean), std=tuple(s if s > 1e-6 else 1.0 for s in std))

    @classmethod
    def from_json(cls, spec: dict[str, Any]) -> Self:
        """The inverse of `to_json`, also of version 1, which had no scaling."""
        first = isinstance(spec, dict) and spec.get("version") == 1
        return super(ImagePreprocess, cls).from_json({"dct_scaling": False, **spec} if first else spec)
