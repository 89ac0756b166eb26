"""A small whole set of every layout, as the bytes of its files."""

import gzip
import io
import json
import struct
import tarfile
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import soundfile
import tifffile
from PIL import Image

from neocog.annotations.coco import open_coco
from neocog.annotations.yolo import open_yolo
from neocog.data import Source, open_source
from neocog.data.pack import pack

Files = dict[str, bytes]
"""Contents by path below the set's folder."""


@dataclass(frozen=True)
class SmallSet:
    """How to make a set, and how to open it."""

    format: str
    make: Callable[[], Files]
    place: str = "."
    """What is opened, from the set's folder."""
    opens: Callable[[Path], Source] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    def open(self, folder: Path) -> Source:
        path = folder / self.place
        return self.opens(path) if self.opens else open_source(path, format=self.format, **self.options)


def write_set(folder: Path, files: Files) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def picture(
    number: int = 0, kind: str = "png", mode: str = "RGB", size: tuple[int, int] = (7, 6), **options: Any
) -> bytes:
    """Noise of a size (height, width)."""
    channels = () if mode in ("L", "I;16") else (len(mode),)
    values = np.random.default_rng(number).integers(0, 256, (*size, *channels))
    return saved(Image.fromarray(values.astype(np.uint16 if mode == "I;16" else np.uint8)), kind, **options)


def mask(values: object, *, palette: bool = False) -> bytes:
    image = Image.fromarray(np.array(values, np.uint8), "P" if palette else None)
    if palette:
        image.putpalette([k % 256 for k in range(768)])
    return saved(image, "png")


def npy(values: object, dtype: str | None = None) -> bytes:
    file = io.BytesIO()
    np.save(file, np.array(values, dtype))
    return file.getvalue()


def npz(*, compressed: bool = False, **arrays: Any) -> bytes:
    file = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(file, **arrays)
    return file.getvalue()


def sound(kind: str, subtype: str | None = None, rate: int = 8000) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, np.sin(np.arange(800) * 0.3) * 0.5, rate, format=kind, subtype=subtype)
    return file.getvalue()


def tar(members: Files, **attributes: Any) -> bytes:
    """A tar of plain files, or of what `attributes` make of them."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            for key, value in attributes.items():
                setattr(info, key, value)
            archive.addfile(info, io.BytesIO(content))
    return file.getvalue()


def idx_array(values: np.ndarray) -> bytes:
    return struct.pack(f">I{values.ndim}I", 0x800 + values.ndim, *values.shape) + values.tobytes()


def idx() -> Files:
    pictures, labels = np.arange(4 * 30, dtype=np.uint8).reshape(4, 6, 5), np.array([0, 1, 1, 0], np.uint8)
    return {
        "train-images-idx3-ubyte": idx_array(pictures),
        "train-labels-idx1-ubyte": idx_array(labels),
        "t10k-images-idx3-ubyte.gz": gzip.compress(idx_array(pictures)),
        "t10k-labels-idx1-ubyte.gz": gzip.compress(idx_array(labels)),
    }


def cifar(folder: str, num_labels: int, names: str, files: tuple[str, ...]) -> Files:
    records = {f"{folder}/{file}": bytes([k % 2] * num_labels) + bytes(range(256)) * 12 for k, file in enumerate(files)}
    return {f"{folder}/{names}": b"cat\ndog\n", **records}


CIFAR_10 = partial(
    cifar, "cifar-10-batches-bin", 1, "batches.meta.txt",
    (*(f"data_batch_{k}.bin" for k in range(1, 6)), "test_batch.bin"),
)  # fmt: skip
CIFAR_100 = partial(cifar, ".", 2, "fine_label_names.txt", ("train.bin", "test.bin"))


def picture_arrays(*, compressed: bool) -> Files:
    x, y = np.arange(4 * 90, dtype=np.uint16).astype(np.uint8).reshape(4, 6, 5, 3), np.array([0, 1, 0, 1])
    classes = np.array(["cat", "dog"])
    return {"set.npz": npz(compressed=compressed, x_train=x, y_train=y, x_test=x, y_test=1 - y, classes=classes)}


def pictures_by_class(kind: str, mode: str = "RGB", **options: Any) -> Files:
    return {
        f"{split}/{name}/{k}.{kind}": picture(k, kind, mode, **options)
        for k, (split, name) in enumerate([("train", "cat"), ("train", "dog"), ("test", "cat")])
    }


def pixel_arrays() -> Files:
    return {"cat/a.npy": npy([[1, 2], [3, 4]], "u1"), "dog/b.npy": npy(np.ones((3, 2, 1)), "u2")}


def tiff(values: np.ndarray, **options: Any) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, values, **options)
    return file.getvalue()


DEEP = np.arange(6 * 7 * 5, dtype=np.uint16).reshape(6, 7, 5)


def tiffs_of_channels() -> Files:
    return {
        "cat/a.tif": tiff(DEEP, planarconfig="contig"),
        "cat/b.tif": tiff(DEEP, planarconfig="contig", compression="deflate"),
        "dog/c.tif": tiff(DEEP.astype(np.uint8), planarconfig="contig"),
        "dog/d.tif": tiff(np.moveaxis(DEEP, 2, 0), planarconfig="separate", tile=(16, 16)),
    }


def tiffs() -> Files:
    kinds = {None: "RGB", "tiff_lzw": "RGB", "tiff_adobe_deflate": "L", "packbits": "RGBA", "jpeg": "RGB"}
    pictures = {f"cat/{k}.tif": picture(k, "tiff", mode, compression=c) for k, (c, mode) in enumerate(kinds.items())}
    return {**pictures, "dog/5.tif": picture(5, "tiff", "I;16"), "dog/6.tif": tiff(DEEP[:, :, :3], photometric="rgb")}


def class_map() -> Files:
    pictures = {f"{name}/{name[0]}.png": picture(k) for k, name in enumerate(("cat", "dog", "ox"))}
    return {"class_map.txt": b"1 cat\n0 dog\n", **pictures}


def class_list(name: str, table: str) -> Files:
    return {name: table.encode(), "a.png": picture(0), "b.png": picture(1), "in/c.png": picture(2)}


ROWS = "file_name,label,split\na.png,cat,train\nb.png,dog,train\nin/c.png,cat,test\n"
MARKS = "image\tsky\tsea\na\t1\t0\nb\t0\t1\nin/c\t1\t1\n"
LINES = '{"file_name": "a.png", "labels": ["sky"]}\n{"file_name": "b.png", "labels": []}\n'


def masked(table: str, *masks: bytes) -> Files:
    pictures = {f"images/{k}.png": picture(k, size=(4, 5)) for k in range(len(masks))}
    return {**pictures, **{f"masks/{k}.png": m for k, m in enumerate(masks)}, "classes.txt": table.encode()}


def masked_in_grey() -> Files:
    grey = [[0, 1, 2, 255, 0]] * 4
    return masked("ground\nsky\nsea\n", mask(grey), mask(grey, palette=True))


def masked_in_colour() -> Files:
    colour = mask([[[0, 0, 0], [9, 9, 9], [0, 0, 0], [9, 9, 9], [0, 0, 0]]] * 4)
    return masked("sky 0 0 0\nsea 9 9 9\n", colour, colour)


def masked_by_class() -> Files:
    """Two images with three masks that overlap."""
    pictures = {f"images/{k}.png": picture(k, size=(4, 5)) for k in range(2)}
    inside = [[0, 255, 255, 0, 0]] * 4
    return {**pictures, **{f"masks/{name}.png": mask(inside) for name in ("sea/0", "sea/1", "ship/0")}}


def coco() -> Files:
    content = {
        "images": [
            {"id": 7, "file_name": "a.png", "height": 20, "width": 30},
            {"id": 3, "file_name": "b.png", "height": 20, "width": 30},
        ],
        "categories": [{"id": 18, "name": "dog"}, {"id": 1, "name": "person"}],
        "annotations": [
            {"id": 1, "image_id": 3, "category_id": 18, "bbox": [1.5, 2, 10, 10.25], "iscrowd": 0, "area": 9.0,
             "segmentation": [[1.5, 2, 11.5, 2.4, 8, 12], [20, 10, 29, 10, 29, 19]]},
            {"id": 2, "image_id": 7, "category_id": 1, "bbox": [0, 0, 2, 3],
             "segmentation": {"size": [20, 30], "counts": [0, 3, 17, 3, 577]}},
            {"id": 3, "image_id": 7, "category_id": 1, "bbox": [10, 5, 20, 4],
             "segmentation": {"size": [20, 30], "counts": "Y33a00W>"}},
        ],
    }  # fmt: skip
    pictures = {f"images/train/{name}.png": picture(k, size=(20, 30)) for k, name in enumerate("ab")}
    return {"annotations/instances_train.json": json.dumps(content).encode(), **pictures}


def voc() -> Files:
    xml = """<annotation><filename>a.png</filename><size><width>30</width><height>20</height><depth>3</depth></size>
    <object><name>cat</name><difficult>0</difficult><bndbox><xmin>2</xmin><ymin>3</ymin><xmax>9</xmax><ymax>12</ymax>
    </bndbox></object></annotation>"""
    return {
        "Annotations/a.xml": xml.encode(),
        "Annotations/b.xml": xml.replace("cat", "dog").encode(),
        "JPEGImages/a.png": picture(0, size=(20, 30)),
        "JPEGImages/b.png": picture(1, size=(20, 30)),
        "ImageSets/Main/train.txt": b"a\n",
        "ImageSets/Main/val.txt": b"b\n",
    }


def voc_masks() -> Files:
    values = [[0, 1, 20, 255, 0]] * 4
    return {
        "JPEGImages/a.png": picture(0, size=(4, 5)),
        "JPEGImages/b.png": picture(1, size=(4, 5)),
        "SegmentationClass/a.png": mask(values, palette=True),
        "SegmentationClass/b.png": mask(values, palette=True),
        "ImageSets/Segmentation/train.txt": b"a\n",
        "ImageSets/Segmentation/val.txt": b"b\n",
    }


def yolo() -> Files:
    return {
        "data.yaml": b"path: .\ntrain: images/train\nval: list.txt\nnames:\n  0: cat\n  1: dog\nnc: 2\n",
        "list.txt": b"images/val/b.png\n",
        "images/train/a.png": picture(0, size=(20, 30)),
        "images/val/b.png": picture(1, size=(20, 30)),
        "labels/train/a.txt": b"0 0.1 0.1 0.5 0.1 0.5 0.4\n1 0.6 0.6 0.9 0.6 0.9 0.9 0.6 0.9\n",
        "labels/val/b.txt": b"1 0.1 0.2 0.7 0.2 0.5 0.6\n",
    }


def tar_shards() -> Files:
    train = {"0.png": picture(0), "0.cls": b"0", "1.png": picture(1), "1.json": b'{"label": 1}'}
    test = {"a/2.npy": npy([[1, 2], [3, 4]], "u1"), "a/2.cls": b"1"}
    return {"train-000.tar": tar(train), "test-000.tar": tar(test)}


def column_shards(kind: str) -> Files:
    import pyarrow
    from pyarrow import parquet

    features = {"image": {"_type": "Image"}, "label": {"names": ["cat", "dog"], "_type": "ClassLabel"}}
    cell = pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())])
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    schema = pyarrow.schema([("image", cell), ("label", pyarrow.int64())], metadata=metadata)
    rows = [{"image": {"bytes": picture(k), "path": f"{k}.png"}, "label": k % 2} for k in range(4)]
    table, file = pyarrow.Table.from_pylist(rows, schema=schema), io.BytesIO()
    if kind == "parquet":
        parquet.write_table(table, file, row_group_size=2)
    else:
        with (pyarrow.ipc.new_stream if kind == "stream" else pyarrow.ipc.new_file)(file, schema) as writer:
            writer.write_table(table, max_chunksize=2)
    return {f"train-00000.{kind.replace('stream', 'arrow')}": file.getvalue()}


def packed(make: Callable[[], Files], kind: Literal["tar", "parquet"]) -> Files:
    """Another set as `neocog pack` writes it."""
    with tempfile.TemporaryDirectory() as folder:
        pack(write_set(Path(folder, "set"), make()), Path(folder, "packed"), format=kind)
        return {path.name: path.read_bytes() for path in sorted(Path(folder, "packed").iterdir())}


def signals(*, ragged: bool, compressed: bool = False) -> Files:
    y, classes = np.array([0, 1, 0, 1]), np.array(["run", "walk"])
    x = np.arange(48, dtype=np.float32).reshape(4, 2, 6)
    if not ragged:
        return {"set.npz": npz(compressed=compressed, x=x, y=y, classes=classes)}
    return {"set.npz": npz(compressed=compressed, x=x.reshape(24, 2), lengths=np.array([3, 9, 4, 8]), y=y)}


def signal_arrays() -> Files:
    x = np.arange(24).reshape(4, 6).tolist()
    return {"x_train.npy": npy(x, "f4"), "y_train.npy": npy(["a", "b", "a", "b"]), "x_test.npy": npy(x, "i2"),
            "y_test.npy": npy(["b", "a", "b", "a"])}  # fmt: skip


UCR = b"1\t0.5\t1e-1\t2\n2\t3\t4\tNaN\n1\t-5\t6\t7.25\n"
TS = b"""# A remark
@problemName Tiny
@timeStamps false
@univariate false
@dimensions 2
@equalLength false
@classLabel true walk 10
@data
1,2,3:4,5,?:walk
0.5,?:-1e3,7:10
"""


def signal_folder() -> Files:
    table = b"time,a,b\n" + b"".join(b"%d,%d.5,%d\n" % (k, k, -k) for k in range(6))
    array = npy(np.arange(12).reshape(2, 6), "f8")
    return {"train/run/a.npy": array, "train/walk/b.csv": table, "train/walk/c.npy": array, "test/run/d.csv": table}


def recording() -> Files:
    rows = "".join(f"{k},{k}.5,{-k},{'run' if k < 8 else 'walk'}\n" for k in range(16))
    return {"long.csv": b"time,a,b,label\n" + rows.encode()}


def sounds(kind: str, *subtypes: str | None) -> Files:
    names = [f"{k % 2}_ann_{k}.{kind}" for k in range(2 * len(subtypes))]
    return {name: sound(kind, subtypes[k // 2]) for k, name in enumerate(names)}


def listed_sounds() -> Files:
    return {"labels.csv": b"file,age\n0.wav,1.5\n1.wav,\n2.wav,3\n", **{f"{k}.wav": sound("wav") for k in range(3)}}


NUMBERS = "file_name,fat [%],water,split\na.png,0.5,3,train\nb.png,,7,train\nin/c.png,2.5,,test\n"
TEXTS = 'text,label,split\nA fine film,good,train\n"Dull, long",bad,train\nfine café,good,test\ndull,bad,test\n'


def text_lines() -> bytes:
    rows = [("A fine film", 1), ("Dull, long", 0), ("café \U0001f600", 1), ("dull", 0)]
    return "".join(json.dumps({"text": text, "label": label}) + "\n" for text, label in rows).encode()


def text_folder() -> Files:
    return {"train/good/1.txt": b"A fine film", "train/bad/2.txt": b"Dull, long", "test/good/3.txt": "café".encode(),
            "test/bad/4.txt": b"dull"}  # fmt: skip


def games() -> Files:
    game = b"(;GM[1]FF[4]SZ[9]AB[aa]PW[x\\]y];W[ee];B[gc](;W[cc];B[])(;W[cg]))"
    return {"train/a.sgf": game, "test/b.sgf": b"(;SZ[9]CA[gbk];B[ab];W[ba])(;SZ[9]AB[aa:bb];B[ee];W[dd])"}


WINDOWS = {"window": 4, "step": 2}
OUTLINED: dict[str, Callable[[Path], Source]] = {
    "coco": partial(open_coco, with_masks=True),
    "yolo": partial(open_yolo, with_masks=True),
}

SETS = {
    "idx": SmallSet("idx", idx),
    "cifar-10": SmallSet("cifar", CIFAR_10),
    "cifar-100": SmallSet("cifar", CIFAR_100),
    "npz": SmallSet("npz", partial(picture_arrays, compressed=False), "set.npz"),
    "npz deflated": SmallSet("npz", partial(picture_arrays, compressed=True), "set.npz"),
    "class-map": SmallSet("class-map", class_map),
    "class-list csv": SmallSet("class-list", partial(class_list, "labels.csv", ROWS)),
    "class-list tsv": SmallSet("class-list", partial(class_list, "labels.tsv", MARKS)),
    "class-list numbers": SmallSet("class-list", partial(class_list, "labels.csv", NUMBERS)),
    "class-list jsonl": SmallSet("class-list", partial(class_list, "metadata.jsonl", LINES)),
    "masks grey": SmallSet("masks", masked_in_grey),
    "masks colour": SmallSet("masks", masked_in_colour),
    "class-masks": SmallSet("class-masks", masked_by_class),
    "coco": SmallSet("coco", coco),
    "coco outlines": SmallSet("coco", coco, opens=OUTLINED["coco"]),
    "voc": SmallSet("voc", voc),
    "voc-masks": SmallSet("voc-masks", voc_masks),
    "yolo": SmallSet("yolo", yolo),
    "yolo outlines": SmallSet("yolo", yolo, opens=OUTLINED["yolo"]),
    "shards tar": SmallSet("shards", tar_shards),
    "shards parquet": SmallSet("shards", partial(column_shards, "parquet")),
    "shards arrow": SmallSet("shards", partial(column_shards, "arrow")),
    "shards arrow stream": SmallSet("shards", partial(column_shards, "stream")),
    "packed tar": SmallSet("shards", partial(packed, partial(pictures_by_class, "png"), "tar")),
    "packed parquet": SmallSet("shards", partial(packed, partial(pictures_by_class, "png"), "parquet")),
    "packed boxes": SmallSet("shards", partial(packed, coco, "tar")),
    "packed masks": SmallSet("shards", partial(packed, masked_in_grey, "tar")),
    "packed class-masks": SmallSet("shards", partial(packed, masked_by_class, "tar")),
    "packed tags": SmallSet("shards", partial(packed, partial(class_list, "metadata.jsonl", LINES), "tar")),
    "packed numbers": SmallSet("shards", partial(packed, partial(class_list, "labels.csv", NUMBERS), "tar")),
    "signal-npz": SmallSet("signal-npz", partial(signals, ragged=False), "set.npz"),
    "signal-npz ragged": SmallSet("signal-npz", partial(signals, ragged=True), "set.npz"),
    "signal-npz deflated": SmallSet("signal-npz", partial(signals, ragged=True, compressed=True), "set.npz"),
    "signal-npz npy": SmallSet("signal-npz", signal_arrays),
    "ucr": SmallSet("ucr", lambda: {"Tiny_TRAIN.tsv": UCR, "Tiny_TEST.tsv": UCR}),
    "ts": SmallSet("ts", lambda: {"Tiny_TRAIN.ts": TS, "Tiny_TEST.ts": TS}),
    "ts numbers": SmallSet(
        "ts",
        lambda: {"Tiny.ts": TS.replace(b"@classLabel true walk 10", b"@targetLabel true").replace(b":walk", b":0.5")},
        "Tiny.ts",
    ),
    "sound-list": SmallSet("sound-list", listed_sounds),
    "signal-folder": SmallSet("signal-folder", signal_folder),
    "signal-folder windows": SmallSet("signal-folder", signal_folder, options=WINDOWS),
    "csv-windows": SmallSet("csv-windows", recording, "long.csv", options=WINDOWS),
    "sound wav": SmallSet("sound-folder", partial(sounds, "wav", "PCM_16", "FLOAT", "ULAW", "IMA_ADPCM")),
    "sound flac": SmallSet("sound-folder", partial(sounds, "flac", "PCM_16", "PCM_24")),
    "sound ogg": SmallSet("sound-folder", partial(sounds, "ogg", "VORBIS", "OPUS")),
    "text-table csv": SmallSet("text-table", lambda: {"reviews.csv": TEXTS.encode()}, "reviews.csv"),
    "text-table tsv": SmallSet("text-table", lambda: {"train.tsv": b"label\ttext\n0\ta b\n1\tb c\n0\ta\n"}),
    "text-table jsonl": SmallSet("text-table", lambda: {"train.jsonl": text_lines(), "test.jsonl": text_lines()}),
    "text-table numbers": SmallSet("text-table", lambda: {"a.csv": b"text,score\na b,0.5\nc,2\nd,1\n"}, "a.csv"),
    "text-folder": SmallSet("text-folder", text_folder),
    "sgf": SmallSet("sgf", games),
    "image-folder png": SmallSet("image-folder", partial(pictures_by_class, "png")),
    "image-folder png alpha": SmallSet("image-folder", partial(pictures_by_class, "png", "RGBA")),
    "image-folder jpeg": SmallSet("image-folder", partial(pictures_by_class, "jpeg", size=(20, 30))),
    "image-folder webp": SmallSet("image-folder", partial(pictures_by_class, "webp")),
    "image-folder bmp": SmallSet("image-folder", partial(pictures_by_class, "bmp")),
    "image-folder tiff": SmallSet("image-folder", tiffs),
    "image-folder tiff of channels": SmallSet("image-folder", tiffs_of_channels),
    "image-folder npy": SmallSet("image-folder", pixel_arrays),
}


@cache
def files_of(name: str) -> Files:
    """The files of a set, made once."""
    return SETS[name].make()
