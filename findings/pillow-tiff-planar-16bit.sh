#!/usr/bin/env bash
# Pillow opens a TIFF of 16-bit RGB in separate planes without compression, and returns other pixels without an error.
#
# pillow 13.0.0, tifffile 2026.3.3, numpy 2.4.6. tifffile writes this form for every array of shape (3, H, W).
# Expected: the upper bytes of the 16-bit values (Pillow converts 16-bit RGB to 8 bits), or an error.
# Seen: mode RGB, and 0.5% of the values equal to the upper bytes for separate planes; 100% for interleaved pixels.
set -euo pipefail
place=$(mktemp -d); trap 'rm -rf "$place"' EXIT; cd "$place"
python3 -m venv v && v/bin/pip install -q --disable-pip-version-check pillow==13.0.0 tifffile==2026.3.3 numpy==2.4.6 2>/dev/null
v/bin/python - <<'P'
import io
import sys

import numpy as np
import tifffile
from PIL import Image

planes = np.random.default_rng(0).integers(0, 2**16, (3, 24, 32)).astype(np.uint16)
share = {}
for config, pixels in (("separate", planes), ("contig", np.moveaxis(planes, 0, 2))):
    file = io.BytesIO()
    tifffile.imwrite(file, pixels, photometric="rgb", planarconfig=config)
    assert np.array_equal(tifffile.imread(io.BytesIO(file.getvalue())), pixels)
    image = Image.open(io.BytesIO(file.getvalue()))
    share[config] = (np.asarray(image) == np.moveaxis(planes, 0, 2) >> 8).mean()
    print(config, image.mode, f"equal to the upper bytes: {share[config]:.1%}")
sys.exit(not (share["separate"] < 0.02 and share["contig"] == 1))
P
