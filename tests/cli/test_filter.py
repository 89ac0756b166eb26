import io
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from neocog.cli import main
from neocog.reference import FILTERS, apply_filter, grey, shown

EDGE = np.zeros((20, 30, 3), np.uint8)
EDGE[:, 15:] = (255, 255, 255)


@pytest.fixture
def run_main(capsys, tmp_path, monkeypatch):
    """Run the program in a folder with one picture; gives exit code, output and errors."""
    monkeypatch.chdir(tmp_path)
    Image.fromarray(EDGE).save("edge.png")

    def run(*arguments):
        capsys.readouterr()
        code = main(["filter", *map(str, arguments)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def pixels(path):
    return np.asarray(Image.open(path))


@pytest.mark.parametrize("name", FILTERS)
def test_every_filter_writes_what_the_function_gives(run_main, name):
    generator = np.random.default_rng(0)
    picture = generator.integers(0, 256, (12, 9, 3), dtype=np.uint8)
    Image.fromarray(picture).save("noise.png")
    code, out, err = run_main(name, "noise.png", "-o", "out.png")
    assert (code, err) == (0, "")
    image = grey(picture) if FILTERS[name].gradient else picture
    assert np.array_equal(pixels("out.png"), shown(apply_filter(image, name), name))
    assert out.startswith(f"out.png  {name}, 12x9, ")
    assert len(out.splitlines()) == 1
    assert sorted(path.name for path in Path().iterdir()) == ["edge.png", "noise.png", "out.png"]


def test_a_step_from_black_to_white_is_a_white_line(run_main):
    code, out, _ = run_main("sobel", "edge.png", "-o", "edges.png")
    assert code == 0
    assert out == "edges.png  sobel, 20x30, no edge is black, a response of 4 is white\n"
    expected = np.zeros((20, 30))
    expected[:, 14:16] = 255
    assert np.array_equal(pixels("edges.png"), expected)
    code, out, _ = run_main("sobel_x", "edge.png", "--output", "edges.png", "--border", "wrap")
    assert "no change is grey, a response of 4 is white" in out
    found = pixels("edges.png")
    assert found[0].tolist() == [0] + [128] * 13 + [255] * 2 + [128] * 13 + [0]


def test_settings_reach_the_filter(run_main):
    for arguments, options in (
        (["gaussian", "--sigma", "2.5"], {"sigma": 2.5}),
        (["gaussian", "--size", "5"], {"size": 5}),
        (["box", "--size", "9"], {"size": 9}),
        (["shift", "--down", "-2", "--right", "3"], {"down": -2, "right": 3}),
    ):
        code, out, err = run_main(*arguments, "edge.png", "-o", "out.png")
        assert code == 0, err
        assert "in the scale of the image" in out
        assert np.array_equal(pixels("out.png"), shown(apply_filter(EDGE, arguments[0], **options), arguments[0]))
    Image.fromarray(EDGE // 10).save("dim.png")
    code, out, _ = run_main("sobel", "dim.png", "-o", "out.png", "--stretch")
    assert "the strongest response is white" in out
    assert pixels("out.png").max() == 255


def test_image_is_read_upright(run_main):
    exif = Image.Exif()
    exif[0x0112] = 6  # turned to the right
    Image.fromarray(EDGE).save("turned.jpg", quality=95, exif=exif)
    run_main("identity", "turned.jpg", "-o", "out.png")
    found = pixels("out.png")
    assert found.shape == (30, 20, 3)
    assert found[5].max() < 20
    assert found[25].min() > 235
    clear = Image.new("RGBA", (4, 4), (0, 0, 0, 0))
    clear.save("clear.png")
    code, _, err = run_main("identity", "clear.png", "-o", "out.png")
    assert code == 0, err
    assert (pixels("out.png") == 255).all()  # what is transparent is laid over white
    deep = np.full((5, 5), 32896, np.uint16)
    Image.fromarray(deep).save("deep.png")
    assert run_main("box", "deep.png", "-o", "out.png")[0] == 0
    assert (pixels("out.png") == 128).all()
    assert pixels("out.png").shape == (5, 5)


def test_an_older_result_is_replaced(run_main):
    for name in ("box", "sobel"):
        assert run_main(name, "edge.png", "-o", "out.PNG")[0] == 0
    assert pixels("out.PNG").ndim == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["sobl", "edge.png", "-o", "o.png"], "No filter is called 'sobl'. Did you mean 'sobel'"),
        (["blur", "edge.png", "-o", "o.png"], "No filter is called 'blur'. Known: box, gaussian"),
        (["box", "absent.png", "-o", "o.png"], "absent.png can't be read: No such file or directory. Check the path"),
        (["box", ".", "-o", "o.png"], "can't be read: Is a directory"),
        (["box", "text.txt", "-o", "o.png"], "text.txt: received a file that is not an image and starts with b'words'"),
        (["box", "half.png", "-o", "o.png"], "half.png: received a truncated or damaged"),
        (["box", "huge.png", "-o", "o.png"], "at most 40 million pixels"),
        (["box", "edge.png", "-o", "o.jpg"], r"a PNG file. Received: o.jpg. Give it a name that ends in .png"),
        (["box", "edge.png", "-o", "o"], "The output is a PNG file. Received: o"),
        (["box", "edge.png", "-o", "edge.png"], "The image itself is never replaced. Received: edge.png as both"),
        (["box", "edge.png", "-o", "link.png"], "The image itself is never replaced. Received: link.png as both"),
        (["box", "edge.png", "-o", "no/o.png"], "no/o.png could not be written: No such file or directory"),
        (["box", "edge.png", "-o", "folder.png"], "folder.png could not be written: Is a directory"),
        (["box", "edge.png"], "neocog filter needs --output. `neocog filter --help` explains it."),
        (["box", "edge.png", "-o"], "-o needs a value"),
        (["box", "edge.png", "-o", "o.png", "--sigma", "2"], "sigma would be ignored: the filter box has no such"),
        (["sobel", "edge.png", "-o", "o.png", "--right", "2"], "right would be ignored: the filter sobel.*takes none"),
        (["box", "edge.png", "-o", "o.png", "--stretch"], "stretch would be ignored: box keeps the image's own"),
        (["box", "edge.png", "-o", "o.png", "--size", "4"], "size must be odd, so that the kernel has a middle.*4"),
        (["box", "edge.png", "-o", "o.png", "--size", "99"], "not reach further than the image.*99 for 20x30"),
        (["gaussian", "edge.png", "-o", "o.png", "--sigma", "-1"], "sigma must be at least 0.01. Received: -1.0"),
        (["box", "edge.png", "-o", "o.png", "--border", "edgy"], "no border 'edgy'. Did you mean 'edge'"),
        (["box", "edge.png", "-o", "o.png", "--sizes", "3"], "Unknown option: --sizes. Did you mean --size"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_message_and_nothing_is_written(run_main, arguments, message):
    Path("text.txt").write_bytes(b"words")
    Path("half.png").write_bytes(Path("edge.png").read_bytes()[:60])
    Path("folder.png").mkdir()
    Path("link.png").symlink_to("edge.png")
    Image.new("1", (10_000, 5_000)).save("huge.png")
    before = {path.name: path.read_bytes() for path in Path().iterdir() if path.is_file()}
    code, out, err = run_main(*arguments)
    assert code == 2
    assert out == ""
    assert re.search(message, err), err
    assert "Traceback" not in err
    assert {path.name: path.read_bytes() for path in Path().iterdir() if path.is_file()} == before


def test_a_full_disk_leaves_what_was_there(run_main, monkeypatch):
    import errno
    import os

    Path("out.png").write_bytes(b"before")

    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    code, _, err = run_main("box", "edge.png", "-o", "out.png")
    assert code == 2
    assert "out.png could not be written: No space left on device. What was there before is intact. Free some" in err
    assert Path("out.png").read_bytes() == b"before"
    assert len(list(Path().iterdir())) == 2


def test_help_teaches_the_filters_and_their_settings(run_main, monkeypatch):
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    main(["filter", "--help"])
    text = " ".join(sys.stdout.getvalue().replace("│", "").split())
    for part in (
        "neocog filter sobel",
        *FILTERS,
        "-o",
        "--sigma",
        "Radius of the blur",
        "by its outermost pixels (edge)",
    ):
        assert part in text, part
