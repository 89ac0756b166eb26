"""All rows of the bench, in the order of the table."""

from harness import Row
from rows import (
    checkpoints,
    decoding,
    detection,
    doctor,
    engines,
    explaining,
    exporting,
    forecasts,
    image_training,
    loading,
    loop_cost,
    mnist,
    offline,
    own_images,
    planning,
    scaling,
    serving,
    shards,
    signals,
    start,
    streaming,
    tasks,
    throughput,
    transfer,
)

__all__ = ["ASIDE", "ROWS"]

ASIDE = frozenset({
    "checkpoint-steps", "engines-mobilenet-v2", "export", "forecast-inference-resnet50", "forecast-memory-resnet50",
    "forecast-training-alexnet", "forecast-training-lenet5", "forecast-training-resnet50", "mnist-accuracy",
    "offline-memory", "scaling-training", "shards-memory", "start-plan", "streaming-memory", "train-augmented",
    "train-densenet121", "train-resnet50", "train-vgg16", "unet-tiles",
})  # fmt: skip
"""Rows that are measured by name or with --all: with them the bench takes more than forty minutes."""

ROWS: tuple[Row, ...] = (
    *start.ROWS,
    *planning.ROWS,
    *forecasts.ROWS,
    *loading.ROWS,
    *decoding.ROWS,
    *streaming.ROWS,
    *shards.ROWS,
    *doctor.ROWS,
    *checkpoints.ROWS,
    *offline.ROWS,
    *scaling.ROWS,
    *loop_cost.ROWS,
    *throughput.ROWS,
    *image_training.ROWS,
    *mnist.ROWS,
    *own_images.ROWS,
    *tasks.ROWS,
    *detection.ROWS,
    *transfer.ROWS,
    *signals.ROWS,
    *explaining.ROWS,
    *engines.ROWS,
    *exporting.ROWS,
    *serving.ROWS,
)
