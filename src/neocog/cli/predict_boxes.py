"""The forms of predicted boxes: a row for each box, COCO's JSON, YOLO's text files, drawn images."""

import csv as csvlib
import io
import json as jsonlib
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from cyclopts import Parameter
from PIL import Image

from neocog.cli.stdout import write_out
from neocog.errors import ConfigError
from neocog.files import storage_errors, write_whole
from neocog.modalities.image.decode import decode_image
from neocog.tasks import BoxPrediction, Prediction
from neocog.tasks.draw_boxes import draw_boxes

__all__ = ["BoxForms", "show_boxes_csv"]

MAX_PIXELS = 2**28
COLUMNS = ("file", "label", "score", "left", "top", "right", "bottom", "error")


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class BoxForms:
    """What is done with predicted boxes beside showing them."""

    threshold: Annotated[
        float | None, Parameter(help="Boxes: show those of this score or more; by default the one of the model.")
    ] = None
    coco: Annotated[Path | None, Parameter(help="Boxes: write them to this file as COCO's JSON.")] = None
    yolo: Annotated[
        Path | None, Parameter(help="Boxes: write a text file for each image to this folder, as YOLO reads it.")
    ] = None
