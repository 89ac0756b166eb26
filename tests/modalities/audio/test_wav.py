"""WAV files whose header does not state their length, or states it in 64 bits; soundfile and `wave` are the oracles."""

import io
import struct
import wave

import numpy as np
import pytest
import soundfile

from neocog.data.open import open_source
from neocog.data.pack import pack
from neocog.doctor import check
from neocog.errors import DataError
from neocog.modalities.audio.choose import AudioConfig, choose_audio
from neocog.modalities.audio.wav import find_samples, with_plain_header
from neocog.modalities.audio.waveform import sound_header, sound_waveform

RATE = 8000
FULL = 0xFFFFFFFF
WRITTEN = (np.sin(np.arange(3000) / 9) * 9000).astype("<i2")
SAMPLES = WRITTEN.tobytes()
LIST = b"LIST" + struct.pack("<I", 18) + b"INFOISFT" + struct.pack("<I", 5) + b"Lavf\0\0"
BEXT = b"bext" + struct.pack("<I", 603) + bytes(604)  # of odd length, with its pad byte
JUNK = b"JUNK" + struct.pack("<I", 28) + bytes(28)


def wav(data, riff=None, *, magic=b"RIFF", before=b"", fmt=b"", after=b"", samples=SAMPLES):
    """A file of mono 16-bit samples with these lengths in its header."""
    order = ">" if magic == b"RIFX" else "<"
    fmt = fmt or struct.pack(order + "HHIIHH", 1, 1, RATE, 2 * RATE, 2, 16)
    body = b"WAVE" + before + b"fmt " + struct.pack(order + "I", len(fmt)) + fmt
    body += b"data" + struct.pack(order + "I", data) + samples + after
    return magic + struct.pack(order + "I", len(body) if riff is None else riff) + body


def ds64(data, riff=0, frames=0):
    return b"ds64" + struct.pack("<IQQQI", 28, riff, data, frames, 0)


def of(payload):
    """The decoded samples as they were written."""
    waveform, rate = sound_waveform(payload, "x.wav", 600)
    assert rate == RATE
    return np.round(waveform * 32768).astype(int).tolist()


EXTENSIBLE = struct.pack("<HHIIHHHHIH", 0xFFFE, 1, RATE, 2 * RATE, 2, 16, 22, 16, 4, 1) + bytes.fromhex(
    "000000001000800000aa00389b71"
)
STREAMED = {
    "ffmpeg": wav(FULL, FULL),
    "sox and espeak-ng": wav(0x7FFFF000, 0x7FFFF024),
    "lame": wav(0x7FFFFFFF, 0x80000023),
    "arecord": wav(0x7FFFFF00, 0x7FFFFF24),
    "2 GiB": wav(0x80000000, 0x80000024),
    "4 GiB less a header": wav(FULL - 44, FULL - 8),
    "2 GiB less a header": wav(0x7FFFFFFF - 36, 0x7FFFFFFF),
    "stopped recorder": wav(0, 0),
    "wave into a pipe": wav(0, 36),
    "LIST before": wav(FULL, FULL, before=LIST),
    "bext and JUNK before": wav(0, 0, before=BEXT + JUNK),
    "extensible": wav(0x7FFFF000, 0x7FFFF024, fmt=EXTENSIBLE),
    "half a sample more": wav(FULL, FULL, after=b"x"),
    "RF64": wav(FULL, FULL, magic=b"RF64", before=ds64(0)),
    "RF64 of -1": wav(FULL, FULL, magic=b"RF64", before=ds64(2**64 - 1, 2**64 - 1)),
    "RF64 without ds64": wav(FULL, FULL, magic=b"RF64"),
    "RIFX": wav(FULL, FULL, magic=b"RIFX", samples=WRITTEN.astype(">i2").tobytes()),
}
STATED = {
    "plain": wav(6000),
    "no length of the whole": wav(6000, 0),
    "unknown length of the whole": wav(6000, FULL),
    "LIST behind": wav(6000, after=LIST),
    "odd chunks around": wav(6000, before=BEXT, after=LIST + JUNK),
    "RF64": wav(FULL, FULL, magic=b"RF64", before=ds64(6000, 6072, 3000)),
    "RF64 with chunks": wav(FULL, FULL, magic=b"RF64", before=ds64(6000) + BEXT, after=LIST),
    "RF64 with a length of 32 bits": wav(6000, FULL, magic=b"RF64", before=ds64(6000)),
    "BW64": wav(FULL, FULL, magic=b"BW64", before=ds64(6000, 6072), after=b"axml" + struct.pack("<I", 4) + b"<a/>"),
    "RIFX": wav(6000, magic=b"RIFX", samples=WRITTEN.astype(">i2").tobytes()),
}


@pytest.mark.parametrize("name", STREAMED)
def test_wav_of_unknown_length_is_read_to_its_end(name):
    payload = STREAMED[name]
    assert of(payload) == WRITTEN.tolist()
    header = sound_header(payload, "x.wav", 600)
    assert (header.num_samples, header.channels, header.states_length) == (3000, 1, False)


@pytest.mark.parametrize("name", STATED)
def test_wav_that_states_its_length_is_read_up_to_it(name):
    assert of(STATED[name]) == WRITTEN.tolist()
    assert sound_header(STATED[name], "x.wav", 600).states_length


@pytest.mark.parametrize("name", ["ffmpeg", "sox and espeak-ng", "lame", "arecord", "LIST before", "extensible"])
def test_wav_of_unknown_length_is_read_as_soundfile_reads_it(name):
    found, _ = soundfile.read(io.BytesIO(STREAMED[name]), dtype="int16")
    assert of(STREAMED[name]) == found.tolist()


@pytest.mark.parametrize(
    "subtype", ["PCM_U8", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW", "IMA_ADPCM", "MS_ADPCM"]
)
@pytest.mark.parametrize("length", [FULL, 0x7FFFF000, 0])
def test_audio_of_unknown_length_decodes_as_if_stated(subtype, length):
    buffer = io.BytesIO()
    soundfile.write(buffer, np.sin(np.arange(6000) / 9).reshape(-1, 2) / 3, RATE, format="WAV", subtype=subtype)
    payload = buffer.getvalue()
    place = payload.index(b"data") + 4
    streamed = payload[:place] + struct.pack("<I", length) + payload[place + 4 :]
    assert np.array_equal(sound_waveform(streamed, "x", 60)[0], sound_waveform(payload, "x", 60)[0])


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "FLOAT"])
@pytest.mark.parametrize("channels", [1, 2])
def test_rf64_that_soundfile_wrote_is_read_as_it_reads_it(subtype, channels):
    buffer = io.BytesIO()
    noise = np.random.default_rng(0).normal(size=(5000, channels)) / 9
    soundfile.write(buffer, noise, RATE, format="RF64", subtype=subtype)
    expected, _ = soundfile.read(io.BytesIO(buffer.getvalue()), dtype="float32", always_2d=True)
    assert buffer.getvalue().startswith(b"RF64")
    assert np.array_equal(sound_waveform(buffer.getvalue(), "x", 60)[0], expected.mean(axis=1))


def test_plain_header_is_one_that_the_standard_library_reads():
    for payload in (STREAMED["lame"], STREAMED["stopped recorder"], STREAMED["RF64"], STATED["BW64"]):
        with wave.open(io.BytesIO(with_plain_header(payload))) as file:
            assert (file.getnframes(), file.getframerate(), file.readframes(9999)) == (3000, RATE, SAMPLES)
    for name in ("plain", "LIST behind", "RIFX"):
        assert with_plain_header(STATED[name]) is STATED[name]


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (wav(7000), "it ends 1,000 bytes before the end that it promises"),
        (wav(7000, FULL), "it ends 1,000 bytes before"),
        (wav(3_000_000_000, 3_000_000_036), "it ends 2,999,994,000 bytes before"),
        (wav(0x7FFE0000), "bytes before the end"),
        (wav(7000, magic=b"RIFX", samples=WRITTEN.astype(">i2").tobytes()), "it ends 1,000 bytes before"),
        (wav(FULL, FULL, magic=b"RF64", before=ds64(7000)), "it ends 1,000 bytes before"),
        (wav(FULL, FULL, magic=b"RF64", before=ds64(5 * 2**30)), "bytes before the end"),
        (wav(0, samples=b""), "at least one sample. x.wav: received none"),
        (wav(0, samples=b"\0"), "at least one sample. x.wav: received none"),
        (wav(0, samples=b"", after=LIST), "at least one sample. x.wav: received none"),
        (wav(0, samples=b"", after=LIST + BEXT + JUNK), "at least one sample. x.wav: received none"),
        (wav(FULL, FULL, samples=b""), "at least one sample. x.wav: received none"),
    ],
)
def test_truncated_and_empty_wav_is_refused(payload, message):
    with pytest.raises(DataError, match=message):
        sound_waveform(payload, "x.wav", 600)


@pytest.mark.parametrize(("format", "name"), [("W64", "W64"), ("AIFF", "AIFF"), ("CAF", "CAF"), ("AU", "AU")])
def test_other_container_named_wav_is_refused(format, name):
    buffer = io.BytesIO()
    soundfile.write(buffer, WRITTEN, RATE, format=format)
    with pytest.raises(DataError, match=f"must be a WAV, FLAC, OGG or MP3 file. x.wav: received {name}. Convert it"):
        sound_waveform(buffer.getvalue(), "x.wav", 600)


def test_length_of_a_streamed_wav_is_still_limited():
    with pytest.raises(DataError, match=r"at most 0\.2 seconds. x.wav: received "):
        sound_waveform(STREAMED["stopped recorder"], "x.wav", 0.2)


def test_silence_after_a_zero_length_is_read():
    payload = wav(0, 0, samples=bytes(6000))
    assert find_samples(payload).num_bytes is None
    assert of(payload) == [0] * 3000


def folder(root, streamed):
    """Four sounds in two classes, of which so many do not state their length."""
    for k in range(4):
        path = root / "ab"[k % 2] / f"{k}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        samples = np.roll(WRITTEN, 100 * k).tobytes()
        path.write_bytes(wav(0x7FFFF000, 0x7FFFF024, samples=samples) if k < streamed else wav(6000, samples=samples))
    return root


@pytest.mark.parametrize(
    ("streamed", "sentence"),
    [
        (1, "1 sound does not state its length in the header: read to the end of the file"),
        (3, "3 sounds do not state their length in the header: read to the end of the file"),
    ],
)
def test_check_and_training_report_unknown_lengths_alike(tmp_path, capsys, streamed, sentence):
    root = folder(tmp_path / "sounds", streamed)
    (finding,) = [found for found in check(root).findings if found.kind == "sound-length-unknown"]
    assert (finding.severity, finding.sentence, finding.count) == ("note", sentence, streamed)
    assert finding.examples[0].key == "a/0.wav"
    source = open_source(root)
    choose_audio(source, source.splits["all"], AudioConfig(), (1, 101, 40))
    assert f"  of the training data, {sentence}\n" in capsys.readouterr().err


def test_stated_lengths_produce_no_notice(tmp_path, capsys):
    root = folder(tmp_path / "sounds", 0)
    assert "sound-length-unknown" not in [found.kind for found in check(root).findings]
    source = open_source(root)
    choose_audio(source, source.splits["all"], AudioConfig(), (1, 101, 40))
    assert "length" not in capsys.readouterr().err


def test_streamed_wav_and_rf64_are_packed_as_they_are(tmp_path):
    root = folder(tmp_path / "sounds", 2)
    (root / "a/rf64.wav").write_bytes(STATED["BW64"])
    (root / "b/rf64.wav").write_bytes(STREAMED["RF64 of -1"])
    before = open_source(root)
    pack(root, tmp_path / "shards")
    after = open_source(tmp_path / "shards")
    payloads = sorted(after.read(k).payload for k in range(len(after)))
    assert payloads == sorted(before.read(k).payload for k in range(len(before)))
