import numpy as np
import pytest
import soundfile

from neocog.dataset.record import check_trainable, fingerprint
from neocog.errors import DataError
from neocog.modalities.audio.audio_folder import AudioFolder, is_audio_folder, open_audio_folder
from neocog.modalities.image.image_folder import holds_images
from neocog.modalities.signal.signal_folder import is_signal_folder


def write(root, *names, seconds=0.1):
    for i, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(root / name, np.full(int(8000 * seconds), i / 100), 8000)
    return root


def test_audio_files_by_class_and_split(tmp_path):
    root = write(tmp_path / "set", "train/yes/a.wav", "train/no/b.flac", "test/yes/deep/c.ogg", "train/no/d.wav")
    (root / "train" / "yes" / "notes.txt").write_text("-")
    assert is_audio_folder(root)
    assert not holds_images(root) and not is_signal_folder(root)
    source = open_audio_folder(root)
    assert (source.name, source.classes, source.modality) == ("set", ("no", "yes"), "audio")
    assert [source.key(i) for i in source.splits["train"]] == ["train/no/b.flac", "train/no/d.wav", "train/yes/a.wav"]
    record = source.read(2)
    assert (record.target, record.payload) == (1, (root / "train/yes/a.wav").read_bytes())
    assert source.notices == ("test has no sample of 'no'", "files other than audio files were skipped: 1 .txt")
    assert source.groups is None
    check_trainable(source)
    assert fingerprint(source) == fingerprint(open_audio_folder(root))


def test_names_tell_label_and_speaker(tmp_path):
    root = write(tmp_path / "digits", "10_ann_0.wav", "2_ann_1.wav", "2_bob_0.wav", "10_bob_7.wav")
    (root / "README.md").write_text("-")
    assert is_audio_folder(root)
    source = open_audio_folder(root)
    assert (source.classes, list(source.splits)) == (("2", "10"), ["all"])
    assert [source.key(i) for i in range(4)] == ["10_ann_0.wav", "10_bob_7.wav", "2_ann_1.wav", "2_bob_0.wav"]
    assert (source.targets.tolist(), source.groups.tolist()) == ([1, 1, 0, 0], [0, 1, 0, 1])
    assert source.notices == (
        "file names tell 2 speakers: ann, bob",
        "files other than audio files were skipped: README.md",
    )


def test_one_other_name_ends_the_convention(tmp_path):
    root = write(tmp_path, "1_ann_0.wav", "song.wav")
    assert not is_audio_folder(root)
    with pytest.raises(DataError, match=r"holds no audio files.* Put them at .*/train/CLASS/\*"):
        open_audio_folder(root)


def test_two_ways_to_read_are_named(tmp_path):
    with pytest.raises(DataError, match=r"in two ways: .*named after their class, such as 1_ann_0\.wav"):
        open_audio_folder(write(tmp_path, "1_ann_0.wav", "yes/a.wav"))


def test_audio_files_beside_the_classes_are_skipped(tmp_path):
    source = open_audio_folder(write(tmp_path, "yes/a.wav", "no/b.wav", "stray.wav"))
    assert source.notices == ("audio files outside the class folders were skipped: stray.wav",)


def test_file_that_is_gone_or_too_large_is_named(tmp_path, monkeypatch):
    source = open_audio_folder(write(tmp_path, "yes/a.wav", "no/b.wav"))
    (tmp_path / "no" / "b.wav").unlink()
    with pytest.raises(DataError, match=r"b\.wav can't be read: No such file"):
        source.read(0)
    monkeypatch.setattr(AudioFolder, "max_bytes", 100)
    with pytest.raises(DataError, match=r"at most 100 bytes. .*a\.wav: received 1,644. Shrink"):
        source.read(1)


def test_other_places_are_not_claimed(tmp_path):
    assert not is_audio_folder(tmp_path)
    assert not is_audio_folder(tmp_path / "missing")
    assert not is_audio_folder(write(tmp_path, "a.wav") / "a.wav")
