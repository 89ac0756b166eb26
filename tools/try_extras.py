"""Each extra of a wheel, installed by itself and used: `make dist-extras`.

One environment holds torch and the wheel without extras. In it, the command that needs an extra must fail with a
message that names the extra. An environment on top of it gets the extra alone, and there the command must work.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PLACE = ROOT / "build" / "extras"
MODEL = "runs/tiny/model.neocog"

# Images of stripes that lie or stand, and a COCO file whose object is a polygon. Run with the wheel's own Pillow.
MAKE_DATA = """
import json, pathlib
import numpy as np
from PIL import Image
generator = np.random.default_rng(0)
for name, axis in (("lying", 0), ("standing", 1)):
    folder = pathlib.Path("photos", name)
    folder.mkdir(parents=True)
    for number in range(60):
        wave = np.sin(np.arange(32) * generator.uniform(0.6, 1.2) + generator.uniform(0, 6))
        stripes = np.broadcast_to(wave[:, None] if axis == 0 else wave, (32, 32))
        image = np.clip(128 + 90 * stripes + generator.normal(0, 10, (32, 32)), 0, 255).astype(np.uint8)
        Image.fromarray(image).convert("RGB").save(folder / f"{number}.png")
coco = {"images": [], "annotations": [], "categories": [{"id": 1, "name": "square"}]}
images = pathlib.Path("coco", "images")
images.mkdir(parents=True)
for number in range(10):
    Image.fromarray(generator.integers(0, 255, (32, 32, 3), np.uint8)).save(images / f"{number}.png")
    coco["images"].append({"id": number, "file_name": f"{number}.png", "width": 32, "height": 32})
    coco["annotations"].append({"id": number, "image_id": number, "category_id": 1, "bbox": [4, 4, 20, 20],
                                "area": 400, "iscrowd": 0, "segmentation": [[4, 4, 24, 4, 24, 24, 4, 24]]})
pathlib.Path("coco", "annotations.json").write_text(json.dumps(coco))
"""
SKLEARN = """
import numpy, neocog
images = numpy.random.default_rng(0).integers(0, 255, (40, 16, 16, 3), numpy.uint8)
images[::2, :8] = 0
labels = numpy.arange(40) % 2
print("score", neocog.CNNClassifier("lenet5", epochs=2).fit(images, labels).score(images, labels))
"""


@dataclass(frozen=True)
class Environment:
    """A virtual environment, and the folder that its commands run in."""

    bin: Path
    folder: Path

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(self.bin / command[0]), *command[1:]], cwd=self.folder, capture_output=True, text=True, check=False,
            env=os.environ | {"NEOCOG_CACHE": str(PLACE / "cache")}, timeout=600,
        )  # fmt: skip

    def must(self, *command: str) -> str:
        """The output of a command. Raises SystemExit with it if the command fails."""
        done = self.run(*command)
        if done.returncode:
            sys.exit(f"{' '.join(command)}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout + done.stderr


@dataclass(frozen=True)
class Trial:
    """An extra: the command that needs it, and what shows that it works."""

    needs: tuple[str, ...]
    works: Callable[[Environment], str]
    """Uses the extra, and returns a line about what was seen; raises SystemExit if it doesn't work."""


def expect(condition: bool, text: str) -> None:
    if not condition:
        sys.exit(text)


def export(env: Environment) -> str:
    env.must("neocog", "export", MODEL, "--to", "onnx")
    output = env.must("neocog", "export", MODEL, "--to", "openvino", "--out", "vino")
    files = [env.folder / "runs/tiny/model-export/model.onnx", env.folder / "vino/model.xml"]
    expect(all(file.is_file() for file in files) and "Gate" in output, output)
    env.must("neocog", "predict", MODEL, "photos/lying/0.png", "--backend", "onnxruntime")
    return "onnx and openvino passed the gate; predict --backend onnxruntime"


@contextmanager
def listening(env: Environment, *command: str) -> Iterator[str]:
    """The address of a server, which is stopped at the end."""
    with subprocess.Popen(
        [str(env.bin / "neocog"), *command], cwd=env.folder, stdout=subprocess.PIPE, text=True,
        stderr=subprocess.DEVNULL, env=os.environ | {"NEOCOG_CACHE": str(PLACE / "cache")},
    ) as server:  # fmt: skip
        assert server.stdout is not None
        try:
            found: dict[str, Any] = json.loads(server.stdout.readline() or "{}")
            expect("address" in found, f"neocog {' '.join(command)} gave no address: {found}")
            yield str(found["address"])
        finally:
            server.terminate()


def serve(env: Environment) -> str:
    with listening(env, "serve", MODEL, "--port", "0", "--backend", "eager", "--json") as address:
        image = (env.folder / "photos/lying/0.png").read_bytes()
        request = urllib.request.Request(f"{address.rstrip('/')}/predict", image, {"Content-Type": "image/png"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            found = json.loads(answer.read())
    expect("lying" in json.dumps(found), str(found))
    return "POST /predict was answered"


def studio(env: Environment) -> str:
    with (
        listening(env, "studio", MODEL, "--no-browser", "--json") as address,
        urllib.request.urlopen(address, timeout=60) as page,
    ):
        expect("<script" in page.read().decode(), "the Studio's page has no script")
    return "the page is served"


def track(env: Environment) -> str:
    train(env, "tracked", "--monitor.tensorboard", "true")
    found = list((env.folder / "runs/tracked").rglob("events.out.tfevents*"))
    expect(bool(found), "no events for TensorBoard")
    return "a run wrote events for TensorBoard"


def scale(env: Environment) -> str:
    env.must("neocog", "predict", MODEL, "photos", "--out", "predictions.parquet")
    env.must("neocog", "launch", "ray", "photos", "--workers", "1", *SHORT, "--name", "ray")
    expect((env.folder / "predictions.parquet").is_file(), "no predictions.parquet")
    expect((env.folder / "runs/ray/model.neocog").is_file(), "no model by Ray")
    return "predictions as Parquet; a run by Ray"


def annotations(env: Environment) -> str:
    return "polygons drawn: " + env.must("neocog", *POLYGONS).strip().splitlines()[0]


def sklearn(env: Environment) -> str:
    return env.must("python", "-c", SKLEARN).strip().splitlines()[-1]


def tune(env: Environment) -> str:
    env.must("neocog", *TUNE)
    return "a study of two trials"


def weights(env: Environment) -> str:
    env.must("neocog", *PRETRAINED)
    return "fine-tuned EfficientNet-Lite0"


SHORT = ("--model", "lenet5_relu", "--epochs", "3")
POLYGONS = ("check", "coco", "--task", "multi-label segmentation")
TUNE = ("tune", "photos", "--trials", "2", "--epochs", "1", "--model", "lenet5_relu", "--no-final")
PRETRAINED = ("train", "photos", "--model", "efficientnet_lite0", "--model.pretrained", "package", "--epochs", "1",
              "--image.size", "32x32", "--name", "pretrained")  # fmt: skip
TRIALS = {
    "annotations": Trial(("neocog", *POLYGONS), annotations),
    "export": Trial(("neocog", "export", MODEL), export),
    "scale": Trial(("neocog", "launch", "ray", "photos", *SHORT), scale),
    "serve": Trial(("neocog", "serve", MODEL), serve),
    "sklearn": Trial(("python", "-c", SKLEARN), sklearn),
    "studio": Trial(("neocog", "studio", MODEL, "--no-browser"), studio),
    "track": Trial(("neocog", "train", "photos", *SHORT, "--monitor.tensorboard", "true"), track),
    "tune": Trial(("neocog", *TUNE), tune),
    "weights": Trial(("neocog", *PRETRAINED), weights),
}
"""Every extra that users may ask for."""


def train(env: Environment, name: str, *options: str) -> None:
    env.must("neocog", "train", "photos", *SHORT, "--name", name, *options)


def pip(*arguments: str) -> None:
    """pip of the first environment, with its exact versions."""
    command = [str(PLACE / "plain/bin/python"), "-m", "pip", *arguments]
    subprocess.run(
        [*command, "--quiet", "--disable-pip-version-check"], check=True,
        env=os.environ | {"PIP_CONSTRAINT": str(ROOT / "constraints.txt")},
    )  # fmt: skip


def make_plain(wheel: Path, *, again: bool) -> Environment:
    """The wheel without extras, data and a model."""
    env = Environment(PLACE / "plain/bin", PLACE / "try")
    if again and (env.folder / MODEL).is_file():
        return env
    shutil.rmtree(PLACE, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", str(PLACE / "plain")], check=True)
    pip("install", "torch==2.13.0")
    pip("install", str(wheel))
    env.folder.mkdir()
    env.must("python", "-c", MAKE_DATA)
    train(env, "tiny")
    return env


def add_extra(name: str, wheel: Path, plain: Environment) -> Environment:
    """An environment that sees the plain one and has one extra more."""
    place = PLACE / name
    subprocess.run([str(plain.bin / "python"), "-m", "venv", "--clear", "--without-pip", str(place)], check=True)
    (lower,) = (PLACE / "plain/lib").glob("python*/site-packages")
    (upper,) = place.glob("lib/python*/site-packages")
    (upper / "plain.pth").write_text(f"{lower}\n", encoding="utf-8")
    pip("--python", str(place / "bin/python"), "install", "--ignore-installed", "--no-deps", str(wheel))
    pip("--python", str(place / "bin/python"), "install", f"neocog[{name}] @ {wheel.as_uri()}")
    return Environment(place / "bin", plain.folder)


def try_extra(name: str, wheel: Path, plain: Environment) -> str:
    trial, began = TRIALS[name], time.perf_counter()
    refused = plain.run(*trial.needs)
    said = refused.stdout + refused.stderr
    expect(refused.returncode != 0 and f"neocog[{name}]" in said, f"without the extra {name}:\n{said}")
    about = trial.works(add_extra(name, wheel, plain))
    return f"{name:12} {about} ({time.perf_counter() - began:.0f} s)"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Install each extra of a wheel by itself, and use it.")
    parser.add_argument("wheel", type=Path)
    parser.add_argument("extras", nargs="*", choices=[*TRIALS, []], help="by default all")
    parser.add_argument("--again", action="store_true", help="keep what the last call installed without extras")
    given = parser.parse_args(arguments)
    wheel = given.wheel.resolve()
    plain = make_plain(wheel, again=given.again)
    for name in given.extras or TRIALS:
        print(try_extra(name, wheel, plain), flush=True)


if __name__ == "__main__":
    main()
