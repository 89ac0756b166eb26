"""Audio, as the table of kinds of data knows them."""

import io

import soundfile
from torch import Tensor

from neocog.dataset.record import Payload
from neocog.errors import DataError
from neocog.modalities.audio.audio_folder import SUFFIXES
from neocog.modalities.audio.choose import choose_audio
from neocog.modalities.audio.preprocess import AudioPreprocess
from neocog.modalities.audio.waveform import decodable
from neocog.modalities.draw import Drawing, curve_points, heat_address, plot_address
from neocog.modalities.signal.augment import augment_stages
from neocog.modalities.table import ModalityInfo

__all__ = ["ROW"]

FRAMES = 2**21  # of a preview, from the beginning


def draw(_: Payload, decoded: Tensor) -> Drawing:
    """The waveform as a curve, or frames x bands with high frequencies on top."""
    values = decoded.numpy()
    return Drawing(address=plot_address(values) if values.ndim == 2 else heat_address(values[0].T[::-1]))


def preview(payload: Payload, _: str) -> Drawing:
    """The first channel."""
    if not isinstance(payload, bytes):
        return Drawing()
    with soundfile.SoundFile(io.BytesIO(payload)) as file:
        return Drawing(curve=curve_points(file.read(FRAMES, dtype="float32", always_2d=True)[:, 0]))


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
    choose=choose_audio,
    suffixes=SUFFIXES | {".mp3"},  # which is not read, and refused by name rather than passed over
    network="speech_res8",
    recipe="sound",
    section="audio",
    augment_section="augment_signal",
    augment=augment_stages,
    feature="Audio",
    check_encoded=check_encoded,
    draw=draw,
    preview=preview,
)
