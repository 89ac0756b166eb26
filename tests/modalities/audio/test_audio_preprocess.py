import io

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import fft, signal

from neocog.errors import ConfigError, DataError
from neocog.loading import load_in_memory
from neocog.modalities.audio.audio_folder import open_audio_folder
from neocog.modalities.audio.choose import AudioConfig, choose_audio
from neocog.modalities.audio.preprocess import AudioPreprocess, fft_size
from neocog.modalities.audio.spectrogram import log_mel, mel_bank, pcen, power_spectrogram
from neocog.modalities.audio.waveform import resample, sound_header, sound_waveform
from neocog.progress import quiet
from neocog.zoo import create_model
from neocog.zoo.catalog import CATALOG


def noise(samples=4000, channels=1, seed=0):
    shape = (samples, channels) if channels > 1 else samples
    return (0.2 * np.random.default_rng(seed).normal(size=shape)).clip(-1, 1)


def tone(hertz, samples=4000, rate=8000):
    return 0.5 * np.sin(2 * np.pi * hertz * np.arange(samples) / rate)


def encoded(waveform, rate=8000, format="WAV", subtype=None):
    file = io.BytesIO()
    soundfile.write(file, waveform, rate, format=format, subtype=subtype)
    return file.getvalue()


@pytest.mark.parametrize(
    ("format", "subtype", "error"),
    [
        ("WAV", "PCM_16", 1e-4),
        ("WAV", "FLOAT", 1e-7),
        ("WAVEX", "PCM_24", 1e-6),
        ("FLAC", None, 1e-4),
        ("OGG", None, 0.1),
    ],
)
def test_tiff_pixels_round_trip(format, subtype, error):
    written = tone(440) if format == "OGG" else noise()  # which does not keep noise as it was
    payload = encoded(written, format=format, subtype=subtype)
    waveform, rate = sound_waveform(payload, "here", 600)
    assert (rate, waveform.dtype, waveform.shape) == (8000, np.float32, (4000,))
    assert np.abs(waveform - written).max() < error
    header = sound_header(payload, "here", 600)
    assert (header.sample_rate, header.num_samples, header.channels, header.seconds) == (8000, 4000, 1, 0.5)


def test_channels_are_mixed():
    waveform, _ = sound_waveform(encoded(noise(channels=3), subtype="FLOAT"), "here", 600)
    assert waveform == pytest.approx(noise(channels=3).mean(axis=1), abs=1e-6)


def test_audio_longer_than_a_block_is_read_whole():
    waveform, _ = sound_waveform(encoded(noise(200_000), subtype="FLOAT"), "here", 600)
    assert np.abs(waveform - noise(200_000)).max() < 1e-6


@pytest.mark.parametrize(("rate", "target"), [(8000, 8000), (44_100, 16_000), (8000, 16_000), (22_050, 16_000)])
def test_resampling_keeps_a_tone_and_its_level(rate, target):
    before = tone(440, rate, rate).astype(np.float32)
    found = resample(before, rate, target)
    assert (len(found), found.dtype) == (target, np.float32)
    assert np.abs(found - tone(440, target, target))[200:-200].max() < 0.01
    if rate != target:
        assert np.abs(found - signal.resample_poly(before, target, rate)).max() < 1e-5


WAV, FLAC, OGG = (encoded(noise(), format=format) for format in ("WAV", "FLAC", "OGG"))


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (b"", "Audio must be a WAV, FLAC, OGG or MP3 file. here: received a file of another kind, or damaged: "),
        (
            b"\x89PNG\r\n" + bytes(100),
            "here: received a file of another kind, or damaged: Format not recognised. Convert",
        ),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:",
            "here: received a pointer of Git LFS.*Run `git lfs pull`",
        ),
        (
            b"<!DOCTYPE html><html>404",
            "here: received a web page or XML, perhaps from a failed download. Download it again",
        ),
        (bytes(900), "here: received 900 zero bytes. Replace or remove it"),
        (b"PK\3\4" + bytes(99), "here: received a zip archive. Replace"),
        (WAV[:-10], "here is truncated or damaged: it ends 10 bytes before the end that it promises. Replace"),
        (WAV[: len(WAV) // 2], "here is truncated or damaged: it ends 4,022 bytes before"),
        (OGG[:-10], "it ends 10 bytes before the end"),
        (FLAC[: len(FLAC) // 2], "here is truncated or damaged: "),
        (encoded(noise(), format="AU"), "Audio must be a WAV, FLAC, OGG or MP3 file. here: received AU. Convert it"),
        (encoded(np.zeros(0)), "at least one sample. here: received none"),
        (encoded(noise(), rate=500), "Sounds have 1,000 to 384,000 samples per second.*here: received 500 and 1"),
        (encoded(noise(channels=70)), "at most 64 channels. here: received 8,000 and 70"),
        (encoded(np.array([0, np.inf, 0]), subtype="FLOAT"), "damaged: it holds infinite values"),
    ],
)
def test_damaged_file_is_refused_by_name(payload, message):
    with pytest.raises(DataError, match=message):
        sound_waveform(payload, "here", 600)


def test_long_audio_is_refused_by_its_header(monkeypatch):
    monkeypatch.setattr(soundfile.SoundFile, "read", None)  # decoding would fail
    for read in (sound_header, sound_waveform):
        with pytest.raises(DataError, match=r"at most 0\.4 seconds. here: received 0\..*raise --audio.max_seconds"):
            read(WAV, "here", 0.4)


def test_wav_of_unknown_length_is_read():
    place = WAV.index(b"data") + 4
    waveform, _ = sound_waveform(WAV[:place] + b"\xff\xff\xff\xff" + WAV[place + 4 :], "here", 600)
    assert len(waveform) == 4000


def test_flac_header_that_lies_takes_no_memory(monkeypatch):
    # The last 36 bits of the eight before the checksum number the samples (RFC 9639, section 8.2).
    place = 4 + 4 + 10
    packed = int.from_bytes(FLAC[place : place + 8])
    assert packed & (2**36 - 1) == 4000
    payload = FLAC[:place] + (packed - 4000 + 4_000_000).to_bytes(8) + FLAC[place + 8 :]
    read, asked = soundfile.SoundFile.read, []

    def watched(sound, frames, **options):
        asked.append(frames)
        return read(sound, frames, **options)

    monkeypatch.setattr(soundfile.SoundFile, "read", watched)
    with pytest.raises(DataError, match="here is truncated or damaged: "):
        sound_waveform(payload, "here", 600)
    assert max(asked) <= 2**16


def test_decoder_that_ends_early_is_told(monkeypatch):
    monkeypatch.setattr(soundfile.SoundFile, "read", lambda *_, **__: np.zeros((0, 1), np.float32))
    with pytest.raises(DataError, match="its header promises 4,000 samples, 4,000 more than there are"):
        sound_waveform(WAV, "here", 600)


@settings(max_examples=120)
@given(st.sampled_from([WAV, FLAC, OGG]), st.floats(0, 1, exclude_max=True), st.integers(1, 255), st.booleans())
def test_damaged_bytes_are_read_or_refused(payload, where, change, cut):
    place = int(where**4 * len(payload))  # mostly in the header
    content = bytearray(payload)
    content[place] ^= change
    try:
        waveform, rate = sound_waveform(bytes(content[:place] if cut else content), "here", 600)
    except DataError:
        return
    assert np.isfinite(waveform).all() and 0 < len(waveform) <= 600 * rate


def pre(features="mel", **settings):
    return AudioPreprocess(**{"sample_rate": 8000, "seconds": 0.5, "features": features} | settings)


def test_waveform_is_centre_cropped_or_padded():
    waveform = noise().astype(np.float32)
    short, long = pre("waveform", seconds=0.25), pre("waveform", seconds=0.75)
    assert short(waveform)[0].numpy() == pytest.approx(waveform[1000:3000])
    assert long(waveform)[0].numpy() == pytest.approx(np.pad(waveform, 1000))
    assert (short.shape, long.shape) == ((1, 2000), (1, 6000))
    assert torch.equal(pre("waveform")(encoded(waveform, subtype="FLOAT")), pre("waveform")(waveform))


def test_audio_of_another_rate_is_resampled():
    found = pre("waveform", seconds=1.0)(encoded(tone(440, 22_050, 22_050), rate=22_050))[0].numpy()
    assert found.shape == (8000,)
    assert np.abs(found - tone(440, 8000))[200:-200].max() < 0.01


def test_features_are_those_of_the_formulas():
    payload = noise().astype(np.float32)
    mel, mfcc = pre("mel"), pre("mfcc", num_coefficients=13)
    assert (mel.shape, mfcc.shape) == ((1, 51, 40), (1, 51, 13))
    assert (mel.window, mel.hop, mel.n_fft) == (240, 80, 256)
    padded = np.pad(payload.astype(np.float64), 128)
    weights = np.pad(signal.get_window("hann", 240), 8)
    frames = np.stack([np.fft.rfft(padded[80 * t : 80 * t + 256] * weights) for t in range(51)])
    expected = np.log(np.abs(frames) ** 2 @ mel_bank(40, 256, 8000, 20.0, 4000.0).numpy() + 1e-6)
    assert mel.decode(payload)[0].numpy() == pytest.approx(expected, abs=1e-4)
    assert mfcc.decode(payload)[0].numpy() == pytest.approx(fft.dct(expected, norm="ortho")[:, :13], abs=1e-4)


@pytest.mark.parametrize("features", ["mel", "mfcc", "waveform"])
def test_bands_are_scaled_by_the_training_data(features):
    spec = pre(features)
    inputs = torch.stack([spec.decode(noise(seed=seed).astype(np.float32)) for seed in range(6)])
    measured = spec.measured(inputs)
    normal = measured.normalise(inputs).double()
    axes = (0, 1, 2)  # all but the bands, or the samples
    assert normal.mean(dim=axes).abs().max() < 1e-4
    assert (normal.std(dim=axes, correction=0) - 1).abs().max() < 1e-4
    assert measured == spec.measured(inputs.flip(0))
    assert torch.broadcast_to(measured.fill, spec.shape).shape == spec.shape
    assert spec.measured(torch.zeros(3, *spec.shape)).std[0] == 1.0
    assert AudioPreprocess.from_json(measured.to_json()) == measured
    assert (spec.in_channels, spec.dtype, spec.to_json()["modality"]) == (1, torch.float32, "audio")


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        ("text", "Audio must be an encoded file, or an array.*here: received str"),
        (np.zeros(9, np.int16), r"received int16 \(9,\)"),
        (np.zeros(0), r"received float64 \(0,\)"),
        (np.array([np.nan]), "A waveform must be finite. here: received"),
    ],
)
def test_non_audio_is_refused_by_name(payload, message):
    with pytest.raises(DataError, match=message):
        pre().decode(payload, "here")


@given(st.integers(2, 2000), st.integers(1, 60), st.sampled_from([8000, 16_000]))
def test_every_band_has_a_frequency_of_its_own(window, num_mels, rate):
    size = fft_size(window, num_mels, rate, 20.0, rate / 2)
    assert size >= window
    assert (mel_bank(num_mels, size, rate, 20.0, rate / 2) > 0).any(dim=0).all()


def folder(tmp_path, seconds=(1.0, 1.0, 1.0, 1.0), rate=16_000):
    for i, length in enumerate(seconds):
        place = tmp_path / "ab"[i % 2] / f"{i}.wav"
        place.parent.mkdir(exist_ok=True)
        soundfile.write(place, noise(int(length * rate), seed=i), rate)
    return open_audio_folder(tmp_path)


def choose(source, config=None, input_size=(101, 40)):
    with quiet():
        return choose_audio(source, source.splits["all"], config or AudioConfig(), (1, *input_size))


def test_one_second_of_speech_gets_the_published_features(tmp_path):
    source = folder(tmp_path)
    spec, reasons = choose(source)
    assert spec == AudioPreprocess(
        sample_rate=16_000, seconds=1.0, features="mfcc", window_ms=30.0, hop_ms=10.0, num_mels=40, num_coefficients=40
    )
    assert reasons["features"] == "the network was made for 101x40"
    assert reasons["sample_rate"] == "that of the recordings"
    assert reasons["seconds"] == "covers about 95% of the recordings; the longest has 1.00"
    spec, _ = choose(source, input_size=(49, 10))
    assert (spec.features, spec.shape, spec.num_mels) == ("mfcc", (1, 49, 10), 40)
    spec, _ = choose(source, input_size=(32, 40))
    assert (spec.features, spec.shape) == ("mel", (1, 32, 40))


@pytest.mark.parametrize("length", [0.31, 0.7, 2.3])
@pytest.mark.parametrize("name", sorted(name for name, entry in CATALOG.items() if entry.modality == "audio"))
def test_every_network_gets_its_frames_and_bands(tmp_path, name, length):
    spec, _ = choose(folder(tmp_path, [length] * 2, rate=8000), input_size=CATALOG[name].input_size)
    assert spec.shape == (1, *CATALOG[name].input_size)
    assert spec.seconds == pytest.approx(length, rel=0.06)


def test_networks_read_what_is_decoded(tmp_path):
    source = folder(tmp_path)
    spec, _ = choose(source, input_size=CATALOG["speech_dscnn_s"].input_size)
    with quiet():
        data = load_in_memory(source, source.splits["all"], spec)
    assert torch.equal(data.inputs[2], spec.decode(source.read(2).payload))
    logits = create_model("speech_dscnn_s", num_classes=2)(spec.measured(data.inputs).normalise(data.inputs))
    assert logits.shape == (4, 2)


def test_networks_of_images_and_of_one_axis_choose_their_features(tmp_path):
    source = folder(tmp_path, rate=44_100)
    spec, reasons = choose(source, input_size=(224, 224))
    assert (spec.features, spec.shape, spec.sample_rate) == ("mel", (1, 224, 224), 16_000)
    assert reasons["sample_rate"] == "enough for speech; most recordings have 44,100"
    spec, reasons = choose(source, input_size=(140,))
    assert (spec.features, spec.shape) == ("waveform", (1, 16_000))
    assert set(reasons) == {"sample_rate", "seconds", "features"}


def test_choose_image_keeps_given_settings(tmp_path):
    config = AudioConfig(
        seconds=0.5, hop_ms=20, window_ms=25, features="mel", num_mels=16, f_max=4000, sample_rate=12_000
    )
    spec, reasons = choose(folder(tmp_path), config)
    assert (spec.shape, spec.window, spec.hop, spec.f_max) == ((1, 26, 16), 300, 240, 4000)
    assert reasons == {}
    spec, _ = choose(folder(tmp_path), AudioConfig(seconds=2.0))
    assert spec.shape == (1, 101, 40)
    spec, _ = choose(folder(tmp_path), AudioConfig(seconds=1.0), (64, 40))
    assert (spec.shape, spec.hop) == ((1, 64, 40), 253)


def test_choose_audio_ignores_a_few_long_recordings(tmp_path):
    spec, reasons = choose(folder(tmp_path, [0.4] * 30 + [3.0], rate=8000))
    assert spec.seconds == pytest.approx(0.4)
    assert "the longest has 3.00" in reasons["seconds"]
    (tmp_path / "long").mkdir()
    spec, reasons = choose(folder(tmp_path / "long", [12.0] * 2, rate=1000))
    assert spec.seconds == pytest.approx(10.0)
    assert reasons["seconds"] == "the most that is chosen; the longest recording has 12.0"


@pytest.mark.parametrize(
    ("config", "input_size", "message"),
    [
        (AudioConfig(f_max=9000), (101, 40), r"8000, half of the sample rate. Received: f_min=20, f_max=9000"),
        (AudioConfig(f_min=5000, f_max=4000), (101, 40), "Frequencies must satisfy"),
        (AudioConfig(num_mels=20), (101, 40), "be more coefficients than mel bands. Received: num_coefficients=40"),
        (
            AudioConfig(f_min=100, f_max=100.1),
            (101, 40),
            "Each mel band needs a frequency of its own. Received: num_mels=40",
        ),
        (AudioConfig(num_mels=20), (140,), r"audio\.num_mels would be ignored, because a waveform has no frames"),
        (AudioConfig(num_coefficients=20), (64, 64), r"audio\.num_coefficients would be ignored, because only mfcc"),
        (AudioConfig(compression="pcen"), (101, 40), r"audio\.compression would be ignored, because cepstral coeff"),
        (AudioConfig(compression="pcen"), (140,), r"audio\.compression would be ignored, because a waveform"),
    ],
)
def test_conflicting_settings_are_refused(tmp_path, config, input_size, message):
    with pytest.raises(ConfigError, match=message):
        choose(folder(tmp_path), config, input_size)


def test_choose_audio_names_all_damaged_files(tmp_path):
    source = folder(tmp_path)
    for path in ("a/0.wav", "b/1.wav"):
        (tmp_path / path).write_bytes((tmp_path / path).read_bytes()[:-100])
    with pytest.raises(
        DataError, match=r"a/0\.wav is truncated(.|\n)*1 more can't be read:(.|\n)*b/1\.wav is truncated"
    ):
        choose(source)


def test_settings_without_an_effect_are_told():
    assert "num_mels" in AudioConfig(features="waveform").ignored()
    assert set(AudioConfig(features="mel").ignored()) == {"num_coefficients"}
    assert set(AudioConfig(features="mfcc").ignored()) == {"compression"}
    assert AudioConfig().ignored() == {}


def test_compression_is_a_setting_that_travels_with_the_preprocessing(tmp_path):
    source = folder(tmp_path)
    spec, reasons = choose(source, AudioConfig(features="mel", compression="pcen"))
    assert spec.compression == "pcen" and "compression" not in reasons
    assert AudioPreprocess.from_json(spec.to_json()) == spec
    payload = source.read(0).payload
    logarithm, _ = choose(source, AudioConfig(features="mel"))
    waveform, _ = sound_waveform(payload, "here", 600)
    power = power_spectrogram(torch.from_numpy(waveform.astype(np.float64)), spec.window, spec.hop, spec.n_fft)
    bank = mel_bank(40, spec.n_fft, 16_000, 20.0, 8000.0)
    assert torch.equal(spec.decode(payload)[0], pcen(power, bank).float())
    assert torch.equal(logarithm.decode(payload)[0], log_mel(power, bank).float())
    before = {key: value for key, value in logarithm.to_json().items() if key != "compression"}
    assert AudioPreprocess.from_json(before) == logarithm  # as bundles of earlier releases have it
