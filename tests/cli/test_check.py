import io
import json
import os
import re
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from neocog.cli import main
from neocog.doctor import read_skip_list


def picture(path, seed, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    rough = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    Image.fromarray(rough).resize((32, 24), Image.BICUBIC).save(path, **options)
    return path


@pytest.fixture
def run_main(capsys, tmp_path, monkeypatch):
    """Run the program in an empty folder, beside a set of two classes; gives exit code, output and errors."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    for split, count in (("train", 12), ("test", 2)):
        for name in ("cat", "dog"):
            for i in range(count):
                picture(tmp_path / "pets" / split / name / f"{i}.png", zlib.crc32(f"{split}{name}{i}".encode()))

    def run(*arguments):
        capsys.readouterr()
        code = main(["check", *map(str, arguments)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    run.data = tmp_path / "pets"
    return run


def here():
    return sorted(path.name for path in Path().iterdir())


def test_a_clean_set(run_main):
    code, out, err = run_main(run_main.data)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "pets: 24 train, 4 test; 2 classes: cat, dog"
    assert lines[1].startswith("read as image-folder, ")
    assert "--format here, --data.format in training" in lines[1]
    assert lines[3:6] == ["class  train  test", "cat       12     2", "dog       12     2"]
    assert lines[-1] == "No problems found."
    assert here() == []


def test_findings_are_shown_worst_first_and_a_skip_list_is_left(run_main):
    cat = run_main.data / "train" / "cat"
    for i in range(5):
        (cat / f"empty{i}.png").write_bytes(b"")
    picture(cat / "png.jpg", 900, format="png")
    code, out, err = run_main(run_main.data)
    assert code == 1
    assert "\nerror    5 files have 0 bytes.\n" in out
    assert "\n           train/cat/empty0.png\n" in out
    assert "\n           and 2 more\n         -> Training stops at it. On the skip list.\n" in out
    assert "\nnote     1 image has the suffix of another format.\n           train/cat/png.jpg: it is PNG\n" in out
    assert out.index("error ") < out.index("note ")
    assert out.endswith("\nFound: 1 error, 1 note.\n")
    assert err == "skip list  neocog-skip.txt: 5 samples to leave out\n"
    assert read_skip_list(Path("neocog-skip.txt")) == {f"train/cat/empty{i}.png": "empty" for i in range(5)}
    assert re.fullmatch(r"# Neocog skip list: pets, [0-9a-f]{16}", Path("neocog-skip.txt").read_text().splitlines()[0])
    run_main(run_main.data)
    assert here() == ["neocog-skip.txt"]  # its own list is replaced


def test_warnings_and_notes_do_not_fail(run_main):
    (run_main.data / "train" / "cat" / "notes.txt").write_text("x")
    Image.new("RGB", (32, 24)).save(run_main.data / "train" / "cat" / "black.png")
    code, out, err = run_main(run_main.data)
    assert (code, err) == (0, "")
    assert out.endswith("Found: 1 warning, 1 note.\n")


def test_json_is_all_of_it(run_main):
    (run_main.data / "train" / "cat" / "0.png").write_bytes(b"GIF89a")
    code, out, err = run_main(run_main.data, "--json", "--no-skip-list")
    assert (code, err) == (1, "")
    told = json.loads(out)
    assert (told["version"], told["format"], told["records"]) == (1, "image-folder", 28)
    assert [finding["kind"] for finding in told["findings"]] == ["not-a-picture"]
    assert told["skip"] == {"train/cat/0.png": "not an image"}
    assert here() == []


def test_where_the_list_goes(run_main, monkeypatch):
    (run_main.data / "train" / "cat" / "0.png").write_bytes(b"")
    assert run_main(run_main.data, "--skip-list", "mine.txt")[0] == 1
    assert list(read_skip_list(Path("mine.txt"))) == ["train/cat/0.png"]
    Path("neocog-skip.txt").write_text("something else")
    _, _, err = run_main(run_main.data)
    assert "No skip list was written. A skip list may replace only a skip list" in err
    assert Path("neocog-skip.txt").read_text() == "something else"
    monkeypatch.chdir(run_main.data)
    _, out, err = run_main(".")
    assert "1 file has 0 bytes" in out
    assert "No skip list was written. Nothing is written into the data folder. Received: neocog-skip.txt" in err
    assert not Path("neocog-skip.txt").exists()


def test_a_list_that_was_asked_for_is_written_even_if_empty(run_main):
    code, _, err = run_main(run_main.data, "--skip-list", "none.txt")
    assert (code, err) == (0, "skip list  none.txt: 0 samples to leave out\n")
    assert read_skip_list(Path("none.txt")) == {}


def test_a_page_is_written_when_asked_for(run_main):
    code, _, err = run_main(run_main.data, "--html", "page.html")
    assert (code, err) == (0, "page       page.html\n")
    assert Path("page.html").read_text().startswith("<!doctype html>")
    assert here() == ["page.html"]


def test_names_that_would_move_the_cursor_are_escaped(run_main):
    nasty = os.fsdecode(b"\x1b[31mred\n\xe9.png")
    picture(run_main.data / "train" / "cat" / "a.jpg", 901, format="png").rename(
        run_main.data / "train" / "cat" / nasty
    )
    (run_main.data / "train" / "cat" / nasty).write_bytes(b"")
    code, out, _ = run_main(run_main.data)
    assert code == 1
    assert "\x1b" not in out
    assert r"train/cat/\x1b[31mred\n\udce9.png" in out


def test_many_classes_are_cut(run_main, tmp_path):
    x, y = np.random.default_rng(0).integers(0, 256, (660, 8, 8), dtype=np.uint8), np.arange(660) % 60
    np.savez(tmp_path / "many.npz", x=x, y=y)
    code, out, _ = run_main(tmp_path / "many.npz")
    assert code == 0
    assert "\n10 more  110\n" in out


def test_a_limit_says_what_was_examined(run_main):
    _, out, _ = run_main(run_main.data, "--limit", "10")
    assert "\nexamined: 10 of 28 samples, evenly spread\n" in out


def test_a_set_that_can_not_be_opened_exits_with_1(run_main):
    (run_main.data / "valid").mkdir()
    (run_main.data / "val").mkdir()
    code, out, _ = run_main(run_main.data)
    assert code == 1
    assert out.startswith("pets: could not be opened\n")
    assert "The data set can't be opened.\n" in out
    assert "both mean val" in " ".join(out.split())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["absent/x"], "There is no 'absent/x'"),
        (["DATA", "--format", "images"], "No layout is called 'images'"),
        (["DATA", "--limit", "0"], "--limit must be at least 1. Received: 0"),
        (["DATA", "--max-pixels", "0"], "--max-pixels must be at least 4. Received: 0"),
        (["DATA", "--html", "page.txt"], "The page is an HTML file. Received: page.txt. Give it a name"),
        (
            ["DATA", "--html", "DATA/page.html"],
            "Nothing is written into the data folder. Received: .*page.html, inside",
        ),
        (["DATA", "--skip-list", "DATA/s.txt"], "Nothing is written into the data folder. Received: .*s.txt, inside"),
        (
            ["DATA", "--skip-list", "s.txt", "--no-skip-list"],
            "A skip list is written or not. Received: --skip-list and",
        ),
        (["DATA", "--htm", "x"], "Unknown option: --htm. Did you mean --html"),
        ([], "neocog check needs DATA. `neocog check --help` explains it."),
        (["DATA", "--html"], "--html needs a value. `neocog check --help` explains it."),
    ],
)
def test_a_mistake_of_use_exits_with_2_and_writes_nothing(run_main, arguments, message):
    code, out, err = run_main(*(argument.replace("DATA", str(run_main.data)) for argument in arguments))
    assert (code, out) == (2, "")
    assert re.search(message, err), err
    assert here() == []
    assert sorted(path.name for path in run_main.data.iterdir()) == ["test", "train"]


def test_ctrl_c_is_clean(run_main, monkeypatch):
    from neocog.modalities.image.image_folder import ImageFolder

    def stopped(self, index):
        raise KeyboardInterrupt

    monkeypatch.setattr(ImageFolder, "read", stopped)
    code, out, err = run_main(run_main.data)
    assert (code, out, err) == (130, "", "Stopped.\n")
    assert here() == []


def test_help_teaches_it(run_main, monkeypatch):
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    main(["check", "--help"])
    text = " ".join(sys.stdout.getvalue().replace("│", "").split())
    for part in ("neocog check images/", "--html", "by default none is written", "--skip-list", "only read"):
        assert part in text, part


def test_recordings_are_cut_and_addresses_are_taken(tmp_path, run_main):
    rows = "".join(f"{i / 50},{i % 7},{'a' if i < 60 else 'b'}\n" for i in range(120))
    (tmp_path / "rec.csv").write_text("time,x,label\n" + rows)
    _, out, err = run_main(str(tmp_path / "rec.csv"), "--window", "20", "--no-skip-list")
    assert "6 records" in out or " 6" in out
    code, out, err = run_main(str(tmp_path / "rec.csv"), "--no-skip-list")
    assert code in (1, 2)
    assert "A long recording is cut into windows" in out + err
    code, out, err = run_main("memory://nothing-here", "--no-skip-list")
    assert code == 1
    assert "There are no shards at memory://nothing-here" in out + err


def test_level_of_the_classes_and_fold_for_the_test_are_flags(run_main, tmp_path):
    for site in ("a", "b", "c"):
        for name in ("cat", "dog"):
            picture(tmp_path / "sites" / site / name / "0.png", zlib.crc32(f"{site}{name}".encode()))
    code, out, err = run_main(tmp_path / "sites", "--no-skip-list")
    assert code == 1 and "Say at which level the classes are" in " ".join(out.split())
    code, out, err = run_main(tmp_path / "sites", "--class-level", "2", "--no-skip-list")
    assert (code, out.splitlines()[0]) == (0, "sites: 6 samples; 2 classes: cat, dog")
    assert "its reader says: 3 groups, each kept in one split: the folders a, b, c" in out
    code, out, err = run_main(tmp_path / "sites", "--class-level", "2", "--test-fold", "1", "--no-skip-list")
    assert code == 2 and "A fold for the test is one of folders called fold1" in err
    for k, site in enumerate(("a", "b", "c"), 1):
        (tmp_path / "sites" / site).rename(tmp_path / "sites" / f"fold{k}")
    code, out, err = run_main(tmp_path / "sites", "--test-fold", "2", "--no-skip-list")
    assert out.splitlines()[0] == "sites: 4 train, 2 test; 2 classes: cat, dog"
    assert "its reader says: 3 folds: fold2 is the test, and each fold stays whole" in out


def test_folders_above_the_classes_are_not_findings(run_main, tmp_path):
    for site in ("a", "b", "c"):
        for name in ("cat", "dog"):
            picture(tmp_path / "sites" / site / name / "0.png", zlib.crc32(f"{site}{name}".encode()))
    picture(tmp_path / "sites" / "a" / "loose.png", 5)
    (tmp_path / "sites" / "b" / "ox").mkdir()
    _, out, _ = run_main(tmp_path / "sites", "--class-level", "2", "--json", "--no-skip-list")
    found = {finding["kind"]: finding["examples"] for finding in json.loads(out)["findings"]}
    assert found["stray-picture"][0]["key"] == "a/loose.png"
    assert found["empty-class-folder"][0]["key"] == "b/ox"
