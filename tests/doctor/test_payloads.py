"""Signals, sounds, texts and boards."""

import io

import numpy as np
import pytest
import soundfile

from neocog.doctor import check, kinds
from neocog.doctor.payloads import examine_signal
from neocog.doctor.sounds import examine_sound
from neocog.errors import DataError


def signals(count=24, length=50):
    return [np.random.default_rng(i).normal(size=(2, length)).astype(np.float32) for i in range(count)]


def test_check_finds_faulty_signals(memory, found, keys):
    planted = signals(9)
    planted[0][:] = np.nan
    planted[1][0, 3:6] = np.nan
    planted[2][1, 0] = np.inf
    planted[3][:] = [[3.0], [4.0]]
    planted[4][1] = 0.5
    planted[5] = planted[5][:, :30]
    planted[6] = planted[6][:1]
    planted[7] = planted[7][:, :0]
    planted[8] = None
    gap = signals(1)[0]
    gap[1] = np.nan
    source = memory([*signals(33)[9:], *planted, gap + 7], modality="signal")
    report = check(source)
    findings = {finding.kind: finding for finding in report.findings}
    expected = {
        "unreadable": ["record 32"],
        "signal-empty": ["record 31"],
        "signal-all-nan": ["record 24"],
        "signal-partly-nan": ["record 25"],
        "signal-infinite": ["record 26"],
        "channel-all-nan": ["record 33"],
        "signal-constant": ["record 27"],
        "channel-constant": ["record 28"],
        "lengths-differ": ["record 29", "record 0"],
        "signal-channels-differ": ["record 30"],
    }
    assert {kind: keys(finding) for kind, finding in findings.items()} == expected
    assert findings["signal-partly-nan"].examples[0].detail == "3 of 100 values"
    assert findings["channel-constant"].examples[0].detail == "channel 1"
    assert findings["lengths-differ"].sentence == "signals have different lengths, from 30 to 50"
    assert findings["signal-channels-differ"].sentence == "1 signal has 1 channel, the others 2 channels"
    assert report.skip == {
        "record 24": "only NaN",
        "record 26": "infinite values",
        "record 31": "empty",
        "record 32": "can't be read",
        "record 33": "a channel of only NaN",
    }
    assert found(memory(signals(), modality="signal")) == {}


@pytest.mark.parametrize("shape", [(0,), (0, 5), (3, 0), (0, 0)])
def test_signal_without_values_is_empty_in_any_shape(shape):
    assert examine_signal(np.zeros(shape)).faults == [(kinds.SIGNAL_EMPTY, "")]


def sound(samples, rate=8000, kind="WAV", **options):
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format=kind, **options)
    return buffer.getvalue()


def hum(seed, length=4000):
    return 0.3 * np.random.default_rng(seed).normal(size=length).clip(-1, 1)


def test_check_finds_faulty_sounds(memory, keys):
    clipped = np.clip(3 * np.sin(np.arange(4000) / 9), -1, 1)
    broken = np.where(np.arange(4000) == 7, np.nan, hum(5)).astype(np.float32)
    planted = [
        sound(np.zeros(4000)), sound(clipped), sound(hum(1), 16000), sound(hum(2, 2000)),
        sound(np.stack([hum(3), hum(4)], axis=1)), sound(np.zeros(0)), b"", b"no sound at all",
        sound(broken, subtype="FLOAT"), sound(hum(6), kind="FLAC")[:3000],
        sound(hum(7))[:3000], sound(np.tile(hum(8), 1300)[: 601 * 8000]), sound(hum(9), kind="AIFF"),
    ]  # fmt: skip
    report = check(memory([*(sound(hum(i)) for i in range(100, 124)), *planted], modality="audio"))
    findings = {finding.kind: finding for finding in report.findings}
    unreadable = findings.pop("sound-unreadable")
    assert keys(unreadable) == ["record 31", "record 33", "record 34", "record 36"]
    assert "received AIFF. Convert it" in unreadable.examples[3].detail
    lengths = findings.pop("lengths-differ")
    assert lengths.sentence == "sounds have different lengths, from 0.25 s to 0.5 s"
    assert {kind: keys(finding) for kind, finding in findings.items()} == {
        "zero-bytes": ["record 30"],
        "sound-empty": ["record 29"],
        "sound-not-finite": ["record 32"],
        "sound-too-long": ["record 35"],
        "sound-silent": ["record 24"],
        "sound-clipped": ["record 25"],
        "rates-differ": ["record 26"],
        "sound-channels-differ": ["record 28"],
    }
    assert findings["rates-differ"].sentence == "1 recording has a sampling rate other than 8000 Hz: 16000"


def test_sound_of_unknown_length_is_examined_to_its_end_and_noted(memory, found, keys):
    lengths = (bytes(4), b"\0\xf0\xff\x7f", bytes(4))
    whole = [sound(hum(1)), sound(hum(2)), sound(np.tile(hum(8), 1300)[: 601 * 8000])]
    place = whole[0].index(b"data") + 4
    planted = [w[:place] + length + w[place + 4 :] for w, length in zip(whole, lengths, strict=True)]
    flac = bytearray(sound(hum(3), kind="FLAC")[:-9])
    flac[22:26] = bytes(4)  # the number of samples
    planted.append(bytes(flac))
    findings = found(memory([*(sound(hum(i)) for i in range(100, 124)), *planted], modality="audio"))
    assert keys(findings.pop("sound-length-unknown")) == ["record 24", "record 25"]
    assert keys(findings.pop("sound-too-long")) == ["record 26"]
    assert keys(findings.pop("sound-unreadable")) == ["record 27"]
    assert findings == {}


@pytest.mark.parametrize("kind", ["WAV", "FLAC", "OGG"])
def test_loud_sound_is_not_clipped(kind):
    loud = 0.9999 * np.sin(np.arange(8000) / 5)
    facts = examine_sound(sound(loud, kind=kind), "a")
    assert kinds.CLIPPED not in [fault for fault, _ in facts.faults]
    assert facts.size == (1, 8000, 8000)


def test_equal_sounds_have_equal_digests_in_any_lossless_format():
    samples = (hum(1) * 32767).astype(np.int16)
    digests = {examine_sound(sound(samples, kind=kind), "a").digest for kind in ("WAV", "FLAC", "WAVEX")}
    assert len(digests) == 1
    assert examine_sound(sound(samples, rate=11025), "a").digest not in digests


@pytest.mark.parametrize("seed", range(30))
def test_damaged_sound_is_a_fault_and_never_an_exception(seed):
    generator = np.random.default_rng(seed)
    content = bytearray(sound(hum(seed), kind=("WAV", "FLAC", "OGG")[seed % 3]))
    for place in generator.integers(0, 200, 6):
        content[place] = generator.integers(0, 256)
    facts = examine_sound(bytes(content[: generator.integers(10, len(content))]), "a")
    assert facts.faults or facts.size[1] > 0


def test_check_finds_faulty_texts(memory, found, keys):
    planted = ["", " \n\t", "?!", "caf\ufffd", "bell\a and \x00", "long " * 200, "half \ud800"]
    texts = [f"this is text number {i}" for i in range(24)]
    report = check(memory([*texts, *planted], modality="text"))
    findings = {finding.kind: finding for finding in report.findings}
    assert {kind: keys(finding) for kind, finding in findings.items()} == {
        "text-empty": ["record 24", "record 25"],
        "text-without-letters": ["record 26"],
        "text-broken-encoding": ["record 27", "record 28", "record 30"],
        "text-much-longer": ["record 29"],
    }
    assert findings["text-broken-encoding"].examples[1].detail == "U+0000 U+0007"
    assert set(report.skip) == {"record 24", "record 25"}
    assert found(memory([*texts, "zero\u200dwidth and emoji \U0001f600"], modality="text")) == {}


def test_check_takes_texts_as_bytes_and_sounds_as_arrays(memory, keys):
    texts = [f"this is text number {i}".encode() for i in range(24)]
    report = check(memory([*texts, b"caf\xe9"], modality="text"))
    (finding,) = report.findings
    assert (finding.kind, keys(finding)) == ("unreadable", ["record 24"])
    detail = finding.examples[0].detail
    assert detail.startswith("A text must be UTF-8. ") and "received byte 0xe9 at offset 3." in detail
    waves = [np.random.default_rng(i).normal(size=(1, 800)).astype(np.float32) for i in range(24)]
    assert check(memory(waves, modality="audio")).findings == ()


def test_check_finds_boards_of_another_shape(memory, found, keys):
    planes = [np.zeros((3, 9, 9), np.uint8) for _ in range(24)]
    findings = found(memory([*planes, np.zeros((3, 13, 13), np.uint8)], modality="board"))
    assert {kind: keys(finding) for kind, finding in findings.items()} == {"boards-differ": ["record 24"]}
    assert found(memory([b"position"] * 24, modality="board", task="next move")) == {}


def test_check_finds_games_that_cannot_be_replayed(tmp_path, found, keys):
    (tmp_path / "good.sgf").write_text("(;SZ[9];B[ee];W[gc])")
    (tmp_path / "bad.sgf").write_text("(;SZ[9];B[ee];W[ee])(;SZ[9];B[aa])")
    (tmp_path / "cut.sgf").write_text("(;SZ[9];B[ee")
    (finding,) = found(tmp_path).values()
    assert (finding.kind, finding.severity, finding.count) == ("game-unplayable", "warning", 2)
    assert keys(finding) == ["bad.sgf#1", "cut.sgf"]
    assert "move 2, White E5: there is a stone already" in finding.examples[0].detail


def test_failing_reader_stops_nothing(memory, keys, noisy):
    payloads = [noisy(i) for i in range(26)]
    payloads[3], payloads[5] = DataError("row 3 is odd"), ZeroDivisionError("division by zero")
    report = check(memory(payloads))
    (finding,) = report.findings
    assert (finding.kind, keys(finding)) == ("unreadable", ["record 3", "record 5"])
    assert [e.detail for e in finding.examples] == ["row 3 is odd", "ZeroDivisionError: division by zero"]
    (finding,) = check(memory([b"?"] * 2 + signals(24), modality="signal")).findings
    assert finding.examples[0].detail == "record 0 should be a signal. Received: bytes."
