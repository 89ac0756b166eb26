"""Decoding: JPEGs in memory to network input of 224x224, on one core.

Neocog's side is `ImagePreprocess.decode`, which also arranges the channels for torch. The peers:

Pillow                  open, convert, resize with the bilinear filter; all others do this or the like
Pillow with draft       the same after `Image.draft`, which lets libjpeg decode at 1/2, 1/4 or 1/8 of the size
OpenCV                  imdecode, at 1/2, 1/4 or 1/8 of the size if that is enough, and resize by area
torchvision             decode_jpeg and its antialiased resize

Figures are images per second of processor time, a few images at a time, since a loader uses only one decoder. The
images have the spectrum of photographs; see `harness.pictures`. Every bit must be read at every scale, so the finest
textures gain the least. The peers' images are checked against Pillow's: the note has the mean absolute difference, of
255 levels.
Target, at the medium texture: at least 1.25 times the images per second at 500x375, 3 times at 2000x1500.
"""

import io
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from harness import Row, Sides
from harness.peers import import_peer
from harness.pictures import TEXTURES, draw_jpeg
from harness.row import Turn
from neocog.data import ImagePreprocess

__all__ = ["ROWS"]

SIDE = 224
SIZES = {"500x375": ((375, 500), 100, 1.25), "2000x1500": ((1500, 2000), 10, 3.0)}
"""(height, width), images of a turn, target at the medium texture."""
WORST = 3.0  # levels of 255; the filters differ, and half a pixel's shift would be more

Decode = Callable[[bytes], NDArray[np.uint8]]


def with_neocog(payload: bytes) -> NDArray[np.uint8]:
    return PREPROCESS.decode(payload).permute(1, 2, 0).numpy()  # a view; (H, W, C), as the others


PREPROCESS = ImagePreprocess(size=(SIDE, SIDE), channels=3, resize="squash")


def with_pillow(payload: bytes, *, draft: bool = False) -> NDArray[np.uint8]:
    image = Image.open(io.BytesIO(payload))
    if draft:
        image.draft("RGB", (SIDE, SIDE))
    return np.asarray(image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BILINEAR))


def with_opencv(cv2: Any, size: tuple[int, int], payload: bytes) -> NDArray[np.uint8]:
    flags = {8: cv2.IMREAD_REDUCED_COLOR_8, 4: cv2.IMREAD_REDUCED_COLOR_4, 2: cv2.IMREAD_REDUCED_COLOR_2}
    flag = next((flag for part, flag in flags.items() if min(size) >= part * SIDE), cv2.IMREAD_COLOR)
    image = cv2.imdecode(np.frombuffer(payload, np.uint8), flag)
    found: NDArray[np.uint8] = cv2.cvtColor(
        cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2RGB
    )
    return found


def with_torchvision(io_: Any, functional: Any, payload: bytes) -> NDArray[np.uint8]:
    image = io_.decode_jpeg(torch.frombuffer(bytearray(payload), dtype=torch.uint8), mode=io_.ImageReadMode.RGB)
    found: NDArray[np.uint8] = functional.resize(image, [SIDE, SIDE], antialias=True).permute(1, 2, 0).numpy()
    return found


def decoders(size: tuple[int, int]) -> tuple[dict[str, Decode], dict[str, str]]:
    """All sides that can take part, and why others can't."""
    sides: dict[str, Decode] = {
        "Neocog": with_neocog,
        "Pillow": with_pillow,
        "Pillow with draft": partial(with_pillow, draft=True),
    }
    absent = {}
    cv2, reason = import_peer("cv2")
    if cv2:
        cv2.setNumThreads(1)
        sides["OpenCV"] = partial(with_opencv, cv2, size)
    else:
        absent["OpenCV"] = reason
    decode, reason = find_torchvision()
    if decode:
        sides["torchvision"] = decode
    else:
        absent["torchvision"] = reason
    return sides, absent


def find_torchvision() -> tuple[Decode | None, str]:
    """Its decoder, or why there is none: beside a torch for CPUs, that of PyPI may be imported but not loaded."""
    io_, reason = import_peer("torchvision.io")
    functional, missing = import_peer("torchvision.transforms.v2.functional")
    if reason or missing:
        return None, reason or missing
    decode = partial(with_torchvision, io_, functional)
    try:
        decode(draw_jpeg((SIDE, SIDE)))
    except (RuntimeError, AttributeError) as error:
        return None, f"cannot decode: {str(error).splitlines()[0]}"
    return decode, ""


def by_processor(decode: Decode, payload: bytes, count: int) -> Turn:
    """Images per second of processor time; the clock would include other load on the machine."""

    def turn() -> float:
        began = time.process_time()
        for _ in range(count):
            decode(payload)
        return count / (time.process_time() - began)

    return turn


def decoded(shown: str, texture: str) -> Row:
    size, num, target = SIZES[shown]

    def prepare(folder: Path) -> Iterator[Sides]:
        torch.set_num_threads(1)
        payload = draw_jpeg(size, TEXTURES[texture])
        sides, absent = decoders(size)
        exact = with_pillow(payload).astype(np.int16)
        away = {name: float(np.abs(decode(payload) - exact).mean()) for name, decode in sides.items()}
        assert max(away.values()) < WORST, away
        levels = ", ".join(f"{name} {value:.2f}" for name, value in away.items() if name != "Pillow")
        bits = 8 * len(payload) / (size[0] * size[1])
        turns = {name: by_processor(decode, payload, num) for name, decode in sides.items()}
        yield Sides(turns, note=f"{bits:.2f} bits per pixel; mean difference from Pillow: {levels}", absent=absent)

    what = f"JPEG of {shown}, {texture} texture, to 224x224; one core"
    asked = target if texture == "medium" else None
    return Row(f"decode-{shown}-{texture}", "data", what, "images/s", "more", prepare, target=asked)


ROWS = tuple(decoded(shown, texture) for shown in SIZES for texture in TEXTURES)
