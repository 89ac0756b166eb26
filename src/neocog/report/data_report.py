"""The data doctor's page: what was found, with the records to look at, as one file that needs nothing else."""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from jinja2 import Environment, PackageLoader, StrictUndefined
from numpy.typing import NDArray
from PIL import Image

from neocog.dataset.record import Payload, Source
from neocog.doctor import DataReport, Example, printable
from neocog.files import write_whole
from neocog.modalities.image.decode import picture_pixels
from neocog.report.pictures import picture_address

__all__ = ["write_data_report"]

SIDE = 160  # pixels of a thumbnail's longer side
EXCERPT = 240  # characters of a text
POINTS = 160  # of a curve
MAX_PIXELS = 40_000_000
FRAMES = 2**21  # of a sound, from its beginning
MOST_CLASSES = 200
TITLES = {"error": "Errors", "warning": "Warnings", "note": "Notes"}


@dataclass(frozen=True, slots=True)
class Look:
    """What there is to see of one record: a picture, a curve or a text, or none of them."""

    key: str
    address: str = ""
    curve: str = ""
    """Points of a line within 100 x 40, as SVG writes them."""
    text: str = ""

    @property
    def there(self) -> bool:
        return bool(self.address or self.curve or self.text)


def write_data_report(path: Path, report: DataReport) -> None:
    """Write the page, whole or not at all; the records that it shows are read once more."""
    environment = Environment(
        loader=PackageLoader("neocog.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: printable(value) if type(value) is str else value,
    )
    groups = [(title, [f for f in report.findings if f.severity == severity]) for severity, title in TITLES.items()]
    looks = {example: looks_at(report.source, example) for f in report.findings for example in f.examples}
    page = environment.get_template("data.html.j2").render(
        report=report,
        groups=[(title, found) for title, found in groups if found],
        looks=looks,
        pictured={f.kind for f in report.findings if any(look.there for e in f.examples for look in looks[e])},
        shown_classes=list(enumerate(report.classes))[:MOST_CLASSES],
        largest=max((max(counts, default=0) for counts in report.counts.values()), default=0),
    )
    write_whole(path, page)


def looks_at(source: Source | None, example: Example) -> list[Look]:
    """The records of an example, as they can be shown."""
    return [look(source, index) for index in example.records] if source is not None else []


def look(source: Source, index: int) -> Look:
    key = source.key(index)
    try:
        payload = source.read(index).payload
        return shown(key, payload, source.modality)
    except Exception:  # damaged records are what this page is about; they are listed without a picture
        return Look(key)


def shown(key: str, payload: Payload, modality: str) -> Look:
    """A record as it can be shown."""
    if isinstance(payload, str):
        return Look(key, text=payload[:EXCERPT] + ("..." if len(payload) > EXCERPT else ""))
    if modality == "image":
        if isinstance(payload, bytes):
            pixels = picture_pixels(payload, key, max_pixels=MAX_PIXELS, convert=True)
        else:
            pixels = np.asarray(payload)
        return Look(key, address=thumbnail(pixels))
    if modality == "audio" and isinstance(payload, bytes):
        with soundfile.SoundFile(io.BytesIO(payload)) as file:
            return Look(key, curve=curve(file.read(FRAMES, dtype="float32", always_2d=True)[:, 0]))
    if modality == "signal" and isinstance(payload, np.ndarray):
        return Look(key, curve=curve(payload.reshape(len(payload), -1)[0]))
    return Look(key)


def thumbnail(pixels: NDArray[Any]) -> str:
    """Pixels (H, W) or (H, W, C) as the address of a small picture; channels beyond RGB are left away."""
    planes = pixels[:, :, None] if pixels.ndim == 2 else pixels
    planes = planes[:, :, :3] if planes.shape[2] >= 3 else planes[:, :, :1]
    small = planes if planes.dtype == np.uint8 else (planes // 257).astype(np.uint8)
    image = Image.fromarray(small[:, :, 0] if small.shape[2] == 1 else small)
    image.thumbnail((SIDE, SIDE))
    drawn = np.asarray(image)
    return picture_address(drawn if drawn.ndim == 2 else np.moveaxis(drawn, 2, 0))


def curve(values: NDArray[Any]) -> str:
    """The lowest and highest value of each part of a line, within 100 x 40; NaN and infinity are left out.

    >>> curve(np.array([0.0, 1.0]))
    '0.0,39.0 50.0,1.0'
    """
    parts = [part[np.isfinite(part)] for part in np.array_split(values, min(POINTS, max(1, len(values))))]
    known = [part for part in parts if part.size]
    if not known:
        return ""
    low = float(min(part.min() for part in known))
    reach = float(max(part.max() for part in known)) - low or 1.0
    points = []
    for place, part in enumerate(parts):
        for value in dict.fromkeys((part.min(), part.max())) if part.size else ():
            points.append(f"{100 * place / len(parts):.1f},{39 - 38 * (float(value) - low) / reach:.1f}")
    return " ".join(points)
