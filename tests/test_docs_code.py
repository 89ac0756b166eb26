"""The Python of the pages: every block is valid, and those that begin with `# Neocog` are run, page by page.

They run on a few small images. Trainings keep their settings, but have two epochs, and a small ResNet in place of a
large network; weights that a package brings are replaced by a file with random ones, so that the tests do not depend on
what is installed.
"""

import ast
import textwrap

import numpy as np
import pytest
import sklearn.datasets
from PIL import Image
from safetensors.torch import save_file

import neocog
from tests.support.pages import DOCS, ROOT, blocks, pages

OURS = "# Neocog\n"
COMING = sorted((DOCS / "coming-from").glob("*.md"))
SMALL = "resnet20_cifar"  # in place of
LARGE = ("resnet18", "efficientnet_lite0")
DATA_YAML = "path: .\ntrain: images/train\nval: images/val\ntest: images/test\nnames:\n  0: tree\n"


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_python_blocks_are_valid(page):
    for block in blocks(page):
        if block.info.startswith(("python", "{code-cell} python")):
            code = "\n".join(line for line in block.text.splitlines() if not line.startswith((":", "%")))
            try:
                ast.parse(f"async def _():\n{textwrap.indent(code, '    ')}\n    pass" if "return" in code else code)
            except SyntaxError as error:
                pytest.fail(f"{block}: {error}")


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    save_file(neocog.create_model(SMALL).state_dict(), path)
    return path


@pytest.fixture
def work(tmp_path, monkeypatch):
    """The folder that the pages speak of: photos, trees with boxes, new images."""
    draw = np.random.default_rng(0)

    def save(path, level, size=(48, 40)):
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((draw.integers(0, 80, (*size, 3)) + level).astype(np.uint8)).save(path)

    for split, count in (("train", 10), ("val", 4), ("test", 6)):
        for level, name in enumerate(("cat", "dog")):
            for number in range(count):
                save(tmp_path / "photos" / split / name / f"{number}.jpg", 90 * level)
    for split in ("train", "val", "test"):
        for number in range(4):
            save(tmp_path / "trees" / "images" / split / f"{number}.png", 60, (64, 64))
            label = tmp_path / "trees" / "labels" / split / f"{number}.txt"
            label.parent.mkdir(parents=True, exist_ok=True)
            label.write_text("0 0.5 0.5 0.4 0.4\n")
    (tmp_path / "trees" / "data.yaml").write_text(DATA_YAML)
    for number in (1, 2):
        save(tmp_path / "new" / f"{number}.jpg", 90)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def brief(request, monkeypatch, weights):
    """Trainings with the settings of the page, but brief; unless `every` is asked for, of those that differ in settings
    alone the first, while the settings of the others are resolved."""
    train, find_rate, every, done = neocog.train, neocog.find_rate, request.param, []
    digits = sklearn.datasets.load_digits()

    def train_briefly(data, *, model=None, epochs=2, overrides=None, **settings):
        values = dict(overrides or {})
        if model in LARGE:
            model, values["image.size"] = SMALL, 32
        if values.get("model.pretrained") == "auto":
            values["model.pretrained"] = str(weights)
        if "train.epochs" not in values:
            settings["epochs"] = min(epochs, 2)
        if done and not every and values.get("schedule.name") != "constant":
            neocog.resolve_config(data, model=model, overrides=values, **settings)
            return done[-1]
        done.append(train(data, model=model, overrides=values, **settings))
        return done[-1]

    def find_briefly(data, *, model):
        return find_rate(data, model=model, overrides={"train.batch_size": 8}, steps=30)

    monkeypatch.setattr(neocog, "train", train_briefly)
    monkeypatch.setattr(neocog, "find_rate", find_briefly)
    monkeypatch.setattr(sklearn.datasets, "load_digits", lambda **_: (digits.data[:160], digits.target[:160]))


@pytest.mark.parametrize("brief", [False, pytest.param(True, marks=pytest.mark.slow)], indirect=True, ids=["", "every"])
@pytest.mark.parametrize("page", COMING, ids=lambda page: page.stem)
def test_our_side_of_a_comparison_runs(page, work, brief):
    names, count = {}, 0
    for block in blocks(page):
        if block.info == "python" and block.text.startswith(OURS):
            exec(compile(block.text, str(block), "exec"), names)
            count += 1
    assert count >= 9
