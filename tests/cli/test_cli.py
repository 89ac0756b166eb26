import csv
import io
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import fields

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tifffile
from PIL import Image

import neocog
from neocog.cli import main
from neocog.data import open_source
from neocog.progress import note
from neocog.recipes import resolve_config
from neocog.runs import FLAG
from neocog.runs.config import RunConfig
from neocog.runs.earlier_settings import RENAMED


@pytest.fixture
def run_main(capsys, tmp_path, monkeypatch):
    """Run the program in an empty folder; gives exit code, output and errors."""
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)

    def run(*arguments):
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    run.work = work
    return run


@pytest.fixture
def seven(digits, tmp_path):
    source = open_source(digits)
    path = tmp_path / "seven.png"
    Image.fromarray(source.read(int(source.splits["test"][0])).payload).save(path)
    return path


QUICK = ("--epochs", "1", "--train.batch_size", "100")


def test_help_shows_the_frequent_settings(run_main):
    code, out, _ = run_main("train", "--help")
    assert code == 0
    for part in (
        "neocog train images/",
        "--optimizer.lr FLOAT",
        "The highest learning rate",
        "--augment.flip",
        "[0.05]",
    ):
        assert part in " ".join(out.replace("│", " ").split()), part
    assert "--optimizer.sam_rho" not in out
    assert len(out.splitlines()) < 100


def test_help_all_shows_every_setting_with_type_help_and_default(run_main):
    code, out, _ = run_main("train", "--help-all")
    assert code == 0
    for section in fields(RunConfig):
        for name, info in section.type.__pydantic_fields__.items():
            if (section.name, name) != ("data", "source"):
                flag = re.search(rf"^  --{section.name}\.{name} (\S.*)\n((?:      .*\n?)+)", out, re.MULTILINE)
                text = " ".join(flag[2].split())
                assert " ".join(info.description.split()) in text
                assert info.default is None or f"[{info.default}]" in text
    for line in (
        "--image.size HxW",
        "--train.epochs INT",
        "--optimizer.lr FLOAT",
        "--data.on_corrupt {stop,skip}",
        "--data.cache BOOL",
        "--data.skip_list PATH",
        "--optimizer.betas [FLOAT, FLOAT]",
        "--model.widths [INT, ...]",
    ):
        assert f"  {line}\n" in out


def test_help_of_one_section(run_main):
    code, out, _ = run_main("train", "--help-section", "image")
    assert code == 0
    assert "--image.max_pixels INT" in out
    assert "--optimizer.lr" not in out
    code, _, err = run_main("train", "--help-section", "imag")
    assert code == 2
    assert "Unknown section of settings: 'imag'. Did you mean 'image'?" in err


def test_help_of_the_program_lists_every_verb(run_main):
    code, out, _ = run_main("--help")
    assert code == 0
    assert all(verb in out for verb in ("train", "eval", "predict"))
    assert "Start with: neocog train photos" in out
    assert run_main("--version")[1].strip() == neocog.__version__


def test_help_wraps_texts_to_the_terminal(run_main):
    code, out, _ = run_main("predict", "--help")
    words = " ".join(" ".join(line.strip("│ ") for line in out.splitlines()).split())
    assert code == 0
    assert "Usage: neocog predict" in out
    assert "The folder for masks, one PNG file for each input, with a text file of the classes" in " ".join(
        words.split()
    )
    assert not [line for line in out.splitlines() if "   with the   " in line]


def test_help_does_not_wait_for_torch():
    code = "import sys; from neocog.cli import main; main(['--help']); sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


def test_train_eval_predict(run_main, digits, seven):
    code, out, err = run_main("train", digits, *QUICK, "--name", "r", "--optimizer.lr", "0.02")
    assert code == 0
    assert "accuracy" in out
    assert "Wilson" in out
    assert "report  runs/r/report.html" in out
    assert "digits (npz): 1,000 train, 300 test; 10 classes" in err
    assert "epoch   1/1" in err
    bundle = run_main.work / "runs" / "r" / "model.neocog"
    code, out, _ = run_main("eval", bundle, digits)
    assert code == 0
    assert "precision" in out
    assert "true \\ predicted" in out
    assert "| = perfect calibration" in out
    code, out, _ = run_main("eval", bundle, digits, "--json")
    assert json.loads(out)["count"] == 300
    code, out, _ = run_main("predict", bundle, seven)
    assert code == 0
    assert str(seven) in out
    assert "%" in out


def test_a_config_file_and_flags(run_main, digits):
    config = run_main.work / "c.yaml"
    config.write_text(f"data: {{source: {digits}}}\nrecipe: lenet5\ntrain: {{epochs: 1, batch_size: 200}}\n")
    code, out, err = run_main("train", "--config", config, "--train.seed", "3", "--name", "r")
    assert code == 0, err
    again = run_main.work / "runs" / "r" / "config.yaml"
    text = again.read_text()
    assert "name: lenet5" in text
    assert f"train.epochs: file {config}" in text
    assert "train.seed: flag" in text
    code, repeated, err = run_main("train", "--config", again, "--name", "s")
    assert code == 0, err
    assert repeated.splitlines()[:6] == out.splitlines()[:6]


def test_predict_forms(run_main, finished_run, seven, monkeypatch, tmp_path):
    code, out, _ = run_main("predict", finished_run.bundle, seven, "--json", "--top", "2")
    row = json.loads(out)
    assert code == 0
    assert row["file"] == str(seven)
    assert row["top"][0]["class"] == row["class"]
    assert len(row["top"]) == 2
    folder = tmp_path / "folder"
    folder.mkdir()
    for name in "ab":
        (folder / f"{name}.png").write_bytes(seven.read_bytes())
    code, out, _ = run_main("predict", finished_run.bundle, folder, seven, "--csv")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [entry["file"] for entry in rows] == [str(folder / "a.png"), str(folder / "b.png"), str(seven)]
    assert len({entry["probability"] for entry in rows}) == 1
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(seven.read_bytes())))
    code, out, _ = run_main("predict", finished_run.bundle, "-")
    assert code == 0
    assert out.splitlines()[1].startswith("standard input")


def test_broken_image_is_one_line_and_the_others_are_predicted(run_main, finished_run, seven, tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(seven.read_bytes()[:60])
    code, out, err = run_main("predict", finished_run.bundle, broken, seven, tmp_path / "absent.png")
    assert code == 2
    assert str(seven) in out
    assert str(broken) not in out
    lines = err.strip().splitlines()
    assert len(lines) == 2
    assert "broken.png: received a truncated or damaged" in lines[0]
    assert "absent.png can't be read: No such file" in lines[1]
    code, out, _ = run_main("predict", finished_run.bundle, broken, seven, "--json")
    assert [("error" in json.loads(line)) for line in out.splitlines()] == [True, False]
    code, out, _ = run_main("predict", finished_run.bundle, broken, seven, "--csv")
    assert "truncated" in next(csv.DictReader(io.StringIO(out)))["error"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train"], "Training needs data. Name it: neocog train mnist"),
        (["train", ""], "There is no 'empty path'"),
        (["train", "/dev/null"], "No known layout of a data set is recognised at /dev/null"),
        (["train", "mnist", "--optimizer.name", "adam", "--optimizer.betas", "[0.9"], "A list is written as"),
        (["train", "--resume", "r", "--download"], "--download would be ignored"),
        (["train", "no/such/folder"], "There is no 'no/such/folder'"),
        (["train", "mnits"], "No data set 'mnits'.*Did you mean 'mnist'"),
        (["train", "mnist", "--model", "lenet"], "No network is called 'lenet'. Did you mean 'lenet5'"),
        (["train", "mnist", "--recipe", "lenet"], "Unknown recipe: 'lenet'. Did you mean 'lenet5'"),
        (
            ["train", "mnist", "--epochs", "-3"],
            r"train\.epochs must be greater than or equal to 1. Received: '-3', from: flag",
        ),
        (["train", "mnist", "--epochs", "ten"], "train.epochs must be a valid integer.*'ten'"),
        (
            ["train", "mnist", "--epochs", "1", "--train.epochs", "2"],
            "A setting is given once. --epochs and --train.epochs are the same setting. Leave one out",
        ),
        (["train", "mnist", "--optimizer.lrr", "1"], r"Unknown option: --optimizer\.lrr. Did you mean --optimizer\.lr"),
        (["train", "mnist", "--epoch", "1"], "Unknown option: --epoch. Did you mean --epochs"),
        (["train", "mnist", "--optimizer.betas", "[0.9, 0.99]"], "would be ignored, because sgd has no betas"),
        (
            ["train", "mnist", "--epochs", "1", "--data.test_fraction", "0.3"],
            "data.test_fraction .flag. would be ignored, because mnist brings its own",
        ),
        (
            ["train", "mnist", "--data.test_fraction", "0.3"],
            "data.test_fraction .flag. would be ignored, because mnist brings its own",
        ),
        (
            ["train", "mnist", "--model", "lenet5_relu", "--image.size", "28x28"],
            r"1x28x28 does not fit.*lenet5_relu was made for 32x32",
        ),
        (
            ["train", "mnist", "--recipe", "lenet5_relu", "--image.size", "28x28"],
            r"1x28x28 does not fit.*lenet5_relu was made for 32x32",
        ),
        (
            ["train", "mnist", "--train.device", "abacus"],
            r"must be a device of this machine that computes\. Received: 'abacus' \(",
        ),
        (["train", "mnist", "--config", "absent.yaml"], "The config file absent.yaml can't be read"),
        (["train", "--resume", "absent"], "absent is not a run folder"),
        (["train", "mnist", "--resume", "r"], "A resumed run keeps its settings. DATA would be ignored"),
        (["train", "mnist", "--name", "../up"], "The name of a run is a single folder name"),
        (["eval", "absent.neocog", "mnist"], "absent.neocog can't be read: No such file"),
        (["predict", "absent.neocog", "a.png"], "absent.neocog can't be read"),
        (["predict", "a.neocog"], "Nothing to predict"),
        (["predict", "a.neocog", "a.png", "--jsn"], "Unknown option: --jsn. Did you mean '--json'"),
        (["predict", "a.neocog", "a.png", "--json", "--csv"], "Predictions have one form"),
        (["predict", "a.neocog", "a.png", "--top", "0"], "--top must be at least 1"),
        (["trian", "mnist"], 'Unknown command "trian". Did you mean "train"'),
    ],
)
def test_a_mistake_is_one_message_exit_code_2_and_nothing_written(run_main, arguments, message, monkeypatch):
    monkeypatch.setattr("neocog.runs.train_run.fit", None)  # nothing here may get as far as training
    code, out, err = run_main(*arguments)
    assert code == 2
    assert re.search(message, err), err
    assert out == ""
    assert "Traceback" not in err
    assert list(run_main.work.iterdir()) == []


def test_check_and_train_say_the_same_of_hidden_labels(run_main):
    (run_main.work / "set").mkdir()
    for name, labels in (("train", [0, 1] * 20), ("test", [-1] * 6)):
        texts = [f"{'good' if k % 2 else 'bad'} word{k}" for k in range(len(labels))]
        pq.write_table(pa.table({"text": texts, "label": labels}), run_main.work / "set" / f"{name}-0.parquet")
    said = "6 samples of test have no labels and are left out; training samples are held out for the test instead"
    code, out, _ = run_main("check", "set", "--no-skip-list")
    assert (code, said in out) == (0, True)
    fast = ("--model", "text_cnn", "--epochs", "1", "--name", "r", "--data.test_fraction", "0.25")
    code, out, err = run_main("train", "set", *fast)
    assert code == 0, err
    assert said in out + err
    assert "10 of 40 samples are held out for testing" in out + err
    assert "test accuracy" in out + err
    code, out, err = run_main("eval", "runs/r/model.neocog", "set")
    assert code == 0, err
    assert "the part that was kept for testing is evaluated" in out + err
    assert "test, 10 samples" in out + err


def picture(kind):
    """A picture that is wrong in the named way, as bytes."""
    image = Image.new("RGB", (20, 20), (200, 30, 30))
    buffer = io.BytesIO()
    if kind == "cmyk":
        image.convert("CMYK").save(buffer, "jpeg")
    elif kind == "palette with transparency":
        image.quantize(4).save(buffer, "png", transparency=0)
    elif kind == "16-bit":
        Image.fromarray(np.full((20, 20), 40_000, np.uint16)).save(buffer, "png")
    elif kind == "50 megapixels":
        Image.new("1", (10_000, 5_000)).save(buffer, "png")
    elif kind == "1 pixel wide":
        Image.new("RGB", (1, 20)).save(buffer, "png")
    elif kind == "zero bytes":
        pass
    elif kind == "text":
        buffer.write(b"These are words.\n")
    else:
        image.save(buffer, "png")
        content = bytearray(buffer.getvalue())
        if kind == "truncated":
            return bytes(content[: len(content) // 2])
        content[len(content) // 2] ^= 0xFF  # corrupt
        return bytes(content)
    return buffer.getvalue()


KINDS = {
    "corrupt": "received a truncated or damaged",
    "truncated": "received a truncated or damaged",
    "zero bytes": "received 0 bytes",
    "text": "received a file that is not an image and starts with b'These ar'",
    "1 pixel wide": "received 1 x 20",
    "cmyk": "received CMYK",
    "palette with transparency": "received a partly transparent image",
    "50 megapixels": r"at most 40 million pixels.*50\.0 million",
}


@pytest.mark.parametrize("kind", KINDS)
def test_wrong_image_stops_training_and_is_one_line_in_predict(run_main, pictures, kind, finished_run):
    wrong = pictures / "red" / "05.png"
    wrong.write_bytes(picture(kind))
    for arguments in (["train", pictures, *QUICK], ["predict", finished_run.bundle, wrong]):
        code, _, err = run_main(*arguments)
        assert code == 2
        assert re.search(rf"05\.png.*{KINDS[kind]}|{KINDS[kind]}.*05\.png", err) or kind == "50 megapixels", err
        assert "05.png" in err
        assert re.search(KINDS[kind], err), err
        assert "Traceback" not in err
        assert list(run_main.work.iterdir()) == []


def test_an_empty_folder_and_one_class_only(run_main, pictures, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    for name in ("green", "blue"):
        shutil.rmtree(pictures / name)
    for data, message in ((empty, "empty is empty. Put images at"), (pictures, "pictures: received one: red")):
        for flags in ((), QUICK):
            code, _, err = run_main("train", data, *flags)
            assert code == 2
            assert message in err
            assert list(run_main.work.iterdir()) == []


def test_16_bits_to_a_network_of_8_are_refused_or_converted(run_main, finished_run, tmp_path, pictures):
    path = tmp_path / "deep.png"
    path.write_bytes(picture("16-bit"))
    code, _, err = run_main("predict", finished_run.bundle, path)
    assert code == 2
    assert "takes images of 8 bits" in err
    assert "deep.png: received 16 bits" in err
    code, _, err = run_main("train", pictures, *QUICK, "--image.bit_depth", "8", "--name", "ok")
    assert code == 0, err
    (pictures / "red" / "05.png").write_bytes(picture("16-bit"))
    code, _, err = run_main("train", pictures, *QUICK, "--name", "deep")
    assert code == 0, err  # one picture of 16 bits makes it a set of 16 bits
    assert "bit_depth: 16" in (run_main.work / "runs" / "deep" / "config.yaml").read_text()


def test_a_full_disk_stops_with_the_last_checkpoint_whole(run_main, digits, monkeypatch):
    import errno

    written = []
    real = os.fsync

    def filling(descriptor):
        written.append(1)
        if len(written) > 12:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", filling)
    code, _, err = run_main("train", digits, "--epochs", "9", "--train.batch_size", "100", "--name", "r")
    assert code == 2
    assert "could not be written: No space left on device" in err
    monkeypatch.setattr(os, "fsync", real)
    code, _, err = run_main("train", "--resume", "runs/r")
    assert code == 0, err
    assert "Resuming after step" in err


def test_the_output_may_be_piped_into_a_reader_that_stops(finished_run, seven):
    command = f"{sys.executable} -m neocog predict {finished_run.bundle} {seven} --json | head -c 5"
    found = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, check=False)
    assert found.stderr == ""


def test_output_to_a_full_disk_is_one_message(finished_run, seven):
    for verb in (["predict", finished_run.bundle, seven], ["predict", finished_run.bundle, seven, "--csv"]):
        command = [sys.executable, "-m", "neocog", *map(str, verb)]
        with open("/dev/full", "w") as full:  # noqa: PTH123
            found = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
        assert found.returncode == 2
        assert found.stderr == "error: Standard output could not be written: No space left on device.\n"


def test_pages_that_are_not_read_are_said_by_check_train_and_predict_in_the_same_words(run_main):
    draw = np.random.default_rng(0)
    for split, count in (("train", 8), ("val", 2), ("test", 3)):
        for name in "ab":
            folder = run_main.work / "cells" / split / name
            folder.mkdir(parents=True)
            for k in range(count):
                pages = draw.integers(0, 3000, (3, 32, 32)).astype(np.uint16)
                tifffile.imwrite(folder / f"{k}.tif", pages, imagej=True, metadata={"axes": "CYX"})
    words = "files that hold several pages or frames, of which only the first is read: 26 (test/a/0.tif has 3, "
    code, out, _ = run_main("check", "cells", "--no-skip-list")
    assert words in out
    said = next(line for line in out.splitlines() if words in line).removeprefix("its reader says: ")
    code, _, err = run_main("train", "cells", *QUICK, "--model.name", "lenet5_relu")
    assert code == 0
    assert f"  {said}\n" in err
    run = next((run_main.work / "runs").iterdir())
    assert words in (run / "report.html").read_text()
    for form in ("--json", "--csv", "--top=1"):
        code, out, err = run_main("predict", run / "model.neocog", "cells/test", form)
        assert code == 0
        assert "warning: files that hold several pages or frames, of which only the first is read: 6 (cells/te" in err
    rows = [
        json.loads(row) for row in run_main("predict", run / "model.neocog", "cells/test", "--json")[1].splitlines()
    ]
    assert [row["pages"] for row in rows] == [3] * 6
    assert (
        "of which only the first is read: 6 (test/a/0.tif has 3" in run_main("eval", run / "model.neocog", "cells")[2]
    )
    tifffile.imwrite(run_main.work / "one.tif", draw.integers(0, 3000, (32, 32)).astype(np.uint16))
    code, out, err = run_main("predict", run / "model.neocog", "one.tif", "--json")
    assert "pages" not in json.loads(out)
    assert "pages" not in err


def test_standard_input_keeps_its_name_in_errors(run_main, finished_run, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"text")))
    code, out, _ = run_main("predict", finished_run.bundle, "-", "--json")
    assert code == 2
    assert "standard input: received a file that is not an image" in json.loads(out)["error"]


def test_a_terminal_without_block_characters_gets_the_figures_all_the_same(finished_run, digits):
    command = [sys.executable, "-m", "neocog", "eval", str(finished_run.bundle), str(digits)]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    found = subprocess.run(command, capture_output=True, env=environment, check=True)
    assert b"?" in found.stdout


def test_quiet_and_plain_when_not_a_terminal(run_main, digits):
    _, _, err = run_main("train", digits, *QUICK, "--name", "r")
    assert "\x1b" not in err
    assert "\r" not in err


def test_network_without_its_own_recipe_gets_the_general_one():
    resolved, _ = resolve_config("mnist", model="resnet18", epochs=3)
    assert resolved.config.model.name == "resnet18" and resolved.config.optimizer.name == "adamw"
    assert str(resolved.provenance["optimizer.lr"]) == "recipe general"
    assert str(resolve_config("mnist", epochs=3)[0].provenance["optimizer.lr"]) == "recipe lenet5_relu"


@pytest.mark.parametrize(
    ("arguments", "old", "new"),
    [
        (["train", "mnist", "--data.size", "32"], "data.size", "image.size"),
        (["train", "mnist", "--data.depth=8"], "data.depth", "image.bit_depth"),
        (["train", "mnist", "--data.feeding", "streaming"], "data.feeding", "data.loading"),
        (["train", "mnist", "--sound.features", "mel"], "sound.features", "audio.features"),
        (["train", "mnist", "--watch.warnings", "no"], "watch.warnings", "monitor.warnings"),
        (["find", "rate", "mnist", "--train.views", "flip"], "train.views", "train.tta"),
        (["find", "batch", "mnist", "--data.pad", "2"], "data.pad", "image.pad"),
        (["check", "mnist", "--data.max_pixels", "99"], "data.max_pixels", "image.max_pixels"),
        (["launch", "slurm", "mnist", "--data.convert", "true"], "data.convert", "image.convert"),
    ],
)
def test_flag_by_its_earlier_name_is_an_error_that_names_the_new_one(run_main, arguments, old, new):
    assert RENAMED[old] == new
    code, out, err = run_main(*arguments)
    assert (code, out) == (2, "")
    assert f"{old} (flag) is now called {new}" in err
    assert "Use the new name." in err


def test_python_gets_the_settings_of_the_command_line(run_main, digits, monkeypatch):
    """Recipe, config file, minutes and overrides, with a search and without, for each verb that trains."""
    config = run_main.work / "c.yaml"
    config.write_text("optimizer: {lr: 0.03}\n")
    given = []
    for engine in ("neocog.runs.train", "neocog.auto.train"):
        monkeypatch.setattr(engine, lambda resolved, **_: given.append(resolved) or neocog.Run(config))
    for flags, settings in (
        ((), {}),
        (("--recipe", "fast", "--epochs", "3"), {"recipe": "fast", "epochs": 3}),
        (("--model", "resnet18", "--image.size", "32x48"), {"model": "resnet18", "overrides": {"image.size": "32x48"}}),
        (("--minutes", "3"), {"minutes": 3}),
        (("--recipe", "general", "--minutes", "3"), {"recipe": "general", "minutes": 3}),
        (
            ("--config", "c.yaml", "--augment.flip", "0.5"),
            {"config_file": "c.yaml", "overrides": {"augment.flip": 0.5}},
        ),
    ):
        given.clear()
        assert run_main("train", digits, *flags)[0] == 0
        neocog.train(digits, **settings)
        shell, python = given
        assert shell.config == python.config
        assert shell.digest() == python.digest()
        changed = {key for key, origin in shell.provenance.items() if origin == FLAG}
        assert changed == {key for key, origin in python.provenance.items() if str(origin) == "given in Python"}
        assert "data.source" in changed


def test_shell_completion_can_be_installed(capsys):
    assert main(["--help"]) == 0
    assert re.search(r"--install-completion +Install completion of verbs and flags", capsys.readouterr().out)


def test_messages_keep_colons_of_a_path(capsys):
    assert main(["predict", "a:b:c.neocog", "x.png"]) == 2
    assert "a:b:c.neocog can't be read" in capsys.readouterr().err
    note("read d:b:e.png")
    assert "read d:b:e.png" in capsys.readouterr().err
