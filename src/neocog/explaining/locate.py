"""The part of an input that an explanation is about: a network that takes large images in tiles explains one of them.

Places and objects are those of the whole input. The tile is the one that holds the target best.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

from torch import Tensor

from neocog.bundle.predictor import Input
from neocog.errors import ConfigError, some
from neocog.explaining.explainer import Explainer, Sample
from neocog.modalities.views import View
from neocog.tasks import Prediction
from neocog.tasks.detection import BoxPrediction
from neocog.tasks.target import Target, find_output

__all__ = ["find_view", "predict"]

Spec = str | int | Target | None


def predict(explainer: Explainer, one: Input | Tensor, sample: Sample) -> Prediction | None:
    """The prediction for an input; None for outputs with places of a network that isn't a bundle."""
    if not explainer.task.dense:
        (found,) = explainer.task.predictions([sample.name], explainer.outputs(sample.inputs).cpu(), 3)
        return found
    if explainer.predictor is None or isinstance(one, Tensor):
        return None
    (found,) = explainer.predictor.predict([one])
    return replace(found, name=sample.name)


def find_view(explainer: Explainer, one: Input | Tensor, spec: Spec = None, name: str = "") -> tuple[Sample, Target]:
    """The view of an input that holds a target, and the target among its outputs.

    `spec` is as `Task.find_target` takes it, with places of the whole input: `nucleus@120,80` is the pixel in row 120
    and column 80 of an image of any size. Raises ConfigError for an unknown target.
    """
    samples = explainer.samples(one, name)
    if isinstance(spec, Target) or samples[0].view is None:
        return samples[0], explainer.target(samples[0].inputs, spec)
    place = written_place(spec, explainer.task.classes)
    if place is not None:
        return at_place(explainer, samples, str(spec), place)
    if len(samples) == 1:
        return samples[0], explainer.target(samples[0].inputs, spec)
    found = predict(explainer, one, samples[0])
    if isinstance(found, BoxPrediction):
        return at_object(explainer, samples, found, spec)
    return at_class(explainer, samples, spec)


def written_place(spec: str | int | None, classes: Sequence[str]) -> tuple[int, ...] | None:
    """The numbers behind the @ of `nucleus@120,80`; None if there are none.

    >>> written_place("nucleus@120,80", ["nucleus"]), written_place("nucleus", ["nucleus"])
    ((120, 80), None)
    """
    _, at, text = str(spec).rpartition("@")
    parts = text.split(",")
    if not at or str(spec) in classes or not all(part.strip().isdecimal() for part in parts):
        return None
    return tuple(int(part) for part in parts)


def at_place(
    explainer: Explainer, samples: Sequence[Sample], spec: str, place: tuple[int, ...]
) -> tuple[Sample, Target]:
    """The view in whose middle a place lies, or as near to it as any has it."""
    sizes = explainer.input_shape[1:]
    views = [(sample, view) for sample in samples if (view := sample.view) is not None]
    inside = []
    for sample, view in views:
        steps = in_view(view, place)
        if len(steps) == len(sizes) and all(0 <= step < size for step, size in zip(steps, sizes, strict=True)):
            inside.append((max(abs(step / size - 0.5) for step, size in zip(steps, sizes, strict=True)), sample, steps))
    if not inside or not within(explainer, samples[0], place):
        axes = "@y,x, counted in pixels of the image" if len(sizes) == 2 else "@t, counted in samples of the signal"
        raise ConfigError(
            f"A place is written {axes}, from 0 and below {' x '.join(map(str, whole_size(explainer, samples[0])))}.",
            received=repr(spec),
        )
    _, sample, steps = min(inside, key=lambda row: row[0])
    name = spec.rpartition("@")[0]
    found = explainer.target(sample.inputs, f"{name}@{','.join(str(math.floor(step)) for step in steps)}")
    named = explainer.task.classes[found.channel]
    return sample, replace(found, text=f"{named} at {', '.join(map(str, place))}")


def in_view(view: View, place: Sequence[float]) -> tuple[float, ...]:
    """The middle of a place of the whole input, in steps of a view."""
    if len(place) != len(view.origin):
        return ()
    return tuple((at + 0.5 - start) * scale for at, start, scale in zip(place, view.origin, view.scale, strict=True))


def whole_size(explainer: Explainer, sample: Sample) -> tuple[int, ...]:
    """Of the whole input: height and width of an image, or samples."""
    assert explainer.preprocess is not None
    assert sample.payload is not None
    return explainer.preprocess.views(sample.payload, sample.name).size


def within(explainer: Explainer, sample: Sample, place: tuple[int, ...]) -> bool:
    size = whole_size(explainer, sample)
    return len(place) == len(size) and all(at < side for at, side in zip(place, size, strict=True))


def at_class(explainer: Explainer, samples: Sequence[Sample], spec: str | int | None) -> tuple[Sample, Target]:
    """The view with most places of a class; by default of the class that has most besides the first."""
    classes = explainer.task.classes
    counts = [
        [int((labels == k).sum()) for k in range(len(classes))]
        for labels in (explainer.outputs(sample.inputs)[0].argmax(dim=0) for sample in samples)
    ]
    if spec is None:
        totals = [sum(column) for column in zip(*counts, strict=True)]
        index = max(range(1, len(classes)), key=lambda k: totals[k], default=0)
        index = index if totals[index] else 0
    else:
        index = find_output(spec, classes)
    sample = samples[max(range(len(samples)), key=lambda i: counts[i][index])]
    return sample, explainer.target(sample.inputs, classes[index])


def at_object(
    explainer: Explainer, samples: Sequence[Sample], found: BoxPrediction, spec: str | int | None
) -> tuple[Sample, Target]:
    """The view that shows an object best; objects are ranked in the whole image, as predictions list them."""
    name, _, rank = str(0 if spec is None else spec).rpartition(":")
    if not name and rank in found.classes:
        name, rank = rank, "0"
    chosen = [i for i, label in enumerate(found.labels.tolist()) if not name or found.classes[label] == name]
    if (name and name not in found.classes) or not rank.isdecimal() or int(rank) >= len(chosen):
        raise ConfigError(
            f"A target is an object from 0, the surest, to {len(found.labels) - 1}, or a class, or class:1, ...",
            received=repr(spec), fix=f"The classes are {some(found.classes, 10)}.",
        )  # fmt: skip
    label, box = found.classes[int(found.labels[chosen[int(rank)]])], found.boxes[chosen[int(rank)]].tolist()
    middle = (box[1] + box[3]) / 2 - 0.5, (box[0] + box[2]) / 2 - 0.5
    sizes = explainer.input_shape[1:]

    def off(sample: Sample) -> float:
        assert sample.view is not None
        steps = in_view(sample.view, middle)
        return max(abs(step / size - 0.5) for step, size in zip(steps, sizes, strict=True))

    sample = min(samples, key=off)
    assert sample.view is not None
    target = nearest_object(explainer, sample, label, in_view(sample.view, middle))
    return sample, replace(target, text=f"{label}, object {rank}")


def nearest_object(explainer: Explainer, sample: Sample, label: str, middle: tuple[float, ...]) -> Target:
    """The object of a class whose centre is nearest to a place of the view, y and x."""
    outputs, near = explainer.outputs(sample.inputs), []
    for rank in range(getattr(explainer.task, "most", 1)):
        try:
            target = explainer.task.find_target(outputs, f"{label}:{rank}")
        except ConfigError:
            break
        assert target.box is not None
        left, top, right, bottom = target.box
        near.append((math.dist(middle, ((top + bottom) / 2, (left + right) / 2)), rank, target))
    if not near:  # the tile shows it, but its other classes have all the peaks
        return explainer.task.find_target(outputs)
    return min(near, key=lambda row: row[:2])[2]
