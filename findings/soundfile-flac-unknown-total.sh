#!/usr/bin/env bash
# soundfile reports 2^63 - 1 frames for a FLAC file whose header leaves the number of samples open, and its read fails.
#
# soundfile 0.14.0 (libsndfile 1.2.2), numpy 2.4.6. RFC 9639 (8.2) lets a total of 0 stand for "unknown", which encoders
# write that read from a pipe. The file is one that soundfile wrote itself, with those 36 bits set to 0.
# Expected: the frames that are there, as for the same file with its total.
# Seen: info.frames is 9223372036854775807; read(frames=16000) raises LibsndfileError: Internal psf_fseek() failed.
set -euo pipefail
place=$(mktemp -d); trap 'rm -rf "$place"' EXIT; cd "$place"
python3 -m venv v && v/bin/pip install -q --disable-pip-version-check soundfile==0.14.0 numpy==2.4.6 2>/dev/null
v/bin/python - <<'P'
import io
import sys

import numpy as np
import soundfile

file = io.BytesIO()
soundfile.write(file, np.sin(np.arange(8000) / 9) / 2, 8000, format="FLAC", subtype="PCM_16")
stated = file.getvalue()
# "fLaC", the block's head (4 bytes), then STREAMINFO, whose bytes 13 (lower half) to 17 are the total.
open_ended = bytearray(stated)
open_ended[8 + 13] &= 0xF0
open_ended[8 + 14 : 8 + 18] = bytes(4)
frames = soundfile.info(io.BytesIO(bytes(open_ended))).frames
print(soundfile.__libsndfile_version__, "frames, stated:", soundfile.info(io.BytesIO(stated)).frames, "open:", frames)
try:
    found = len(soundfile.read(io.BytesIO(bytes(open_ended)), frames=16000)[0])
except Exception as error:
    found = f"{type(error).__name__}: {error}"
print("read of the open one:", found)
sys.exit(not (frames == 2**63 - 1 and isinstance(found, str)))
P
