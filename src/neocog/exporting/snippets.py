"""A few lines of Python that use an exported network with its engine alone, for the manifest."""

from collections.abc import Mapping
from typing import Any

from neocog.bundle.predictor import Predictor
from neocog.exporting.program import graph_input
from neocog.modalities.image.preprocess import ImagePreprocess
from neocog.modalities.text.preprocess import TextPreprocess

__all__ = ["snippet"]

MODES = {1: "L", 3: "RGB", 4: "RGBA"}


def snippet(predictor: Predictor, files: Mapping[str, Any]) -> str:
    """About ten lines that read an input, run the network, and print its outputs."""
    return "\n".join([*reading(predictor), *running(predictor, files), *printing()]) + "\n"


def reading(predictor: Predictor) -> list[str]:
    spec, name = predictor.preprocess, graph_input(predictor).name
    if isinstance(spec, ImagePreprocess) and spec.bit_depth == 8 and spec.channels in MODES:
        axes = "[None, :, :, None]" if spec.channels == 1 else "[None]"
        return [
            "import numpy as np",
            "from PIL import Image, ImageOps",
            f'image = ImageOps.exif_transpose(Image.open("image.png")).convert("{MODES[spec.channels]}")',
            f"{name} = np.asarray(image){axes}",
        ]
    if isinstance(spec, TextPreprocess):
        text = "text.lower()" if spec.lowercase else "text"
        cut = f"found = found[: {spec.length}]" + "[::-1]" * spec.backward
        return [
            "import json, re, unicodedata",
            "import numpy as np",
            'about, text = json.load(open("manifest.json", encoding="utf-8")), "A good film!"',
            'numbers = {token: i for i, token in enumerate(about["vocabulary"], about["first id"])}',
            f'text = unicodedata.normalize("NFC", {text}).replace("\\u2019", "\'")',
            'tokens = re.findall(about["token pattern"], text, re.DOTALL)',
            'found = [numbers.get(token, about["unknown id"]) for token in tokens]',
            cut,
            f"{name} = np.array([found + [0] * ({spec.length} - len(found))], np.int64)",
        ]
    return ["import numpy as np", f'{name} = np.load("{name}.npy")  # see "inputs"']


def running(predictor: Predictor, files: Mapping[str, Any]) -> list[str]:
    name, outputs = graph_input(predictor).name, [each.name for each in predictor.task.tensor_specs]
    file = next((each for each in files if each.endswith(".onnx")), next(iter(files)))
    if file.endswith(".onnx"):
        return [
            "import onnxruntime",
            f'session = onnxruntime.InferenceSession("{file}")',
            f'outputs = dict(zip({outputs}, session.run({outputs}, {{"{name}": {name}}})))',
        ]
    if file.endswith(".xml"):
        return [
            "import openvino",
            f'network = openvino.Core().compile_model("{file}", "CPU", {{"INFERENCE_PRECISION_HINT": "f32"}})',
            f"found = network({name})",
            f"outputs = {{key: found[key] for key in {outputs}}}",
        ]
    return [
        "import torch",
        f'network = torch.export.load("{file}").module()',
        f"outputs = dict(zip({outputs}, network(torch.from_numpy({name}))))",
    ]


def printing() -> list[str]:
    return ["for key, values in outputs.items():", "    print(key, values.shape, values[0])"]
