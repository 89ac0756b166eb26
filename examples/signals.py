"""Signals: a network that tells rhythms from recordings of one channel, and what it says along a longer one.

python examples/signals.py                # on a made-up heartbeat with early and missing beats
python examples/signals.py ECG200/        # on a set of the UCR archive
"""

# %% Signals (N, channels, samples), with a label each
import sys
import tempfile
from pathlib import Path

import numpy as np

import neocog

SMALL = "--small" in sys.argv
given = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
here = Path(tempfile.mkdtemp())
rng = np.random.default_rng(0)
KINDS = ("regular", "early beat", "missing beat")


def beat(times: np.ndarray, at: float) -> np.ndarray:
    """One heartbeat: a small wave, a spike, and a broad wave behind it."""
    waves = ((0.15, -0.18, 0.03), (1.0, 0.0, 0.012), (0.3, 0.25, 0.06))
    return sum(height * np.exp(-(((times - at - shift) / width) ** 2)) for height, shift, width in waves)


def recording(kind: str) -> np.ndarray:
    """Four seconds at 64 samples per second, in noise, beginning anywhere in the rhythm; (1, 256)."""
    times, places = np.arange(256) / 64, np.arange(-1, 6) * 0.8 + rng.uniform(0, 0.8)
    if kind == "early beat":
        places[3] -= 0.35
    kept = np.delete(places, 3) if kind == "missing beat" else places
    return (sum(beat(times, at) for at in kept) + 0.05 * rng.normal(size=256))[None]


# %% Training takes files, folders or arrays alike
if given:
    run = neocog.train(given[0], minutes=2, runs=here)
else:
    labels = np.arange(90 if SMALL else 900) % 3
    signals = np.stack([recording(KINDS[label]) for label in labels]).astype(np.float32)
    data, names = signals, np.array(KINDS)[labels]
    run = neocog.train((data, names), model="time_series_fcn", recipe="signal", epochs=1 if SMALL else 15, runs=here)
print("test accuracy", run.evaluation.metrics["accuracy"].percent())

# %% New recordings, and whether one is unlike everything that the network has seen
predictor = neocog.load(run.bundle)
if not given:
    for kind in KINDS:
        (prediction,) = predictor.predict(recording(kind))
        print(f"{kind:<13} -> {prediction.class_name} ({prediction.probability:.0%})")
    (prediction,) = predictor.predict(rng.normal(size=(1, 256)))
    print("noise", "is unlike the training data" if prediction.unusual else "passes for a heartbeat")
