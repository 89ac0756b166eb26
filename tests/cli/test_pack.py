import shutil
from pathlib import Path

import pytest

from neocog.cli import main
from neocog.cli.flags import Reading
from neocog.cli.pack import pack
from neocog.data import open_source
from neocog.errors import ConfigError
from neocog.shards import open_shards


def test_pack_says_what_it_wrote(pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert pack(str(pictures), tmp_path / "out", shard_size="20kB") == 0
    out = capsys.readouterr().out
    source = open_shards(tmp_path / "out")
    count = len(source.header.shards)
    assert count > 1
    assert out.startswith(f"{tmp_path / 'out'}  36 samples, {count} shards, ")
    assert out.endswith(" KB, read back and verified\n")
    assert len(source) == 36


def test_skipped_records_are_named(pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (pictures / "red" / "03.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    assert pack(str(pictures), tmp_path / "out", on_corrupt="skip") == 0
    out, err = capsys.readouterr()
    assert "35 samples, 1 shard, " in out
    assert "skipped: red/03.png" in err
    assert "1 sample could not be read and was skipped" in err


def test_a_size_that_is_none_is_refused(pictures: Path, tmp_path: Path):
    with pytest.raises(ConfigError, match="256MB .* or 1GiB .* Received: 'big'"):
        pack(str(pictures), tmp_path / "out", shard_size="big")


def test_the_fold_for_the_test_is_packed_as_such(pictures: Path, tmp_path: Path):
    for k in (1, 2, 3):
        shutil.copytree(pictures, tmp_path / "folds" / f"fold{k}")
    assert pack(str(tmp_path / "folds"), tmp_path / "shards", reading=Reading(test_fold="fold1")) == 0
    source = open_shards(tmp_path / "shards")
    assert {split: len(part) for split, part in source.splits.items()} == {"train": 72, "test": 36}
    assert {source.key(i).split("/")[0] for i in source.splits["test"].tolist()} == {"fold1"}


def test_pack_says_what_it_leaves_out_in_the_words_of_check(pictures: Path, tmp_path: Path, capfd):
    shutil.copy(next((pictures / "red").iterdir()), pictures / "loose.png")
    assert main(["pack", str(pictures), str(tmp_path / "out")]) == 0
    told = capfd.readouterr().err
    notices = [notice for notice in open_source(pictures).notices if "loose.png" in notice]
    assert len(notices) == 1 and notices[0] in told
    assert main(["pack", str(pictures), str(tmp_path / "other"), "--data.class_level", "2"]) == 2
    assert "--data.class_level 2 reads the folders 2 levels below" in capfd.readouterr().err
