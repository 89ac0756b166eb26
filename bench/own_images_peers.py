"""Train one of Neocog's peers on images, within a number of minutes, and print how many test images it got right.

    python bench/own_images_peers.py keras|fastai|fastai-lite0|sklearn FOLDER --minutes 3 [--seed 0] [--no-mirror]

The clock runs from the start of the process to its last line, `{"hits": 480, "count": 556, "note": ...}`. Each peer
first times its own test pass, keeps that much back, and trains in the time that is left. All see the same images, in
RGB (scikit-learn: as they are).

    keras         "Image classification from scratch" of keras.io, on the torch backend: a small Xception, 180x180 or
                  the images' own size if smaller, random flips and rotations, Adam at 3e-4, a fifth for validation.
                  It trains until the time is over and keeps the weights of the best epoch. Batches of 128 as in the
                  example; of 32 if images are larger than 48x48, since 128 of 180x180 need 16 GB and a minute.
    fastai        vision_learner(resnet18, pretrained=False), fit_one_cycle, aug_transforms, 224x224 or the images' own
                  size if smaller, a tenth for validation. The time of a few batches says how many epochs fit, or which
                  part of the first.
    fastai-lite0  vision_learner's head on EfficientNet-Lite0 with its ImageNet weights, then fine_tune: an epoch of the
                  head alone, then as many of all layers as fit. 224x224, or the images' own size if smaller, but at
                  least 128x128. --weights names the file, and `efficientnet_lite_pytorch` must be importable.
    sklearn       LogisticRegression on standardised pixels, 32x32 or the images' own size if smaller; C by 3-fold
                  cross-validation on at most 5,000 images, in at most a third of the time.

--no-mirror turns flips off, for images whose mirror images mean something else.
"""

import argparse
import importlib
import json
import os
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np
import psutil
from numpy.typing import NDArray
from PIL import Image

from own_images_sets import Images, Pixels, read_images

EXAMPLE_BATCH, SMALL_BATCH, LARGE_SIDE = 128, 32, 48


class Job(NamedTuple):
    """A peer's task."""

    images: Images
    deadline: float
    """When the process must have ended, in seconds since the epoch."""
    seed: int
    mirror: bool
    weights: Path | None

    def left(self) -> float:
        """Seconds until the deadline, less what it takes to end a process that holds large libraries."""
        return self.deadline - time.time() - 2.0


class Outcome(NamedTuple):
    """Labels that were predicted for the test images (N,), and what was done in a few words."""

    predicted: NDArray[np.int64]
    note: str


def own_side(images: Images) -> int:
    """The median of the shorter sides of the first hundred training images."""
    sizes: list[tuple[int, ...]] = [
        item.shape[:2] if isinstance(item, np.ndarray) else Image.open(item).size for item in images.train[:100]
    ]
    return round(median(min(size) for size in sizes))


def read_pixels(items: Sequence[Pixels | Path], side: int, mode: str) -> Pixels:
    """Decode and resize to (N, side, side, C) of uint8, where C is 3 if the mode is RGB and 1 if it is L."""
    found = np.empty((len(items), side, side, len(mode)), np.uint8)
    for i, item in enumerate(items):
        image = (Image.fromarray(item) if isinstance(item, np.ndarray) else Image.open(item)).convert(mode)
        if image.size != (side, side):
            image = image.resize((side, side), Image.Resampling.BILINEAR)
        found[i] = np.asarray(image).reshape(side, side, -1)
    return found


def keras(job: Job) -> Outcome:
    os.environ["KERAS_BACKEND"] = "torch"
    keras: Any = importlib.import_module("keras")
    keras.utils.set_random_seed(job.seed)
    side = min(180, own_side(job.images))
    train, test = (read_pixels(items, side, "RGB") for items in (job.images.train, job.images.test))
    order = np.random.default_rng(job.seed).permutation(len(train))
    val, rest = order[: len(order) // 5], order[len(order) // 5 :]
    batch = EXAMPLE_BATCH if side <= LARGE_SIDE else SMALL_BATCH
    model = small_xception(keras, side, len(job.images.classes), job.mirror)
    model.compile(
        optimizer=keras.optimizers.Adam(3e-4),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    first = test[:batch]
    model.predict(first, batch_size=batch, verbose=0)
    began = time.perf_counter()
    model.predict(first, batch_size=batch, verbose=0)
    per_image = 1.2 * (time.perf_counter() - began) / len(first)
    keep = BestEpoch(keras, job, reserve=per_image * (len(val) + len(test)))
    labels = job.images.train_labels
    model.fit(
        train[rest], labels[rest], batch_size=batch, epochs=10**6, verbose=0, callbacks=[keep.callback],
        validation_data=(train[val], labels[val]), validation_batch_size=batch,
    )  # fmt: skip
    if keep.weights is not None:
        model.set_weights(keep.weights)
    predicted = model.predict(test, batch_size=batch, verbose=0).argmax(1)
    note = f"{side}x{side}, {keep.steps * batch / max(1, len(rest)):.2f} epochs, best validation {keep.best:.1%}"
    return Outcome(predicted, note)


def small_xception(keras: Any, side: int, num_classes: int, mirror: bool) -> Any:
    """The example's network: stem, three residual stages of separable convolutions, and a last of 1,024 channels."""
    layers = keras.layers

    def separable(x: Any, channels: int) -> Any:
        return layers.BatchNormalization()(layers.SeparableConv2D(channels, 3, padding="same")(x))

    inputs = keras.Input((side, side, 3))
    x = layers.RandomFlip("horizontal")(inputs) if mirror else inputs
    x = layers.Rescaling(1 / 255)(layers.RandomRotation(0.1)(x))
    x = layers.BatchNormalization()(layers.Conv2D(128, 3, strides=2, padding="same")(x))
    x = layers.Activation("relu")(x)
    for channels in (256, 512, 728):
        shortcut = layers.Conv2D(channels, 1, strides=2, padding="same")(x)
        for _ in range(2):
            x = separable(layers.Activation("relu")(x), channels)
        x = layers.add([layers.MaxPooling2D(3, strides=2, padding="same")(x), shortcut])
    x = layers.Activation("relu")(separable(x, 1024))
    x = layers.Dropout(0.25)(layers.GlobalAveragePooling2D()(x))
    return keras.Model(inputs, layers.Dense(num_classes)(x))


class BestEpoch:
    """Keeps the weights of the best epoch, and stops when only the time for validation and test is left."""

    def __init__(self, keras: Any, job: Job, reserve: float) -> None:
        self.best, self.steps, self.weights = 0.0, 0, None
        outer = self

        class Watch(keras.callbacks.Callback):  # type: ignore[misc]
            def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
                self.began = time.time()

            def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
                outer.steps += 1
                if job.left() < reserve + time.time() - self.began:
                    self.model.stop_training = True

            def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
                if logs["val_accuracy"] >= outer.best:
                    outer.best, outer.weights = logs["val_accuracy"], self.model.get_weights()

        self.callback = Watch()


def import_fastai() -> Any:
    """fastai.vision.all, which imports torchvision; see `harness.operators`."""
    importlib.import_module("harness.operators").declare_torchvision()
    return importlib.import_module("fastai.vision.all")


def fastai(job: Job) -> Outcome:
    vision = import_fastai()
    side = min(224, own_side(job.images))
    loaders = make_loaders(vision, job, side, [])
    learner = vision.vision_learner(loaders, vision.resnet18, pretrained=False, metrics=vision.accuracy)
    return fit_in_time(vision, job, learner, f"{side}x{side}", pretrained=False)


def fastai_lite0(job: Job) -> Outcome:
    vision = import_fastai()
    torch: Any = importlib.import_module("torch")
    lite: Any = importlib.import_module("efficientnet_lite_pytorch")
    side = min(224, max(128, own_side(job.images)))
    scale = vision.Normalize.from_stats([127 / 255] * 3, [128 / 255] * 3)
    loaders = make_loaders(vision, job, side, [scale])

    class Body(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.network = lite.EfficientNet.from_name("efficientnet-lite0")
            self.network.load_state_dict(torch.load(job.weights, weights_only=True))
            self.network._fc = torch.nn.Identity()

        def forward(self, images: Any) -> Any:
            return self.network.extract_features(images)

    # As vision_learner would, except that it ignores its argument `cut` and would cut this network wrongly.
    model = vision.add_head(Body(), 1280, len(job.images.classes))
    learner = vision.Learner(loaders, model, splitter=vision.default_split, metrics=vision.accuracy)
    learner.freeze()
    return fit_in_time(vision, job, learner, f"{side}x{side}", pretrained=True)


def make_loaders(vision: Any, job: Job, side: int, transforms: list[Any]) -> Any:
    vision.set_seed(job.seed, reproducible=True)
    labels = job.images.train_labels
    block = vision.DataBlock(
        blocks=(vision.ImageBlock, vision.CategoryBlock(vocab=list(range(len(job.images.classes))))),
        get_x=lambda i: in_colour(job.images.train[i] if i >= 0 else job.images.test[~i]),
        get_y=lambda i: int(labels[i]) if i >= 0 else 0,  # test images are ~i, and their labels stay outside
        splitter=vision.RandomSplitter(0.1, seed=job.seed),
        item_tfms=vision.Resize(side),
        batch_tfms=[*vision.aug_transforms(do_flip=job.mirror), *transforms],
    )
    return block.dataloaders(list(range(len(labels))), bs=64 if len(labels) >= 640 else 16)


def in_colour(item: Pixels | Path) -> Pixels | Path:
    """An image as fastai takes it: it converts files to RGB, but not arrays."""
    return np.repeat(item[:, :, None], 3, 2) if isinstance(item, np.ndarray) and item.ndim == 2 else item


def time_training(vision: Any, learner: Any, budget: float) -> float:
    """Seconds per image of training on a few batches, with weights that are thrown away."""
    times: list[float] = []

    class Clock(vision.Callback):  # type: ignore[misc]
        def after_batch(self) -> None:
            times.append(time.time())
            if len(times) >= 2 and times[-1] - times[0] > budget:
                raise vision.CancelFitException

    state = {name: value.clone() for name, value in learner.model.state_dict().items()}
    with learner.no_bar(), learner.no_logging():
        learner.fit(1, cbs=Clock())
    learner.model.load_state_dict(state)
    learner.opt = None
    # The first batch starts the workers. They deliver in bursts, so the mean says more than the median.
    batch: int = learner.dls.train.bs
    return (times[-1] - times[0]) / max(1, len(times) - 1) / batch


def time_scoring(vision: Any, learner: Any, budget: float) -> tuple[float, float]:
    """Seconds until the first batch is scored, and seconds per image after that."""
    times, batch = [time.time()], learner.dls.train.bs

    class Clock(vision.Callback):  # type: ignore[misc]
        def after_batch(self) -> None:
            times.append(time.time())
            if len(times) >= 3 and times[-1] - times[1] > budget:
                raise vision.CancelValidException

    loader = learner.dls.test_dl([~(i % 100) for i in range(30 * batch)], with_labels=True)
    with learner.no_bar(), learner.no_logging():
        learner.validate(dl=loader, cbs=Clock())
    return times[1] - times[0], (times[-1] - times[1]) / (len(times) - 2) / batch


def fit_in_time(vision: Any, job: Job, learner: Any, size: str, pretrained: bool) -> Outcome:
    count, batch = len(learner.dls.train_ds), learner.dls.train.bs
    num_test, num_val = len(job.images.test), len(learner.dls.valid_ds)
    frozen = time_training(vision, learner, 0.03 * job.left()) if pretrained else None
    if pretrained:
        learner.unfreeze()
    whole = time_training(vision, learner, 0.03 * job.left())
    start, scoring = time_scoring(vision, learner, 0.02 * job.left())
    reserve = 1.2 * (start + scoring * num_test)
    left = 0.95 * (job.left() - reserve)

    class Deadline(vision.Callback):  # type: ignore[misc]
        def after_batch(self) -> None:
            self.learn.stopped = job.left() < reserve
            if self.learn.stopped:
                raise vision.CancelFitException

    def epochs_in(seconds: float, per_image: float) -> float:
        return max(0.0, seconds) / (per_image * count + scoring * num_val)

    learner.stopped = False
    num = epochs_in(left, whole)
    with learner.no_bar(), learner.no_logging():
        if frozen is None:
            done = fit_cycle(learner, num, count, batch, Deadline(), learner.lr)
        else:
            head = epochs_in(left, frozen)
            rest = epochs_in(left - start - frozen * count - scoring * num_val, whole)
            if rest >= 1:
                learner.fine_tune(int(rest), cbs=Deadline())
                done = f"1 epoch of the head and {int(rest)} of all layers"
            else:
                learner.freeze()
                done = fit_cycle(learner, head, count, batch, Deadline(), slice(2e-3)) + " of the head"
        loader = learner.dls.test_dl([~i for i in range(num_test)])
        scores, _ = learner.get_preds(dl=loader)
    return Outcome(scores.argmax(1).numpy(), f"{size}, {done}{', stopped by the clock' if learner.stopped else ''}")


def fit_cycle(learner: Any, num: float, count: int, batch: int, deadline: Any, rate: Any) -> str:
    """`fit_one_cycle` for the whole epochs that fit, or for the part of one that does."""
    if num < 1:
        learner.dls.train.n = max(batch, int(num * count))
    learner.fit_one_cycle(max(1, int(num)), rate, cbs=deadline)
    return f"{learner.dls.train.n / count if num < 1 else int(num):.2f} epochs"


def sklearn(job: Job) -> Outcome:
    linear: Any = importlib.import_module("sklearn.linear_model")
    selection: Any = importlib.import_module("sklearn.model_selection")
    side = min(32, own_side(job.images))
    mode = "L" if all(is_grey(item) for item in job.images.train[:100]) else "RGB"
    train, test = (
        read_pixels(items, side, mode).reshape(len(items), -1).astype(np.float32)
        for items in (job.images.train, job.images.test)
    )
    mean, deviation = train.mean(0), train.std() + 1e-6
    train, test = (train - mean) / deviation, (test - mean) / deviation
    labels = job.images.train_labels
    some = np.random.default_rng(job.seed).permutation(len(train))[:5_000]
    folds = selection.StratifiedKFold(3, shuffle=True, random_state=job.seed)
    scores: dict[float, float] = {}
    until = job.left() * 2 / 3
    for c in (1e-3, 1e-2, 1e-4, 1e-1, 1e-5, 1.0):
        if scores and job.left() < until:
            break
        model = linear.LogisticRegression(C=c, max_iter=200)
        scores[c] = float(selection.cross_val_score(model, train[some], labels[some], cv=folds).mean())
    best = max(scores, key=lambda c: scores[c])
    warnings.simplefilter("ignore")  # each call ends before it has converged
    model, took, passes = linear.LogisticRegression(C=best, max_iter=20, warm_start=True), 0.0, 0
    while job.left() > 2 * took + 1 and passes < 50:  # it can't be stopped within a call
        began = time.time()
        model.fit(train, labels)
        took, passes = max(took, time.time() - began), passes + 1
        if model.n_iter_.max() < 20:
            break
    return Outcome(model.predict(test), f"{side}x{side} {mode}, C {best:g} of {len(scores)}")


def is_grey(item: Pixels | Path) -> bool:
    return item.ndim == 2 if isinstance(item, np.ndarray) else Image.open(item).mode in ("1", "L", "I;16")


PEERS = {"keras": keras, "fastai": fastai, "fastai-lite0": fastai_lite0, "sklearn": sklearn}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("peer", choices=PEERS)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--no-mirror", action="store_true")
    parser.add_argument("--weights", type=Path)
    given = parser.parse_args()
    deadline = psutil.Process().create_time() + 60 * given.minutes
    images = read_images(given.folder)
    outcome = PEERS[given.peer](Job(images, deadline, given.seed, not given.no_mirror, given.weights))
    hits = int((outcome.predicted == images.test_labels).sum())
    print(json.dumps({"hits": hits, "count": len(images.test_labels), "note": outcome.note}), flush=True)


if __name__ == "__main__":
    main()
