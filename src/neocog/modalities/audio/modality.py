"""Audio, as the table of kinds of data knows them."""

import io

import soundfile
from torch import Tensor

from neocog.dataset.file_types import SUFFIXES
from neocog.dataset.record import Payload
from neocog.errors import DataError
from neocog.lazy import calls
from neocog.modalities.audio.draw import draw_sound
from neocog.modalities.audio.preprocess import AudioPreprocess
from neocog.modalities.audio.waveform import decodable
from neocog.modalities.draw import Drawing, colour_map, draw_curves, image_address
from neocog.modalities.table import ModalityInfo

__all__ = ["ROW"]

FRAMES = 2**21  # that are drawn, from the beginning


def draw(payload: Payload, decoded: Tensor | None, _: str) -> Drawing:
    """The spectrogram, with time to the right and frequency upwards, or the waveform."""
    values = None if decoded is None else decoded.numpy()
    if values is not None and values.ndim == 3:
        return Drawing(image_address(colour_map(values[0].T[::-1])))
    if values is None and isinstance(payload, bytes):
        with soundfile.SoundFile(io.BytesIO(payload)) as file:
            values = file.read(FRAMES, dtype="float32", always_2d=True).T[:1]
    return Drawing(curves=draw_curves(values)) if values is not None else Drawing()


def check_encoded(payload: bytes, where: str) -> None:
    try:
        soundfile.read(io.BytesIO(decodable(payload)))
    except Exception as error:  # a damaged header can lead to anything
        raise DataError(f"{where} is truncated or damaged: {error}.", fix="Replace or remove it.") from error


ROW = ModalityInfo(
    name="audio",
    noun="recording",
    plural="recordings",
    preprocess=AudioPreprocess,
    choose=calls("neocog.modalities.audio.choose", "choose_audio"),
    suffixes=SUFFIXES["audio"],
    network="speech_dscnn_s",
    recipe="sound",
    recipe_for_network="keyword",
    section="audio",
    augment_section="augment_signal",
    augment=calls("neocog.modalities.signal.augment", "augment_stages"),
    check_augment=calls("neocog.modalities.signal.augment", "check_augment"),
    feature="Audio",
    check_encoded=check_encoded,
    draw=draw,
    draw_map=draw_sound,
)
