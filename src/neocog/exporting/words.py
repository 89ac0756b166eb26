"""The inputs, steps and outputs of an exported network, in words for its manifest."""

from neocog.bundle.predictor import Predictor
from neocog.exporting.program import one_tile
from neocog.modalities.audio.preprocess import AudioPreprocess
from neocog.modalities.go.preprocess import BoardPreprocess
from neocog.modalities.image.preprocess import ImagePreprocess
from neocog.modalities.signal.preprocess import SignalPreprocess
from neocog.modalities.text.preprocess import TextPreprocess
from neocog.tasks.dense import DenseTask
from neocog.tasks.detection import Detection

__all__ = ["decoding_words", "input_words", "output_words", "reading_words"]

FITS = {
    "squash": "stretched to {size}",
    "crop": "scaled until the short side fits, and cropped to the middle {size}",
    "letterbox": "scaled until the long side fits into {size}, with black bars",
    "tile": "kept at their scale; larger ones are cropped to the upper left {size}, smaller ones padded with black",
}
CHANNELS = {1: "grey", 3: "RGB", 4: "RGB and alpha"}
OUTPUTS = {
    "logits": "The outputs of the network, before any decoding.",
    "probabilities": "The probability of each class, in the order of `classes`.",
    "values": "The predicted numbers in the unit of the targets, in the order of `classes`.",
    "mask": "The class of each place of the input, as its index in `classes`.",
    "masks": "For each class, 1 at its places and 0 elsewhere.",
    "boxes": "Left, top, right, bottom in pixels of the image, the surest first; zeros from `count` on.",
    "scores": "From 0 to 1; the threshold in `learned` is that from which Neocog shows a box.",
    "labels": "The class of each box, as its index in `classes`; -1 from `count` on.",
    "count": "How many boxes each image has.",
}


def input_words(predictor: Predictor) -> str:
    """The input in a sentence."""
    spec = predictor.preprocess
    if isinstance(spec, ImagePreprocess):
        channels = CHANNELS.get(spec.channels, f"{spec.channels} channels")
        limit = one_tile(predictor)
        most = f", at most {limit[0]} x {limit[1]}" if limit else ""
        return f"Decoded, upright images, {channels}, 0 to {spec.white}, of one size that may be any{most}."
    if isinstance(spec, SignalPreprocess):
        named = f": {', '.join(spec.names)}" if spec.names else ""
        return f"Signals of {spec.channels} channels{named}, of one length that may be any, without missing values."
    if isinstance(spec, AudioPreprocess):
        return f"Waveforms, mono, {spec.sample_rate:,} samples per second, -1 to 1, of one length that may be any."
    if isinstance(spec, TextPreprocess):
        return f"Ids of {spec.length} tokens, 0 for padding."
    assert isinstance(spec, BoardPreprocess)
    return f"Planes of a position on a {spec.size} x {spec.size} board, zeros and ones ({spec.features})."


def output_words(predictor: Predictor, name: str) -> str:
    """An output in a sentence."""
    return OUTPUTS[name]


def reading_words(predictor: Predictor) -> list[str]:
    """Steps of a program before it calls the network."""
    spec = predictor.preprocess
    if isinstance(spec, ImagePreprocess):
        rows = [
            "Decode the file, turn it upright by its EXIF orientation, and convert it to the channels of the input."
        ]
        if spec.dct_scaling and spec.resize != "tile":
            rows.append(
                "Neocog decodes large JPEG files at reduced resolution (libjpeg DCT scaling). The graph does not: "
                "a JPEG file decoded in full gives slightly other pixels."
            )
        return rows
    if isinstance(spec, SignalPreprocess):
        return [f"Fill missing values in (Neocog: {spec.missing}); NaN and infinity are not allowed."]
    if isinstance(spec, AudioPreprocess):
        return [f"Decode the file, mix it to mono, and resample it to {spec.sample_rate:,} samples per second."]
    if isinstance(spec, TextPreprocess):
        case = "Convert to lower case, normalise" if spec.lowercase else "Normalise"
        order = " Reverse the tokens, and pad behind them." if spec.backward else ""
        steps = (
            f"{case} to NFC, replace U+2019 by ', find the tokens by `token pattern`, number them by their place in "
            f"`vocabulary` from `first id` on, cut to {spec.length}, and pad with 0.{order}"
        )
        return [steps]
    return ["Replay the game and compute the planes; Neocog has them in neocog.modalities.go.features."]


def decoding_words(predictor: Predictor) -> list[str]:
    """The graph, step by step."""
    network = "The network. ONNX and OpenVINO files have batch norms folded into the layers before them."
    return [*preprocessing_words(predictor), network, *task_words(predictor)]


def preprocessing_words(predictor: Predictor) -> list[str]:
    spec, dense = predictor.preprocess, isinstance(predictor.task, DenseTask)
    if isinstance(spec, ImagePreprocess):
        size = f"{spec.size[0]} x {spec.size[1]}"
        tiled = dense and spec.resize == "tile" and not isinstance(predictor.task, Detection)
        if tiled:
            return [f"Images are cut into overlapping tiles of {size}, and normalised by mean and std."]
        fit = FITS[spec.resize].format(size=size)
        border = f", with a black border of {spec.pad[0]} rows and {spec.pad[1]} columns" if any(spec.pad) else ""
        return [f"Images are {fit}{border} (Pillow's antialiased bilinear resize), and normalised by mean and std."]
    if isinstance(spec, SignalPreprocess):
        return [f"Signals are brought to {spec.length} samples (fit: {spec.fit}) and scaled (scale: {spec.scale})."]
    if isinstance(spec, AudioPreprocess):
        features = "" if spec.features == "waveform" else f", {spec.features} features"
        return [f"Waveforms are cropped or padded to {spec.num_samples:,} samples{features}, and normalised."]
    return []


def task_words(predictor: Predictor) -> list[str]:
    task = predictor.task
    if isinstance(task, Detection):
        kept = f" Of boxes of a class that overlap by more than {task.overlap:g}, the surest stays." * (
            task.overlap < 1
        )
        return [f"The {task.most} highest peaks become boxes in pixels of the image.{kept}"]
    if isinstance(task, DenseTask):
        return ["Probabilities of each place are brought to the size of the input, and the most probable class taken."]
    temperature = task.learned.get("temperature") or 1
    scaled = f" Logits are divided by the temperature {temperature:g} first." * (temperature != 1)
    return [f"Logits become probabilities or values.{scaled} Test-time augmentation is left out."]
