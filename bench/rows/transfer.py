"""Transfer: features of a pretrained network beside a plain loop, and the time to the first usable model.

192 JPEGs of 320x240 that are drawn here, in four classes, and EfficientNet-Lite0 at 160x160. Arithmetic doesn't ask
where weights come from, so they are random where the package with the published ones is missing.

Features: files -> features of all images. Neocog decodes with a thread for each core and runs the network without its
last layer by the fastest way that it knows; the peer is a plain loop: eager, fp32, a DataLoader with two workers, and
Pillow, one image at a time, as torchvision's transforms do. The note has the share of a pass of Neocog's own network
over images that are decoded already.

First model: files -> features -> logistic regression whose penalty is chosen by cross-validation; the peer takes the
plain loop's features, and LogisticRegressionCV of scikit-learn. The note has the accuracy of both on 64 other images.
"""

import functools
import importlib.util
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from harness import Row, Sides, per_second, seconds_of
from harness.row import Turn
from harness.steps import timed
from neocog.cpus import num_threads
from neocog.data import ImagePreprocess, open_source
from neocog.loading import StreamingDataset
from neocog.transfer import FeatureExtractor, fit_logistic, without_dense_head
from neocog.zoo import Network, create_model
from rows.drawn_images import CLASSES, write_images

__all__ = ["ROWS"]

NETWORK, SIDE, BATCH, TRAIN, TEST = "efficientnet_lite0", 160, 32, 192, 64
AGREE = 0.98  # cosine of the features of both sides, which resize differently
FOLDS = 5
