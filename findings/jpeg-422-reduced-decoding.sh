#!/usr/bin/env bash
# libjpeg-turbo decodes a 4:2:2 JPEG at a quarter of its size with less colour detail than a 4:2:0 JPEG, which stores less.
#
# pillow 13.0.0 (`Image.draft`), simplejpeg 1.9.0 (`min_height`), numpy 2.4.6. Both bring libjpeg-turbo.
# The image has stripes of colour, 4 pixels wide: at a quarter of the size each is one pixel, and 4:4:4 and 4:2:0 keep them.
# Expected: 4:2:2, whose colour planes hold every second column, keeps them as 4:2:0 does.
# Seen: the red channel swings by over 150 for 4:4:4 and 4:2:0, and by under 10 for 4:2:2, in both packages: the colour
# planes are reduced to half of the luma's width and doubled again, though the file holds enough.
set -euo pipefail
place=$(mktemp -d); trap 'rm -rf "$place"' EXIT; cd "$place"
python3 -m venv v && v/bin/pip install -q --disable-pip-version-check pillow==13.0.0 simplejpeg==1.9.0 numpy==2.4.6 2>/dev/null
v/bin/python - <<'P'
import io
import sys

import numpy as np
import simplejpeg
from PIL import Image

side = 256
ycc = np.full((side, side, 3), 128, np.uint8)
ycc[:, :, 2] = np.where((np.arange(side) // 4) % 2 == 0, 190, 66)
swing = {}
for name, sampling in (("4:4:4", 0), ("4:2:2", 1), ("4:2:0", 2)):
    file = io.BytesIO()
    Image.frombytes("YCbCr", (side, side), ycc.tobytes()).save(file, "JPEG", quality=95, subsampling=sampling)
    image = Image.open(io.BytesIO(file.getvalue()))
    image.draft("RGB", (64, 64))
    decoded = {"Pillow": np.asarray(image), "simplejpeg": simplejpeg.decode_jpeg(file.getvalue(), min_height=64, min_width=64, min_factor=1)}
    for package, pixels in decoded.items():
        assert pixels.shape == (64, 64, 3), pixels.shape
        swing[package, name] = int(np.ptp(pixels[32, 8:56, 0].astype(int)))
        print(package, name, "red swings by", swing[package, name])
lost = all(swing[p, "4:2:2"] < 10 and min(swing[p, "4:2:0"], swing[p, "4:4:4"]) > 150 for p in ("Pillow", "simplejpeg"))
sys.exit(not lost)
P
