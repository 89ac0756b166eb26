"""FLAC files whose header leaves the number of samples open; soundfile's own, with the number, are the oracle."""

import io

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from neocog.errors import DataError
from neocog.modalities.audio.flac import LENGTH, PACKED, crc, states_length, with_length
from neocog.modalities.audio.waveform import sound_header, sound_waveform


def encoded(length, channels=1, rate=8000, subtype="PCM_16"):
    buffer = io.BytesIO()
    noise = np.random.default_rng(length).normal(size=(length, channels)) / 9
    soundfile.write(buffer, noise, rate, format="FLAC", subtype=subtype)
    return buffer.getvalue()


def streamed(payload):
    """The file as it is written into a pipe: without the number of samples."""
    packed = int.from_bytes(payload[PACKED : PACKED + 8])
    return payload[:PACKED] + (packed & ~LENGTH).to_bytes(8) + payload[PACKED + 8 :]


@pytest.mark.parametrize("length", [1, 2, 16, 191, 4095, 4096, 4097, 100_000, 200_000, 700_000])
@pytest.mark.parametrize(
    ("channels", "rate", "subtype"), [(1, 8000, "PCM_16"), (2, 44_100, "PCM_24"), (1, 12_345, "PCM_S8")]
)
def test_flac_of_unknown_length_is_read_to_its_end(length, channels, rate, subtype):
    whole = encoded(length, channels, rate, subtype)
    payload = streamed(whole)
    assert states_length(whole) and not states_length(payload)
    assert with_length(payload) == whole and with_length(whole) is whole
    header = sound_header(payload, "x.flac", 600)
    assert (header.num_samples, header.sample_rate, header.states_length) == (length, rate, False)
    assert np.array_equal(sound_waveform(payload, "x.flac", 600)[0], sound_waveform(whole, "x.flac", 600)[0])


@pytest.mark.parametrize("cut", [1, 3, 2000, 9000])
def test_cut_flac_of_unknown_length_is_refused(cut):
    with pytest.raises(DataError, match="does not state its length, and its last frame is not whole"):
        sound_waveform(streamed(encoded(20_000))[:-cut], "x.flac", 600)


def test_data_after_the_last_flac_frame_is_refused():
    with pytest.raises(DataError, match="its last frame is not whole"):
        sound_waveform(streamed(encoded(20_000)) + b"TAG" + bytes(125), "x.flac", 600)


@given(st.binary(max_size=200))
def test_any_bytes_behind_a_header_are_read_or_left(content):
    payload = streamed(encoded(100))[:42] + content
    assert len(with_length(payload)) == len(payload)


def test_checksums_are_those_of_the_catalogue():
    assert crc(b"123456789", 8, 0x07) == 0xF4  # CRC-8/SMBUS
    assert crc(b"123456789", 16, 0x8005) == 0xFEE8  # CRC-16/UMTS
