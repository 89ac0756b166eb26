#!/usr/bin/env bash
# soundfile reads only part of a variable-bit-rate MP3 that has no Xing frame, and raises nothing.
#
# soundfile 0.14.0 (libsndfile 1.2.2), numpy 2.4.6. Recorders and cutters leave the Xing frame out, which states the
# number of frames. libsndfile then takes the length from the file's size and the first frame's bit rate, as if all had
# it, and stops there. The file is one that soundfile wrote itself, loud first and quiet later, without its first frame.
# Expected: all samples, as the same file gives them with its Xing frame (less that of one frame).
# Seen: of 4 s of noise and 4 s of silence at 44.1 kHz, 352,800 samples with the Xing frame and 74,785 without; no error.
set -euo pipefail
place=$(mktemp -d); trap 'rm -rf "$place"' EXIT; cd "$place"
python3 -m venv v && v/bin/pip install -q --disable-pip-version-check soundfile==0.14.0 numpy==2.4.6 2>/dev/null
v/bin/python - <<'P'
import io
import sys

import numpy as np
import soundfile

rate, rng = 44_100, np.random.default_rng(0)
loud = rng.normal(0, 0.2, 4 * rate)
quiet = np.zeros(4 * rate)
file = io.BytesIO()
soundfile.write(
    file, np.concatenate([loud, quiet]), rate, format="MP3", subtype="MPEG_LAYER_III",
    bitrate_mode="VARIABLE", compression_level=0.5,
)
whole = file.getvalue()
mark = whole.find(b"\xff", 4)
while whole[mark + 1] & 0xE6 != 0xE2 or whole[mark + 1] != whole[1]:  # the second frame
    mark = whole.find(b"\xff", mark + 1)
bare = whole[mark:]
counts = [len(soundfile.read(io.BytesIO(data))[0]) for data in (whole, bare)]
print(soundfile.__libsndfile_version__, "samples with the Xing frame:", counts[0], "without:", counts[1])
sys.exit(not (counts[0] > 8 * rate * 0.99 and counts[1] < counts[0] * 0.9))
P
