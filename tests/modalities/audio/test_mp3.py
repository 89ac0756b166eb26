"""MP3 files go the whole way: opened, checked, packed, trained on and predicted; their length is stated or counted."""

import io
from dataclasses import replace

import numpy as np
import pytest
import soundfile

from neocog import load, recipe, train
from neocog.cli.app import main
from neocog.data import open_source
from neocog.data.pack import pack
from neocog.dataset.file_types import file_type
from neocog.doctor import check
from neocog.errors import DataError
from neocog.modalities.audio import mp3
from neocog.modalities.audio.waveform import sound_header, sound_waveform

RATE = 16_000
TONE = np.sin(np.arange(RATE) * 0.3) * 0.5


def encoded(samples: np.ndarray = TONE, rate: int = RATE) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format="MP3")
    return file.getvalue()


def without_first_frame(payload: bytes) -> bytes:
    """A stream whose encoder's frame is missing, as recorders and cutters write it."""
    return payload[payload.index(payload[:2], 4) :]


@pytest.fixture
def tones(tmp_path):
    for name, pitch in (("high", 3000), ("low", 200)):
        (tmp_path / "tones" / name).mkdir(parents=True)
        for i in range(12):
            wave = 0.4 * np.sin(2 * np.pi * (pitch + 20 * i) * np.arange(8000) / RATE)
            (tmp_path / "tones" / name / f"{i}.mp3").write_bytes(encoded(wave))
    return tmp_path / "tones"


def test_mp3_folder_is_opened_checked_packed_trained_and_predicted(tones, tmp_path, capsys):
    source = open_source(tones)
    assert (source.format, source.modality, len(source), source.classes) == (
        "sound-folder",
        "audio",
        24,
        ("high", "low"),
    )
    assert check(source).errors == 0
    pack(tones, tmp_path / "shards")
    packed = open_source(tmp_path / "shards")
    assert [packed.read(i).payload for i in range(24)] == [source.read(i).payload for i in range(24)]
    assert {packed.key(i).rpartition(".")[2] for i in range(24)} <= {"mp3", packed.key(0)}
    for data in (tones, tmp_path / "shards"):
        config = recipe("sound", str(data))
        config = replace(config, train=replace(config.train, epochs=1, batch_size=8, device="cpu"))
        run = train(config, runs=tmp_path / "runs" / data.name)
    assert load(run.bundle).predict(tones / "high" / "3.mp3")[0].class_name in ("high", "low")
    assert main(["predict", str(run.bundle), str(tones), "--csv"]) == 0
    assert capsys.readouterr().out.count(".mp3") == 24


def test_mp3_decodes_to_what_soundfile_reads():
    payload = encoded()
    waveform, rate = sound_waveform(payload, "a.mp3", 600)
    expected = soundfile.read(io.BytesIO(payload), dtype="float32")[0]
    assert rate == RATE and np.allclose(waveform, expected, atol=1e-6)
    header = sound_header(payload, "a.mp3", 600)
    assert (header.num_samples, header.channels, header.states_length) == (RATE, 1, True)
    assert file_type(payload) == "MP3" and file_type(b"ID3\4" + payload) == "MP3"


@pytest.mark.parametrize("seconds", [0.3, 1.7, 20])
def test_mp3_without_a_stated_length_is_read_to_its_end(seconds):
    samples = np.sin(np.arange(int(44_100 * seconds)) * 0.1) * np.linspace(0, 0.9, int(44_100 * seconds))
    payload = without_first_frame(encoded(samples, 44_100))
    assert not mp3.states_length(payload)
    header = sound_header(payload, "a.mp3", 600)
    waveform, _ = sound_waveform(payload, "a.mp3", 600)
    assert not header.states_length
    assert header.num_samples == len(waveform)
    assert len(samples) <= len(waveform) < len(samples) + 4 * 1152  # the encoder's delay is not cut off
    whole, _ = sound_waveform(encoded(samples, 44_100), "a.mp3", 600)
    assert np.allclose(waveform[576 : 576 + len(whole)], whole, atol=1e-6)


def test_long_mp3_has_no_gap_between_blocks():
    samples = np.sin(np.arange(6 * 44_100) * 0.1) * 0.5
    waveform, _ = sound_waveform(encoded(samples, 44_100), "a.mp3", 600)
    assert np.abs(waveform - samples)[2000:-2000].max() < 0.05


def test_mp3_with_a_header_that_lies_is_refused():
    payload = bytearray(encoded())
    place = payload.index(b"Info") if b"Info" in payload else payload.index(b"Xing")
    payload[place + 8 : place + 12] = (10**5).to_bytes(4)
    with pytest.raises(DataError, match=r"a\.mp3 is truncated or damaged: its header promises .* samples, more than"):
        sound_header(bytes(payload), "a.mp3", 1e6)


def test_mp3_behind_a_tag_states_its_length():
    tag = b"ID3\4\0\0" + bytes([0, 0, 0x1F, 0x48]) + bytes(4040)
    assert mp3.states_length(tag + encoded()) and not mp3.states_length(tag + without_first_frame(encoded()))
    waveform, _ = sound_waveform(tag + encoded(), "a.mp3", 600)
    assert len(waveform) == RATE


@pytest.mark.parametrize("left", [0.5, 0.9])
def test_truncated_mp3_is_refused(left):
    payload = encoded(np.sin(np.arange(3 * RATE) * 0.3) * 0.5)
    with pytest.raises(DataError, match=r"a\.mp3.*truncated or damaged"):
        sound_waveform(payload[: int(left * len(payload))], "a.mp3", 600)


def test_mp3_that_is_too_long_is_refused():
    with pytest.raises(DataError, match=r"at most 0\.5 seconds"):
        sound_header(encoded(), "a.mp3", 0.5)
